"""Damages every kind of file that the programs read, and counts the outcomes.

    python -m tests.hostile --cases 60 [--kinds "RUN config,HDF5"] [--seed 1] [--write docs/reliability.md]

A clear error names the file. Where there is no checksum, another result is accepted. All else is a fault: another
exception, a crash, more than 30 seconds or 2 GiB of memory, or another result without an error although there is a
checksum. Exit code 1 after a fault.
"""

import dataclasses
import os
import shutil
import sys
import tempfile
import time
import traceback

import cli

BEGIN, END = "<!-- tests.hostile: begin -->", "<!-- tests.hostile: end -->"


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of tests.hostile."""

    cases: int = cli.field(60, "damaged inputs of each kind")
    kinds: tuple[str, ...] = cli.field((), "kinds of files, separated by commas; all if not given")
    seed: int = cli.field(1, "seed of the damage")
    write: str = cli.field("", "page of the manual whose table is replaced")


def make_good_files(folder):
    """Makes the good files in another process: a process that has used TensorFlow must not fork."""
    sys.stdout.flush()
    child = os.fork()
    if not child:
        status = 1
        try:
            with open(folder + ".log", "w") as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
                from tests.hostile import world

                world.make(folder)
                status = 0
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
        finally:
            os._exit(status)
    if os.waitpid(child, 0)[1]:
        with open(folder + ".log") as log:
            raise RuntimeError(f"the good files cannot be made: {log.read()[-3000:]}")


def run(options, folder):
    """Runs the cases and prints faults; returns dict kind -> dict outcome -> number of cases."""
    from tests.hostile import worker

    good, counts = os.path.join(folder, "good"), {}
    make_good_files(good)
    for name in options.kinds or worker.KINDS:
        copy, began = os.path.join(folder, "copy"), time.monotonic()
        shutil.copytree(good, copy)
        counts[name] = dict.fromkeys(worker.OUTCOMES, 0)
        for case, outcome, text in worker.run_kind(name, worker.cases_of(name, options.cases, options.seed), copy):
            if case is not None or outcome == worker.FAULT:
                counts[name][outcome] += 1
            if outcome == worker.FAULT:
                print(f"FAULT {name}: {case or 'the good file'}: {text}\n")
        shutil.rmtree(copy)
        shown = ", ".join(f"{number} {outcome}" for outcome, number in counts[name].items())
        print(f"{name}: {shown} ({time.monotonic() - began:.0f} s)", flush=True)
    return counts


def table(counts):
    """Returns the counts as a Markdown table."""
    outcomes = list(next(iter(counts.values())))
    rows = [["kind", "cases", *outcomes]]
    rows += [[name, *map(str, [sum(found.values()), *found.values()])] for name, found in counts.items()]
    total = [sum(found[outcome] for found in counts.values()) for outcome in outcomes]
    rows.append(["all", *map(str, [sum(total), *total])])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    aligned = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in (aligned[0], rule, *aligned[1:]))


def write(path, text, marks=(BEGIN, END)):
    """Writes the table between the two comments of a page. Raises: cli.UserError if a comment is missing."""
    from formats import texts
    from formats.sidecars import write_whole

    page = texts.read(path)
    before, begin, rest = page.partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not begin or not end:
        raise cli.UserError(f"{path}: expected the comments {' and '.join(marks)}")
    write_whole(path, f"{before}{begin}\n{text}\n{end}{after}")


def main(options):
    """Runs the cases; returns the exit code."""
    from tests.hostile import worker

    unknown = [name for name in options.kinds if name not in worker.KINDS]
    if unknown or options.cases < 1:
        raise cli.UserError(f"--kinds {','.join(unknown)}: expected some of {', '.join(worker.KINDS)}")
    with tempfile.TemporaryDirectory() as folder:
        counts = run(options, folder)
    shown = table(counts)
    print("\n" + shown)
    if options.write:
        write(options.write, f"`{cli.command_line()}`\n\n{shown}")
    return int(any(found[worker.FAULT] for found in counts.values()))


if __name__ == "__main__":
    cli.run(main, Options)
