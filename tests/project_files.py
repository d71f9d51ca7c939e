"""The files of this repository, without what a build or a run leaves beside them."""

import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[1]


def listed(*patterns):
    """Returns the sorted paths of the repository's files, also those that are not committed yet.

    Args:
        patterns: as `git ls-files` takes them, "*.py" for instance; without one, all files.
    """
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    lines = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return sorted({path for path in lines if (ROOT / path).exists()})
