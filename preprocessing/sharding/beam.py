"""Runs the tasks of a stage as an Apache Beam pipeline instead of local processes (`--runner`).

    --runner local                                                     Beam on this machine, one worker
    --runner "local --direct_running_mode=multi_processing --direct_num_workers=2"
    --runner "FlinkRunner --flink_master=HOST:8081 --parallelism=64 --environment_type=LOOPBACK"
    --runner "SparkRunner --spark_master_url=spark://HOST:7077"
    --runner "DataflowRunner --project=P --region=R --temp_location=gs://B/tmp --sdk_container_image=IMAGE"

All words after the first are Beam's own pipeline options. The pipeline only distributes the tasks to machines
(engines.py).
"""

import os
import shlex
import sys
import threading
import traceback

import cli
from preprocessing.sharding import engines

# Not DirectRunner, which first tries to download a program (Prism) and to run it.
LOCAL = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
EVERY = 30.0  # seconds between two lines of progress


def check(runner):
    """Checks the value of `--runner`. Raises: cli.UserError as `parse` does."""
    parse(runner)


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
    engines.require("apache_beam", "Apache Beam", "requirements-beam.txt", name)
    return LOCAL if name.lower() == "local" else name, flags


def work(item):
    """Runs one task on a worker, which writes its file; returns nothing. Args: item: result of `engines.payload`.

    A UserError is ignored, because the command runs the task again and raises it there.
    """
    function, task = engines.unpickled(item)
    try:
        function(task)
    except cli.UserError:
        pass


def run(function, tasks, runner, description):
    """Runs `function(task)` for every task in a Beam pipeline. Raises: cli.UserError if the pipeline fails.

    Args: function, tasks, description: as for `engines.map_tasks`. runner: value of --runner.
    """
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    name, flags = parse(runner)
    print(f"{description}: {len(tasks)} tasks handed to {name.rpartition('.')[2]}")
    done = threading.Event()
    threading.Thread(target=_report, args=(tasks, description, done), daemon=True).start()
    try:
        with beam.Pipeline(runner=name, options=PipelineOptions(flags)) as pipeline:
            items = pipeline | beam.Create([engines.payload(function, task) for task in tasks])
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
