"""Starts two or three processes of one stage with different settings on one folder, and checks their output.

    python -m tests.races --races 50 --seed 1 [--stages process_images,extract_features]

Afterwards the folder must equal, byte for byte, the output of one of the settings alone. Where the stage adds to files,
it must hold what all of them add. A process must end with exit code 0, or with one line that says why it could not
work. Prints a table; exit code 1 after a fault.
"""

import random
import shutil
import sys
import tempfile
import time

from tests import stage_cases, stage_outputs

LONGEST_DELAY = 0.5  # seconds between two starts; half of them start together


def race(stages, case, rng, name):
    """Runs one race; returns the faults as a list of texts."""
    root = stages.begin(case, name)
    variants = list(case.variants) if case.merges else rng.sample(case.variants, min(len(case.variants), 3))
    rng.shuffle(variants)
    variants += [] if case.merges or rng.random() < 0.7 else [rng.choice(variants)]
    again = ["--overwrite"] if not case.merges and rng.random() < 0.5 else []
    processes = []
    for variant in variants:
        time.sleep(rng.choice([0.0, rng.uniform(0.0, LONGEST_DELAY)]))
        processes.append(stages.start(variant, root, *again))
    faults = [fault for process in processes for fault in faults_of(process)]
    codes = [process.code for process in processes]
    if 0 not in codes or (case.merges and any(codes)):
        faults.append(f"exit codes {codes}: " + " | ".join(process.output[-300:] for process in processes))
    found = [stage_outputs.differences(stage_outputs.contents(root), wanted) for wanted in stages.expected(case)]
    if all(found):
        faults.append("the files are those of no setting: " + "; ".join(min(found, key=len)[:5]))
    faults += stage_outputs.damages(root)
    shutil.rmtree(root)
    return faults


def faults_of(process):
    """Waits for a process; returns its faults unless it ends with exit code 0, or with 1 and an error for the user."""
    code = process.wait()
    if code == 0 or (code == 1 and "ERROR: " in process.output and "Traceback" not in process.output):
        return []
    return [f"exit code {code}: {process.output[-2000:]}"]


def main(arguments=None):
    options = stage_cases.parse(__doc__, "races", arguments)
    rng, results = random.Random(options.seed), {}
    chosen = stage_cases.choose(options, rng, options.races, lambda case: not case.trains)
    with tempfile.TemporaryDirectory() as folder:
        stages = stage_cases.Stages(folder, chosen)
        for i, case in enumerate(chosen):
            results.setdefault(case.name, []).append(race(stages, case, rng, f"race_{i}"))
    return stage_cases.report(results, "races")


if __name__ == "__main__":
    sys.exit(main())
