"""--runner dask:ADDRESS: the same bytes from a cluster of two worker processes as from local processes; failures."""

import pathlib
import signal
import subprocess
import sys
import time

import pytest

import cli
from preprocessing import extract_descriptions
from preprocessing.sharding import dask_engine, engines
from tests.preprocessing.sharding import dask_cluster, processes, shard_runs


@pytest.fixture
def needs_dask():
    pytest.importorskip("distributed", reason="Dask is not installed (requirements-dask.txt)")


def started(folder, **how):
    pytest.importorskip("distributed", reason="Dask is not installed (requirements-dask.txt)")
    return dask_cluster.DaskCluster(folder, **how)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    cluster = started(tmp_path_factory.mktemp("cluster"))
    yield cluster
    cluster.close()


def test_results_in_order_and_what_is_there_is_left_alone(cluster, tmp_path, monkeypatch, capsys):
    runner = f"dask:{cluster.address}"
    assert shard_runs.squares(tmp_path, range(6), runner, 0.1) == shard_runs.expected(range(6))
    assert shard_runs.processes_of(tmp_path, range(6)) == {worker.pid for worker in cluster.workers}
    stamps = [(tmp_path / str(number)).stat().st_mtime_ns for number in range(6)]
    monkeypatch.chdir(tmp_path)  # paths that are relative to the command's folder
    assert shard_runs.squares(pathlib.Path("."), range(8), runner) == shard_runs.expected(range(8))
    assert [(tmp_path / str(number)).stat().st_mtime_ns for number in range(6)] == stamps
    assert f"squares: 2 tasks handed to Dask at {cluster.address}, 2 workers" in capsys.readouterr().out


def test_failures_of_a_task_are_those_of_the_command(cluster, tmp_path):
    shard_runs.check_failures(tmp_path, f"dask:{cluster.address}")


def test_same_bytes(cluster, tmp_path, monkeypatch):
    shard_runs.write_corpus(tmp_path / "corpus.txt")
    monkeypatch.chdir(tmp_path)
    expected = shard_runs.extract("corpus.txt", pathlib.Path("here"))
    assert expected["sentences.txt"].count(b"\n") == 300
    assert shard_runs.extract("corpus.txt", pathlib.Path("there"), runner=f"dask:{cluster.address}") == expected


def test_a_worker_reads_files_again_for_each_command(cluster, tmp_path):
    """Workers outlive commands: what a module has cached, such as an encoder, must not."""
    for version in ("first", "second"):
        (tmp_path / "encoder").write_text(version)
        found = shard_runs.copies(tmp_path / "encoder", tmp_path / version, 6, f"dask:{cluster.address}")
        assert found == [{"copied": version}] * 6


def test_a_killed_worker_then_a_killed_scheduler(tmp_path):
    cluster = started(tmp_path / "cluster")
    runner, (first, second) = f"dask:{cluster.address}", cluster.workers
    try:
        killer = processes.kill_when(tmp_path / "102", lambda: first.pid)
        assert shard_runs.squares(tmp_path, range(100, 112), runner, 0.2) == shard_runs.expected(range(100, 112))
        killer.join()
        assert first.wait(5) == -signal.SIGKILL
        assert shard_runs.processes_of(tmp_path, range(106, 112)) == {second.pid}

        killer = processes.kill_when(tmp_path / "121", lambda: cluster.scheduler.pid)
        began = time.monotonic()
        lost = "the connection to the scheduler was lost. Finished shards are kept; .*the same command continues"
        with pytest.raises(cli.UserError, match=lost):
            shard_runs.squares(tmp_path, range(120, 150), runner, 0.2)
        assert time.monotonic() - began < 15
        killer.join()
    finally:
        cluster.close()
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.glob("1??")}
    assert 12 + 2 <= len(stamps) < 12 + 30
    assert shard_runs.squares(tmp_path, range(120, 150), None) == shard_runs.expected(range(120, 150))
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps


def test_a_task_that_ends_its_worker_then_no_worker(tmp_path, monkeypatch):
    monkeypatch.setattr(dask_engine, "NO_WORKER", 1.0)
    cluster = started(tmp_path / "cluster", workers=1, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0")
    try:
        with pytest.raises(cli.UserError, match="1 workers ended while they ran the same task .*the same command"):
            shard_runs.squares(tmp_path, [16], f"dask:{cluster.address}")
        with pytest.raises(
            cli.UserError, match="no worker for 1 s; start some with: dask worker tcp:.*the same command"
        ):
            shard_runs.squares(tmp_path, range(2), f"dask:{cluster.address}")
    finally:
        cluster.close()


def test_nobody_listens(needs_dask, tmp_path, monkeypatch):
    monkeypatch.setattr(dask_engine, "CONNECT", 1.0)
    address, began = f"127.0.0.1:{processes.free_port()}", time.monotonic()
    with pytest.raises(cli.UserError, match=f"--runner dask:{address}: no Dask scheduler answers there"):
        shard_runs.squares(tmp_path, range(2), f"dask:{address}")
    assert time.monotonic() - began < 10
    with pytest.raises(cli.UserError, match="no Dask scheduler answers there .*nothing"):
        shard_runs.squares(tmp_path, range(2), "dask:nothing://x")


def test_a_worker_without_the_program(needs_dask, tmp_path, monkeypatch):
    monkeypatch.setattr(engines, "ROOT", str(tmp_path / "elsewhere"))
    from distributed.protocol import pickle

    call = pickle.dumps(engines.remote())
    command = [sys.executable, "-c", "import pickle, sys; print(pickle.load(sys.stdin.buffer)(None))"]
    (tmp_path / "empty").mkdir()
    done = subprocess.run(command, cwd=tmp_path / "empty", input=call, capture_output=True, timeout=60, check=True)
    with pytest.raises(
        cli.UserError, match="cannot run this program: No module named 'preprocessing'.*elsewhere.*PYTHONPATH"
    ):
        engines.fail(done.stdout.decode(), "dask:x")


def test_a_worker_runs_the_program_of_each_command(needs_dask, tmp_path, monkeypatch):
    """Two folders of the program, of which a worker runs tasks alternately."""
    from distributed.protocol import pickle

    calls = []
    for name in ("first", "second", "first"):
        folder = tmp_path / name / "preprocessing" / "sharding"
        folder.mkdir(parents=True, exist_ok=True)
        for path in (folder.parent / "__init__.py", folder / "__init__.py"):
            path.touch()
        (folder / "engines.py").write_text(f"def attempt(item):\n    return {name!r}\n")
        monkeypatch.setattr(engines, "ROOT", str(tmp_path / name))
        calls.append(pickle.dumps(engines.remote()))
    code = "import pickle, sys; print(*[pickle.loads(call)(None) for call in pickle.load(sys.stdin.buffer)])"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, input=pickle.dumps(calls), capture_output=True, timeout=60, check=True)
    assert done.stdout.split() == [b"first", b"second", b"first"]


def test_dask_is_not_installed_or_has_no_address(monkeypatch):
    with pytest.raises(cli.UserError, match="expected the address of the scheduler"):
        engines.check("dask:")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(cli.UserError, match="pip install -r requirements-dask.txt"):
        extract_descriptions.main(extract_descriptions.Options(input="none", runner="dask:127.0.0.1:8786"))


@pytest.mark.slow
def test_same_bytes_from_commands(tmp_path):
    """All stages of text, from a cluster whose workers have several threads."""
    corpus = shard_runs.write_corpus(tmp_path / "corpus.txt")
    expected = shard_runs.make(corpus, tmp_path / "here")
    assert len(expected) == 5
    cluster = started(tmp_path / "cluster", threads=2)
    try:
        printed = shard_runs.run_commands(corpus, tmp_path / "dask", f"dask:{cluster.address}")
    finally:
        cluster.close()
    assert "handed to Dask" in printed and "NOTE: a worker runs one task at a time" in printed
    assert shard_runs.contents(tmp_path / "dask") == expected


@pytest.mark.slow
def test_same_bytes_of_photographs(cluster, tmp_path):
    """The same two workers run all stages, one after the other."""
    from tests.preprocessing.sharding import photograph_runs

    inputs = photograph_runs.write_inputs(tmp_path, 160)
    expected = photograph_runs.make(inputs, tmp_path / "here")
    assert len(expected) == 1 + 2 * (4 + 1) + 2
    assert photograph_runs.make(inputs, tmp_path / "dask", runner=f"dask:{cluster.address}") == expected
