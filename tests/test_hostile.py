"""A few damaged files of every kind; `python -m tests.hostile` tests many (docs/reliability.md)."""

import subprocess
import sys

import pytest

from tests import tiny_runs
from tests.hostile import __main__ as program


@pytest.mark.slow
def test_three_damaged_files_of_every_kind():
    command = [sys.executable, "-m", "tests.hostile", "--cases", "3", "--seed", "7"]
    done = subprocess.run(command, cwd=tiny_runs.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| all" in done.stdout and "FAULT" not in done.stdout


def test_the_table_replaces_what_is_between_the_comments(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{program.BEGIN}\nold\n{program.END}\nafter\n")
    shown = program.table({"a": {"clear errors": 2, "faults": 1}, "bb": {"clear errors": 3, "faults": 0}})
    assert shown.splitlines()[-1].split() == "| all | 6 | 5 | 1 |".split()
    program.write(str(page), shown)
    assert page.read_text() == f"before\n{program.BEGIN}\n{shown}\n{program.END}\nafter\n"
