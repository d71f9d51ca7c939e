"""Creates temporary folders of servers, named captions-PROCESS-…, and removes those of servers that were killed."""

import contextlib
import fcntl
import os
import re
import shutil
import tempfile

NAME = re.compile(r"captions-(\d+)-\w+")
LOCK = ".lock"  # locked while the server runs: process ids alone are ambiguous between containers


@contextlib.contextmanager
def new():
    """Returns a context manager that creates a temporary folder and removes it at the end; `with … as` is its path."""
    with tempfile.TemporaryDirectory(prefix=f"captions-{os.getpid()}-") as folder:
        with open(os.path.join(folder, LOCK), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder


def remove_abandoned(parent):
    """Removes from the folder `parent` the temporary folders of this user's servers that no longer run."""
    for entry in os.scandir(parent):
        found = NAME.fullmatch(entry.name)
        mine = found and entry.is_dir(follow_symlinks=False) and entry.stat().st_uid == os.getuid()
        if mine and not _lives(int(found[1])) and not _is_locked(os.path.join(entry.path, LOCK)):
            shutil.rmtree(entry.path, ignore_errors=True)


def _lives(process):
    """Returns whether a process exists. Args: process: its id."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def _is_locked(path):
    """Returns whether another process holds the lock of the file `path`."""
    try:
        with open(path) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False
