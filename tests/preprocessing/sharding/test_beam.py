"""--runner: the same bytes through Beam's local runner as through local processes, and what goes wrong with one."""

import dataclasses
import os
import pathlib
import subprocess
import sys

import pytest

import cli
from preprocessing import extract_descriptions, process_descriptions
from preprocessing.sharding import beam, shards

ROOT = pathlib.Path(__file__).resolve().parents[3]
TWO_WORKERS = "local --direct_running_mode=multi_processing --direct_num_workers=2"


@pytest.fixture
def needs_beam():
    pytest.importorskip("apache_beam", reason="Apache Beam is not installed (requirements-beam.txt)")


@dataclasses.dataclass(frozen=True)
class Task:
    number: int
    path: str


def write_square(task):
    def write(part):
        if task.number == 13:
            raise cli.UserError("13 is not allowed")
        pathlib.Path(part).write_text(str(task.number**2))
        return {"square": task.number**2}

    return shards.write_once(task.path, write)


def squares(tmp_path, numbers, runner):
    tasks = [Task(number, str(tmp_path / f"{number}")) for number in numbers]
    return shards.map_shards(write_square, tasks, processes=1, description="squares", runner=runner)


def test_results_in_order_and_what_is_there_is_left_alone(needs_beam, tmp_path, capsys):
    assert squares(tmp_path, range(5), "local") == [{"square": number**2} for number in range(5)]
    stamps = [(tmp_path / str(number)).stat().st_mtime_ns for number in range(5)]
    assert squares(tmp_path, range(7), "local")[6] == {"square": 36}
    assert "squares: 2 tasks handed to FnApiRunner" in capsys.readouterr().out
    assert [(tmp_path / str(number)).stat().st_mtime_ns for number in range(5)] == stamps


def test_an_error_of_the_input_is_the_users(needs_beam, tmp_path):
    with pytest.raises(cli.UserError, match="^13 is not allowed"):
        squares(tmp_path, range(10, 16), "local")
    assert os.path.exists(tmp_path / "15")  # the others were finished


def test_workers_without_the_file_system(needs_beam, tmp_path, monkeypatch):
    monkeypatch.setattr(beam, "_run", lambda *arguments: None)
    with pytest.raises(cli.UserError, match="2 of 2 files are not here.*must share this file system"):
        squares(tmp_path, range(2), "FlinkRunner")


@pytest.mark.parametrize("runner", ["", "--flink_master=x", "local 2", '"'])
def test_texts_that_name_no_runner(needs_beam, runner):
    with pytest.raises(cli.UserError, match="--runner.*expected a runner and its options"):
        beam.parse(runner)


def test_a_runner_that_does_not_exist(needs_beam, tmp_path):
    with pytest.raises(cli.UserError, match="--runner NoSuchRunner: the pipeline failed .*NoSuchRunner"):
        squares(tmp_path, range(2), "NoSuchRunner")


def test_beam_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(cli.UserError, match="pip install -r requirements-beam.txt"):
        beam.parse("local")
    with pytest.raises(cli.UserError, match="--runner local needs Apache Beam"):
        extract_descriptions.main(extract_descriptions.Options(input="none", runner="local"))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".txt", ".tfrec")}


@pytest.fixture
def corpus(tmp_path):
    nouns = ("dog", "men", "cars", "kites", "boats")
    lines = [
        f"{noun} number {i} on the grass near a red house with {i % 7} windows\n" for i in range(60) for noun in nouns
    ]
    (tmp_path / "corpus.txt").write_text("".join(lines))
    return tmp_path / "corpus.txt"


def make(corpus, folder, **how):
    folder.mkdir()
    extract_descriptions.main(
        extract_descriptions.Options(data_dir=str(folder), input=str(corpus), shards=4, processes=1, **how)
    )
    process_descriptions.main(
        process_descriptions.Options(
            data_dir=str(folder), new_dict=True, min_word_count=2, shards=3, processes=1, **how
        )
    )
    return contents(folder)


def test_same_bytes(needs_beam, corpus, tmp_path):
    expected = make(corpus, tmp_path / "here")
    assert len(expected) == 5 and make(corpus, tmp_path / "beam", runner="local") == expected


@pytest.mark.slow
def test_same_bytes_from_two_worker_processes_of_a_command(needs_beam, corpus, tmp_path):
    """The command's own module is `__main__` there, and another one in the workers."""
    expected = make(corpus, tmp_path / "here")
    for stage, flags in (
        ("extract_descriptions", [f"--input={corpus}", "--shards=4"]),
        ("process_descriptions", ["--new_dict", "--min_word_count=2", "--shards=3"]),
    ):
        command = [sys.executable, "-m", f"preprocessing.{stage}", f"--data_dir={tmp_path}/beam", *flags]
        done = subprocess.run(
            [*command, f"--runner={TWO_WORKERS}"], cwd=ROOT, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        assert "handed to FnApiRunner" in done.stdout
    assert contents(tmp_path / "beam") == expected
