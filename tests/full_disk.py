"""Runs every stage, trainer and evaluation on a disk with too little free space. Needs the right to mount (root).

    python -m tests.full_disk --cases 50 --seed 1 [--stages train,eval_val]

Each command must end with exit code 1 and one line that names a file on the disk. It must not leave a partial file that
looks complete. With enough space it must finish with the output of an undisturbed run. Prints a table; exit code 1
after a fault, 77 where nothing can be mounted.
"""

import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile

from tests import stage_cases, stage_outputs
from tests.kills import written

PAGE = 4096
SHARES = (0.0, 0.2, 0.4, 0.6, 0.8)  # free space, as a share of what the command needs
CANNOT_MOUNT = 77


@contextlib.contextmanager
def disk(folder, size=256 << 20):
    """Mounts a small disk in memory at a new folder. Raises: PermissionError without the right to mount."""
    os.makedirs(folder)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, text=True
    )
    if done.returncode:
        raise PermissionError(done.stderr.strip())
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
        os.rmdir(folder)


def pages_of(stages, case):
    """Returns the number of memory pages of the files that an undisturbed run writes."""
    root = stages.begin(case, "measured")
    before = written(root)
    stages.run(case.variants[0], root)
    changed = [state for path, state in written(root).items() if before.get(path) != state]
    shutil.rmtree(root)
    return sum(-(-size // PAGE) for size, _ in changed)


def starve(stages, case, share, pages):
    """Runs a command with too little space, then with enough; returns the faults as a list of texts."""
    with disk(os.path.join(stages.folder, "disk")) as mounted:
        root, filler = os.path.join(mounted, "root"), os.path.join(mounted, "filler")
        shutil.copytree(stages.base(case), root)
        free = shutil.disk_usage(mounted).free - int(share * pages) * PAGE
        with open(filler, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, free)
        process = stages.start(case.variants[0], root)
        code, faults = process.wait(), []
        errors = [line for line in process.output.splitlines() if line.startswith("ERROR: ")]
        if code == 0 and share == 0.0:
            faults.append("ended well without any room")
        elif code and (code != 1 or "Traceback" in process.output or not any(root in line for line in errors)):
            faults.append(f"exit code {code}: {process.output[-1500:]}")
        faults += stage_outputs.damages(root)
        os.remove(filler)
        process = stages.start(case.variants[0], root)
        if process.wait():
            faults.append(f"with room, exit code {process.code}: {process.output[-1500:]}")
        return faults + stage_outputs.differences(stage_outputs.contents(root), stages.unbroken(case))


def main(arguments=None):
    options = stage_cases.parse(__doc__, "cases", arguments)
    rng, results, pages = random.Random(options.seed), {}, {}
    chosen = stage_cases.choose(options, rng, options.cases, lambda case: "+" not in case.name)
    with tempfile.TemporaryDirectory() as folder:
        try:
            with disk(os.path.join(folder, "disk")):
                pass
        except (PermissionError, FileNotFoundError) as error:
            print(f"nothing can be mounted here: {error}")
            return CANNOT_MOUNT
        stages = stage_cases.Stages(folder, chosen)
        for case in chosen:
            if case.name not in pages:
                pages[case.name] = pages_of(stages, case)
            faults = starve(stages, case, rng.choice(SHARES), pages[case.name])
            results.setdefault(case.name, []).append(faults)
    return stage_cases.report(results, "cases")


if __name__ == "__main__":
    sys.exit(main())
