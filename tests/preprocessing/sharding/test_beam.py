"""--runner: the same bytes through Beam's local runner as through local processes, and what goes wrong with one."""

import os
import sys

import pytest

import cli
from preprocessing import extract_descriptions
from preprocessing.sharding import beam
from tests.preprocessing.sharding import shard_runs
from tests.preprocessing.sharding.shard_runs import contents, make, squares

TWO_WORKERS = "local --direct_running_mode=multi_processing --direct_num_workers=2"


@pytest.fixture
def needs_beam():
    pytest.importorskip("apache_beam", reason="Apache Beam is not installed (requirements-beam.txt)")


def test_results_in_order_and_what_is_there_is_left_alone(needs_beam, tmp_path, capsys):
    assert squares(tmp_path, range(5), "local") == shard_runs.expected(range(5))
    stamps = [(tmp_path / str(number)).stat().st_mtime_ns for number in range(5)]
    assert squares(tmp_path, range(7), "local")[6] == {"square": 36}
    assert "squares: 2 tasks handed to FnApiRunner" in capsys.readouterr().out
    assert [(tmp_path / str(number)).stat().st_mtime_ns for number in range(5)] == stamps


def test_an_error_of_the_input_is_the_users(needs_beam, tmp_path):
    with pytest.raises(cli.UserError, match="^13 is not allowed"):
        squares(tmp_path, [10, 11, 12, 13, 17], "local")
    assert os.path.exists(tmp_path / "17")  # the others were finished


def test_workers_without_the_file_system(needs_beam, tmp_path, monkeypatch):
    monkeypatch.setattr(beam, "run", lambda *arguments: None)
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


@pytest.fixture
def corpus(tmp_path):
    return shard_runs.write_corpus(tmp_path / "corpus.txt")


def test_same_bytes(needs_beam, corpus, tmp_path):
    expected = make(corpus, tmp_path / "here")
    assert len(expected) == 5 and make(corpus, tmp_path / "beam", runner="local") == expected


@pytest.mark.slow
def test_same_bytes_from_two_worker_processes_of_a_command(needs_beam, corpus, tmp_path):
    """The command's own module is `__main__` there, and another one in the workers."""
    expected = make(corpus, tmp_path / "here")
    assert "handed to FnApiRunner" in shard_runs.run_commands(corpus, tmp_path / "beam", TWO_WORKERS)
    assert contents(tmp_path / "beam") == expected
