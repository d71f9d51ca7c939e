"""Races, kills and full disks, a twentieth of the cases of each command (see there)."""

import pathlib
import subprocess
import sys

import pytest

from tests.full_disk import CANNOT_MOUNT

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["races", "kills", "full_disk"])
def test_few_of_its_cases(command):
    """In a process of its own, which has started nothing in TensorFlow and can fork."""
    count = {"races": "--races", "kills": "--kills", "full_disk": "--cases"}[command]
    done = subprocess.run(
        [sys.executable, "-m", f"tests.{command}", count, "3"], cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode == CANNOT_MOUNT:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
