"""Runs the cases of one kind in a forked process, so that a crash or hang counts as the fault of one case."""

import dataclasses
import faulthandler
import os
import pickle
import resource
import select
import shutil
import signal
import sys
import time
import traceback
import zlib

import cli
from tests.hostile import damage
from tests.hostile.kinds import KINDS, digest

MEMORY = 2 << 30  # bytes in addition to the memory after reading the good file
SECONDS = 30  # time limit of one case
STRIDE = 37  # between the ways of damage of two cases: a prime, so that all ways are used
STARTING = 120  # seconds for reading the good file, with the start of TensorFlow
OUTCOMES = ("clear errors", "unchanged", "other result", "faults")
CLEAR, UNCHANGED, OTHER, FAULT = OUTCOMES


@dataclasses.dataclass(frozen=True)
class Case:
    """One case: the file, the way of damage, and the seed of its random draws."""

    number: int
    path: str
    method: object
    seed: int

    def __str__(self):
        return f"case {self.number}: {self.method.__name__} of {self.path} (seed {self.seed})"


def cases_of(name, count, seed):
    """Returns `count` cases of a kind; all ways of damage occur equally often."""
    kind, made = KINDS[name], []
    methods = [*damage.ANY, *kind.special]
    for number in range(count):
        own = zlib.crc32(f"{seed} {name} {number}".encode())
        path, method = kind.paths[own % len(kind.paths)], methods[(number * STRIDE + seed) % len(methods)]
        made.append(Case(number, path, method, own))
    return made


# --------------------------------------------------------------------------------------------------------------
# In the process of the kind


def outcome_of(kind, case, folder, wanted):
    """Runs one case; returns (outcome, text). Args: wanted: digest of the good file's result."""
    path = os.path.join(folder, case.path)
    with open(path, "rb") as file:
        data = file.read()
    os.remove(path)
    try:
        damage.apply(case.method, path, data, case.seed)
        with _quiet():
            found = digest(kind.read(folder))
    except cli.UserError as error:
        return (CLEAR, str(error)) if _names(case.path, str(error)) else (FAULT, f"does not name the file: {error}")
    except BaseException:
        return FAULT, traceback.format_exc()
    finally:
        _remove(path)
        damage.write(path, data)
    if found == wanted:
        return UNCHANGED, ""
    if kind.checked and case.method not in damage.FORGED:
        return FAULT, "another result, although the file is under a checksum"
    return OTHER, ""


def _names(path, text):
    """Returns whether a message names the file, or the prefix if it is a file of a checkpoint."""
    name = os.path.basename(path)
    return name in text or "ckpt-" in name and os.path.splitext(name)[0] in text


def _remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)


class _quiet:
    """Discards the output of the readers."""

    def __enter__(self):
        self._kept = sys.stdout, sys.stderr
        sys.stdout = sys.stderr = open(os.devnull, "w")

    def __exit__(self, *_):
        sys.stdout.close()
        sys.stdout, sys.stderr = self._kept


def _work(name, cases, folder, pipe):
    """Sends (index or None, outcome, text) before and after each case; the first is for the good file."""
    kind = KINDS[name]
    send = lambda *message: os.write(pipe, pickle.dumps(message).ljust(LENGTH, b"\0"))  # noqa: E731
    with _quiet():
        wanted = digest(kind.read(folder))
        again = digest(kind.read(folder))
    send(None, UNCHANGED if again == wanted else FAULT, "two readings of the good file differ")
    with open("/proc/self/statm") as file:
        limit = int(file.read().split()[0]) * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for case in cases:
        outcome, text = outcome_of(kind, case, folder, wanted)
        send(case.number, outcome, text[-TEXT:])


LENGTH, TEXT = 1 << 14, 3000  # bytes of a message, characters of its text


def _start(name, cases, folder):
    """Starts a process that runs cases; returns (process id, pipe to read from)."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    status = 1
    try:
        os.close(reading)
        log = os.open(os.path.join(folder, "messages.txt"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)  # TensorFlow writes to this descriptor
        faulthandler.enable(log)
        _work(name, cases, folder, writing)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def run_kind(name, cases, folder):
    """Yields (Case, outcome, text) for the cases of a kind, first (None, outcome, text) for the good file.

    Args: folder: a copy of the good files for this kind alone.
    """
    left, begun = list(cases), False
    while left or not begun:
        child, pipe = _start(name, left, folder)
        try:
            message = _receive(pipe, STARTING)
            if message is None or message[1] == FAULT:
                yield None, FAULT, message[2] if message else f"the good file cannot be read: {_tail(folder)}"
                return
            begun = True
            while left:
                message = _receive(pipe, SECONDS)
                case = left.pop(0)
                if message is None:
                    yield case, FAULT, f"the process ended, or was silent for {SECONDS} s: {_tail(folder)}"
                    break
                yield case, message[1], message[2]
        finally:
            os.close(pipe)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        if left:
            _restore(name, left, folder)


def _restore(name, left, folder):
    """Restores the good files of a kind after a case that did not finish."""
    good = os.path.join(os.path.dirname(folder), "good")
    for path in KINDS[name].paths:
        _remove(os.path.join(folder, path))
        shutil.copyfile(os.path.join(good, path), os.path.join(folder, path))


def _receive(pipe, seconds):
    """Returns the next message; None when the process has ended or takes too long."""
    data, end = b"", time.monotonic() + seconds
    while len(data) < LENGTH:
        if not select.select([pipe], [], [], max(0.0, end - time.monotonic()))[0]:
            return None
        part = os.read(pipe, LENGTH - len(data))
        if not part:
            return None
        data += part
    return pickle.loads(data)


def _tail(folder, characters=1500):
    """Returns the end of the output of the process."""
    with open(os.path.join(folder, "messages.txt"), errors="replace") as file:
        return file.read()[-characters:]
