"""Where the golden numbers of the authors' program lie.

`UIC_GOLDEN` names the folder (default: ../shared/golden beside the repository). A kind of file that is not there, or
every kind on a fresh machine, is taken from the small sets kept in tests/fixtures/golden.
"""

import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests" / "fixtures" / "golden"


def folders():
    """The folders that are searched, first to last. A folder that is named but absent is an error."""
    named = os.environ.get("UIC_GOLDEN")
    if named and not pathlib.Path(named).is_dir():
        raise FileNotFoundError(f"UIC_GOLDEN={named} is no folder")
    first = pathlib.Path(named) if named else ROOT.parent / "shared" / "golden"
    return [path for path in (first, FIXTURES) if path.is_dir()]


def folder():
    """The first of the folders."""
    return folders()[0]


def sets(pattern):
    """All files of a kind, whatever their number; none is an error, because a parity test must not pass by absence."""
    for candidate in folders():
        found = sorted(candidate.glob(pattern))
        if found:
            return found
    raise FileNotFoundError(f"no {pattern} in {', '.join(map(str, folders()))}; set UIC_GOLDEN to the golden numbers")
