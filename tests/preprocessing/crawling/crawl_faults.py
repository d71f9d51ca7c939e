"""The faults of a hostile server, and what the crawler makes of each: the test's expectations and a table of them.

python -m tests.preprocessing.crawl_faults
"""

import dataclasses
import json
import pathlib
import re
import resource
import tempfile
import time

import cli
from preprocessing import crawl_descriptions
from tests.preprocessing.crawling import hostile_server

FAST = {"rate": 1000.0, "backoff": 0.02, "timeout": 0.4, "max_wait": 5.0, "attempts": 3, "max_bytes": 1 << 20}


@dataclasses.dataclass(frozen=True)
class Fault:
    """One fault of page 2 of 3.

    Attributes:
      name: of the server's fault. what: for the table. tries: requests for page 2 when the fault stays.
      kind: as it is counted. source: html or api. ends: whether it ends the whole crawl.
    """

    name: str
    what: str
    tries: int
    kind: str
    source: str = "html"
    ends: bool = False


FAULTS = (
    Fault("429", "429, Retry-After: 1", 3, "429"),
    Fault("429_date", "429, Retry-After: a date", 3, "429"),
    Fault("429_tomorrow", "429, Retry-After: 86400", 1, "429", ends=True),
    Fault("429_never", "429, Retry-After of 400 digits", 1, "429", ends=True),
    Fault("429_soon", "429, Retry-After: soon", 3, "429"),
    Fault("429_negative", "429, Retry-After: -5", 3, "429"),
    Fault("429_nan", "429, Retry-After: nan", 3, "429"),
    Fault("429_superscript", "429, Retry-After: ²", 3, "429"),
    Fault("429_year_0", "429, Retry-After: a date in the year 0", 3, "429"),
    Fault("500", "500", 3, "500"),
    Fault("silence", "no answer", 3, "time-out"),
    Fault("drip", "a body byte by byte, slower than the time-out", 3, "time-out"),
    Fault("endless_headers", "headers without end", 3, "cut answer"),
    Fault("drip_of_headers", "headers one by one, without end", 3, "time-out"),
    Fault("endless_hints", "interim answers without end", 3, "time-out"),
    Fault("hang_up", "connection closed without an answer", 3, "cut answer"),
    Fault("cut_body", "body cut in the middle", 3, "cut answer"),
    Fault("malformed_json", "malformed JSON-LD", 3, "unreadable page"),
    Fault("malformed_json", "malformed JSON of the API", 3, "unreadable page", source="api"),
    Fault("changed_markup", "changed markup", 3, "unreadable page"),
    Fault("comments", "1 MB of <!--", 3, "unreadable page"),
    Fault("marked_sections", "1 MB of <![", 3, "unreadable page"),
    Fault("attributes", "a tag with 100,000 attributes", 3, "unreadable page"),
    Fault("nested_tags", "200,000 tags, one in the other", 3, "unreadable page"),
    Fault("binary", "binary rubbish", 3, "unreadable page"),
    Fault("bad_gzip", "gzip that is none", 3, "unreadable page"),
    Fault("404", "404", 1, "404"),
    Fault("401", "401, token refused by the API", 1, "401", source="api", ends=True),
    Fault("redirects", "endless redirects", 6, "redirects"),
    Fault("elsewhere", "redirect to another host", 1, "redirects"),
    Fault("bad_redirect", "redirect to no URL", 1, "redirects"),
    Fault("long_redirect", "redirect to a URL of 50,000 characters", 1, "redirects"),
    Fault("gigabyte", "a body of 1 GB, streamed", 1, "too large"),
    Fault("gigabyte_announced", "a body of 1 GB, announced", 1, "too large"),
    Fault("bomb", "1 MB that unpacks to 1 GB", 1, "too large"),
    Fault("packed_nothing", "1 GB that unpacks to nothing", 1, "too large"),
)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What was there after a crawl.

    Attributes:
      error: message of the error that ended it, "" for none. pages: list of the page of each line that is kept.
      failed: dict page -> reason in the sidecar. requests: requests for page 2. sent: bytes of the large bodies.
    """

    error: str
    pages: list
    failed: dict
    requests: int
    sent: int
    seconds: float


def crawl(folder, site, address, source="html", **settings):
    """Crawls the category "dog" into a folder; returns the Outcome."""
    options = {"source": source, "categories": ("dog",), "base_url": address, "per_page": hostile_server.RESULTS}
    options |= FAST | settings
    start, error = time.monotonic(), ""
    try:
        crawl_descriptions.main(crawl_descriptions.Options(data_dir=str(folder), **options))
    except cli.UserError as caught:
        error = str(caught)
    path = pathlib.Path(folder) / "descriptions" / "dog.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    for line in lines:
        assert line["description"] in hostile_server.descriptions("dog", line["page"]) and line["category"] == "dog"
    sidecar = path.with_suffix(".json")
    failed = json.loads(sidecar.read_text())["failed"] if sidecar.exists() else {}
    requests = sum(page == 2 for _, _, _, page in site.log)
    return Outcome(error, [line["page"] for line in lines], failed, requests, site.sent, time.monotonic() - start)


def once_and_always(fault, folder):
    """Outcomes of a crawl in which the fault comes once, and of one in which it stays."""
    outcomes = []
    for name, faults in (("once", [fault.name]), ("always", [fault.name, "always"])):
        site = hostile_server.Site(faults={2: faults})
        with hostile_server.serve(site) as address:
            outcomes.append(crawl(pathlib.Path(folder) / name, site, address, fault.source))
    return outcomes


def main():
    import contextlib
    import io
    import os

    os.environ.setdefault("SHUTTERSTOCK_API_TOKEN", "a token for the local server")
    print("| fault of page 2 of 3 | once: tries, pages kept | always: tries, pages kept | reported | seconds |")
    print("|---|---|---|---|---|")
    for fault in FAULTS:
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            once, always = once_and_always(fault, folder)
        reason = always.failed.get("2") or "ends the crawl: " + always.error.split("'dog': ")[-1].split(". ")[0]
        reason = re.sub(r"http://127[^ ]*: ", "", reason)
        kept = [f"{outcome.requests}, {sorted(set(outcome.pages)) or 'none'}" for outcome in (once, always)]
        sent = f" ({always.sent / 2**20:.1f} MB sent)" if always.sent else ""
        print(f"| {fault.what} | {kept[0]} | {kept[1]} | {reason[:90]}{sent} | {once.seconds + always.seconds:.1f} |")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\nPeak memory of crawler and server together: {peak:.0f} MB")


if __name__ == "__main__":
    main()
