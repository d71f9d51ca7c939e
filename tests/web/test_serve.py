"""serve.py: the endpoint, and the page in a headless browser with real clicks."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request

import numpy as np
import pytest
from PIL import Image

import cli
import serve
from tests import tiny_runs
from tests.web import web_runs
from tests.web.test_uploads import bomb

pytest.importorskip("gradio", reason="gradio is not installed: pip install -r requirements-serve.txt")
pytestmark = pytest.mark.slow
CLEAR = "#picture button[aria-label*='lear'], #picture button[aria-label*='emove']"
SECONDS = 120  # for an answer of the page; the machine may be busy


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """(folder, runs), see web_runs.make."""
    folder = str(tmp_path_factory.mktemp("serve"))
    return folder, web_runs.make(folder)


@pytest.fixture(scope="module")
def address(world):
    """The address of a running serve.py."""
    folder, runs = world
    command = [sys.executable, "serve.py", f"--job_dir={runs[0]}", f"--job_dir2={runs[1]}", "--port=0"]
    command += [f"--detector=annotations:{folder}/objects.jsonl", f"--examples={folder}/photos"]
    temporary = os.path.join(folder, "temporary")
    os.mkdir(temporary)
    there = {"cwd": tiny_runs.ROOT, "env": os.environ | {"TMPDIR": temporary}}
    with open(os.path.join(folder, "log"), "w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, **there)
    line = process.stdout.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+", line)
    assert found, line + open(os.path.join(folder, "log")).read()
    yield found[0]
    process.terminate()
    process.wait(timeout=60)
    assert not [name for name in os.listdir(temporary) if name.startswith("captions-")], "uploads are deleted"


def post(address, data, query="", host=None):
    """Posts to the endpoint; returns (status, answer)."""
    request = urllib.request.Request(f"{address}/caption?{query}", data, {"Content-Type": "application/octet-stream"})
    if host:
        request.add_header("Host", host)
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        text = error.read().decode()
        return error.code, json.loads(text) if text.startswith("{") else text


def photo(world, name="val_000.jpg"):
    with open(os.path.join(world[0], "photos", name), "rb") as file:
        return file.read()


# --------------------------------------------------------------------------------------------------------------
# The endpoint


def test_the_endpoint_says_what_caption_py_says(world, address):
    status, answer = post(address, photo(world), "beam=3&name=val_000.jpg")
    assert status == 200 and [run["run"] for run in answer["runs"]] == ["full", "looking"]
    for run, job_dir in zip(answer["runs"], world[1], strict=True):
        command = [sys.executable, "caption.py", f"--job_dir={job_dir}", "--nbest=3", "--format=json"]
        done = subprocess.run(
            [*command, os.path.join(world[0], "photos", "val_000.jpg")],
            cwd=tiny_runs.ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        (wanted,) = json.loads(done.stdout)
        assert run["caption"] == wanted["caption"]
        assert [one["caption"] for one in run["nbest"]] == [one["caption"] for one in wanted["nbest"]]
        for one, other in zip(run["nbest"], wanted["nbest"], strict=True):
            assert one["log_prob"] == pytest.approx(other["log_prob"], abs=1e-4)
            assert one["probability"] == pytest.approx(np.exp(other["log_prob"]), rel=1e-3)


def test_objects_and_attention(world, address):
    _, answer = post(address, photo(world), "name=val_000.jpg")
    full, looking = answer["runs"]
    assert [found["name"] for found in full["objects"]] == ["Dog", "Cat"]
    assert full["objects"][0]["box"] == [0.25, 0.25, 0.75, 0.75] and "attention" not in full
    assert [part["word"] for part in looking["attention"]] == looking["caption"].split()
    assert all(sum(part["weights"]) == pytest.approx(1, abs=1e-3) for part in looking["attention"])
    _, fewer = post(address, photo(world), "name=val_000.jpg&least=0.5")
    assert [found["name"] for found in fewer["runs"][0]["objects"]] == ["Dog"]
    _, unknown = post(address, photo(world), "name=../../etc/passwd")
    assert unknown["runs"][0]["objects"] is None and unknown["runs"][0]["caption"]


def test_the_endpoint_refuses(world, address, tmp_path):
    for data, query, status, message in [
        (b"", "", 422, "empty"),
        (b"no picture", "", 415, "not a picture"),
        (b"\0" * (11 << 20), "", 413, "11.0 MB; at most 10 MB"),
        (bomb(tmp_path / "b.png", 60000, 60000).read_bytes(), "", 413, "pixels"),
        (photo(world)[:900], "", 422, "cannot be read"),
        (photo(world), "beam=61", 422, "beam is 61; expected 1 to 60"),
        (photo(world), "name=" + "x" * 300, 422, "name cannot be used"),
    ]:
        code, answer = post(address, data, query)
        assert code == status and message in answer["error"], (query, code, answer)


def test_forms_and_json_say_the_same(world, address, tmp_path):
    """A real server gives one answer to curl -F, curl --data-binary and JSON, and for both names of a parameter."""
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    (tmp_path / "val_000.jpg").write_bytes(photo(world))
    _, wanted = post(address, photo(world), "beam=2&min_score=0.5&name=val_000.jpg")
    content = {"image": base64.b64encode(photo(world)).decode(), "beam": 2, "least": 0.5, "name": "val_000.jpg"}
    (tmp_path / "content.json").write_text(json.dumps(content))
    for arguments in (
        ["-F", f"file=@{tmp_path}/val_000.jpg", "-F", "beam=2", f"{address}/caption?least=0.5"],
        ["-H", "Content-Type: application/json", "-d", f"@{tmp_path}/content.json", f"{address}/caption"],
        ["--data-binary", f"@{tmp_path}/val_000.jpg", f"{address}/caption?beam=2&min_score=.5&name=val_000.jpg"],
    ):
        done = subprocess.run(["curl", "-s", *arguments], capture_output=True, text=True, check=True)
        assert json.loads(done.stdout) == wanted, arguments


def test_foreign_names_of_this_machine_are_refused(world, address):
    assert post(address, photo(world), host="evil.example")[0] == 400


def test_wrong_arguments(world, tmp_path):
    run = world[1][0]
    (tmp_path / "text").mkdir()
    content = {"stage": "SentenceGan", "settings": {}, "facts": {"image_dim": None}}
    (tmp_path / "text" / "config.json").write_text(json.dumps(content))
    for options, message in [
        (serve.Options(job_dir=str(tmp_path)), "not a run directory"),
        (serve.Options(job_dir=str(tmp_path / "text")), "a run of SentenceGan cannot caption images"),
        (serve.Options(job_dir=run, job_dir2=str(tmp_path)), "not a run directory"),
        (serve.Options(job_dir=run, port=70000), "--port 70000"),
        (serve.Options(job_dir=run, examples=("none",)), "--examples none: no such"),
    ]:
        with pytest.raises(cli.UserError, match=message):
            serve.main(options)


def test_a_port_that_is_taken(address):
    with pytest.raises(cli.UserError, match="choose another"):
        serve.listening(int(address.rpartition(":")[2]))


# --------------------------------------------------------------------------------------------------------------
# The page


@pytest.fixture(scope="module")
def browser(address):
    """A headless Chromium with the page open."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: requirements-dev.txt")
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("chromium and chromedriver are not installed: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1300,1500",
    ):
        options.add_argument(flag)
    options.binary_location = shutil.which("chromium")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    driver.set_page_load_timeout(SECONDS)
    driver.get(address)
    yield Page(driver)
    driver.quit()


class Page:
    """The page as a person uses it."""

    def __init__(self, driver):
        self.driver = driver

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def wait(self, condition, what):
        """Waits until `condition()` is true and returns it; elements that are being redrawn count as false."""
        from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
        from selenium.webdriver.support.ui import WebDriverWait

        ignored = [StaleElementReferenceException, IndexError]
        try:
            return WebDriverWait(self.driver, SECONDS, 0.2, ignored).until(lambda _: condition())
        except TimeoutException:
            pytest.fail(f"the page does not show {what} after {SECONDS} s, but:\n{self.text('body')}")

    def text(self, selector):
        return "\n".join(element.text for element in self.all(selector))

    def upload(self, path):
        """Chooses a file in the file dialogue."""
        self.wait(lambda: self.all("#picture input[type=file]"), "a file field")[0].send_keys(str(path))

    def clear(self):
        self.wait(lambda: self.all(CLEAR), "a button that clears")[0].click()
        self.wait(lambda: "Upload a picture" in self.text("#status"), "the hint")

    def tab(self, number, name):
        """Opens a tab of the column of a run."""
        found = [button for button in self.all("button[role=tab]") if button.text == name]
        found[number - 1].click()

    def shown(self, selector):
        """Width in pixels of the picture that is loaded in a field, 0 without one."""
        script = "const i = document.querySelector(arguments[0] + ' img'); return i && i.complete ? i.naturalWidth : 0"
        return self.driver.execute_script(script, selector)


def test_a_picture_is_uploaded_and_looked_at(world, address, browser):
    """The page shows caption, n-best list, objects, attention and word map of two runs."""
    browser.upload(os.path.join(world[0], "photos", "val_001.jpg"))
    browser.wait(lambda: len(browser.all(".said")) == 2, "two captions")
    _, answer = post(address, photo(world, "val_001.jpg"), "name=val_001.jpg")
    for number, run in enumerate(answer["runs"], 1):
        assert browser.text(f"#said{number} .said") == run["caption"] or not run["caption"]
        rows = browser.all(f"#nbest{number} tbody tr")
        assert len(rows) == len(run["nbest"]) and run["caption"] in rows[0].text
        browser.tab(number, "objects")
        browser.wait(lambda number=number: browser.shown(f"#objects{number}") == 480, "the picture with objects")
        assert "Dog 0.90\nCat 0.40" in browser.text(f"#list{number}")
        browser.tab(number, "word map")
        browser.wait(lambda number=number: browser.shown(f"#map{number}") > 300, "a map")
    browser.wait(lambda: browser.shown("#attention2") > 300, "attention by word")
    assert not browser.all("#attention1"), "the first run has no attention"


def test_settings_and_examples_are_clicked(browser):
    field = browser.wait(lambda: browser.all("#beam input[type=number]"), "the beam")[0]
    browser.driver.execute_script("arguments[0].select()", field)
    field.send_keys("1\t")
    browser.all("button#caption")[0].click()
    browser.wait(lambda: len(browser.all("#nbest2 tbody tr")) == 1, "one caption")
    examples = browser.all("#examples button img, .gallery button img")
    assert len(examples) == 12, "the largest number of examples that are shown"
    before = browser.driver.execute_script("return document.querySelector('#picture img').src")
    examples[3].click()
    source = "return (document.querySelector('#picture img') || {}).src"
    browser.wait(lambda: browser.driver.execute_script(source) not in (None, before), "another picture")
    browser.wait(lambda: len(browser.all(".said")) == 2, "captions of the example")


def test_what_is_no_picture_gets_a_clear_message(world, browser, tmp_path):
    browser.clear()
    assert not browser.all(".said"), "the old answer is gone"
    frames = [Image.new("RGB", (32, 32), (80 * i, 0, 0)) for i in range(3)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    (tmp_path / "text.png").write_text("no picture")
    bomb(tmp_path / "bomb.png", 60000, 60000)
    for name, message in [
        ("moving.gif", "holds 3 pictures"),
        ("text.png", "not a picture of a known format"),
        ("bomb.png", "at most 16 million"),
    ]:
        browser.upload(tmp_path / name)
        browser.wait(lambda message=message: message in browser.text("#status [role=alert]"), message)
        assert not browser.all(".said")
        browser.clear()
    (tmp_path / "large.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * (11 << 20))
    browser.upload(tmp_path / "large.png")
    browser.wait(lambda: "maximum allowed size" in browser.text("body"), "a message about the size")


def test_nothing_was_asked_of_another_machine(address, browser):
    asked = set()
    for entry in browser.driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            asked.add(message["params"]["request"]["url"])
    assert len(asked) > 10
    assert not [url for url in asked if not url.startswith((address, "data:", "blob:" + address))]
