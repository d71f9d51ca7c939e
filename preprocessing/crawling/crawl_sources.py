"""The two sources of crawled descriptions: how a page of search results is requested and parsed.

    api    the official search API of the stock-photo agency, with a token
    html   the agency's search pages: the JSON-LD records in them, parsed as JSON and never evaluated

Source: docs/stages.md.
"""

import dataclasses
import json
import os
import re
import urllib.parse

import cli
from preprocessing.crawling import html_reader
from preprocessing.crawling.fetching import PageError

TOKEN_VARIABLE = "SHUTTERSTOCK_API_TOKEN"
SHOWN = 80  # characters of an unexpected value that a message quotes


@dataclasses.dataclass(frozen=True)
class Page:
    """One page of search results.

    Attributes:
      descriptions: list of texts, in the order of the page.
      available: total number of pages, None if the page does not state it.
    """

    descriptions: list
    available: int | None


@dataclasses.dataclass(frozen=True)
class ApiSource:
    """The search API: GET /v2/images/search, answers {"data": [{"description": ...}], "total_count": ...}.

    Attributes:
      base_url: address of the server.
      per_page: results on a page.
      obeys_robots: whether robots.txt applies.
    """

    base_url: str = "https://api.shutterstock.com"
    per_page: int = 100
    obeys_robots = False  # robots.txt concerns pages; for the API the token is the permission

    def headers(self):
        """Returns the HTTP headers of a request: dict name -> value.

        Raises: cli.UserError when the token is not in the environment.
        """
        token = os.environ.get(TOKEN_VARIABLE, "").strip()
        if not token:
            raise cli.UserError(
                f"--source api needs a token in the environment: export {TOKEN_VARIABLE}=… (from the agency's "
                "developer site)"
            )
        return {"Authorization": f"Bearer {token}", "Accept": "application/json"}

    def url(self, query, page):
        """Returns the address of a page (from 1) of the results for the text `query`."""
        values = {"query": query, "image_type": "photo", "language": "en", "page": page, "per_page": self.per_page}
        return f"{self.base_url}/v2/images/search?{urllib.parse.urlencode(values)}"

    def parse(self, body):
        """Returns the Page in the body (bytes) of an answer. Raises: PageError if it is not a page of results."""
        value = _json(body, "the answer")
        if not isinstance(value, dict) or not isinstance(value.get("data"), list):
            raise PageError(f'the answer has no list "data": {str(value)[:SHOWN]!r}')
        total = value.get("total_count")
        available = -(-total // self.per_page) if isinstance(total, int) and total >= 0 else None
        return Page(_descriptions(value["data"]), available)


@dataclasses.dataclass(frozen=True)
class HtmlSource:
    """The search pages: a JSON-LD script with a list of ImageObject records, the page count in an attribute data-max.

    Attributes:
      base_url: address of the server.
      per_page: always None, because the server determines the number of results on a page.
      obeys_robots: whether robots.txt applies.
    """

    base_url: str = "https://www.shutterstock.com"
    per_page: int | None = None
    obeys_robots = True

    def headers(self):
        """Returns the HTTP headers of a request: dict name -> value."""
        return {"Accept": "text/html", "Accept-Language": "en"}

    def url(self, query, page):
        """Returns the address of a page (from 1) of the results for the text `query`."""
        values = {"language": "en", "image_type": "photo", "searchterm": query, "page": page}
        return f"{self.base_url}/search?{urllib.parse.urlencode(values)}"

    def parse(self, body):
        """Returns the Page in the body (bytes) of an answer. Raises: PageError if it is not a page of results."""
        scripts, available = _scripts_and_count(body.decode("utf-8", "replace"))
        lists, faults = [], []
        for script in scripts:  # a script that cannot be read may concern something else
            try:
                lists.append(_records(script))
            except PageError as error:
                faults.append(str(error))
        lists = [found for found in lists if found is not None]
        if not lists:
            reason = faults[0] if faults else "its markup has changed, or it is another page"
            raise PageError(f"no JSON-LD list of images in the page: {reason}")
        return Page(_descriptions([record for found in lists for record in found]), available)


SOURCES = {"api": ApiSource, "html": HtmlSource}


# --------------------------------------------------------------------------------------------------------------
# What is in a page


class _Finder:
    """Target of `html_reader.read`: collects the JSON-LD scripts and the largest number in an attribute data-max.

    Attributes:
      scripts: list with a list for each script, the pieces of its text (str) in order.
      available: the largest data-max (int); None if the page has no such attribute.
    """

    def __init__(self):
        self.scripts, self.available, self._open = [], None, False

    def start(self, tag, attributes):
        """Begins a script if this is its start tag; keeps the largest data-max. Args: attributes: dict str -> str."""
        if re.fullmatch(r"[0-9]{1,9}", count := attributes.get("data-max", "")):
            self.available = max(self.available or 0, int(count))
        self._open = tag == "script" and attributes.get("type") == "application/ld+json"
        if self._open:
            self.scripts.append([])

    def data(self, text):
        """Adds text between tags to the script that is open, if there is one."""
        if self._open:
            self.scripts[-1].append(text)

    def end(self, tag):
        """Ends the open script at its end tag."""
        self._open = self._open and tag != "script"

    def close(self):
        """Does nothing at the end of the page."""
        pass


def _scripts_and_count(text):
    """Returns (list of the texts of JSON-LD scripts, number of pages or None) of an HTML text."""
    finder = _Finder()
    html_reader.read(text, finder)
    return ["".join(pieces) for pieces in finder.scripts], finder.available


def _records(script):
    """Returns the image records of a JSON-LD script as a list of dicts; None if it is not a list of images.

    Args: script: text of the script. Raises: PageError if it is not JSON.
    """
    value = _json(script, "the JSON-LD script")
    if isinstance(value, dict):
        value = value.get("@graph")
    if not isinstance(value, list):
        return None
    images = [item for item in value if isinstance(item, dict) and item.get("@type") == "ImageObject"]
    return images if images or not value else None


def _json(text, what):
    """Returns the value of a JSON text (str or bytes). Args: what: its name, for messages. Raises: PageError."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PageError(f"{what} is not JSON: {error}") from error


def _descriptions(records):
    """Returns the list of the descriptions in a list of records, without missing and empty ones."""
    found = (record.get("description") for record in records if isinstance(record, dict))
    return [text for text in found if isinstance(text, str) and text.strip()]
