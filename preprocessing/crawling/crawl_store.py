"""Stores the pages of one category on disk, so that a crawl that was killed continues without losing or doubling pages.

While a category is crawled, `.crawl/NAME.part` holds the lines of the pages in the order of their arrival, and
`.crawl/NAME.journal` records after each page the length of that file. Bytes after the length in the last complete line
of the journal belong to an incomplete page and are cut off. When all pages were requested, the lines are sorted by page
and written to `NAME.jsonl`, with the sidecar `NAME.json`. A later run that fetches more pages, or those that failed,
starts from these two files.
"""

import json
import os
import re
import shutil

import cli
from formats import sidecars

WORK = ".crawl"


def file_name(category):
    """Returns the name, without extension, of a category's files: "traffic light" -> "traffic_light"."""
    return re.sub(r"[^a-z0-9]+", "_", category.lower()).strip("_") or "unnamed"


class CategoryStore:
    """The stored pages of one category.

    Attributes:
      category: its name.
      pages: dict page number -> number of descriptions, of the stored pages.
      available: number of pages that the source has, None while it is unknown.
      path, json_path: paths of the output and of its sidecar.
      plan: dict of the settings that determine the content of a page.
    """

    def __init__(self, folder, category, plan, overwrite=False):
        """Opens the stored pages.

        Args:
          folder: the folder of the output.
          category: name of the category.
          plan: dict of the settings that determine the content of a page.
          overwrite: whether to remove the stored pages and begin again.

        Raises: cli.UserError if pages were stored with other settings, or the output exists without a sidecar.
        """
        name = file_name(category)
        self.category, self.plan, self.pages, self.available = category, plan, {}, None
        self.path, self.json_path = (os.path.join(folder, name + end) for end in (".jsonl", ".json"))
        self._part, self._journal = (os.path.join(folder, WORK, name + end) for end in (".part", ".journal"))
        self._files = None
        if overwrite:
            self._remove_work()
        elif not self._continue() and os.path.exists(self.json_path):
            self._from_published()
        sidecars.refuse_unknown([self.path], self.json_path, overwrite or os.path.exists(self._journal))

    def missing(self, wanted):
        """Returns the list of the page numbers among 1 to `wanted` that the source has and that are not stored.

        While the number of the source's pages is unknown, the list is [1], or [] if page 1 is stored.
        """
        count = 1 if self.available is None else min(wanted, self.available)
        return [page for page in range(1, count + 1) if page not in self.pages]

    def add(self, page, descriptions, available=None):
        """Stores one page: first its lines, then the line of the journal that makes them valid.

        Args:
          page: its number. descriptions: list of texts.
          available: number of pages that the source has; None if it is unknown.

        Raises: AssertionError if the page is stored already; OSError if it cannot be written.
        """
        if page in self.pages:
            raise AssertionError(f"page {page} of {self.category} a second time")
        part, journal = self._open()
        lines = [
            json.dumps({"category": self.category, "page": page, "description": text}) + "\n" for text in descriptions
        ]
        _write(part, "".join(lines))
        entry = {"pages": {page: len(descriptions)}, "end": part.tell()}
        if available is not None:
            entry["available"] = available
        _write(journal, json.dumps(entry) + "\n")
        self._apply(entry)

    def publish(self, failed):
        """Writes the category's output, lines sorted by page, and the sidecar; then removes the work files.

        Does nothing if no page is stored, or none was added since the last call.

        Args: failed: dict page number -> why it could not be fetched (str), for the sidecar.
        """
        if not self.pages or self._files is None and not os.path.exists(self._journal):
            return  # nothing new
        self.close()
        lines = []
        if os.path.exists(self._part):
            with open(self._part, encoding="utf-8") as file:
                lines = sorted(file, key=lambda line: json.loads(line)["page"])  # stable: keeps the order within a page
        sidecars.write_whole(self.path, "".join(lines))
        sidecars.write_sidecar(
            self.json_path,
            files=[self.path],
            count=len(lines),
            settings=self.plan,
            made_from={},
            pages={str(page): self.pages[page] for page in sorted(self.pages)},
            available=self.available,
            failed={str(page): failed[page] for page in sorted(failed)},
        )
        self._remove_work()

    def close(self):
        """Closes the work files, the lines and the journal, if they are open; `add` opens them again."""
        for file in self._files or ():
            file.close()
        self._files = None

    # ------------------------------------------------------------------------------------------------ opening

    def _open(self):
        """Returns the two files that an unfinished crawl appends to, (lines, journal); opens them at the first call.

        New files start with the content of the published pages, if there are any.
        """
        if self._files is None:
            new = not os.path.exists(self._journal)
            if new and self.pages:  # start from the published pages
                shutil.copyfile(self.path, self._part)
            part, journal = open(self._part, "ab"), open(self._journal, "ab")
            if new:
                part.truncate(part.tell() if self.pages else 0)
                entry = {"pages": self.pages, "end": part.tell(), "available": self.available}
                _write(journal, json.dumps({"plan": self.plan}) + "\n" + json.dumps(entry) + "\n")
            self._files = part, journal
        return self._files

    def _continue(self):
        """Reads the journal of an interrupted crawl and cuts off its incomplete page; returns False without one."""
        if not os.path.exists(self._journal):
            return False
        with open(self._journal, "rb") as file:
            whole = [line for line in file.read().splitlines(keepends=True) if line.endswith(b"\n")]
        entries = [json.loads(line) for line in whole]
        if len(entries) < 2:  # the crawl ended before the first page
            self._remove_work()
            return False
        self._check(entries[0]["plan"], self._journal)
        for entry in entries[1:]:
            self._apply(entry)
        os.truncate(self._journal, sum(map(len, whole)))
        os.truncate(self._part, entries[-1]["end"])
        return True

    def _from_published(self):
        """Reads the stored pages from the sidecar of the output."""
        damage = sidecars.damaged_file(self.json_path)
        if damage:
            print(f"{damage}; crawling {self.category} again")
            return
        about = sidecars.read_sidecar(self.json_path)
        self._check(about["settings"], self.json_path)
        self._apply({"pages": about["pages"], "available": about["available"]})

    def _apply(self, entry):
        """Adds the pages of one line of the journal (a dict) to `pages`, and sets `available` if it is stated there."""
        self.pages.update((int(page), count) for page, count in entry["pages"].items())
        if entry.get("available") is not None:
            self.available = entry["available"]

    def _check(self, plan, path):
        """Raises cli.UserError if the pages described in the file `path` were crawled with another plan."""
        if plan != self.plan:
            raise cli.UserError(
                f"{path}: its pages were crawled with other settings ({plan} there, {self.plan} wanted). Add "
                "--overwrite to crawl them again, or give another --data_dir"
            )

    def _remove_work(self):
        """Removes the files of an unfinished crawl."""
        self.close()
        for path in (self._journal, self._part):  # the part is useless without its journal
            if os.path.exists(path):
                os.remove(path)


def _write(file, text):
    """Writes text to an open binary file and waits until it is on the disk."""
    file.write(text.encode())
    file.flush()
    os.fsync(file.fileno())
