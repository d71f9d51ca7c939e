"""Temporary folders of servers are removed, however the server ended."""

import os
import signal
import subprocess
import sys

from tests import tiny_runs
from web import temporary_folders

SERVER = "from web import temporary_folders as t, uploads\nwith t.new() as f: print(f, flush=True); input()"


def server(folder):
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER],
        cwd=tiny_runs.ROOT,
        env=os.environ | {"TMPDIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    return process, process.stdout.readline().strip()


def test_only_those_of_killed_servers_are_removed(tmp_path, monkeypatch):
    (tmp_path / "captions-other").mkdir()
    killed, left = server(tmp_path)
    living, kept = server(tmp_path)
    assert os.path.basename(left).startswith(f"captions-{killed.pid}-")
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait(10)
    temporary_folders.remove_abandoned(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted([os.path.basename(kept), "captions-other"])
    monkeypatch.setattr(
        temporary_folders, "_lives", lambda process: False
    )  # as in another container, where its process id is unknown
    temporary_folders.remove_abandoned(tmp_path)
    assert os.path.isdir(kept), "the lock shows that the server is running"
    living.communicate("\n", timeout=10)
    assert os.listdir(tmp_path) == ["captions-other"]
