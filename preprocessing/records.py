"""Writes the sidecar of a record file that was made elsewhere: count, record offsets, sha256.

python -m preprocessing.records --index FILE.tfrec
"""

import dataclasses
import os

import cli
from formats import writing
from formats.records import read_examples
from formats.sidecars import write_sidecar


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of `python -m preprocessing.records`."""

    index: str = cli.field("", "a .tfrec file that was made elsewhere; its sidecar is written beside it")
    overwrite: bool = cli.field(False, "replace a sidecar that is there")

    def outputs(self):
        """The files and the folders that it writes, see cli.run."""
        return (os.path.splitext(self.index)[0] + ".json" if self.index else "",), ()


def main(options):
    """Reads a file whole and writes its sidecar."""
    stem, ending = os.path.splitext(options.index)
    if ending != ".tfrec" or not os.path.isfile(options.index):
        raise cli.UserError(f"--index {options.index or '(not given)'}: expected a .tfrec file that is there")
    folder, name = os.path.split(stem)
    with writing.working(folder or ".", ["image" if name.startswith("image_") else name.partition("-")[0]]):
        _write(options, stem)


def _write(options, stem):
    if os.path.exists(stem + ".json") and not options.overwrite:
        raise cli.UserError(f"{stem}.json is there: the file has a sidecar. Add --overwrite to replace it.")
    count = sum(1 for _ in cli.progress(read_examples(options.index), os.path.basename(options.index)))
    write_sidecar(stem + ".json", files=[options.index], count=count, settings={}, made_from={}, counts=[count])
    print(f"{options.index}: {count} records, none damaged; written to {stem}.json")


if __name__ == "__main__":
    cli.run(main, Options)
