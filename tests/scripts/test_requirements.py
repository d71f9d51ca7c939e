"""requirements.txt resolves for the Python versions that README names beside the tested one. Needs a registry."""

import subprocess
import sys

import pytest

from tests import tiny_runs


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_requirements_resolve(version, tmp_path):
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed"]
    command += ["--python-version", version, "--only-binary=:all:", "--target", str(tmp_path), "-r", "requirements.txt"]
    done = subprocess.run(command, cwd=tiny_runs.ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-2000:]
