"""Fetches pages politely: limited concurrency and rate, robots.txt, time-outs, limits of size and redirects, retries.

After a transient fault (429, 5xx, time-outs, broken connections, truncated bodies, unreadable pages) a request is
repeated, after a random wait whose mean grows exponentially or after the wait that the server asks for. After a
permanent fault (404, an endless body, endless redirects) the page fails at once. A fault that concerns every page (a
refused token, a server that asks for a long wait, many failures in a row) ends the crawl.
"""

import asyncio
import collections
import contextlib
import dataclasses
import datetime
import email.utils
import random
import re
import zlib

import httpx

from preprocessing.crawling import robots

AGENT = "unsupervised-captioning"
USER_AGENT = f"{AGENT}/0.1 (research crawler; image descriptions)"
PASSING = (408, 425, 429, 500, 502, 503, 504)  # transient statuses, after which a request is repeated
MAX_URL = 2000  # characters of a URL that a server redirects to; limits the time to compare it with robots.txt


@dataclasses.dataclass(frozen=True)
class Limits:
    """Limits on the requests to a server: the largest accepted values, but for `backoff`.

    Attributes:
      concurrency: number of requests at a time.
      rate: number of requests a second.
      attempts: number of attempts for a page.
      backoff: seconds before the second attempt, doubled for each further one.
      max_wait: wait before another attempt in seconds; a server that asks for more ends the crawl.
      timeout: seconds for one request with its whole body.
      max_bytes: bytes of a body, before and after decompression.
      max_redirects: number of redirects in a row.
      max_failed: number of pages that fail one after another; the last of them ends the crawl.
    """

    concurrency: int
    rate: float
    attempts: int
    backoff: float
    max_wait: float
    timeout: float
    max_bytes: int
    max_redirects: int
    max_failed: int


class PageError(Exception):
    """Raised by `parse` functions for a page with unexpected content; another attempt may succeed."""


class TransientError(Exception):
    """Raised when an attempt fails but another may succeed. Args: reason: text of the message.

    Attributes:
      kind: short name of the fault, by which faults are counted.
      wait: seconds to wait that the server asks for; None if it does not.
    """

    def __init__(self, kind, reason, wait=None):
        super().__init__(reason)
        self.kind, self.wait = kind, wait


class FailedPage(Exception):
    """Raised for a page that cannot be fetched. Args: reason: text of the message.

    Attributes: kind: short name of the fault, by which faults are counted.
    """

    def __init__(self, kind, reason):
        super().__init__(reason)
        self.kind = kind


class CrawlStopped(Exception):
    """Raised for a fault that concerns all pages, so that the crawl must end."""


class Fetcher:
    """Fetches pages of one host. Use it as `async with Fetcher(...) as fetcher`.

    Args:
      base_url: address of the host. limits: Limits.
      headers: dict of further headers. obey_robots: whether to follow robots.txt.

    Attributes:
      retried: Counter, kind of a fault -> how often a request was repeated after it.
      failed: Counter, kind of a fault -> number of pages that failed because of it.
      requests: number of requests so far; repeated and redirected ones count.
    """

    def __init__(self, base_url, limits, *, headers, obey_robots):
        self.base_url, self.limits = httpx.URL(base_url), limits
        self.retried, self.failed, self.requests = collections.Counter(), collections.Counter(), 0
        self._robots = None if obey_robots else robots.Robots()
        self._robots_lock, self._slots = asyncio.Lock(), asyncio.Semaphore(limits.concurrency)
        self._next_turn = self._pause_until = 0.0
        self._interval = 1 / limits.rate
        self._begun, self._failed_in_a_row = 0, []  # numbers of the pages, in the order of their start
        self._stopped, self._end = "", asyncio.Event()  # why the crawl has ended, and the event that says so
        self._client = httpx.AsyncClient(
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "gzip, deflate", **headers},
            timeout=limits.timeout,
            follow_redirects=False,
        )

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self._client.aclose()

    async def page(self, url, parse):
        """Fetches one page.

        Args:
          url: address of the page.
          parse: function of the body (bytes) that returns its content or raises PageError.

        Returns: the result of `parse`.
        Raises: FailedPage if this page cannot be fetched; CrawlStopped if the crawl must end or has ended.
        """
        async with self._slots:
            self._go_on()  # the crawl may have ended while this page waited
            try:
                return await self._page(url, parse)
            except CrawlStopped as error:
                self._stopped = str(error)
                self._end.set()
                raise

    async def _page(self, url, parse):
        """Fetches one page; called by `page` when fewer than `concurrency` requests are made."""
        self._begun += 1
        number = self._begun
        await self._read_robots()
        try:
            found = await self._tries(url, parse, self.limits.attempts)
        except FailedPage as error:
            self.failed[error.kind] += 1
            self._failed_in_a_row.append(number)
            row = len(self._failed_in_a_row)
            if row >= self.limits.max_failed:
                raise CrawlStopped(f"{row} pages in a row failed, the last: {error}") from error
            raise
        # The success of a late page does not excuse failures of pages that started after it.
        self._failed_in_a_row = [failed for failed in self._failed_in_a_row if failed > number]
        return found

    def _go_on(self):
        """Raises CrawlStopped once the crawl has ended.

        Called before each request; answers that are awaited are still used.
        """
        if self._end.is_set():
            raise CrawlStopped(self._stopped)

    async def _sleep(self, seconds):
        """Waits for some seconds, or until the crawl ends. Raises: CrawlStopped."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._end.wait()
        self._go_on()

    # ------------------------------------------------------------------------------------------------ tries

    async def _tries(self, url, parse, attempts):
        """Makes up to `attempts` attempts to fetch a URL; returns the result of `parse`.

        Raises: FailedPage, CrawlStopped.
        """
        for attempt in range(1, attempts + 1):
            try:
                return await self._once(url, parse)
            except TransientError as error:
                wait = error.wait
                if wait is not None and wait > self.limits.max_wait:
                    raise CrawlStopped(
                        f"{url}: {error}, and the server asks to wait {wait:.0f} s, more than --max_wait "
                        f"{self.limits.max_wait:g}. Run the same command again then"
                    ) from error
                if attempt == attempts:
                    raise FailedPage(error.kind, f"{error} ({attempts} tries)") from error
                self.retried[error.kind] += 1
            if wait is None:  # a random share of the step, at least half, so that requests are not repeated together
                step = min(self.limits.backoff * 2 ** (attempt - 1), self.limits.max_wait)
                await self._sleep(step * random.uniform(0.5, 1.0))
            else:
                self._pause_until = max(self._pause_until, asyncio.get_running_loop().time() + wait)
        raise AssertionError("unreachable: the last try returns or raises")

    async def _turn(self):
        """Waits until the next request is allowed: one every 1/rate seconds, none during a pause of the server."""
        clock = asyncio.get_running_loop().time
        while True:
            turn = max(self._next_turn, self._pause_until, clock())
            self._next_turn = turn + self._interval
            await self._sleep(max(0.0, turn - clock()))
            if clock() >= self._pause_until:
                return

    async def _once(self, url, parse):
        """Makes one attempt, with its redirects; returns the result of `parse`.

        Raises: TransientError, FailedPage, CrawlStopped.
        """
        url = httpx.URL(url)
        for _ in range(self.limits.max_redirects + 1):
            if self._robots is not None and not self._robots.allows(url):
                raise FailedPage("robots.txt", f"robots.txt does not allow {url}")
            await self._turn()
            self.requests += 1
            try:
                async with asyncio.timeout(self.limits.timeout):
                    async with self._client.stream("GET", url) as response:
                        if not response.has_redirect_location:
                            self._check_status(response)
                            body = await self._body(response)
                            break
                        url = self._redirected(response)
            except (TimeoutError, httpx.TimeoutException) as error:
                raise TransientError("time-out", f"no complete answer within {self.limits.timeout:g} s") from error
            except httpx.RemoteProtocolError as error:
                raise TransientError("cut answer", f"the answer was cut: {error}") from error
            except (httpx.TransportError, httpx.DecodingError) as error:
                raise TransientError("connection", f"{type(error).__name__}: {error}") from error
        else:
            raise FailedPage("redirects", f"more than {self.limits.max_redirects} redirects")
        try:
            return parse(body)
        except PageError as error:
            raise TransientError("unreadable page", str(error)) from error

    def _redirected(self, response):
        """Returns the URL (httpx.URL) to which an answer redirects.

        Raises: FailedPage for another host or an invalid URL.
        """
        try:
            url = response.url.join(response.headers["location"])
        except httpx.InvalidURL as error:
            raise FailedPage("redirects", f"redirected to something that is not a URL: {error}") from error
        if len(str(url)) > MAX_URL:
            raise FailedPage("redirects", f"redirected to a URL of {len(str(url))} characters, more than {MAX_URL}")
        if (url.scheme, url.host, url.port) != (self.base_url.scheme, self.base_url.host, self.base_url.port):
            raise FailedPage("redirects", f"redirected to another host, {url}; is it the right --base_url?")
        return url

    def _check_status(self, response):
        """Raises TransientError, FailedPage or CrawlStopped unless the status of an answer is 200."""
        status = response.status_code
        if status in PASSING:
            raise TransientError(str(status), f"answer {status}", _retry_after(response.headers.get("retry-after")))
        if status in (401, 403) and "authorization" in self._client.headers:
            raise CrawlStopped(f"{response.url}: answer {status}: the token is refused")
        if status != 200:
            raise FailedPage(str(status), f"answer {status}")

    async def _body(self, response):
        """Returns the decompressed body of an answer (bytes).

        Raises: FailedPage if it is too large, TransientError if damaged.
        """
        most, size, received, chunks = self.limits.max_bytes, 0, 0, []
        announced = count_of(response.headers.get("content-length"))
        if announced is not None and announced > most:
            raise FailedPage("too large", f"a body of {announced} bytes, more than {most}")
        # Decompressed here and not by the library, because 64 KB can decompress to 64 MB.
        packed = response.headers.get("content-encoding", "identity").lower()
        if packed not in ("identity", "gzip", "deflate"):
            raise FailedPage("encoding", f"a body in the encoding {packed!r}, which was not requested")
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32) if packed != "identity" else None
        async for chunk in response.aiter_raw():
            try:
                chunks.append(unpacker.decompress(chunk, most - size + 1) if unpacker else chunk)
            except zlib.error as error:
                raise TransientError("unreadable page", f"the body is not {packed}: {error}") from error
            size += len(chunks[-1])
            received += len(chunk)  # endless compressed data can decompress to nothing
            if max(size, received) > most:
                raise FailedPage("too large", f"a body of more than {most} bytes")
        if unpacker and not unpacker.eof:
            raise TransientError("unreadable page", f"the {packed} of the body ends in the middle")
        return b"".join(chunks)

    # ------------------------------------------------------------------------------------------------ robots.txt

    async def _read_robots(self):
        """Reads robots.txt before the first page.

        Raises: CrawlStopped if it cannot be read or asks for a long delay.
        """
        async with self._robots_lock:
            if self._robots is not None:
                return
            url = self.base_url.join("/robots.txt")
            try:
                found = await self._tries(url, parse_robots, self.limits.attempts)
            except FailedPage as error:
                if not error.kind.startswith("4") or error.kind == "429":  # RFC 9309, 2.3.1: unreachable forbids all
                    raise CrawlStopped(f"{url} cannot be read ({error}), so nothing may be fetched") from error
                found = robots.Robots()  # no robots.txt: all is allowed
            if found.crawl_delay > self.limits.max_wait:
                raise CrawlStopped(
                    f"{url} asks for a Crawl-delay of {found.crawl_delay:g} s, more than --max_wait "
                    f"{self.limits.max_wait:g}"
                )
            self._interval = max(self._interval, found.crawl_delay)
            self._robots = found


def parse_robots(body):
    """Returns the rules for this crawler, a robots.Robots, in the bytes of a robots.txt. Raises: PageError."""
    try:
        return robots.parse(body.decode("utf-8-sig", "replace"), AGENT)
    except ValueError as error:
        raise PageError(str(error)) from error


def checked_url(url):
    """Returns the httpx.URL of a text. Raises: httpx.InvalidURL, also for a host or port that is not valid."""
    url = httpx.URL(url)
    try:
        url.host.encode("idna")
    except UnicodeError as error:
        raise httpx.InvalidURL(f"the host {url.host!r}: {error}") from error
    if url.port is not None and url.port > 65535:
        raise httpx.InvalidURL(f"the port {url.port}: expected at most 65535")
    return url


def count_of(text):
    """Returns the number (int) in the text of a header; None if it is missing or not a number of at most 18 digits."""
    return int(text) if re.fullmatch("[0-9]{1,18}", text or "") else None


def _retry_after(text):
    """Returns the seconds (float) in a Retry-After header, a number or a date; None if it is missing or unreadable."""
    text = (text or "").strip()
    if re.fullmatch("[0-9]+", text):
        return float(text)
    try:
        date = email.utils.parsedate_to_datetime(text)
        date = date if date.tzinfo else date.replace(tzinfo=datetime.UTC)
        return max(0.0, (date - datetime.datetime.now(datetime.UTC)).total_seconds())
    except (ValueError, TypeError, LookupError, OverflowError):  # the last three come from malformed dates
        return None
