"""Keeps the archive of results: adds scored runs, writes all tables from it, and checks it.

    python -m evaluation.results --add runs/demo/full                  # a run: its rows of runs/demo/table.json
    python -m evaluation.results --add runs/demo/results               # what an experiment script has collected
    python -m evaluation.results --write                               # the tables of README, docs/ and configs/
    python -m evaluation.results --check                               # tables, and scores computed again
    python -m evaluation.results --check_submission FOLDER             # rows of others, before they are added

docs/results/archive.md describes the files. --check computes the scores of the archived captions again: of the
miniature world, whose references it makes itself, and of photographs if their data are on this machine.
"""

import dataclasses
import os
import sys

import cli
from evaluation.results import archive


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of evaluation.results."""

    add: tuple[str, ...] = cli.field((), "scored runs, tables, or folders RUNS/results to add to the archive")
    experiment: str = cli.field("", "experiment of the added rows; empty = that of the run's recipe")
    row: str = cli.field("", "the only row to add or check; empty = all")
    archive: str = cli.field(archive.ROOT, "folder of the archive")
    write: bool = cli.field(False, "write the tables of README, docs/ and configs/")
    check: bool = cli.field(False, "fail if a table differs from the archive, or a score from its captions")
    check_submission: str = cli.field("", "folder with EXPERIMENT/ROW/seed_S to check as an archive of its own")
    data_dir: str = cli.field("", "for checks: data folder of --experiment with its references and corpus")
    metrics: tuple[str, ...] = cli.field(("BLEU", "ROUGE-L", "CIDEr"), "metrics that checks compute again")


def main(options):
    """Adds runs, writes tables and checks the archive, as far as the flags ask for it. Args: options: Options."""
    if not (options.add or options.write or options.check or options.check_submission):
        raise cli.UserError("nothing to do; expected --add PATH, --write, --check or --check_submission FOLDER")
    if options.data_dir and not options.experiment:
        raise cli.UserError("--data_dir is of one experiment: give --experiment as well")
    if options.add:
        _add(options)
    if options.write:
        from evaluation.results import tables

        changed = tables.write(archive.read(options.archive))
        print("tables written: " + (", ".join(os.path.relpath(path) for path in changed) or "all were up to date"))
    if options.check_submission:
        _check(options, options.check_submission, pages=False)
    if options.check:
        _check(options, options.archive, pages=True)


def _add(options):
    """Adds each path of --add to the archive, and prints the folders that were written."""
    from evaluation.results import add

    for path in options.add:
        add.check_readable(path)
        for folder in add.add(path, options.archive, options.experiment, options.row):
            print(f"added: {folder}")


def _check(options, root, pages):
    """Checks the archive in the folder `root`, and prints its faults.

    Args: options: Options. root: folder of the archive. pages: whether to check the tables of README, docs/ and
      configs/ too.
    Raises: cli.UserError if there is a fault.
    """
    from evaluation.results import check

    entries = archive.read(root)
    if not entries:
        raise cli.UserError(f"{root}: no EXPERIMENT/ROW/seed_S/scores.json in it; add runs with --add")
    faults = [f"{path}: differs from the archive; run --write" for path in check.stale_pages(entries)] if pages else []
    chosen = [one for one in entries if options.experiment in ("", one.experiment) and options.row in ("", one.row)]
    folders = {options.experiment: options.data_dir} if options.data_dir else None
    equal, differences, unchecked = check.rescore(chosen, check.References(folders), options.metrics)
    for line in unchecked:
        print(f"not scored again: {line}")
    print(f"{len(chosen)} folders; {equal} rows scored again are equal, {len(differences)} differ")
    for line in faults + differences:
        print(f"FAULT: {line}", file=sys.stderr)
    if faults or differences:
        raise cli.UserError(f"{root}: {len(faults) + len(differences)} faults, see above")


if __name__ == "__main__":
    cli.run(main, Options)
