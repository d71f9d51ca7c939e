"""The training loop: the plan of its calls, resuming, log files, values that are not finite, failed writes."""

import json
import os
import signal

import numpy as np
import pytest

import cli
from tests.training import toy
from training import checkpoints, run_directory
from training.loop import EXIT_INTERRUPTED, Interrupted, plan


def one_phase(step):
    return "train", None


# --------------------------------------------------------------------------------------------------------------
# The plan


def test_calls_end_at_every_interval_and_phase(tmp_path):
    settings = toy.options(tmp_path, steps_per_loop=4, save_summary_steps=6, save_checkpoint_steps=10, max_steps=21)
    calls = list(plan(0, settings, lambda step: ("warm-up", 5) if step < 5 else ("joint", None)))
    ends = [first + count for first, count, _ in calls]
    assert ends == [4, 5, 6, 8, 10, 12, 16, 18, 20, 21]
    assert [first for first, _, _ in calls] == [0, *ends[:-1]], "no step is left out or done twice"
    assert [name for _, _, name in calls] == ["warm-up"] * 2 + ["joint"] * 8


@pytest.mark.parametrize("start", [0, 4, 10, 12, 30])
def test_the_calls_of_a_continued_run_are_those_of_an_unbroken_one(tmp_path, start):
    settings = toy.options(tmp_path)
    unbroken = [call for call in plan(0, settings, one_phase) if call[0] >= start]
    assert list(plan(start, settings, one_phase)) == unbroken


# --------------------------------------------------------------------------------------------------------------
# Interruptions


class StopAt:
    """Batches that send this process a signal while the batch of a step is made."""

    def __init__(self, batches, step, number):
        self.make, self.step, self.number = batches.batch, step, number

    def __call__(self, step, rows):
        if step == self.step:
            os.kill(os.getpid(), self.number)
        return self.make(step, rows)


def lines(job_dir):
    return (job_dir / "metrics.jsonl").read_text()


def counted(step):
    return {"of_step": step + 0.5}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """Returns the folder and the loop of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("unbroken")
    return folder, toy.train(toy.options(folder), evaluate=counted, warmup=7)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("step", [1, 9, 10, 19, 23])
def test_a_signal_saves_and_the_same_command_continues_bit_for_bit(unbroken, tmp_path, step, number):
    loop = toy.make(toy.options(tmp_path), evaluate=counted, warmup=7)
    loop.batches.batch = StopAt(loop.batches, step, number)
    with pytest.raises(Interrupted) as stop:
        loop.train()
    assert stop.value.code == EXIT_INTERRUPTED == 75
    assert 0 < loop.step < 30 and checkpoints.steps_in(str(tmp_path))[-1] == loop.step
    toy.train(toy.options(tmp_path), evaluate=counted, warmup=7)
    toy.assert_same(toy.tensors(unbroken[0], 30), toy.tensors(tmp_path, 30))
    assert lines(tmp_path) == lines(unbroken[0])


def test_a_run_that_is_killed_repeats_what_was_lost(unbroken, tmp_path):
    """A killed run leaves its logs as they were between two calls, here with lines after the newest checkpoint."""
    settings = toy.options(tmp_path, keep_checkpoints=100)
    toy.train(settings, evaluate=counted, warmup=7)
    for path in tmp_path.glob("ckpt-30.*"):
        path.unlink()
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 40, "lo')  # killed while it wrote
    loop = toy.train(settings, evaluate=counted, warmup=7)
    assert loop.resumed and min(step for step, _ in loop.batches.asked) == 20
    toy.assert_same(toy.tensors(unbroken[0], 30), toy.tensors(tmp_path, 30))
    assert lines(tmp_path) == lines(unbroken[0])


def test_every_example_of_an_epoch_is_used_once_across_a_resume(tmp_path):
    settings = toy.options(tmp_path, batch_size=5, max_steps=toy.EXAMPLES // 5)
    loop = toy.make(settings)
    loop.batches.batch = StopAt(loop.batches, 4, signal.SIGTERM)
    with pytest.raises(Interrupted):
        loop.train()
    trained = [indices for step, indices in loop.batches.asked if step < loop.step]
    assert 0 < loop.step < settings.max_steps
    continued = toy.train(settings)
    trained += [indices for _, indices in continued.batches.asked]
    assert sorted(sum(trained, [])) == list(range(toy.EXAMPLES))


def test_a_complete_run_is_left_alone(unbroken, capsys):
    folder, _ = unbroken
    before = {path: path.stat().st_mtime_ns for path in folder.glob("ckpt-*")}
    toy.train(toy.options(folder), evaluate=counted, warmup=7)
    assert "is complete: step 30 of 30" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in folder.glob("ckpt-*")} == before


def test_more_steps_continue_a_complete_run(tmp_path):
    toy.train(toy.options(tmp_path, max_steps=20))
    toy.train(toy.options(tmp_path, max_steps=40))
    steps = [json.loads(line)["step"] for line in lines(tmp_path).splitlines()]
    assert steps == [10, 20, 30, 40]


def test_another_seed_gives_another_run(unbroken, tmp_path):
    toy.train(toy.options(tmp_path, seed=2), evaluate=counted, warmup=7)
    name = "network/weights/.ATTRIBUTES/VARIABLE_VALUE"
    assert not np.array_equal(toy.tensors(unbroken[0], 30)[name], toy.tensors(tmp_path, 30)[name])


# --------------------------------------------------------------------------------------------------------------
# Log files


def test_metrics_are_means_of_the_interval_and_timings_stand_apart(unbroken):
    folder, loop = unbroken
    entries = [json.loads(line) for line in lines(folder).splitlines()]
    assert [entry["step"] for entry in entries] == [10, 10, 20, 20, 30, 30]
    assert [entry["eval/of_step"] for entry in entries[1::2]] == [10.5, 20.5, 30.5]
    assert entries[0]["a_second"] == 3.0, "a metric of the second phase alone is divided by its own count"
    assert all(0 < entry["loss"] < 100 for entry in entries[::2])
    assert not any("second" in key and key != "a_second" for entry in entries for key in entry)
    timings = [json.loads(line) for line in (folder / "timing.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in timings] == [10, 20, 30]
    assert all(entry["seconds_per_step"] > 0 and 0 <= entry["waiting_share"] <= 1 for entry in timings)
    assert list((folder / "events").iterdir())


def test_old_checkpoints_are_removed_but_for_every_nth(tmp_path):
    toy.train(toy.options(tmp_path, save_checkpoint_steps=3, keep_checkpoints=2, keep_every_steps=12))
    assert checkpoints.steps_in(str(tmp_path)) == [12, 24, 27, 30]


# --------------------------------------------------------------------------------------------------------------
# Numbers that are not finite


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_number_that_is_not_finite_stops_the_run_before_it_saves(tmp_path, value):
    with pytest.raises(cli.UserError, match=r"step 17: .*loss.* not finite. Nothing was saved after step 10"):
        toy.train(toy.options(tmp_path), poison=17, value=value)
    assert checkpoints.steps_in(str(tmp_path)) == [10]
    report = json.loads((tmp_path / "postmortem.json").read_text())
    assert report["step"] == 17 and "loss" in report["not_finite"]
    assert set(report["metrics"]) == {"loss", "gradient_norm", "a_second"}
    assert len(report["examples"]) == 8 and report["examples"][0].startswith("example ")
    loop = toy.train(toy.options(tmp_path))  # with finite targets the run continues from the good checkpoint
    assert min(step for step, _ in loop.batches.asked) == 10
    assert all(np.isfinite(value).all() for value in toy.tensors(tmp_path, 30).values())


def test_a_variable_that_is_not_finite_is_not_saved(tmp_path):
    """Metrics can be finite although a variable is not."""
    loop = toy.make(toy.options(tmp_path))
    summarise = loop._summarise  # the last thing before the checkpoint
    loop._summarise = lambda *arguments: (summarise(*arguments), loop.objective.network.biases.assign([np.inf]))
    with pytest.raises(cli.UserError, match="network/toy/biases"):
        loop.train()
    assert checkpoints.steps_in(str(tmp_path)) == []
    assert json.loads((tmp_path / "postmortem.json").read_text())["step"] == 10


# --------------------------------------------------------------------------------------------------------------
# Failures outside of the loop


def test_an_error_in_the_input_ends_the_run(tmp_path):
    loop = toy.make(toy.options(tmp_path))
    make = loop.batches.batch

    def broken(step, rows):
        if step == 12:
            raise cli.UserError("image_train.tfrec: record 5 is damaged")
        return make(step, rows)

    loop.batches.batch = broken
    with pytest.raises(cli.UserError, match="record 5 is damaged"):
        loop.train()
    assert checkpoints.steps_in(str(tmp_path)) == [10]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, "the handlers are put back"


def without_room(ending):
    """Returns an `open` that raises "disk full" when a file with the given ending is written."""

    def opened(name, mode="r", *arguments, **keywords):
        if str(name).endswith(ending) and mode != "r":
            raise OSError(28, "No space left on device")
        return open(name, mode, *arguments, **keywords)

    return opened


def test_a_save_that_fails_leaves_the_older_checkpoints_usable(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "open", without_room("ckpt-20.json"), raising=False)
    with pytest.raises(cli.UserError, match="checkpoint of step 20 could not be written .*No space left"):
        toy.train(toy.options(tmp_path))
    monkeypatch.undo()
    assert checkpoints.steps_in(str(tmp_path)) == [10]
    assert not list(tmp_path.glob("part-*")), "what was half written makes room again"
    assert toy.train(toy.options(tmp_path)).step == 30


def test_metrics_that_cannot_be_written_are_a_clear_error(tmp_path, monkeypatch):
    monkeypatch.setattr(run_directory, "open", without_room("timing.jsonl"), raising=False)
    with pytest.raises(cli.UserError, match="timing.jsonl cannot be written at step 10 .*No space left"):
        toy.train(toy.options(tmp_path))
