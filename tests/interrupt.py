"""Runs a trainer that receives a signal at a chosen point, for the tests of interruptions.

    python -m tests.interrupt MODULE SIGNAL POINT --flag=value ...

POINT is `batch:N` (while the batch of step N is prepared, some steps before it is trained on), `save:N` (when the N-th
file or folder of a checkpoint is renamed), or `change:N` (before the N-th time that any file or folder is renamed or
removed).
"""

import itertools
import os
import runpy
import signal
import sys


def at_batch(step, strike):
    """Calls `strike` while the batch of a step is prepared."""
    import input_pipeline

    for kind in (input_pipeline.UnpairedBatches, input_pipeline.SentenceBatches, input_pipeline.PairedBatches):

        def batch(self, number, *arguments, make=kind.batch):
            if number == step:
                strike()
            return make(self, number, *arguments)

        kind.batch = batch


def at_save(count, strike):
    """Calls `strike` at the n-th renaming of a checkpoint's file or folder."""
    from training import checkpoints

    class Counting:
        """The module `os` with functions that count renamings."""

        left = count

        def __getattr__(self, name):
            found = getattr(os, name)
            if name not in ("replace", "rename"):
                return found

            def counted(*arguments):
                self.left -= 1
                if self.left == 0:
                    strike()
                return found(*arguments)

            return counted

    checkpoints.os = Counting()


def at_changes(call):
    """Makes this process call a function before every renaming or removal of a file or folder."""

    def announced(change):
        def announcing(*arguments, **named):
            call()
            return change(*arguments, **named)

        return announcing

    for name in ("replace", "rename", "remove", "unlink", "rmdir"):
        setattr(os, name, announced(getattr(os, name)))


def at_change(count, strike):
    """Calls `strike` before the n-th renaming or removal."""
    counter = itertools.count(1)
    at_changes(lambda: strike() if next(counter) == count else None)


def main():
    module, name, point = sys.argv[1:4]
    kind, _, number = point.partition(":")
    at = {"batch": at_batch, "save": at_save, "change": at_change}[kind]
    at(int(number), lambda: os.kill(os.getpid(), getattr(signal, f"SIG{name}")))
    sys.argv = [module, *sys.argv[4:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
