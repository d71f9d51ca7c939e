"""Kills every stage, trainer and evaluation at random moments and runs the same command again.

    python -m tests.kills --kills 50 --seed 1 [--stages train,eval_val]

A command is killed with SIGKILL and then run to its end. Its output must equal that of an uninterrupted run, byte for
byte (sidecars without the fields that differ between calls; checkpoints tensor by tensor). A kill counts as amid the
work if files were written and the command had not ended. Prints a table; exit code 1 after a fault.
"""

import dataclasses
import os
import random
import shutil
import signal
import sys
import tempfile
import time

from tests import interrupt, stage_cases, stage_outputs


def written(root):
    """Returns dict path -> (size, time of the last change) of all files except lock files."""
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            if not name.endswith("lock"):
                try:
                    status = os.stat(os.path.join(folder, name))
                except FileNotFoundError:
                    continue
                found[os.path.join(folder, name)] = (status.st_size, status.st_mtime_ns)
    return found


@dataclasses.dataclass(frozen=True)
class Span:
    """Extent of an uninterrupted run: seconds from its first written file to its end; its renamings and removals."""

    seconds: float
    changes: int


def span_of(stages, case):
    """Measures the Span of a case."""
    root, tally = stages.begin(case, "timed"), os.path.join(stages.folder, f"changes of {case.name}")
    before, first = written(root), None
    process = stages.start(case.variants[0], root, prepare=lambda: count_changes(tally))
    while process.poll() is None:
        if first is None and written(root) != before:
            first = time.monotonic()
        time.sleep(0.002)
    assert process.code == 0, process.output
    shutil.rmtree(root)
    return Span(time.monotonic() - first if first else 0.0, os.path.getsize(tally))


def count_changes(path):
    """Adds a byte to a file for each renaming and removal in this process."""
    file = open(path, "wb", buffering=0)
    interrupt.at_changes(lambda: file.write(b"."))


def kill(stages, case, root, rng, span):
    """Kills one command at a random moment after its first written file; returns whether it was amid the work.

    The moment is a time, or just before a renaming or removal, where faults are most likely.
    """
    before = written(root)
    if span.changes and rng.random() < 0.7:
        change = rng.randint(1, span.changes)
        strike = lambda: interrupt.at_change(change, lambda: os.kill(os.getpid(), signal.SIGKILL))  # noqa: E731
        process = stages.start(case.variants[0], root, prepare=strike)
    else:
        process = stages.start(case.variants[0], root)
        while process.poll() is None and written(root) == before:
            time.sleep(0.001)
        moment = time.monotonic() + rng.uniform(0.0, span.seconds)
        while time.monotonic() < moment and process.poll() is None:
            time.sleep(0.0005)
        process.kill()
    return process.wait() < 0 and written(root) != before


def strike(stages, case, rng, name, span):
    """Kills a command once and runs it to its end; returns (whether it was amid the work, faults as list of texts)."""
    root = stages.begin(case, name)
    amid = kill(stages, case, root, rng, span)
    process = stages.start(case.variants[0], root)
    faults = [] if process.wait() == 0 else [f"run again, exit code {process.code}: {process.output[-2000:]}"]
    faults += stage_outputs.differences(stage_outputs.contents(root), stages.unbroken(case))
    faults += stage_outputs.damages(root)
    shutil.rmtree(root)
    return amid, faults


def main(arguments=None):
    options = stage_cases.parse(__doc__, "kills", arguments)
    rng, results, spans, amid = random.Random(options.seed), {}, {}, {}
    chosen = stage_cases.choose(options, rng, options.kills, lambda case: "+" not in case.name)
    with tempfile.TemporaryDirectory() as folder:
        stages = stage_cases.Stages(folder, chosen)
        for i, case in enumerate(chosen):
            if case.name not in spans:
                spans[case.name] = span_of(stages, case)
            struck, faults = strike(stages, case, rng, f"kill_{i}", spans[case.name])
            amid[case.name] = amid.get(case.name, 0) + struck
            results.setdefault(case.name, []).append(faults)
    print("partial output was there at the kill: " + ", ".join(f"{name} {count}" for name, count in amid.items()))
    print(f"in all {sum(amid.values())} of {options.kills} kills")
    return stage_cases.report(results, "kills")


if __name__ == "__main__":
    sys.exit(main())
