"""Atomic writes and locks, for several processes that write to one folder.

A lock is an exclusive or shared `flock` on a hidden file beside the output that it protects. The operating system
releases it when the process that holds it and the workers of this process have ended or were killed. A lock file that
a killed process left behind blocks nobody.
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
    """Opens and locks the file at `path`; returns the open file, or None if another process holds the lock.

    Args:
      path: the lock file.
      operation: fcntl.LOCK_SH (shared) or fcntl.LOCK_EX (exclusive).
      flags: flags of `os.open`; without os.O_CREAT the file must exist.

    Raises: OSError; FileNotFoundError if the file does not exist and is not created.
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
    """Context manager: yields a temporary file name; the file written there replaces `path` at the end of the block.

    The temporary name is unique and in the same folder. If the block fails, the temporary file is removed, and an
    OSError names `path` instead of it. If the process is killed, the next process that locks an output in the folder
    removes the file. If `path` is itself a name made by this function, a device or a pipe, it is yielded unchanged; so
    functions that write atomically can be nested.

    Raises: OSError.
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
    """Copies the file `source` to the path `target` atomically. Raises: OSError."""
    with replacing(target) as part:
        shutil.copyfile(source, part)


def remove_abandoned(folder):
    """Removes the temporary files of `replacing` that killed processes left in a folder; the folder need not exist."""
    for entry in os.scandir(folder) if os.path.isdir(folder) else ():
        if _OWN_PART.fullmatch(entry.name):
            with contextlib.suppress(OSError):
                if file := _open_locked(entry.path, fcntl.LOCK_EX, os.O_RDWR):
                    os.remove(entry.path)
                    file.close()


class ArrayFile:
    """Writes an .npy file block by block into an open file, which its owner closes (`array_file`).

    On a full disk writing raises OSError, whereas a memory map would end the process with a bus error.
    """

    def __init__(self, file, dtype, shape):
        """Writes the header of the .npy file.

        Args: file: file open for writing bytes. dtype, shape: of the whole array. Raises: OSError.
        """
        import numpy as np

        self._file, self._dtype, self._left = file, np.dtype(dtype), math.prod(shape)
        header = {"descr": np.lib.format.dtype_to_descr(self._dtype), "fortran_order": False, "shape": tuple(shape)}
        np.lib.format.write_array_header_1_0(file, header)

    def append(self, rows):
        """Writes the next rows; whether there are too few or too many is checked by `close`.

        Args: rows: array [any number of rows, ...] of any dtype; it is converted to that of the file.
        Raises: OSError.
        """
        import numpy as np

        self._left -= rows.size
        self._file.write(np.ascontiguousarray(rows, self._dtype).data)

    def close(self):
        """Flushes the file and checks that it is complete; the file object stays open, its owner closes it.

        Raises: OSError; AssertionError if fewer or more numbers were written than the shape declares.
        """
        self._file.flush()
        if self._left:
            raise AssertionError(f"{self._file.name}: {self._left} numbers are missing")


@contextlib.contextmanager
def array_file(path, dtype, shape):
    """Context manager: yields an `ArrayFile`; the .npy file `path` is written atomically when the block ends.

    Args: dtype, shape: dtype and shape of the whole array. The block calls `append`, and need not call `close`.
    Raises: OSError; AssertionError if the block wrote fewer or more numbers than the shape declares.
    """
    with replacing(path) as part, open(part, "wb") as file:
        array = ArrayFile(file, dtype, shape)
        yield array
        array.close()


# --------------------------------------------------------------------------------------------------------------
# One process for each output


@contextlib.contextmanager
def working(folder, writes, reads=()):
    """Context manager: holds locks on the outputs that its block writes (exclusive) and reads (shared).

    Args:
      folder: the data folder; if it does not exist, nothing is locked.
      writes: names of outputs, such as "detections", that the block writes; no other process can lock them meanwhile.
      reads: names of outputs that the block reads; other processes can read them as well, but not write them.

    Raises: cli.UserError after GRACE seconds if another process holds a lock; the message names that process.
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
    """Context manager: holds an exclusive lock on one file while its block reads, changes and writes the file.

    Args:
      path: the file; its folder is made if it does not exist.
      seconds: how long to wait while another process holds the lock.

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
    """Context manager: locks a file during its block and removes it afterwards, unless other processes share the lock.

    If the folder is not writable, no lock is taken: writing the output there will raise the error.

    Args:
      path: the lock file. operation: fcntl.LOCK_SH or fcntl.LOCK_EX.
      seconds: how long to wait for the lock.
      mend: end of the error message, after the name of the process that holds the lock.

    Raises: cli.UserError if another process holds the lock for longer.
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
    """Returns the text about the process that holds a lock, as `_lock` wrote it to the lock file."""
    try:
        with open(path) as file:
            return file.read().strip() or "another process"
    except OSError:
        return "another process"


class Locks:
    """The locks that this process holds, as an argument for a worker process: `Locks()` is pickled at its start.

    The worker then holds the locks too: they are released only after it has ended, even if this process is killed.
    """

    def __reduce__(self):
        return _keep, ([multiprocessing.reduction.DupFd(file.fileno()) for file in _held],)


def _keep(descriptors):
    """Unpickles a `Locks` in a worker process; returns the list of the file descriptors (int) of the locks.

    Args: descriptors: list of multiprocessing.reduction.DupFd of the locks.
    """
    return [descriptor.detach() for descriptor in descriptors]
