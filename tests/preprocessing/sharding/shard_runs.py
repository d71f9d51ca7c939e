"""Small stages that the tests of the engines run: squares of numbers, and the two text stages on a small corpus."""

import dataclasses
import functools
import os
import pathlib
import subprocess
import sys
import time

import pytest

import cli
from preprocessing import extract_descriptions, process_descriptions
from preprocessing.sharding import shards

ROOT = pathlib.Path(__file__).resolve().parents[3]


@dataclasses.dataclass(frozen=True)
class Task:
    number: int
    path: str
    seconds: float = 0.0


class Unpicklable(Exception):
    def __init__(self, number, text):
        super().__init__(f"{number} {text}")


def write_square(task):
    """Writes the square of a number, and the process that computed it; 13, 14 and 15 fail, 16 ends its process."""

    def write(part):
        if task.number == 13:
            raise cli.UserError("13 is not allowed")
        if task.number == 14:
            raise Unpicklable(14, "is not allowed")
        if task.number == 15:
            open("/no/such/file")
        if task.number == 16:
            os._exit(9)
        time.sleep(task.seconds)
        pathlib.Path(part).write_text(str(os.getpid()))
        return {"square": task.number**2}

    return shards.write_once(task.path, write)


def squares(folder, numbers, runner, seconds=0.0):
    tasks = [Task(number, str(folder / f"{number}"), seconds) for number in numbers]
    return shards.map_shards(write_square, tasks, processes=1, description="squares", runner=runner)


def check_failures(folder, runner):
    """Asserts that failures of tasks are those of the command, and that the tasks after the first one are cancelled."""
    with pytest.raises(cli.UserError, match="^13 is not allowed"):
        squares(folder, [13, *range(100, 180)], runner, 0.2)
    assert len(list(folder.glob("1??"))) < 70  # the rest was cancelled
    with pytest.raises(RuntimeError, match="Unpicklable: 14 is not allowed"):
        squares(folder, [14], runner)
    with pytest.raises(FileNotFoundError) as caught:
        squares(folder, [15], runner)
    assert cli.file_fault(caught.value).startswith("/no/such/file: No such file")


@functools.cache
def cached(path):
    return pathlib.Path(path).read_text()


@dataclasses.dataclass(frozen=True)
class CopyTask:
    source: str
    path: str


def write_copy(task):
    def write(part):
        time.sleep(0.05)  # so that all workers get some
        pathlib.Path(part).write_text(cached(task.source))
        return {"copied": cached(task.source)}

    return shards.write_once(task.path, write)


def copies(source, folder, number, runner):
    """Copies a file several times; each process reads it once."""
    folder.mkdir()
    tasks = [CopyTask(str(source), str(folder / f"{i}")) for i in range(number)]
    return shards.map_shards(write_copy, tasks, processes=1, description="copies", runner=runner)


def expected(numbers):
    return [{"square": number**2} for number in numbers]


def processes_of(folder, numbers):
    """Returns the set of the processes that computed the squares."""
    return {int((folder / str(number)).read_text()) for number in numbers}


def write_corpus(path):
    nouns = ("dog", "men", "cars", "kites", "boats")
    lines = [
        f"{noun} number {i} on the grass near a red house with {i % 7} windows" for i in range(60) for noun in nouns
    ]
    path.write_text("\n".join(lines))
    return path


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".txt", ".tfrec")}


def extract(corpus, folder, **how):
    """Runs the first text stage in this process; returns the bytes of its output."""
    folder.mkdir()
    extract_descriptions.main(
        extract_descriptions.Options(data_dir=str(folder), input=str(corpus), shards=4, processes=1, **how)
    )
    return contents(folder)


def make(corpus, folder, **how):
    """Runs the two text stages in this process; returns the bytes of their outputs."""
    extract(corpus, folder, **how)
    process_descriptions.main(
        process_descriptions.Options(
            data_dir=str(folder), new_dict=True, min_word_count=2, shards=3, processes=1, **how
        )
    )
    return contents(folder)


def run_commands(corpus, folder, runner):
    """Runs the two text stages as commands, whose own module is `__main__`; returns what they printed."""
    printed = ""
    for stage, flags in (
        ("extract_descriptions", [f"--input={corpus}", "--shards=4"]),
        ("process_descriptions", ["--new_dict", "--min_word_count=2", "--shards=3"]),
    ):
        command = [sys.executable, "-m", f"preprocessing.{stage}", f"--data_dir={folder}", f"--runner={runner}", *flags]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        printed += done.stdout
    return printed
