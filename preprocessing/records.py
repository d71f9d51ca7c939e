"""Writes the sidecar of a record file of another program: number of records, size and sha256 of each file.

    python -m preprocessing.records --index FILE.tfrec

For a set of shards, name any of them: the sidecar describes the whole set.
"""

import dataclasses
import os
import re

import cli
from formats import record_files, writing
from formats.records import read_examples
from formats.sidecars import write_sidecar


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of `python -m preprocessing.records`."""

    index: str = cli.field("", "a .tfrec file of another program; its sidecar is written beside it")
    overwrite: bool = cli.field(False, "replace an existing sidecar")

    def outputs(self):
        """Returns two tuples of paths, (files, folders): what the command writes; `cli.run` checks that it can."""
        return (os.path.splitext(self.index)[0] + ".json" if self.index else "",), ()


def main(options):
    """Reads a file, or the set of shards that it belongs to, and writes the sidecar.

    Raises: cli.UserError if the file does not exist, is damaged, or has a sidecar and --overwrite is not given.
    """
    if not options.index.endswith(".tfrec") or not os.path.isfile(options.index):
        raise cli.UserError(f"--index {options.index or '(not given)'}: expected a .tfrec file that is there")
    folder, name = os.path.split(options.index)
    stem = re.sub(r"(-\d{5}-of-\d{5})?\.tfrec$", "", name)
    with writing.working(folder or ".", ["image" if stem.startswith("image_") else stem]):
        _write(options, folder, stem)


def _write(options, folder, stem):
    """Counts the records of all files of a set, which compares every checksum, and writes the sidecar.

    Args: folder: folder of the files. stem: their name without shard number and extension.
    """
    sidecar = os.path.join(folder, f"{stem}.json")
    if os.path.exists(sidecar) and not options.overwrite:
        raise cli.UserError(f"{sidecar} is there: the file has a sidecar. Add --overwrite to replace it.")
    paths = record_files.find_files(folder or ".", stem, skip_damaged=True)  # an old sidecar may be wrong
    counts = [sum(1 for _ in read_examples(path)) for path in cli.progress(paths, stem)]
    write_sidecar(sidecar, files=paths, count=sum(counts), settings={}, made_from={}, counts=counts)
    print(f"{options.index}: {sum(counts)} records, none damaged; written to {sidecar}")


if __name__ == "__main__":
    cli.run(main, Options)
