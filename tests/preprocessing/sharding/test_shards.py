"""Shards: stable hashing, pieces and buckets that lose no line, tasks that run once."""

import dataclasses
import hashlib
import os
import time

import numpy as np
import pytest

import cli
from preprocessing.sharding import shards


def test_shard_of_is_stable_and_even():
    assert [shards.shard_of(name, 16) for name in ("a.jpg", "b.jpg", "Größe")] == [
        int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") >> 60
        for name in ("a.jpg", "b.jpg", "Größe")
    ]
    found = np.bincount([shards.shard_of(f"{i}.jpg", 7) for i in range(7000)], minlength=7)
    assert len(found) == 7 and found.min() > 850 and found.max() < 1150
    assert shards.shard_of(b"x", 5) == shards.shard_of("x", 5)


def test_names_and_numbers():
    assert shards.shard_path("d", "sentence", 3, 16) == "d/sentence-00003-of-00016.tfrec"
    assert shards.shard_path("d", "sentence", 0, 1) == "d/sentence.tfrec"
    assert [shards.shard_count(0, size) for size in (0, 8 << 20, (8 << 20) + 1)] == [1, 1, 2]
    assert shards.shard_count(5, 1 << 40) == 5
    assert shards.process_count(3) == 3 and shards.process_count(0) == len(os.sched_getaffinity(0))


# --------------------------------------------------------------------------------------------------------------
# Pieces and buckets


@pytest.mark.parametrize("end", [b"", b"\n"], ids=["unended", "ended"])
def test_pieces_hold_every_line_once(tmp_path, end):
    lines = [b"x" * length for length in (0, 3, 1, 0, 0, 25, 2, 7, 1)]
    path = tmp_path / "a.txt"
    path.write_bytes(b"\n".join(lines) + end)
    for size in range(1, 60):
        pieces = shards.cut([str(path)], size)
        assert len(pieces) == -(-path.stat().st_size // size)
        assert [line for piece in pieces for line in shards.lines_of(piece)] == lines
        numbers = [shards.line_number(piece, i) for piece in pieces for i, _ in enumerate(shards.lines_of(piece))]
        assert numbers == list(range(1, len(lines) + 1))


def test_windows_line_ends_and_whole_files(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"one\r\ntwo\r\n")
    (tmp_path / "b.json").write_bytes(b"0123456789")
    (tmp_path / "empty.txt").touch()
    paths = [str(tmp_path / name) for name in ("a.txt", "b.json", "empty.txt")]
    pieces = shards.cut(paths, 4, is_whole=lambda path: path.endswith(".json"))
    assert [(os.path.basename(piece.path), piece.start, piece.end) for piece in pieces] == [
        ("a.txt", 0, 4),
        ("a.txt", 4, 8),
        ("a.txt", 8, 10),
        ("b.json", 0, 10),
    ]
    assert [line for piece in pieces[:3] for line in shards.lines_of(piece)] == [b"one", b"two"]


def test_buckets(tmp_path):
    lines = [f"line {i}".encode() for i in range(100)] + [b"", b""]
    path = str(tmp_path / "buckets")
    shards.write_buckets(path, lines, 5)
    assert os.path.getsize(path) == 6 * 8 + sum(len(line) + 1 for line in lines)
    for shard in range(5):
        expected = [line for line in lines if shards.shard_of(line, 5) == shard]
        assert shards.read_bucket(path, shard) == expected and expected


# --------------------------------------------------------------------------------------------------------------
# Tasks


@dataclasses.dataclass(frozen=True)
class Task:
    number: int
    path: str = ""


def square(task):
    if task.number == 13:
        raise cli.UserError("13 is not allowed")
    if task.path:
        open(task.path, "w").close()
        time.sleep(0.05)
    return task.number**2


def end_at_once(task):
    os._exit(9)


@pytest.mark.parametrize("processes", [1, 2])
def test_map_shards_keeps_the_order(processes):
    found = shards.map_shards(square, [Task(i) for i in range(12)], processes=processes, description="squares")
    assert found == [i**2 for i in range(12)]


@pytest.mark.parametrize("processes", [1, 2])
def test_map_shards_raises_the_first_failure_and_cancels_the_rest(tmp_path, processes):
    tasks = [Task(13)] + [Task(i, str(tmp_path / f"{i}")) for i in range(100, 160)]
    with pytest.raises(cli.UserError, match="13 is not allowed"):
        shards.map_shards(square, tasks, processes=processes, description="squares")
    assert len(os.listdir(tmp_path)) < 60


def test_a_killed_worker_is_reported():
    with pytest.raises(cli.UserError, match="a worker process was killed"):
        shards.map_shards(end_at_once, [Task(1), Task(2)], processes=2, description="squares")


def test_nothing_to_map():
    assert shards.map_shards(square, [], processes=2, description="squares") == []


def test_write_once(tmp_path):
    path, calls = str(tmp_path / "a"), []

    def write(part):
        calls.append(part)
        with open(part, "w") as file:
            file.write("content")
        return {"lines": len(calls)}

    assert shards.write_once(path, write) == shards.write_once(path, write) == {"lines": 1}
    assert len(calls) == 1 and shards.result_of(path) == {"lines": 1}
    assert sorted(os.listdir(tmp_path)) == ["a", "a.json"]


def test_write_once_in_a_folder_that_another_command_has_emptied(tmp_path):
    """A worker of a cluster that outlived its command."""
    work = tmp_path / "work"
    shards.begin(work, {"seed": 1})

    def write(part):
        shards.begin(work, {"seed": 2})
        with open(part, "w") as file:
            file.write("of seed 1")
        return {}

    with pytest.raises(cli.UserError, match="another command emptied its folder"):
        shards.write_once(str(work / "a"), write)
    assert os.listdir(work) == ["plan.json"]


def test_write_once_leaves_nothing_finished_when_it_fails(tmp_path):
    def write(part):
        open(part, "w").close()
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        shards.write_once(str(tmp_path / "a"), write)
    assert not os.listdir(tmp_path)


def test_work_of_the_same_plan_is_known(tmp_path):
    path = str(tmp_path / "work")
    assert not shards.is_unfinished(path, {"shards": 2})
    shards.begin(path, {"shards": 2})
    (tmp_path / "work" / "done").touch()
    assert shards.is_unfinished(path, {"shards": 2}) and not shards.is_unfinished(path, {"shards": 3})
    shards.begin(path, {"shards": 3})
    assert os.listdir(path) == ["plan.json"] and shards.is_unfinished(path, {"shards": 3})


def test_the_work_of_a_complete_output_is_discarded(tmp_path):
    work, plan = tmp_path / "work", {"shards": 2}
    shards.begin(str(work), plan)
    shards.discard(str(work), {"shards": 3})
    assert work.exists()  # another plan's, which may go on
    shards.discard(str(work), plan)
    assert not work.exists()
    work.mkdir()
    (work / "done").touch()  # its removal was interrupted
    shards.discard(str(work), plan)
    assert not work.exists()
