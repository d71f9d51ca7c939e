"""A run directory: one process at a time, the same settings at every start, logs cut to the restored step."""

import dataclasses
import json
import os
import subprocess
import sys

import pytest

import cli
import config
from tests.training import toy
from training.run_directory import MetricsFile, RunDirectory, last_metric, read_config, read_options

FACTS = {"vocabulary": "abc", "image_dim": 4}


def opened(settings, facts=None, **arguments):
    run = RunDirectory(settings, facts or FACTS, **arguments)
    run.close()
    return run


# --------------------------------------------------------------------------------------------------------------
# The lock

HOLD = """
import sys
from tests.training import toy
from training.run_directory import RunDirectory
run = RunDirectory(toy.options(sys.argv[1]), {"vocabulary": "abc", "image_dim": 4})
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_refused_and_told_who_has_it(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(cli.UserError, match=f"another process trains .*process {holder.pid} on .*--job_dir"):
            RunDirectory(toy.options(tmp_path), FACTS)
    finally:
        holder.kill()  # without clean-up: the end of the process must release the lock
        holder.communicate()
    opened(toy.options(tmp_path))


def test_the_lock_is_given_back_when_training_ends(tmp_path):
    first = RunDirectory(toy.options(tmp_path), FACTS)
    with pytest.raises(cli.UserError, match=f"process {os.getpid()} "):
        RunDirectory(toy.options(tmp_path), FACTS)
    first.close()
    opened(toy.options(tmp_path))


def test_a_worker_that_is_not_the_chief_writes_nothing(tmp_path):
    run = opened(toy.options(tmp_path / "run"), writes=False)
    metrics = MetricsFile(run, 0)
    metrics.write(10, {"loss": 1.0})
    run.log("silence")
    assert not (tmp_path / "run").exists()


# --------------------------------------------------------------------------------------------------------------
# Settings


def test_another_setting_is_refused_with_the_fields_that_differ(tmp_path):
    settings = toy.options(tmp_path)
    opened(settings)
    before = (tmp_path / "config.json").read_text()
    with pytest.raises(cli.UserError) as refused:
        opened(dataclasses.replace(settings, seed=2, batch_size=16), FACTS | {"vocabulary": "xyz"})
    lines = str(refused.value).splitlines()
    assert lines[1:] == [
        "  batch_size: 8 in the run, 16 now",
        "  seed: 1 in the run, 2 now",
        "  vocabulary: abc in the run, xyz now",
    ]
    assert (tmp_path / "config.json").read_text() == before
    opened(settings)  # the lock is free again


def test_another_stage_is_refused(tmp_path):
    opened(toy.options(tmp_path))
    other = config.FullModel(**dataclasses.asdict(toy.options(tmp_path)))
    with pytest.raises(cli.UserError, match="stage: Trainer in the run, FullModel now"):
        opened(other)


@pytest.mark.parametrize(
    "free", [{"max_steps": 99}, {"keep_checkpoints": 1}, {"devices": ("CPU:0",)}, {"recipe": "x"}, {"verify": True}]
)
def test_what_does_not_shape_the_update_may_change(tmp_path, free):
    opened(toy.options(tmp_path))
    opened(toy.options(tmp_path, **free))
    assert read_options(str(tmp_path), config.Trainer) == toy.options(tmp_path, **free)


def test_a_run_may_be_moved(tmp_path):
    opened(toy.options(tmp_path / "here"))
    (tmp_path / "here").rename(tmp_path / "there")
    opened(toy.options(tmp_path / "there"))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"stage": "Trainer"}'])
def test_damaged_settings_are_named(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(cli.UserError, match="config.json: not the settings of a run"):
        opened(toy.options(tmp_path))


def test_a_folder_that_is_no_run_is_named(tmp_path):
    with pytest.raises(cli.UserError, match="not a run directory"):
        read_config(str(tmp_path))


# --------------------------------------------------------------------------------------------------------------
# Logs


def entry(step, **values):
    return json.dumps({"step": step, **values}) + "\n"


@pytest.mark.parametrize("rest", ["", entry(30, loss=3.0), '{"step": 30, "lo'])
def test_logs_are_cut_to_the_restored_step(tmp_path, rest):
    kept = entry(10, loss=1.0) + entry(20, loss=2.0)
    for name in ("metrics.jsonl", "timing.jsonl"):
        (tmp_path / name).write_text(kept + rest)
    run = opened(toy.options(tmp_path))
    metrics = MetricsFile(run, 20)
    assert (tmp_path / "metrics.jsonl").read_text() == (tmp_path / "timing.jsonl").read_text() == kept
    metrics.write(30, {"loss": 4.0})
    assert (tmp_path / "metrics.jsonl").read_text() == kept + entry(30, loss=4.0)


def test_a_damaged_line_is_named_and_kept_aside_and_the_rest_is_used(tmp_path, capsys):
    damaged = [b"\0\0\n", b'{"step": "10"}\n', b'{"step": 15, "x": "\xff"}\n', b"[" * 100_000 + b"\n"]
    first, last = entry(10, loss=1.0).encode(), entry(20, loss=2.0).encode()
    (tmp_path / "metrics.jsonl").write_bytes(first + b"".join(damaged) + last)
    run = opened(toy.options(tmp_path))
    MetricsFile(run, 20)
    assert (tmp_path / "metrics.jsonl").read_bytes() == first + last
    assert (tmp_path / "metrics.jsonl.damaged").read_bytes() == b"".join(damaged)
    assert f"{tmp_path}/metrics.jsonl: 4 damaged lines left out (line 2, 3, 4, 5)" in capsys.readouterr().err
    MetricsFile(run, 10)
    assert (tmp_path / "metrics.jsonl").read_bytes() == first
    assert not capsys.readouterr().err


def test_an_unfinished_last_line_is_no_damage(tmp_path, capsys):
    (tmp_path / "metrics.jsonl").write_text(entry(10, loss=1.0) + '{"step": 20, "lo')
    MetricsFile(opened(toy.options(tmp_path)), 20)
    assert not capsys.readouterr().err and not (tmp_path / "metrics.jsonl.damaged").exists()


def test_numbers_survive_the_log_bit_for_bit(tmp_path):
    metrics = MetricsFile(opened(toy.options(tmp_path)), 0)
    metrics.write(10, {"loss": 0.1 + 0.2})
    assert last_metric(str(tmp_path), "loss") == 0.1 + 0.2


def test_the_newest_value_of_a_metric(tmp_path):
    assert last_metric(str(tmp_path), "eval/unique") is None
    (tmp_path / "metrics.jsonl").write_text(
        entry(10, **{"eval/unique": 0.5}) + entry(20, **{"eval/unique": 0.25}) + entry(30, loss=1.0)
    )
    assert last_metric(str(tmp_path), "eval/unique") == 0.25
    assert last_metric(str(tmp_path), "loss") == 1.0
