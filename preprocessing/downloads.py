"""Fetching one large file: from one mirror after another, continued where it broke off, its size and checksum compared.

`FILE.part` holds what has come, `FILE.part.json` from where; both go when the file is whole.
"""

import hashlib
import json
import os
import random
import shutil
import time

import httpx

import config
from preprocessing import sidecars

USER_AGENT = "unsupervised-captioning/0.1 (data sets)"
CHUNK = 1 << 20
PASSING = (408, 425, 429, 500, 502, 503, 504)  # answers that another try may change
RESERVE = 100 << 20  # bytes of the disk that stay free


class MirrorFailed(Exception):
    """A mirror does not have the file, or not the right one."""


def digests(path):
    """{"sha256", "md5"} of a file."""
    found = {name: hashlib.new(name, usedforsecurity=False) for name in ("sha256", "md5")}
    with open(path, "rb") as file:
        while block := file.read(CHUNK):
            for digest in found.values():
                digest.update(block)
    return {name: digest.hexdigest() for name, digest in found.items()}


def fault_of(path, entry, found):
    """What is wrong with a file by what the manifest says of it; "" when nothing is."""
    size = os.path.getsize(path)
    if entry.get("bytes") is not None and size != entry["bytes"]:
        return f"it has {size} bytes, not {entry['bytes']}"
    for name in ("sha256", "md5"):
        if entry.get(name) and found[name] != entry[name]:
            return f"its {name} is {found[name]}, not {entry[name]}"
    return ""


def need_space(folder, size, what):
    """Raises config.UserError when the disk has not `size` bytes left."""
    free = shutil.disk_usage(folder).free - RESERVE
    if size > free:
        raise config.UserError(
            f"{folder}: {what} needs {size / 1e9:.2f} GB, and {max(0, free) / 1e9:.2f} GB are free. Give another --to"
        )


class Download:
    """One file of the manifest on its way to a folder.

    Args:
      entry: dict of the manifest with "file", "urls", and "bytes", "sha256", "md5" where they are known.
      folder: where it goes. attempts: tries of a mirror without any progress. timeout: seconds without a byte.
      backoff: seconds before the second try. unchecked: differences from the manifest are only said.
    """

    def __init__(self, entry, folder, *, attempts=5, timeout=60.0, backoff=2.0, unchecked=False):
        self.entry, self.path = entry, os.path.join(folder, entry["file"])
        self.part, self.note = self.path + ".part", self.path + ".part.json"
        self.attempts, self.timeout, self.backoff, self.unchecked = attempts, timeout, backoff, unchecked
        self._resumed = False

    def fetch(self):
        """Fetches the file from the first mirror that has it.

        Returns: (url, digests).
        Raises: config.UserError with every mirror's failure, and what the manifest says to do then.
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
        raise config.UserError(gone(self.entry, failures))

    def _from_mirror(self, url):
        """Fetches from one mirror and compares; what another run or mirror left may be to blame, so once more anew."""
        self._keep_only_from(url)
        self._resumed = False
        self._tries(url)
        found = digests(self.part)
        fault = fault_of(self.part, self.entry, found)
        if fault and self._resumed:
            print(f"{self.part}: {fault}; fetching it anew")
            self._forget()
            self._tries(url)
            found = digests(self.part)
            fault = fault_of(self.part, self.entry, found)
        if fault and self.unchecked:
            print(f"NOTE: {self.path}: {fault}; kept because of --unchecked")
        elif fault:
            self._forget()
            raise MirrorFailed(f"not the file of the manifest: {fault}")
        return found

    def _tries(self, url):
        left = self.attempts
        while True:
            before = self._have()
            try:
                self._once(url)
                return
            except httpx.InvalidURL as error:
                raise MirrorFailed(f"no URL: {error}") from error
            except (httpx.TransportError, httpx.TooManyRedirects, _Again) as error:
                left = self.attempts if self._have() > before else left - 1
                if left <= 0:
                    raise MirrorFailed(
                        f"{type(error).__name__.lstrip('_')}: {error} ({self.attempts} tries)"
                    ) from error
                wait = self.backoff * 2 ** (self.attempts - left) * random.uniform(0.5, 1.0)
                print(f"{url}: {error}; at {self._have()} bytes, going on in {wait:.1f} s")
                time.sleep(wait)

    def _once(self, url):
        """One request from where the part ends; returns when the file is whole."""
        have = self._have()
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if validator := self._note().get("validator"):
                headers["If-Range"] = validator  # a file that has changed meanwhile comes from its beginning
        request = {"headers": headers, "timeout": self.timeout, "follow_redirects": True}
        with httpx.stream("GET", url, **request) as response:
            start, total = self._begins_at(response, have)
            self._resumed |= start > 0
            if have and total == have == start:
                return
            self._check_total(total)
            validator = response.headers.get("etag") or response.headers.get("last-modified")
            validator = None if (validator or "").startswith("W/") else validator  # a weak one is no promise
            sidecars.write_json(self.note, {"url": url, "validator": validator})
            with open(self.part, "r+b" if os.path.exists(self.part) else "wb") as file:
                file.truncate(start)
                file.seek(start)
                count = None if total is None else (total - start) // CHUNK
                for _ in config.progress(_written(response, file), f"{self.entry['file']} (MB)", count):
                    pass
        if total is not None and self._have() < total:
            raise _Again(f"the answer ended at {self._have()} of {total} bytes")

    def _begins_at(self, response, have):
        """(first byte, bytes of the whole file or None) of an answer."""
        status = response.status_code
        if status in PASSING:
            raise _Again(f"answer {status}")
        content_range = response.headers.get("content-range", "")
        if status == 416:  # nothing behind what is there
            total = content_range.rpartition("/")[2]
            if total.isdigit() and int(total) == have:
                return have, have
            self._forget()
            raise _Again("the part does not belong to the file")
        if status not in (200, 206):
            raise MirrorFailed(f"answer {status}")
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "text/html" and not self.entry["file"].endswith((".html", ".htm")):
            raise MirrorFailed("a web page comes instead of the file")
        if status == 200:
            length = response.headers.get("content-length", "")
            return 0, int(length) if length.isdigit() else None
        span, _, total = content_range.removeprefix("bytes ").partition("/")
        if span.partition("-")[0] != str(have):
            self._forget()
            raise _Again(f"asked for bytes from {have}, and {content_range!r} came")
        return have, int(total) if total.isdigit() else None

    def _check_total(self, total):
        if total is not None:
            if self.entry.get("bytes") not in (None, total) and not self.unchecked:
                raise MirrorFailed(f"not the file of the manifest: it has {total} bytes, not {self.entry['bytes']}")
            need_space(os.path.dirname(self.path), total - self._have(), self.entry["file"])

    # ------------------------------------------------------------------------------------------------ the part

    def _have(self):
        return os.path.getsize(self.part) if os.path.exists(self.part) else 0

    def _note(self):
        try:
            with open(self.note) as file:
                return json.load(file)
        except (OSError, ValueError):
            return {}

    def _keep_only_from(self, url):
        """A part from another mirror is only of use when a checksum will tell whether the two are the same."""
        known = self.entry.get("sha256") or self.entry.get("md5")
        if self._note().get("url") != url:
            if not known:
                self._forget()
            elif os.path.exists(self.note):
                sidecars.write_json(self.note, {"url": url, "validator": None})

    def _forget(self):
        for path in (self.part, self.note):
            if os.path.exists(path):
                os.remove(path)


def _written(response, file):
    """Writes a body as it comes (a library's larger blocks would lose their beginning at a break); yields every MB."""
    left = CHUNK
    for block in response.iter_raw():
        file.write(block)
        left -= len(block)
        while left <= 0:
            yield
            left += CHUNK


class _Again(Exception):
    """A try that failed, and another may not."""


def gone(entry, failures):
    """The text when no mirror has a file: what was tried, and what to do."""
    tried = "no mirror has it:\n" + "\n".join(failures) if failures else "it cannot be fetched by a program."
    unverified = ""
    if any("not the file of the manifest" in line for line in failures) and not entry.get("verified"):
        unverified = (
            "\nThe size and checksum in data/MANIFEST.json were not verified by a download; if you trust the source, "
            "--unchecked keeps what comes."
        )
    return f"{entry['name']} ({entry['file']}): {tried}\nWhat to do: {entry['if_gone']}{unverified}"
