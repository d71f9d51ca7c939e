"""The crawler against a server that fails in every way, killed and resumed, polite, and its sources."""

import collections
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

import cli
from preprocessing import crawl_descriptions, extract_descriptions
from preprocessing.crawling import crawl_sources, crawl_store, fetching
from tests.preprocessing.crawling import crawl_faults, hostile_server
from tests.preprocessing.crawling.crawl_faults import FAST, FAULTS, crawl, once_and_always
from tests.preprocessing.crawling.hostile_server import RESULTS, Site, serve
from tests.time_limit import time_limit

ROOT = pathlib.Path(__file__).resolve().parents[3]
REAL = pathlib.Path(os.environ.get("UIC_REALDATA", "../shared/realdata")) / "shutterstock"


@pytest.fixture(autouse=True)
def token(monkeypatch):
    monkeypatch.setenv(crawl_sources.TOKEN_VARIABLE, "a token")


# --------------------------------------------------------------------------------------------------------------
# Faults


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.source}-{fault.name}")
def test_faults(fault, tmp_path):
    with time_limit(30):
        once, always = once_and_always(fault, tmp_path)
    assert always.requests == fault.tries
    counted = collections.Counter(always.pages)
    if fault.ends:
        assert "the crawl ended at 'dog'" in once.error and "the crawl ended at 'dog'" in always.error
        assert counted[1] == RESULTS and counted[2] == 0 and always.failed == {}
    else:
        assert counted == {1: RESULTS, 3: RESULTS} and list(always.failed) == ["2"]
        assert "1 pages could not be fetched" in always.error and "the same command" in always.error
    passes = fault.tries == 3 or fault.name == "redirects"
    if passes:  # another try brings the page
        assert once.error == "" and once.pages == sorted([1, 2, 3] * RESULTS) and once.failed == {}
        assert once.requests == 2
    assert always.sent < 64 << 20  # of 1 GB


def test_the_table_of_faults_covers_the_server():
    served = {name.removeprefix("fault_") for name in dir(hostile_server.Handler) if name.startswith("fault_")}
    assert served - {fault.name for fault in FAULTS} == {"no_page_count"}  # a fault of page 1, tested below


@pytest.mark.parametrize("fault", ["no_page_count", "changed_markup", "404"])
def test_a_category_without_its_first_page(fault, tmp_path):
    site = Site(faults={1: [fault, "always"]})
    with serve(site) as address:
        outcome = crawl(tmp_path, site, address, attempts=2)
    assert "there is no page of dog" in outcome.error and outcome.pages == []
    assert [page for *_, page in site.log] == [1] * (1 if fault == "404" else 2)
    assert os.listdir(tmp_path / "descriptions") == [crawl_store.WORK]


def test_many_failures_in_a_row_end_the_crawl_and_the_same_command_goes_on(tmp_path):
    site = Site(pages=40, faults={page: ["404", "always"] for page in range(5, 41)})
    with serve(site) as address:
        outcome = crawl(tmp_path, site, address, max_failed=6, concurrency=2)
        assert "6 pages in a row failed" in outcome.error and len(site.log) <= 4 + 6 + 2
        assert set(outcome.pages) == {1, 2, 3, 4}
        site.faults.clear()
        site.log.clear()
        outcome = crawl(tmp_path, site, address)
    assert outcome.error == "" and outcome.pages == sorted(list(range(1, 41)) * RESULTS)
    assert sorted(page for *_, page in site.log) == list(range(5, 41))  # no page a second time


def test_an_answer_that_is_under_way_when_the_crawl_ends_is_kept(tmp_path):
    site = Site(pages=40, faults={page: ["404", "always"] for page in range(5, 41)})
    site.late = {4: 1.0}  # the pages behind it have all failed by then
    with serve(site) as address:
        outcome = crawl(tmp_path, site, address, max_failed=6, concurrency=2, timeout=20.0)
    assert "6 pages in a row failed" in outcome.error and set(outcome.pages) == {1, 2, 3, 4}
    assert sorted(page for *_, page in site.log) == list(range(1, 11))


def test_a_page_that_waits_for_its_next_try_is_not_asked_for_again_once_the_crawl_has_ended(tmp_path):
    site = Site(pages=40, faults={4: ["500", "always"]} | {page: ["404", "always"] for page in range(5, 41)})
    site.late = {5: 0.5}  # page 4 waits by then
    with serve(site) as address:
        begun = time.monotonic()
        outcome = crawl(tmp_path, site, address, max_failed=6, concurrency=2, backoff=30.0, max_wait=60.0, timeout=20.0)
    assert "6 pages in a row failed" in outcome.error and time.monotonic() - begun < 10
    assert sorted(page for *_, page in site.log) == list(range(1, 11))


# --------------------------------------------------------------------------------------------------------------
# What is written


def test_output_is_read_by_the_next_stage(tmp_path, capsys):
    site = Site(pages=3)
    with serve(site) as address:
        outcome = crawl(tmp_path, site, address, categories=("traffic light", "dog"))
        about = json.loads((tmp_path / "descriptions/traffic_light.json").read_text())
        assert about["count"] == 3 * RESULTS and about["pages"] == {"1": 5, "2": 5, "3": 5} and about["failed"] == {}
        assert about["settings"] == {"source": "html", "base_url": address, "query": "traffic light"}
        first = (tmp_path / "descriptions/traffic_light.jsonl").read_text().splitlines()[0]
        text = hostile_server.descriptions("traffic light", 1)[0]
        assert json.loads(first) == {"category": "traffic light", "page": 1, "description": text}
        assert "searchterm=traffic+light&page=1" in site.log[0][1]
        requests = len(site.log)
        assert crawl(tmp_path, site, address, categories=("traffic light", "dog")).pages == outcome.pages
        assert len(site.log) == requests and "complete, nothing to do" in capsys.readouterr().out
    options = {"data_dir": str(tmp_path), "input": str(tmp_path / "descriptions"), "processes": 1}
    extract_descriptions.main(extract_descriptions.Options(**options))
    sentences = (tmp_path / "sentences.txt").read_text().splitlines()
    assert len(sentences) == 2 * 3 * RESULTS and "dog number 0 on page 1 , with umlaut and `` quotes ''" in sentences


def test_more_pages_later_and_another_server(tmp_path):
    site = Site(pages=6)
    with serve(site) as address:
        assert set(crawl(tmp_path, site, address, num_pages=2).pages) == {1, 2}
        assert set(crawl(tmp_path, site, address, num_pages=4).pages) == {1, 2, 3, 4}
        assert sorted(page for *_, page in site.log) == [1, 2, 3, 4]
        assert "crawled with other settings" in crawl(tmp_path, site, address, source="api").error
        assert set(crawl(tmp_path, site, address, source="api", overwrite=True, num_pages=1).pages) == {1}
    assert "crawled with other settings" in crawl(tmp_path, site, "http://127.0.0.1:9").error


def test_a_damaged_output_is_crawled_again(tmp_path, capsys):
    site = Site(pages=2)
    with serve(site) as address:
        crawl(tmp_path, site, address)
        path = tmp_path / "descriptions/dog.jsonl"
        path.write_bytes(path.read_bytes()[:-10])
        assert crawl(tmp_path, site, address).pages == [1] * RESULTS + [2] * RESULTS
    assert "crawling dog again" in capsys.readouterr().out and len(site.log) == 4


def test_a_file_of_unknown_origin_is_not_replaced(tmp_path):
    (tmp_path / "descriptions").mkdir()
    (tmp_path / "descriptions/dog.jsonl").write_text("{}\n")
    site = Site()
    with serve(site) as address, pytest.raises(cli.UserError, match="this stage did not make it"):
        options = {"source": "html", "categories": ("dog",), "base_url": address}
        crawl_descriptions.main(crawl_descriptions.Options(data_dir=str(tmp_path), **options, **FAST))


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_journal_cut_anywhere(cut, tmp_path):
    """Whatever a kill leaves of the two files, the next run takes up the pages that are whole and no others."""
    (tmp_path / crawl_store.WORK).mkdir()
    store = crawl_store.CategoryStore(str(tmp_path), "dog", {"a": 1})
    for page in (1, 3, 2):
        store.add(page, [f"text {page}.{i}" for i in range(4)], available=3)
    store.close()
    journal, part = (tmp_path / crawl_store.WORK / f"dog.{end}" for end in ("journal", "part"))
    journal.write_bytes(journal.read_bytes()[:-cut])
    again = crawl_store.CategoryStore(str(tmp_path), "dog", {"a": 1})
    whole = 2 if cut <= 46 else 1  # lines of the journal are 46 bytes long
    assert list(again.pages) == [1, 3][:whole] or (cut == 1 and list(again.pages) == [1, 3])
    for page in again.missing(9):
        again.add(page, [f"text {page}.{i}" for i in range(4)], available=3)
    again.publish({})
    lines = [json.loads(line) for line in (tmp_path / "dog.jsonl").read_text().splitlines()]
    assert [line["description"] for line in lines] == [f"text {page}.{i}" for page in (1, 2, 3) for i in range(4)]
    assert not journal.exists() and not part.exists()


def test_killed_and_resumed(tmp_path):
    """Killed again and again, the crawl ends with every description exactly once."""
    categories, pages = ["dog", "cat", "traffic light"], 30
    site = Site(pages=pages, delay=0.03)
    command = [sys.executable, "-m", "preprocessing.crawl_descriptions", f"--data_dir={tmp_path}", "--source=html"]
    command += [f"--categories={','.join(categories)}", "--rate=500", "--concurrency=3"]
    kills = 0
    work = tmp_path / "descriptions" / crawl_store.WORK
    draw = random.Random(5)
    with serve(site) as address:
        for _ in range(40):
            served = len(site.served)
            process = subprocess.Popen([*command, f"--base_url={address}"], cwd=ROOT, stdout=subprocess.DEVNULL)
            stop = served + draw.randint(3, 30)
            while process.poll() is None and len(site.served) < stop:
                time.sleep(0.002)
            if process.poll() is not None:
                break
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            assert list(work.glob("*.journal")) or list(work.parent.glob("*.jsonl"))  # something is there
        assert process.returncode == 0 and kills >= 3
    for category in categories:
        path = tmp_path / "descriptions" / f"{crawl_store.file_name(category)}.jsonl"
        found = [(line["page"], line["description"]) for line in map(json.loads, path.read_text().splitlines())]
        wanted = [(page, text) for page in range(1, pages + 1) for text in hostile_server.descriptions(category, page)]
        assert found == wanted
    # Only what was on its way when the process was killed is fetched twice.
    assert len(site.served) <= len(categories) * pages + kills * 4
    assert [path.name for path in work.iterdir()] == ["lock"]


# --------------------------------------------------------------------------------------------------------------
# Politeness


def test_rate_and_concurrency(tmp_path):
    site = Site(pages=12, delay=0.05)
    with serve(site) as address:
        crawl(tmp_path / "a", site, address, concurrency=3)
        assert site.most == 3
        site.log.clear()
        crawl(tmp_path / "b", site, address, concurrency=12, rate=20.0)
    times = [when for when, *_ in site.log]
    assert len(times) == 12 and times[-1] - times[0] > 0.9 * 11 / 20


def test_retry_after_pauses_all_requests(tmp_path):
    site = Site(pages=8, faults={3: ["429"]})
    with serve(site) as address:
        outcome = crawl(tmp_path, site, address, concurrency=2)
    times = {page: when for when, _, _, page in site.log}
    first = next(when for when, _, _, page in site.log if page == 3)
    late = [page for page, when in times.items() if when > first + 0.1]
    assert outcome.error == "" and len(late) >= 5 and min(times[page] for page in late) >= first + 0.95


def test_waits_grow_and_are_random(monkeypatch, tmp_path):
    waits = []
    monkeypatch.setattr(fetching.random, "uniform", lambda low, high: waits.append((low, high)) or 0.5)
    site = Site(faults={2: ["500", "always"]})
    with serve(site) as address:
        start = time.monotonic()
        crawl(tmp_path, site, address, attempts=5, backoff=0.04, max_wait=0.2)
    # 0.04, 0.08, 0.16 and at most 0.2 seconds, times 0.5
    assert waits == [(0.5, 1.0)] * 4 and time.monotonic() - start > 0.24


def test_robots(tmp_path):
    site = Site(robots=(200, "User-agent: *\nDisallow: /*page=2\n"))
    with serve(site) as address:
        outcome = crawl(tmp_path, site, address)
        assert set(outcome.pages) == {1, 3} and "robots.txt does not allow" in outcome.failed["2"]
        assert outcome.requests == 0
        site.robots = (200, "User-agent: *\nDisallow: /\n")
        assert "there is no page of dog" in crawl(tmp_path / "none", site, address).error
        site.robots = (503, "")
        outcome = crawl(tmp_path / "unreachable", site, address)
        assert "robots.txt cannot be read" in outcome.error and outcome.pages == []
        site.robots = (200, "User-agent: *\nDisallow: /\n")  # the API is no page; its permission is the token
        assert crawl(tmp_path / "api", site, address, source="api").error == ""


def test_crawl_delay(tmp_path):
    site = Site(pages=4, robots=(200, "User-agent: *\nCrawl-delay: 0.2\n"))
    with serve(site) as address:
        crawl(tmp_path, site, address)
    assert site.log[-1][0] - site.log[0][0] > 0.9 * 3 * 0.2


@pytest.mark.parametrize("delay, message", [("86400", "of 86400 s"), ("1e308", "of 1e+308 s")])
def test_a_crawl_delay_without_end(tmp_path, delay, message):
    site = Site(robots=(200, f"User-agent: *\nCrawl-delay: {delay}\n"))
    with serve(site) as address, time_limit(10):
        outcome = crawl(tmp_path, site, address)
    assert f"/robots.txt asks for a Crawl-delay {message}, more than --max_wait 5" in outcome.error
    assert site.log == []


@pytest.mark.parametrize("delay", ["inf", "-inf", "nan", "-1", "soon"])
def test_a_crawl_delay_that_is_no_number(tmp_path, delay):
    site = Site(robots=(200, f"User-agent: *\nCrawl-delay: {delay}\n"))
    with serve(site) as address, time_limit(10):
        assert crawl(tmp_path, site, address).error == ""


def test_robots_of_very_many_groups(tmp_path):
    site = Site(robots=(200, "User-agent: a\n" * 5_000 + "Disallow: /\n" * 5_000))
    with serve(site) as address, time_limit(10):
        outcome = crawl(tmp_path, site, address)
    assert "5000 user agents on 10000 lines; at most 1,000,000 for their product" in outcome.error and site.log == []


def test_two_crawls_in_one_folder(tmp_path):
    site = Site(pages=30, delay=0.1)
    command = [sys.executable, "-m", "preprocessing.crawl_descriptions", f"--data_dir={tmp_path}", "--source=html"]
    with serve(site) as address:
        process = subprocess.Popen([*command, "--categories=dog", f"--base_url={address}"], cwd=ROOT)
        while not site.log and process.poll() is None:
            time.sleep(0.01)
        outcome = crawl(tmp_path, site, address)
        process.kill()
        process.wait()
    assert "another crawl writes there" in outcome.error


# --------------------------------------------------------------------------------------------------------------
# Sources and settings


def test_the_token_is_sent_and_needed(tmp_path, monkeypatch):
    assert crawl_sources.ApiSource().headers()["Authorization"] == "Bearer a token"
    assert "Authorization" not in crawl_sources.HtmlSource().headers()
    monkeypatch.delenv(crawl_sources.TOKEN_VARIABLE)
    with pytest.raises(cli.UserError, match="export SHUTTERSTOCK_API_TOKEN="):
        crawl_descriptions.main(crawl_descriptions.Options(data_dir=str(tmp_path / "none")))
    assert not (tmp_path / "none").exists()


def test_api_pages():
    source = crawl_sources.ApiSource(per_page=50)
    answer = {"data": [{"description": "a"}, {"id": "1"}, {"description": None}], "total_count": 101}
    assert source.parse(json.dumps(answer).encode()) == crawl_sources.Page(["a"], 3)
    assert source.parse(b'{"data": [], "total_count": 0}') == crawl_sources.Page([], 0)
    assert source.url("traffic light", 7).endswith(
        "/v2/images/search?query=traffic+light&image_type=photo&language=en&page=7&per_page=50"
    )


def test_json_ld_is_never_evaluated():
    body = (
        b'<script type="application/ld+json">[{"@type": "ImageObject", "description": "x", "n": __import__}]</script>'
    )
    with pytest.raises(fetching.PageError, match="not JSON"):
        crawl_sources.HtmlSource().parse(body)


def test_other_json_ld_in_a_page():
    page = (
        '<script type="application/ld+json">{broken</script>'
        '<script type="application/ld+json">[{"@type": "BreadcrumbList", "description": "no"}]</script>'
        '<script>var x = [{"@type": "ImageObject", "description": "no"}]</script>'
        '<script type="application/ld+json">{"@graph": [{"@type": "ImageObject", "description": "yes"}]}</script>'
        '<a data-max="oops"></a><input data-max="12">'
    )
    assert crawl_sources.HtmlSource().parse(page.encode()) == crawl_sources.Page(["yes"], 12)


@pytest.mark.skipif(not REAL.is_dir(), reason="UIC_REALDATA names no folder")
def test_real_records():
    record = (REAL / "ld_json_one_record.json").read_text()
    page = f'<html><script type="application/ld+json">{record}</script><i data-max="3"></i></html>'.encode()
    text = "Basset Hound and corgi, labrador, dog,  pomeranian puppies"
    assert crawl_sources.HtmlSource().parse(page) == crawl_sources.Page([text], 3)
    answer = (REAL / "api_v2_images_search_example_0.json").read_bytes()
    found = crawl_sources.ApiSource(per_page=5).parse(answer)
    assert found == crawl_sources.Page(["cropped image of woman gardening"], 24691)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"rate": 0.0}, "--rate 0.0"),
        ({"rate": float("nan")}, "--rate nan"),
        ({"timeout": float("inf")}, "--timeout inf"),
        ({"max_wait": float("nan")}, "--max_wait nan"),
        ({"num_pages": 0}, "--num_pages 0"),
        ({"max_wait": -1.0}, "--max_wait -1.0"),
        ({"max_failures": 2.0}, "--max_failures 2.0"),
        ({"base_url": "localhost:80"}, "--base_url localhost:80: expected http"),
        ({"base_url": "http://127.0.0.1:99999999"}, "--base_url .*: the port 99999999: expected at most 65535"),
        ({"base_url": "http://a..b"}, "--base_url http://a..b: "),
        ({"names": "none.txt"}, "--names none.txt"),
        ({"categories": ("hot dog", "Hot-Dog")}, "written to the same file"),
    ],
)
def test_wrong_settings(settings, message, tmp_path):
    with pytest.raises(cli.UserError, match=message):
        crawl_descriptions.main(crawl_descriptions.Options(data_dir=str(tmp_path), **{"source": "html"} | settings))


def test_the_table_can_be_printed(monkeypatch, capsys):
    monkeypatch.setattr(crawl_faults, "FAULTS", [fault for fault in FAULTS if fault.name == "500"])
    crawl_faults.main()
    assert "| 500 | 2, [1, 2, 3] | 3, [1, 3] | answer 500 (3 tries) |" in capsys.readouterr().out
