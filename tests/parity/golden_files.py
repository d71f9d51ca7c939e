"""Finds the files of golden numbers, which the authors' program computed.

`UIC_GOLDEN` names the folder (default: ../shared/golden beside the repository). Kinds of files that are missing there
are read from the small sets in tests/fixtures/golden.
"""

import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests" / "fixtures" / "golden"


def folders():
    """Returns the folders to search, in order. Raises if UIC_GOLDEN names a folder that does not exist."""
    named = os.environ.get("UIC_GOLDEN")
    if named and not pathlib.Path(named).is_dir():
        raise FileNotFoundError(f"UIC_GOLDEN={named} is no folder")
    first = pathlib.Path(named) if named else ROOT.parent / "shared" / "golden"
    return [path for path in (first, FIXTURES) if path.is_dir()]


def folder():
    """Returns the first of the folders."""
    return folders()[0]


def sets(pattern):
    """Returns all files of a kind. Raises if there is none, because a parity test must not pass without files."""
    for candidate in folders():
        found = sorted(candidate.glob(pattern))
        if found:
            return found
    raise FileNotFoundError(f"no {pattern} in {', '.join(map(str, folders()))}; set UIC_GOLDEN to the golden numbers")
