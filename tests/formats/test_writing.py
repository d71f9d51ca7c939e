"""Files are written whole, outputs are made by one process at a time, merged files lose nothing."""

import errno
import fcntl
import json
import multiprocessing
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import cli
from formats import writing
from preprocessing.sharding import shards

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPAWN = multiprocessing.get_context("spawn")


# --------------------------------------------------------------------------------------------------------------
# Whole files


def test_two_writers_have_names_of_their_own(tmp_path):
    path = tmp_path / "a.json"
    with writing.replacing(path) as first, writing.replacing(path) as second:
        assert first != second and os.path.dirname(first) == str(tmp_path)
        for part in (first, second):
            with open(part, "w") as file:
                file.write(part)
    assert path.read_text() == first and os.listdir(tmp_path) == ["a.json"]  # the outer block ends last


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(OSError) as caught, writing.replacing(path) as part:
        with open(part, "w") as file:
            file.write("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.filename == str(path)
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a"]


def test_a_published_file_has_the_usual_rights(tmp_path):
    (tmp_path / "usual").touch()
    with writing.replacing(tmp_path / "a"):
        pass
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_only_abandoned_parts_are_removed(tmp_path):
    (tmp_path / "a.01234567.part").write_text("of a killed process")
    (tmp_path / "b.part").write_text("a download that will go on")
    with writing.replacing(tmp_path / "c") as part:
        writing.remove_abandoned(tmp_path)
        assert sorted(os.listdir(tmp_path)) == sorted(["b.part", os.path.basename(part)])


@pytest.mark.parametrize("shape", [(7, 3, 5), (7, 2, 4, 3), (1, 1)])
def test_an_array_file_is_what_numpy_writes(tmp_path, shape):
    array = np.random.default_rng(0).normal(size=shape).astype(np.float16)
    np.save(tmp_path / "expected.npy", array)
    with writing.array_file(tmp_path / "a.npy", np.float16, shape) as file:
        for start in range(0, len(array), 2):
            file.append(array[start : start + 2].astype(np.float32))
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "expected.npy").read_bytes()


def test_an_array_file_that_lacks_rows_is_not_published(tmp_path):
    with pytest.raises(AssertionError, match="3 numbers are missing"):
        with writing.array_file(tmp_path / "a.npy", np.float16, (2, 3)) as file:
            file.append(np.zeros((1, 3)))
    assert not os.listdir(tmp_path)


# --------------------------------------------------------------------------------------------------------------
# One process for each output


def hold(folder, writes, reads, ready, done):
    with writing.working(folder, writes, reads):
        ready.set()
        done.wait()


@pytest.fixture
def holder(tmp_path):
    """Starts a process that works on outputs; returns it and the event that lets it end."""
    started = []

    def start(writes, reads=()):
        ready, done = SPAWN.Event(), SPAWN.Event()
        process = SPAWN.Process(target=hold, args=(str(tmp_path), writes, reads, ready, done))
        process.start()
        started.append(process)
        assert ready.wait(60)
        return process, done

    yield start
    for process in started:
        process.kill()
        process.join()


def test_a_second_process_is_told_who_works(tmp_path, holder):
    process, done = holder(["detections"])
    for writes, reads in ((["detections"], []), (["image"], ["detections"])):
        with pytest.raises(cli.UserError) as caught, writing.working(tmp_path, writes, reads):
            pass
        for part in (f"process {process.pid} on ", "works on detections", str(tmp_path), "Wait", "--data_dir"):
            assert part in str(caught.value)
    with writing.working(tmp_path, ["sentences"]):  # another output
        pass
    done.set()
    process.join()
    with writing.working(tmp_path, ["detections"]):
        pass
    assert not os.listdir(tmp_path)


def test_readers_keep_out_writers_only(tmp_path, holder):
    holder(["features_train"], ["image"])
    with writing.working(tmp_path, ["features_val"], ["image"]):
        pass
    with pytest.raises(cli.UserError, match="works on image"), writing.working(tmp_path, ["image"]):
        pass


def test_a_killed_process_holds_nothing(tmp_path, holder):
    process, _ = holder(["detections"], ["image"])
    (tmp_path / "a.01234567.part").touch()
    process.kill()
    process.join()
    assert sorted(os.listdir(tmp_path)) == [".detections.lock", ".image.lock", "a.01234567.part"]
    with writing.working(tmp_path, ["detections", "image"]):
        pass
    assert not os.listdir(tmp_path)


def test_a_folder_that_is_absent_or_read_only_needs_no_lock(tmp_path, monkeypatch):
    with writing.working(tmp_path / "absent", ["a"]):
        assert not (tmp_path / "absent").exists()

    def refuse(*_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(writing.os, "open", refuse)
    with writing.working(tmp_path, ["a"]):
        pass


def slow(seconds):
    time.sleep(seconds)


WORKERS = """
import sys
from formats import writing
from preprocessing.sharding import shards
from tests.formats.test_writing import slow
if __name__ == "__main__":
    with writing.working(sys.argv[1], ["a"]):
        shards.map_shards(slow, [100.0, 100.0], processes=2, description="sleeping")
"""


def test_workers_hold_the_lock_of_a_killed_parent(tmp_path):
    """Nobody begins while a worker of a killed stage may still write."""
    script, folder = tmp_path / "stage.py", tmp_path / "data"
    script.write_text(WORKERS)
    folder.mkdir()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, script, folder], cwd=ROOT, env=environment, start_new_session=True)
    try:
        lock, workers = folder / ".a.lock", []
        deadline = time.monotonic() + 60
        while len(workers) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
            workers = [pid for pid in _children(process.pid) if _has_open(pid, lock)]
        assert len(workers) == 2
        for worker in workers:
            os.kill(worker, signal.SIGSTOP)  # they cannot notice that their parent is gone
        process.kill()
        process.wait()
        with open(lock) as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for worker in workers:
            os.kill(worker, signal.SIGCONT)
        with writing.working(folder, ["a"]):  # they end at once
            pass
    finally:
        os.killpg(process.pid, signal.SIGKILL) if _children(process.pid) or process.poll() is None else None


def _children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(child) for child in file.read().split()]
    except FileNotFoundError:
        return []


def _has_open(pid, path):
    folder = f"/proc/{pid}/fd"
    try:
        return any(os.path.realpath(os.path.join(folder, fd)) == str(path) for fd in os.listdir(folder))
    except FileNotFoundError:
        return False


# --------------------------------------------------------------------------------------------------------------
# Merged files


def merge(path, worker, rows):
    for i in range(rows):
        with writing.merging(path):
            content = json.loads(open(path).read()) if os.path.exists(path) else []
            with writing.replacing(path) as part, open(part, "w") as file:
                json.dump([*content, [worker, i]], file)


def test_no_row_is_lost(tmp_path):
    path = str(tmp_path / "runs" / "table.json")
    processes = [SPAWN.Process(target=merge, args=(path, worker, 40)) for worker in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    rows = json.loads(open(path).read())
    assert sorted(rows) == [[worker, i] for worker in range(4) for i in range(40)]
    assert os.listdir(tmp_path / "runs") == ["table.json"]


def test_waiting_has_an_end(tmp_path):
    with writing.merging(tmp_path / "table.json"):
        with pytest.raises(cli.UserError, match=f"process {os.getpid()} on .* has been writing .*table.json"):
            with writing.merging(tmp_path / "table.json", seconds=0.1):
                pass


# --------------------------------------------------------------------------------------------------------------
# What a user is told


@pytest.mark.parametrize("number", cli.FILE_FAULTS)
def test_faults_of_files_are_one_line(number):
    fault = cli.file_fault(OSError(number, os.strerror(number), "DATA/a.npy"))
    assert fault.startswith(f"DATA/a.npy: {os.strerror(number)}; ") and "\n" not in fault


def test_other_errors_are_no_faults_of_files():
    assert cli.file_fault(OSError(errno.EINVAL, "Invalid argument", "a")) is None
    assert cli.file_fault(ValueError("No space left on device")) is None


def test_faults_in_tensorflow_are_told_alike():
    import tensorflow as tf

    full = tf.errors.ResourceExhaustedError(None, None, "runs/a/part-8/ckpt-8; No space left on device\nstack")
    assert cli.file_fault(full).startswith("runs/a/part-8/ckpt-8; No space left on device; free disk space")
    assert cli.file_fault(tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")) is None


def test_a_fault_in_a_worker_names_its_file():
    with pytest.raises(OSError) as caught:
        shards.map_shards(fail, [1, 2], processes=2, description="failing")
    assert cli.file_fault(caught.value).startswith("DATA/a.npy: No space left on device; free disk space")


def fail(_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "DATA/a.npy")
