"""Runs the tasks of a stage as an Apache Beam pipeline instead of local processes (`--runner`).

    --runner local                                                     Beam on this machine, one worker
    --runner "local --direct_running_mode=multi_processing --direct_num_workers=2"
    --runner "FlinkRunner --flink_master=HOST:8081 --parallelism=64 --environment_type=LOOPBACK"
    --runner "SparkRunner --spark_master_url=spark://HOST:7077"
    --runner "DataflowRunner --project=P --region=R --temp_location=gs://B/tmp --sdk_container_image=IMAGE"

All words after the first are Beam's own pipeline options. The pipeline only distributes the shards to machines. Every
task writes one complete file to `--data_dir`, so the bytes are those of local processes, and finished files are kept
when a pipeline fails. The workers need this program (the same folder, or a container with it) and share a file system
with the machine that runs the command: input, photographs and `--data_dir` under the same paths.
"""

import io
import os
import pickle
import shlex
import sys
import threading
import traceback

import cli

# Not DirectRunner, which first tries to download a program (Prism) and to run it.
LOCAL = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
EVERY = 30.0  # seconds between two lines of progress


def parse(runner):
    """Parses the value of `--runner`; returns (class name of Beam's runner, list of Beam's pipeline options).

    Raises: cli.UserError when Beam is not installed or the text does not begin with the name of a runner.
    """
    try:
        name, *flags = shlex.split(runner) or [""]
    except ValueError:  # an unclosed quotation mark
        name, flags = "", []
    if not name or name.startswith("-") or not all(flag.startswith("-") for flag in flags):
        raise cli.UserError(
            f'--runner {runner!r}: expected a runner and its options: local, or "FlinkRunner --flink_master=HOST:8081"'
        )
    try:
        import apache_beam  # noqa: F401
    except ImportError as error:
        raise cli.UserError(
            f"--runner {name} needs Apache Beam ({error}). Install it with: pip install -r requirements-beam.txt, or "
            "leave --runner out"
        ) from error
    return LOCAL if name.lower() == "local" else name, flags


# --------------------------------------------------------------------------------------------------------------
# Passing tasks to workers


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
    """Returns (name of the command's module, bytes of the pickled function and task), the argument of `work`."""
    spec = sys.modules["__main__"].__spec__
    return spec.name if spec is not None else "__main__", pickle.dumps((function, task))


def work(item):
    """Runs one task on a worker, which writes its file; returns nothing. Args: item: result of `payload`.

    A UserError is ignored, because the command runs the task again and raises it there.
    """
    main, content = item
    function, task = _Unpickler(io.BytesIO(content), main).load()
    try:
        function(task)
    except cli.UserError:
        pass


# --------------------------------------------------------------------------------------------------------------
# The pipeline


def map_tasks(function, tasks, runner, description):
    """Runs `function(task)` for every task in a Beam pipeline; returns the list of results in the order of the tasks.

    Args:
      function: a module-level function of one task; it writes one complete file, unless the file exists.
      tasks: list of picklable tasks with the attribute `path`, the file to write. For one whose file
        exists already no worker is used; its result is that of the earlier run.
      runner: value of --runner.
      description: text for messages about progress.

    Raises: cli.UserError when the pipeline or a task fails, or a worker's file is not visible to this process.
    """
    missing = [task for task in tasks if not os.path.exists(task.path)]
    if missing:
        _run(function, missing, runner, description)
        lost = [task for task in missing if not os.path.exists(task.path)]
        for task in lost[:1]:
            function(task)  # raises the worker's UserError again
            raise cli.UserError(
                f"--runner {runner}: the pipeline ended, but {len(lost)} of {len(missing)} files are not here, the "
                f"first is {task.path}. Its workers must share this file system"
            )
    return [function(task) for task in tasks]  # all files exist, so this only reads the results


def _run(function, tasks, runner, description):
    """Runs the pipeline for `tasks`, a list, and waits for its end. Raises: cli.UserError if it fails."""
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    name, flags = parse(runner)
    print(f"{description}: {len(tasks)} tasks handed to {name.rpartition('.')[2]}")
    done = threading.Event()
    threading.Thread(target=_report, args=(tasks, description, done), daemon=True).start()
    try:
        with beam.Pipeline(runner=name, options=PipelineOptions(flags)) as pipeline:
            items = pipeline | beam.Create([payload(function, task) for task in tasks])
            _ = items | beam.Reshuffle() | beam.Map(work)  # else one worker would get all of them
    except Exception as error:  # each runner raises its own types
        traceback.print_exc()
        raise cli.UserError(
            f"--runner {runner}: the pipeline failed ({(str(error).splitlines() or [type(error).__name__])[0][:300]}). "
            "Finished files are kept: repair it, or continue without --runner"
        ) from error
    finally:
        done.set()


def _report(tasks, description, done):
    """Prints the number of finished tasks every EVERY seconds until the threading.Event `done` is set."""
    while not done.wait(EVERY):
        finished = sum(os.path.exists(task.path) for task in tasks)
        print(f"{description}: {finished} of {len(tasks)}", file=sys.stderr)
