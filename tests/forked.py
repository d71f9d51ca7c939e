"""Runs commands in processes forked from one that has imported TensorFlow but has not used it.

So a command starts within milliseconds, and a test can run many of them. The forking process must not have computed
anything with TensorFlow.
"""

import dataclasses
import os
import runpy
import signal
import sys
import time
import traceback


@dataclasses.dataclass
class Process:
    """A running or finished process; `code` is -N after signal N."""

    pid: int
    log: str
    code: int | None = None

    def poll(self):
        """Returns the exit code, None while the process runs."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code

    def wait(self, seconds=300.0):
        """Waits for the process and returns its exit code; kills it after `seconds`."""
        deadline = time.monotonic() + seconds
        while self.poll() is None:
            if time.monotonic() > deadline:
                self.kill()
            time.sleep(0.005)
        return self.code

    def kill(self):
        """Kills the process with all its children, as a power failure would."""
        if self.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)

    @property
    def output(self):
        """Returns the output of the process so far."""
        with open(self.log) as file:
            return file.read()


def call(function, log):
    """Starts a process that calls a function; its output is appended to the file `log`. Returns: Process."""
    import tensorflow  # noqa: F401  (imported once, in the forking process)

    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        _own_group(pid)
        return Process(pid, log)
    code = 1
    try:
        _own_group(0)
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        try:
            function()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _own_group(pid):
    """Makes a process the leader of a group; called by parent and child, because either may run first."""
    try:
        os.setpgid(pid, pid)
    except OSError:
        pass


def start(module, flags, log, prepare=None):
    """Starts `python -m module flags`. Args: prepare: called first in the new process. Returns: Process."""

    def run():
        if prepare:
            prepare()
        sys.argv = [module, *flags]
        runpy.run_module(module, run_name="__main__", alter_sys=True)

    return call(run, log)
