"""Hides TensorFlow's start-up messages; `install` is called when cli.py is imported.

TensorFlow and CUDA write some lines to standard error regardless of their log level: the CPU instructions in use, that
no GPU was found. A user cannot act on them. They are removed while TensorFlow is imported and looks for devices, and
while a TensorFlow Lite network is loaded; all other lines are passed on. `--verbose` of every command shows them.
"""

import contextlib
import importlib.abc
import importlib.machinery
import os
import re
import sys
import threading

LOCK = threading.RLock()  # file descriptor 2 belongs to the whole process
VERBOSE_LEVEL = "0"  # of TF_CPP_MIN_LOG_LEVEL; worker processes inherit it
START_UP = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog\(\)"
    rb"|[IWE]\d{4} [\d:.]+ +\d+ (port|cudart_stub|cuda_platform|cuda_executor|cuda_diagnostics|cpu_feature_guard"
    rb"|cuda_fft|cuda_dnn|cuda_blas|computation_placer|gpu_device|util)\.cc:\d+\]"
    rb"|\d{4}-\d\d-\d\d [\d:.]+: [IWE] (tensorflow|external/local_xla|xla)/"
    rb"|To enable the following instructions:"
    rb"|Skipping registering GPU devices"
    rb"|INFO: Created TensorFlow Lite XNNPACK delegate"
)


@contextlib.contextmanager
def filtered_stderr():
    """Context manager: removes START_UP lines from what native code writes to standard error (file descriptor 2).

    A child process passes the other lines on, so that they are shown even if this process is aborted.
    """
    if os.name != "posix" or os.environ.get("TF_CPP_MIN_LOG_LEVEL") == VERBOSE_LEVEL:
        yield
        return
    with LOCK:
        yield from _filtered_stderr()


def _filtered_stderr():
    """Generator behind `filtered_stderr`: yields once, while file descriptor 2 is filtered."""
    sys.stderr.flush()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        with os.fdopen(reading, "rb") as lines:
            for line in lines:
                if not START_UP.match(line):
                    os.write(2, line)
        os._exit(0)
    os.close(reading)
    before = os.dup(2)
    os.dup2(writing, 2)
    os.close(writing)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(before, 2)
        os.close(before)
        os.waitpid(child, 0)


class _Finder(importlib.abc.MetaPathFinder):
    """Import hook that filters the messages of TensorFlow's import and of its search for devices."""

    def find_spec(self, name, path=None, target=None):
        if name != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None:
            return None
        execute = spec.loader.exec_module

        def quietly(module):
            with filtered_stderr():
                execute(module)
                module.config.list_physical_devices()

        spec.loader.exec_module = quietly
        return spec


def install():
    """Arranges that the messages of TensorFlow's import are filtered; does nothing if it was imported already."""
    if "tensorflow" not in sys.modules:
        sys.meta_path.insert(0, _Finder())
