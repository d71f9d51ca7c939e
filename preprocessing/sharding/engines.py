"""Runs the tasks of a stage on a cluster instead of local processes (`--runner`).

    --runner dask:tcp://HOST:8786                                      a Dask cluster (dask_engine.py)
    --runner spark:MASTER                                              a Spark cluster (spark_engine.py)
    --runner "FlinkRunner --flink_master=HOST:8081"                    Apache Beam (beam.py)

An engine only distributes the tasks. Every task writes one complete file, so the bytes are those of local processes,
and finished files are kept when an engine fails. The workers need this program and its packages, and a file system that
they share with the machine that runs the command: input, photographs and `--data_dir` under the same paths.

An engine is a module with two functions: `check(place)` raises cli.UserError when the engine cannot be used, and
`run(function, tasks, place, description)` runs all tasks and raises their first failure.
"""

import importlib
import io
import os
import pathlib
import pickle
import secrets
import sys
import traceback

import cli

ROOT = str(pathlib.Path(__file__).resolve().parents[2])  # the folder of this program
# What is before the colon of --runner -> module of the engine.
ENGINES = {"dask": "dask_engine", "spark": "spark_engine"}


def engine_of(runner):
    """Returns (module of the engine, the argument `place` of its functions) for the value of `--runner`."""
    scheme, colon, place = runner.partition(":")
    if not colon or scheme not in ENGINES:
        return importlib.import_module("preprocessing.sharding.beam"), runner
    is_master = runner.startswith("spark://")  # as Spark itself writes it, for spark:spark://
    return importlib.import_module(f"preprocessing.sharding.{ENGINES[scheme]}"), runner if is_master else place


def require(package, title, requirements, runner):
    """Raises cli.UserError, with the command that installs it, if the package of an engine cannot be imported.

    Args: package: name of the module. title: name of the engine's package in the message. requirements: file that lists
      it. runner: value of --runner, or its first word.
    """
    try:
        importlib.import_module(package)
    except ImportError as error:
        raise cli.UserError(
            f"--runner {runner} needs {title} ({error}). Install it with: pip install -r {requirements}, or leave "
            "--runner out"
        ) from error


def check(runner):
    """Checks the value of `--runner`. Raises: cli.UserError if it names no engine, or one that is not installed."""
    engine, place = engine_of(runner)
    engine.check(place)


def map_tasks(function, tasks, runner, description):
    """Runs `function(task)` for every task on an engine; returns the list of results in the order of the tasks.

    Args:
      function: a module-level function of one task; it writes one complete file, unless the file exists.
      tasks: list of picklable tasks with the attribute `path`, the file to write. For one whose file
        exists already no worker is used; its result is that of the earlier run.
      runner: value of --runner.
      description: text for messages about progress.

    Raises: cli.UserError when the engine fails, or a worker's file is not visible to this process; the first failure of
      a task.
    """
    missing = [task for task in tasks if not os.path.exists(task.path)]
    if missing:
        engine, place = engine_of(runner)
        engine.run(function, missing, place, description)
        lost = [task for task in missing if not os.path.exists(task.path)]
        for task in lost[:1]:
            function(task)  # raises the UserError of a worker that could not report it
            raise cli.UserError(
                f"--runner {runner}: all tasks ended, but {len(lost)} of {len(missing)} files are not here, the "
                f"first is {task.path}. Its workers must share this file system"
            )
    return [function(task) for task in tasks]  # all files exist, so this only reads the results


def again():
    """Returns the end of a message about an engine that failed: how to continue."""
    return f"Finished shards are kept; when it is repaired, the same command continues: {cli.command_line()}"


# --------------------------------------------------------------------------------------------------------------
# Passing tasks to workers, and their failures back


class _Unpickler(pickle.Unpickler):
    """Unpickler for a worker: looks up names of `__main__` in the command's module, which is not `__main__` there.

    Args: file: open pickle file. main: name of the command's module.
    """

    def __init__(self, file, main):
        super().__init__(file)
        self._main = main

    def find_class(self, module, name):
        return super().find_class(self._main if module == "__main__" else module, name)


def payload(function, task):
    """Returns (name of the command's module, bytes of the pickled function and task), the argument of `unpickled`."""
    spec = sys.modules["__main__"].__spec__
    return spec.name if spec is not None else "__main__", pickle.dumps((function, task))


def unpickled(item):
    """Returns (function, task) on a worker. Args: item: result of `payload`."""
    main, content = item
    return _Unpickler(io.BytesIO(content), main).load()


def attempt(item):
    """Runs one task on a worker, which writes its file; returns its failure, an argument of `fail`, or None.

    Args: item: result of `payload`.
    """
    try:
        function, task = unpickled(item)
        function(task)
    except Exception as error:
        return _packed(error)
    return None


def _packed(error):
    """Returns an exception as bytes for `fail`; one that cannot be pickled becomes a RuntimeError with its text."""
    text = "".join(traceback.format_exception(error))
    error.add_note(f"On a worker:\n{text}")
    try:
        content = pickle.dumps(error)
        pickle.loads(content)
    except Exception:  # any error of the exception's own class
        content = pickle.dumps(RuntimeError(text))
    return content


def fail(failure, runner):
    """Raises the failure of a task. Args: failure: text, or bytes from `attempt`. runner: value of --runner."""
    if isinstance(failure, bytes):
        raise pickle.loads(failure)
    raise cli.UserError(f"--runner {runner}: {failure}")


def remote():
    """Returns a function like `attempt` for processes that do not know this program yet; it is pickled by value.

    It makes the program importable, enters this process' working folder, because paths may be relative, and lets
    TensorFlow compute with one thread (see shards.compute_with_one_thread). All calls of one `remote` share the modules
    of this program; for the next `remote` a worker imports them again: files that a function has cached, such as the
    encoder, may have changed.
    """
    root, folder, run = ROOT, os.getcwd(), secrets.token_hex(8)

    def call(item):
        import importlib
        import os
        import socket
        import sys

        try:
            os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
            if os.path.isdir(root):  # first: the worker may have run tasks of another folder of this program
                sys.path[:] = [root, *(path for path in sys.path if path != root)]
            if getattr(sys, "shards_run", run) != run:
                start = os.path.dirname(os.path.dirname(sys.modules["preprocessing"].__file__)) + os.sep
                files = {name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}
                for name, file in files.items():
                    if file.startswith(start) and "site-packages" not in file:
                        del sys.modules[name]
                importlib.invalidate_caches()
            from preprocessing.sharding import engines

            sys.shards_run = run
            os.chdir(folder)
        except (ImportError, OSError) as error:
            return (
                f"the worker {os.getpid()} on {socket.gethostname()} ({sys.executable}) cannot run this program: "
                f"{error}. Expected the same packages, and {root} and {folder} under the same paths; or start the "
                "worker with PYTHONPATH=FOLDER_OF_THIS_PROGRAM"
            )
        return engines.attempt(item)

    return call
