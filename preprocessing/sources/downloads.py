"""Downloads one large file: tries several mirrors, resumes interrupted downloads, compares size and checksum.

`FILE.part` holds the bytes received so far, and `FILE.part.json` the URL that they came from; both are removed when the
file is complete. The manifest is data/MANIFEST.json, a list of the files that can be downloaded.
"""

import asyncio
import hashlib
import itertools
import json
import os
import random
import shutil
import time

import httpx

import cli
from formats import sidecars
from preprocessing.crawling import fetching

USER_AGENT = "unsupervised-captioning/0.1 (data sets)"
CHUNK = 1 << 20
RESERVE = 100 << 20  # bytes of the disk that must stay free
SLOWEST = 600.0  # seconds for the head of an answer with its redirects, and for each MB (CHUNK) of its body
MAX_REDIRECTS = 10  # redirects in a row; archives often need two or three
MAX_TRIES = 1000  # attempts at a mirror, with or without progress: 13 GB if the connection breaks every 13 MB
MAX_UNKNOWN = 20 * 10**9  # bytes of a file whose size is not in the manifest; the largest known file has 19.3 GB


class MirrorFailed(Exception):
    """Raised when a mirror does not have the right file, or does not send it after many attempts."""


def digests(path):
    """Returns the checksums of a file: {"sha256": hex, "md5": hex}."""
    found = {name: hashlib.new(name, usedforsecurity=False) for name in ("sha256", "md5")}
    with open(path, "rb") as file:
        while block := file.read(CHUNK):
            for digest in found.values():
                digest.update(block)
    return {name: digest.hexdigest() for name, digest in found.items()}


def fault_of(path, entry, found):
    """Returns text that says how a file differs from its entry in the manifest; "" if it does not.

    Args: entry: dict with "bytes", "sha256", "md5", as far as they are known. found: the file's checksums, a
      result of `digests`.
    """
    size = os.path.getsize(path)
    if entry.get("bytes") is not None and size != entry["bytes"]:
        return f"it has {size} bytes, not {entry['bytes']}"
    for name in ("sha256", "md5"):
        if entry.get(name) and found[name] != entry[name]:
            return f"its {name} is {found[name]}, not {entry[name]}"
    return ""


def need_space(folder, size, what):
    """Raises cli.UserError unless the disk of `folder` has `size` bytes free, and RESERVE bytes more.

    Args: what: name of the file that needs the space, for the message.
    """
    free = shutil.disk_usage(folder).free - RESERVE
    if size > free:
        raise cli.UserError(
            f"{folder}: {what} needs {size / 1e9:.2f} GB, and {max(0, free) / 1e9:.2f} GB are free. Give another --to"
        )


class Download:
    """The download of one file of the manifest.

    Args:
      entry: dict of the manifest with "file" (its name), "urls" (list, one for each mirror), and "bytes", "sha256",
        "md5" if they are known; "most": largest number of bytes that is accepted if "bytes" is not known.
      folder: folder in which the file is written.
      attempts: attempts at one mirror in a row without receiving any bytes.
      timeout: seconds without data after which an attempt fails.
      backoff: seconds before the second attempt, doubled for each further one.
      unchecked: whether a file that differs from the manifest is accepted with a note.
    """

    def __init__(self, entry, folder, *, attempts=5, timeout=60.0, backoff=2.0, unchecked=False):
        self.entry, self.path = entry, os.path.join(folder, entry["file"])
        self.part, self.note = self.path + ".part", self.path + ".part.json"
        self.attempts, self.timeout, self.backoff, self.unchecked = attempts, timeout, backoff, unchecked
        self._resumed = False
        self.most = entry.get("bytes") if not unchecked else None  # the most bytes that are accepted
        self.most = self.most or entry.get("most") or MAX_UNKNOWN

    def fetch(self):
        """Downloads the file from the first mirror that has it.

        Returns: (URL of this mirror, {"sha256": hex, "md5": hex} of the file).
        Raises: cli.UserError with the failure of every mirror and the manifest's advice, or if the disk is too full.
        """
        failures = []
        if self.entry.get("bytes"):
            need_space(os.path.dirname(self.path), self.entry["bytes"] - self._have(), self.entry["file"])
        for url in self.entry["urls"]:
            try:
                found = self._from_mirror(url)
            except MirrorFailed as error:
                print(f"{url}: {error}")
                failures.append(f"  {url}: {error}")
                continue
            os.replace(self.part, self.path)
            self._forget()
            return url, found
        raise cli.UserError(gone(self.entry, failures))

    def _from_mirror(self, url):
        """Downloads the file from one mirror to FILE.part and compares it with the manifest; returns `digests` of it.

        If a resumed download differs, it is repeated once from the beginning, because the earlier part may be wrong.

        Raises: MirrorFailed.
        """
        self._keep_only_from(url)
        self._resumed = False
        self._tries(url)
        found = digests(self.part)
        fault = fault_of(self.part, self.entry, found)
        if fault and self._resumed:
            print(f"{self.part}: {fault}; downloading it again")
            self._forget()
            self._tries(url)
            found = digests(self.part)
            fault = fault_of(self.part, self.entry, found)
        if fault and self.unchecked:
            print(f"NOTE: {self.path}: {fault}; accepted because of --unchecked")
        elif fault:
            self._forget()
            raise MirrorFailed(f"not the file of the manifest: {fault}")
        return found

    def _tries(self, url):
        """Repeats `_once` until the file is complete. Raises: MirrorFailed after too many attempts without progress."""
        left = self.attempts
        for tried in itertools.count(1):
            before = self._have()
            try:
                asyncio.run(self._once(url))
                return
            except httpx.InvalidURL as error:
                raise MirrorFailed(f"not a URL: {error}") from error
            except (httpx.TransportError, _Again, _TooSlow) as error:
                progress = self._have() > before and not isinstance(error, _TooSlow)
                left = self.attempts if progress else left - 1
                if left <= 0 or tried >= MAX_TRIES:
                    raise MirrorFailed(f"{type(error).__name__.lstrip('_')}: {error} ({tried} tries)") from error
                wait = self.backoff * 2 ** (self.attempts - left) * random.uniform(0.5, 1.0)
                print(f"{url}: {error}; at {self._have()} bytes, continuing in {wait:.1f} s")
                time.sleep(wait)

    async def _once(self, mirror):
        """Makes one request for the missing bytes and follows its redirects; returns when the file is complete.

        Raises: MirrorFailed, or an exception after which `_tries` repeats it (_Again, _TooSlow, httpx.TransportError).
        """
        if self._have() > self.most:
            self._forget()
        have, url = self._have(), fetching.checked_url(mirror)
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if validator := self._note().get("validator"):
                headers["If-Range"] = validator  # a changed file is sent from its beginning
        try:
            # The client's own time-outs are for single reads. Redirects are followed here, because the client would
            # read the whole body of a redirecting answer, however long.
            async with asyncio.timeout(SLOWEST) as limit, httpx.AsyncClient(timeout=self.timeout) as client:
                for _ in range(MAX_REDIRECTS + 1):
                    async with client.stream("GET", url, headers=headers) as response:
                        if not response.has_redirect_location:
                            return await self._take(response, mirror, have, limit)
                        url = fetching.checked_url(response.url.join(response.headers["location"]))
        except TimeoutError as error:
            raise _TooSlow(f"no answer, or less than {CHUNK >> 20} MB, within {SLOWEST:g} s") from error
        raise MirrorFailed(f"more than {MAX_REDIRECTS} redirects")

    async def _take(self, response, mirror, have, limit):
        """Writes the body of an answer to FILE.part: appends it, or starts the file again if the whole file is sent.

        Args:
          response: httpx.Response. mirror: the URL that was requested first. have: bytes in FILE.part.
          limit: asyncio.Timeout, which is extended with every MB.

        Raises: MirrorFailed if the file is too large; _Again if the answer ends too early.
        """
        start, total = self._begins_at(response, have)
        self._resumed |= start > 0
        if have and total == have == start:
            return
        self._check_total(total)
        validator = response.headers.get("etag") or response.headers.get("last-modified")
        validator = (
            None if (validator or "").startswith("W/") else validator
        )  # a weak validator does not guarantee equal bytes
        sidecars.write_json(self.note, {"url": mirror, "validator": validator})
        count = None if total is None else (total - start) // CHUNK
        progress = iter(cli.progress(itertools.repeat(None), f"{self.entry['file']} (MB)", count))
        size = shown = start
        with open(self.part, "r+b" if os.path.exists(self.part) else "wb") as file:
            file.truncate(start)
            file.seek(start)
            async for block in response.aiter_raw():  # unbuffered: a break would lose the beginning of a larger block
                size += len(block)
                if size > self.most:
                    self._forget()
                    raise MirrorFailed(self._too_large(f"more than {self.most} bytes come"))
                file.write(block)
                if size - shown >= CHUNK:
                    shown = size
                    next(progress)
                    limit.reschedule(asyncio.get_running_loop().time() + SLOWEST)
                    need_space(os.path.dirname(self.path), CHUNK, self.entry["file"])
        if total is not None and size < total:
            raise _Again(f"the answer ended at {size} of {total} bytes")

    def _begins_at(self, response, have):
        """Returns (offset of the first byte, bytes of the whole file or None if unknown) from the headers of an answer.

        Args: response: httpx.Response. have: bytes in FILE.part.
        Raises: _Again if another attempt may succeed, else MirrorFailed.
        """
        status = response.status_code
        if status in fetching.PASSING:
            raise _Again(f"answer {status}")
        content_range = response.headers.get("content-range", "")
        if status == 416:  # the file has no more bytes
            total = content_range.rpartition("/")[2]
            if fetching.count_of(total) == have:
                return have, have
            self._forget()
            raise _Again("the part does not belong to the file")
        if status not in (200, 206):
            raise MirrorFailed(f"answer {status}")
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "text/html" and not self.entry["file"].endswith((".html", ".htm")):
            raise MirrorFailed("it sends a web page instead of the file")
        if status == 200:
            return 0, fetching.count_of(response.headers.get("content-length"))
        span, _, total = content_range.removeprefix("bytes ").partition("/")
        if span.partition("-")[0] != str(have):
            self._forget()
            raise _Again(f"requested bytes from {have}, received {content_range!r}")
        return have, fetching.count_of(total)

    def _check_total(self, total):
        """Checks the size of the whole file that an answer states.

        Raises: MirrorFailed; cli.UserError if the disk is too full.
        """
        if total is not None:
            if self.entry.get("bytes") not in (None, total) and not self.unchecked:
                raise MirrorFailed(f"not the file of the manifest: it has {total} bytes, not {self.entry['bytes']}")
            if total > self.most:
                raise MirrorFailed(self._too_large(f"it has {total} bytes"))
            need_space(os.path.dirname(self.path), total - self._have(), self.entry["file"])

    def _too_large(self, what):
        """Returns the message for a file that is too large. Args: what: its size, as text."""
        if self.most == self.entry.get("bytes"):
            return f"not the file of the manifest: {what}"
        return f"{what}; at most {self.most} are accepted for a file of unknown size"

    # ------------------------------------------------------------------------------------------------ the part

    def _have(self):
        """Returns the number of bytes in FILE.part, 0 without the file."""
        return os.path.getsize(self.part) if os.path.exists(self.part) else 0

    def _note(self):
        """Returns the content of FILE.part.json as a dict; {} if it is missing or damaged."""
        try:
            with open(self.note) as file:
                return json.load(file)
        except (OSError, ValueError):
            return {}

    def _keep_only_from(self, url):
        """Prepares FILE.part for a mirror: bytes from another mirror are removed unless a checksum is known."""
        known = self.entry.get("sha256") or self.entry.get("md5")
        if self._note().get("url") != url:
            if not known:
                self._forget()
            elif os.path.exists(self.note):
                sidecars.write_json(self.note, {"url": url, "validator": None})

    def _forget(self):
        """Removes FILE.part and FILE.part.json."""
        for path in (self.part, self.note):
            if os.path.exists(path):
                os.remove(path)


class _Again(Exception):
    """Raised when an attempt fails but another may succeed."""


class _TooSlow(Exception):
    """Raised when an attempt receives less than CHUNK bytes within SLOWEST seconds."""


def gone(entry, failures):
    """Returns the error message when no mirror has a file: the failures, and what the user can do.

    Args:
      entry: dict of the manifest with "name", "file", "if_gone" (advice for the user) and optionally "verified"
        (whether size and checksum were verified by a download).
      failures: list of messages, one for each mirror; empty if the file has no mirror.
    """
    tried = "no mirror has it:\n" + "\n".join(failures) if failures else "it cannot be fetched by a program."
    unverified = ""
    if any("not the file of the manifest" in line for line in failures) and not entry.get("verified"):
        unverified = (
            "\nThe size and checksum in data/MANIFEST.json were not verified by a download; if you trust the source, "
            "--unchecked accepts the file."
        )
    return f"{entry['name']} ({entry['file']}): {tried}\nWhat to do: {entry['if_gone']}{unverified}"
