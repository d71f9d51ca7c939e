"""Where the golden numbers of the authors' program lie."""

import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests" / "fixtures" / "golden"


def folder():
    """The folder named by UIC_GOLDEN, else ../shared/golden beside the project, else the small sets in the tests."""
    named = os.environ.get("UIC_GOLDEN")
    if named:
        return pathlib.Path(named)
    beside = ROOT.parent / "shared" / "golden"
    return beside if beside.is_dir() else FIXTURES


def sets(pattern):
    """All files of a kind, whatever their number; none is an error, because a parity test must not pass by absence."""
    found = sorted(folder().glob(pattern))
    if not found:
        raise FileNotFoundError(f"no {pattern} in {folder()}; set UIC_GOLDEN to the folder of golden numbers")
    return found
