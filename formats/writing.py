"""Writing where others may write at the same time: whole files, one process for each output, merged JSON files.

A lock is `flock` on a hidden file beside what it protects. The system releases it when the process that holds it, and
the workers that this process has started, have ended or were killed; a lock file that is left over locks nothing.
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

PART = ".part"  # the ending of files that are being written
_OWN_PART = re.compile(r".+\.[0-9a-f]{8}\.part")  # names that `replacing` gives
GRACE = 3.0  # seconds before a process is refused: the workers of one that was killed end a moment after it
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP)  # what file systems without locks answer
NOT_WRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM)
_held = []  # the open lock files of this process


def _open_locked(path, operation, flags=os.O_RDWR | os.O_CREAT):
    """The opened and locked file at `path`; None where another process holds it. Args: operation: of `fcntl.flock`."""
    while True:
        try:
            file = open(os.open(path, flags, 0o666), "r+")
        except PermissionError:
            if operation != fcntl.LOCK_SH or not os.path.exists(path):
                raise
            file = open(path)  # of another user, who reads or writes there too: to read the right to read suffices
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
        file.close()  # its holder removed it between our opening and locking
        if not flags & os.O_CREAT:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)


# --------------------------------------------------------------------------------------------------------------
# Whole files


@contextlib.contextmanager
def replacing(path):
    """Gives a new name beside `path`; the file that is written there takes the place of `path` at the end of the block.

    No other process gets the same name. When the block fails the file is removed, and the error names `path`; what a
    killed process leaves is removed by the next one that locks something in the folder. A name that this function gave
    is given back as it is, so that functions which write whole files can be nested; so is that of a device or pipe.
    """
    path = os.fspath(path)
    if path.endswith(PART) or cli.is_device(path):
        yield path
        return
    part = f"{path}.{secrets.token_hex(4)}{PART}"
    try:
        with _open_locked(part, fcntl.LOCK_SH):  # locked: it is being written
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
    """Copies a file, whole or not at all."""
    with replacing(target) as part:
        shutil.copyfile(source, part)


def remove_abandoned(folder):
    """Removes the files that processes which were killed were writing."""
    for entry in os.scandir(folder) if os.path.isdir(folder) else ():
        if _OWN_PART.fullmatch(entry.name):
            with contextlib.suppress(OSError):
                if file := _open_locked(entry.path, fcntl.LOCK_EX, os.O_RDWR):
                    os.remove(entry.path)
                    file.close()


class ArrayFile:
    """An .npy file that is written block by block.

    A memory map would be ended by a bus error where the disk is full; writing raises OSError.
    """

    def __init__(self, file, dtype, shape):
        """Writes the header. Args: file: opened for writing bytes. dtype, shape: of the whole array."""
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
    """Gives an `ArrayFile` of which `path` is made when the block ends, whole or not at all."""
    with replacing(path) as part, open(part, "wb") as file:
        array = ArrayFile(file, dtype, shape)
        yield array
        array.close()


# --------------------------------------------------------------------------------------------------------------
# One process for each output


@contextlib.contextmanager
def working(folder, writes, reads=()):
    """Keeps other processes from the outputs that the block makes, and from replacing those that it reads.

    Args:
      folder: the data folder; where it is not there, the block will say so.
      writes: names of outputs, such as "detections"; no other process may make or read them meanwhile.
      reads: names of outputs that the block reads; others may read them as well.

    Raises: cli.UserError at once, naming the process that is in the way.
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
    """Keeps other processes from a file while the block reads it, changes its content and writes it; waits for them.

    Args:
      path: the file; its folder is made if it is not there.
      seconds: how long it waits.

    Raises: cli.UserError after that time, naming the process that is in the way.
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

    Where nothing can be written no lock is needed: that the output cannot be written is said when it is tried.
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
        with contextlib.suppress(OSError):  # only for the message to others; on a full disk they do without
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()} ({cli.command_line()})\n")
            file.flush()
        yield
    finally:
        _held.remove(file)
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails where others share it; they remove it
            os.remove(path)
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_UN)  # also for workers that have it from us
            file.close()


def _holder(path):
    try:
        with open(path) as file:
            return file.read().strip() or "another process"
    except OSError:
        return "another process"


class Locks:
    """The locks of this process, to be handed to a worker process that is being started.

    The worker holds them too: they are free only when it has ended, even if this process is killed before it.
    """

    def __reduce__(self):
        return _keep, ([multiprocessing.reduction.DupFd(file.fileno()) for file in _held],)


def _keep(descriptors):
    """Leaves the locks open in this process."""
    return [descriptor.detach() for descriptor in descriptors]
