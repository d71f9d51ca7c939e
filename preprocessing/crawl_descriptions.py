"""Crawls descriptions from the search results of a stock-photo agency, one file of JSON lines for each category.

    export SHUTTERSTOCK_API_TOKEN=…
    python -m preprocessing.crawl_descriptions --data_dir data/default --source api
    python -m preprocessing.crawl_descriptions --data_dir data/default --source html --categories dog,cat --num_pages 5

Writes `descriptions/NAME.jsonl`, lines {"category", "page", "description"}, and the sidecar `NAME.json`. After an
interruption the same command continues, and requests failed pages again. The terms of the agency apply to the
descriptions: read them first. For most purposes the corpora of `scripts/download.py --list` are the better choice.
Tested with a local server and with one real record of each source; not run with the agency's servers.
Source: docs/stages.md.
"""

import asyncio
import dataclasses
import fcntl
import math
import os

import httpx

import cli
import experiments
from formats import readers
from preprocessing.crawling import crawl_sources, crawl_store, fetching

SHOWN = 20  # failures that are printed; the sidecars list all


@dataclasses.dataclass(frozen=True)
class Options:
    """Settings of crawl_descriptions."""

    data_dir: str = cli.field("data/default", "folder that all stages share")
    source: str = cli.choice(
        "api",
        tuple(crawl_sources.SOURCES),
        f"api: the official search API, its token in ${crawl_sources.TOKEN_VARIABLE}; html: the search pages",
    )
    names: str = cli.field("data/coco_names.txt", "file of the categories to search for, one a line")
    categories: tuple[str, ...] = cli.field((), "categories, separated by commas; instead of --names")
    num_pages: int = cli.field(1000, "largest number of pages of a category")
    per_page: int = cli.field(100, "results on a page of the API")
    base_url: str | None = cli.field(None, "a server to use instead of the agency's, e.g. http://127.0.0.1:8000")
    concurrency: int = cli.field(4, "requests at a time")
    rate: float = cli.field(2.0, "requests a second")
    attempts: int = cli.field(5, "attempts for a page")
    backoff: float = cli.field(2.0, "seconds before the second attempt, doubled for each further one")
    max_wait: float = cli.field(300.0, "longest wait in seconds; a server that asks for more ends the crawl")
    timeout: float = cli.field(30.0, "time limit in seconds for one answer with its whole body")
    max_bytes: int = cli.field(8 << 20, "largest body that is read, in bytes")
    max_redirects: int = cli.field(5, "redirects in a row that are followed, on the same host only")
    max_failed: int = cli.field(20, "pages that fail one after another before the crawl ends")
    max_failures: float = cli.field(0.01, "largest share of failed pages that is accepted")
    overwrite: bool = cli.field(False, "ignore earlier results and crawl again")


def _check(options):
    """Raises cli.UserError for settings that are out of range."""
    for name in ("num_pages", "per_page", "concurrency", "attempts", "max_bytes", "max_failed"):
        if getattr(options, name) < 1:
            raise cli.UserError(f"--{name} {getattr(options, name)}: expected at least 1")
    for name in ("rate", "timeout"):
        if not 0 < getattr(options, name) < math.inf:
            raise cli.UserError(f"--{name} {getattr(options, name)}: expected a number above 0")
    for name in ("backoff", "max_wait", "max_redirects"):
        if not 0 <= getattr(options, name) < math.inf:
            raise cli.UserError(f"--{name} {getattr(options, name)}: expected a number of at least 0")
    if not 0 <= options.max_failures <= 1:
        raise cli.UserError(f"--max_failures {options.max_failures}: expected a number between 0 and 1")
    if options.base_url is not None:
        try:
            scheme = fetching.checked_url(options.base_url).scheme
        except httpx.InvalidURL as error:
            raise cli.UserError(f"--base_url {options.base_url}: {error}") from error
        if scheme not in ("http", "https"):
            raise cli.UserError(f"--base_url {options.base_url}: expected http://… or https://…")


def _categories(options):
    """Returns the list of the categories to crawl.

    Raises: cli.UserError if there are none, or two have the same file name.
    """
    names = options.categories
    if not names:
        if not os.path.isfile(options.names):
            raise cli.UserError(f"--names {options.names}: no such file; expected categories, one a line")
        names = [line.strip() for _, line in readers.text_lines(options.names)]
    seen = {}
    for name in names:
        other = seen.setdefault(crawl_store.file_name(name), name)
        if other is not name:
            raise cli.UserError(f"the categories {other!r} and {name!r} would be written to the same file")
    if not names:
        raise cli.UserError(f"--names {options.names}: it contains no category")
    return list(names)


# --------------------------------------------------------------------------------------------------------------
# Crawling


async def crawl_category(fetcher, source, store, num_pages, description):
    """Fetches the pages of a category that are not stored, stores them, and writes NAME.jsonl with its sidecar.

    Args:
      fetcher: fetching.Fetcher. source: ApiSource or HtmlSource. store: crawl_store.CategoryStore.
      num_pages: number of the last page to fetch; fewer are fetched if the source has fewer.
      description: text of the progress bar.

    Returns: dict page number -> why it could not be fetched (str), of the pages that failed.
    Raises: fetching.CrawlStopped if the crawl must end; the pages that were fetched before are written.
    """
    failed = {}

    async def fetch(page):
        def parse(body):
            found = source.parse(body)
            if page == 1 and found.available is None:
                raise fetching.PageError("the page does not state the number of pages; has its markup changed?")
            return found

        try:
            found = await fetcher.page(source.url(store.category, page), parse)
        except fetching.FailedPage as error:
            failed[page] = str(error)
            return
        store.add(page, found.descriptions, found.available if page == 1 else None)

    try:
        if 1 not in store.pages:
            await fetch(1)
        pages = [page for page in store.missing(num_pages) if page not in failed]
        tasks = [asyncio.ensure_future(fetch(page)) for page in pages]
        try:
            for task in cli.progress(asyncio.as_completed(tasks), description, len(tasks)):
                await task
        except fetching.CrawlStopped:  # answers under way are kept; no new page is requested
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    finally:  # also when the crawl ends here, so that the fetched pages can be used
        store.publish(failed)
    return failed


async def crawl(options, source, categories, folder):
    """Crawls all categories one after another.

    Args:
      options: Options.
      source: ApiSource or HtmlSource.
      categories: list of names. folder: folder of the output.

    Returns: (failures, stores, fetcher): dict category -> dict page number -> reason, of the categories with failed
      pages; list of CategoryStore, one for each category; the closed Fetcher, for its counts.
    Raises: cli.UserError if the crawl had to end; the same command continues it.
    """
    limits = fetching.Limits(**{item.name: getattr(options, item.name) for item in dataclasses.fields(fetching.Limits)})
    failures, stores = {}, []
    headers = source.headers()
    async with fetching.Fetcher(source.base_url, limits, headers=headers, obey_robots=source.obeys_robots) as fetcher:
        for number, category in enumerate(categories, 1):
            plan = {"source": options.source, "base_url": source.base_url, "query": category}
            plan |= {"per_page": source.per_page} if source.per_page else {}
            store = crawl_store.CategoryStore(folder, category, plan, options.overwrite)
            stores.append(store)
            if store.available is not None and not store.missing(options.num_pages):
                store.publish({})  # when only the publication was left to do
                print(f"{store.path}: complete, nothing to do")
                continue
            label = f"{category} ({number} of {len(categories)})"
            try:
                failed = await crawl_category(fetcher, source, store, options.num_pages, label)
            except fetching.CrawlStopped as error:
                report(failures, stores, fetcher)
                raise cli.UserError(
                    f"the crawl ended at {category!r}: {error}. Fetched pages are kept; the same command continues"
                ) from error
            if failed:
                failures[category] = failed
            print(f"{store.path}: {sum(store.pages.values())} descriptions on {len(store.pages)} pages")
    return failures, stores, fetcher


def report(failures, stores, fetcher):
    """Prints the numbers of pages, descriptions, repeated requests and failures.

    Args:
      failures: dict category -> dict page number -> why it could not be fetched.
      stores: list of CategoryStore, one for each category. fetcher: the fetching.Fetcher that made the requests.
    """
    pages = sum(len(store.pages) for store in stores)
    count = sum(sum(store.pages.values()) for store in stores)
    print(f"{len(stores)} categories, {pages} pages, {count} descriptions; {fetcher.requests} requests")
    for label, counts in (("tried again", fetcher.retried), ("failed", fetcher.failed)):
        if counts:
            print(f"{label}: " + ", ".join(f"{kind} {counts[kind]}" for kind in sorted(counts)))
    listed = [f"{name}, page {page}: {failed[page]}" for name, failed in failures.items() for page in sorted(failed)]
    for line in listed[:SHOWN]:
        print(f"  {line}")
    if len(listed) > SHOWN:
        print(f"  … and {len(listed) - SHOWN} more, all are in the JSON files beside the output")


def main(options):
    """Crawls all categories and prints a report.

    Raises: cli.UserError if a setting is out of range, the crawl had to end, a larger share of the pages failed than
      --max_failures, or a category has no page.
    """
    _check(options)
    categories = _categories(options)
    source = crawl_sources.SOURCES[options.source]()
    if options.base_url:
        source = dataclasses.replace(source, base_url=options.base_url.rstrip("/"))
    if source.per_page:
        source = dataclasses.replace(source, per_page=options.per_page)
    source.headers()  # raises now if the token is missing
    folder = os.path.join(options.data_dir, "descriptions")
    os.makedirs(os.path.join(folder, crawl_store.WORK), exist_ok=True)
    with open(os.path.join(folder, crawl_store.WORK, "lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise cli.UserError(
                f"{folder}: another crawl writes there. Wait for it, or give another --data_dir"
            ) from error
        failures, stores, fetcher = asyncio.run(crawl(options, source, categories, folder))
    report(failures, stores, fetcher)
    lost = sum(len(failed) for failed in failures.values())
    nothing = [store.category for store in stores if not store.pages]
    share = lost / (lost + sum(len(store.pages) for store in stores)) if lost else 0.0
    if nothing or share > options.max_failures:
        of = f"; there is no page of {', '.join(nothing[:SHOWN])}" if nothing else ""
        raise cli.UserError(
            f"{lost} pages could not be fetched{of}. The others are in {folder}; the same command requests them again"
        )


if __name__ == "__main__":
    cli.run(main, Options, experiments.Stage("crawl_descriptions"))
