"""Waiting for, finding and killing the processes of clusters."""

import os
import pathlib
import signal
import socket
import threading
import time


def free_port():
    """Returns a TCP port of 127.0.0.1 at which nobody listens."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def wait_until(condition, seconds=300.0):
    """Waits until the function `condition` returns a true value, which is returned."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)
    return found


def parent(process):
    """Returns the number of the parent of a process. Args: process: its number."""
    return int(pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def children(process):
    """Returns the numbers of the children of a process."""
    threads = pathlib.Path(f"/proc/{process}/task").iterdir()
    return [int(child) for thread in threads for child in (thread / "children").read_text().split()]


def kill_when(path, process):
    """Kills a process with SIGKILL as soon as a file exists; returns the thread that does this.

    Args: path: pathlib.Path. process: function without arguments that returns its number.
    """

    def kill():
        wait_until(path.exists)
        os.kill(process(), signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    return thread
