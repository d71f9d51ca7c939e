"""Atomic writes and locks, for several processes that write to one folder.

A lock is `flock` on a hidden file beside what it protects. The system releases it when the process that holds it and
its workers have ended or were killed; a remaining lock file locks nothing.
"""

import contextlib
import errno
import fcntl
import math
import multiprocessing.reduction
import os
import re
import secrets
import shutil
import socket
import time

import cli

PART = ".part"  # the extension of files that are being written
_OWN_PART = re.compile(r".+\.[0-9a-f]{8}\.part")  # names made by `replacing`
GRACE = 3.0  # seconds before a process is refused: the workers of a killed process end a moment after it
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)  # errors of file systems without locks
NOT_WRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM)
_held = []  # the open lock files of this process


def _open_locked(path, operation, flags=os.O_RDWR | os.O_CREAT):
    """Opens and locks the file at `path`; returns it, or None if another process holds the lock.

    Args: operation: operation of `fcntl.flock`. flags: flags of `os.open`.
    """
    while True:
        try:
            file = open(os.open(path, flags, 0o666), "r+")
        except PermissionError:
            if operation != fcntl.LOCK_SH or not os.path.exists(path):
                raise
            file = open(path)  # a lock file of another user: permission to read it suffices for a lock
        try:
            fcntl.flock(file, operation | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                return file
        except BlockingIOError:
            file.close()
            return None
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno in NO_LOCKS and flags & os.O_CREAT:
                return file
            file.close()
            raise
        file.close()  # its holder removed it between opening and locking
        if not flags & os.O_CREAT:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)


# --------------------------------------------------------------------------------------------------------------
# Whole files


@contextlib.contextmanager
def replacing(path):
    """Yields a temporary name beside `path`; the file written there replaces `path` at the end of the block.

    The name is unique. If the block fails, the file is removed and the error names `path`. The file of a killed process
    is removed by the next process that takes a lock in the folder. A name made by this function is yielded unchanged,
    so that functions which write atomically can be nested; so is the name of a device or pipe.
    """
    path = os.fspath(path)
    if path.endswith(PART) or cli.is_device(path):
        yield path
        return
    part = f"{path}.{secrets.token_hex(4)}{PART}"
    try:
        with _open_locked(part, fcntl.LOCK_SH):  # the lock marks the file as being written
            yield part
            os.replace(part, path)
    except OSError as error:
        if error.errno and error.filename in (None, part):
            error.filename = path
        raise
    finally:
        with contextlib.suppress(OSError):
            os.remove(part)


def copy_file(source, target):
    """Copies a file atomically."""
    with replacing(target) as part:
        shutil.copyfile(source, part)


def remove_abandoned(folder):
    """Removes the partial files of killed processes."""
    for entry in os.scandir(folder) if os.path.isdir(folder) else ():
        if _OWN_PART.fullmatch(entry.name):
            with contextlib.suppress(OSError):
                if file := _open_locked(entry.path, fcntl.LOCK_EX, os.O_RDWR):
                    os.remove(entry.path)
                    file.close()


class ArrayFile:
    """An .npy file that is written block by block.

    On a full disk writing raises OSError, whereas a memory map would end the process with a bus error.
    """

    def __init__(self, file, dtype, shape):
        """Writes the header. Args: file: open for writing bytes. dtype, shape: dtype and shape of the whole array."""
        import numpy as np

        self._file, self._dtype, self._left = file, np.dtype(dtype), math.prod(shape)
        header = {"descr": np.lib.format.dtype_to_descr(self._dtype), "fortran_order": False, "shape": tuple(shape)}
        np.lib.format.write_array_header_1_0(file, header)

    def append(self, rows):
        """Writes the next rows. Raises: OSError."""
        import numpy as np

        self._left -= rows.size
        self._file.write(np.ascontiguousarray(rows, self._dtype).data)

    def close(self):
        """Raises AssertionError unless all rows were written."""
        self._file.flush()
        if self._left:
            raise AssertionError(f"{self._file.name}: {self._left} numbers are missing")


@contextlib.contextmanager
def array_file(path, dtype, shape):
    """Yields an `ArrayFile`; `path` is written atomically when the block ends."""
    with replacing(path) as part, open(part, "wb") as file:
        array = ArrayFile(file, dtype, shape)
        yield array
        array.close()


# --------------------------------------------------------------------------------------------------------------
# One process for each output


@contextlib.contextmanager
def working(folder, writes, reads=()):
    """Locks the outputs that the block writes, and those that it reads against replacement.

    Args:
      folder: the data folder; if it does not exist, nothing is locked.
      writes: names of outputs, such as "detections"; no other process may write or read them meanwhile.
      reads: names of outputs that the block reads; other processes may read them as well.

    Raises: cli.UserError at once, naming the process that holds the lock.
    """
    wanted = dict.fromkeys(reads, fcntl.LOCK_SH) | dict.fromkeys(writes, fcntl.LOCK_EX)
    with contextlib.ExitStack() as locks:
        for name in sorted(wanted) if os.path.isdir(folder) else ():
            mend = f"works on {name} in {folder}. Wait for it to end, or give another --data_dir"
            locks.enter_context(_lock(os.path.join(folder, f".{name}.lock"), wanted[name], GRACE, mend))
        remove_abandoned(folder)
        yield


@contextlib.contextmanager
def merging(path, seconds=120.0):
    """Locks a file while the block reads, changes and writes it; waits for other processes.

    Args:
      path: the file; its folder is made if it does not exist.
      seconds: how long to wait.

    Raises: cli.UserError after that time, naming the process that holds the lock.
    """
    folder, name = os.path.split(os.path.realpath(path))  # one lock for all names of the file
    os.makedirs(folder, exist_ok=True)
    mend = f"has been writing {path} for {seconds:.0f} s. End it if it hangs, and run the same command again"
    with _lock(os.path.join(folder, f".{name}.lock"), fcntl.LOCK_EX, seconds, mend):
        remove_abandoned(folder)
        yield


@contextlib.contextmanager
def _lock(path, operation, seconds, mend):
    """Holds a lock file during the block and removes it afterwards, unless others share it.

    A folder that cannot be written needs no lock: writing the output will raise the error.
    """
    deadline = time.monotonic() + seconds
    try:
        while not (file := _open_locked(path, operation)):
            if time.monotonic() > deadline:
                raise cli.UserError(f"{_holder(path)} {mend}.")
            time.sleep(0.02)
    except OSError as error:
        if error.errno not in NOT_WRITABLE or os.path.exists(path):
            raise
        yield
        return
    _held.append(file)
    try:
        with contextlib.suppress(OSError):  # only for the message to other processes; missing on a full disk
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()} ({cli.command_line()})\n")
            file.flush()
        yield
    finally:
        _held.remove(file)
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails if others share it; they will remove it
            os.remove(path)
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_UN)  # also for workers that inherited it
            file.close()


def _holder(path):
    try:
        with open(path) as file:
            return file.read().strip() or "another process"
    except OSError:
        return "another process"


class Locks:
    """The locks of this process, passed to a worker process at its start.

    The worker holds them too, so they are released only after the worker has ended, even if this process is killed.
    """

    def __reduce__(self):
        return _keep, ([multiprocessing.reduction.DupFd(file.fileno()) for file in _held],)


def _keep(descriptors):
    """Keeps the locks open in this process."""
    return [descriptor.detach() for descriptor in descriptors]
