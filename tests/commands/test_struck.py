"""Races, kills and full disks: a twentieth of the cases of tests.races, tests.kills and tests.full_disk."""

import pathlib
import subprocess
import sys

import pytest

from tests.full_disk import CANNOT_MOUNT

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["races", "kills", "full_disk"])
def test_few_of_its_cases(command):
    """The cases run in a separate process, which has not used TensorFlow and can fork."""
    count = {"races": "--races", "kills": "--kills", "full_disk": "--cases"}[command]
    done = subprocess.run(
        [sys.executable, "-m", f"tests.{command}", count, "3"], cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode == CANNOT_MOUNT:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
