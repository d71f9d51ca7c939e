"""aliases: old flags, settings of older runs, recipes and metrics are accepted and get their present names."""

import dataclasses
import json
import shlex
import subprocess
import sys

import numpy as np
import pytest
from absl import flags

import aliases
import cli
import config
import experiments
import reward_list
from evaluation.report import curves
from tests import tiny_runs
from training.run_directory import RunDirectory, read_config, read_options

CONSENSUS = "consensus:weight=100,contrast=0.85"  # of --recipe flickr8k_coco/full
OWN = str(tiny_runs.ROOT / "docs" / "examples" / "no_repeats.py")


def parsed(*arguments):
    """Returns the settings that train.py makes of the given flags."""
    return cli.parse(config.FullModel, arguments, experiments.Rows())


@pytest.mark.parametrize(
    "arguments, reward",
    [
        (["--w_fit=20"], ("consensus:weight=20,contrast=0.65",)),
        (["--fit_contrast=0.5", "--w_fit=20"], ("consensus:weight=20,contrast=0.5",)),
        (["--w_consensus=20", "--consensus_contrast=0.5"], ("consensus:weight=20,contrast=0.5",)),
        (["--w_fit=0"], ()),
        (["--fit_contrast=0.5"], ()),
        (["--reward=own.py:1", "--w_fit=0.125"], ("consensus:weight=0.125,contrast=0.65", "own.py:1")),
        (["--recipe=flickr8k_coco/full", "--w_fit=50"], ("consensus:weight=50,contrast=0.85",)),
        (["--recipe=flickr8k_coco/full", "--fit_contrast=0.5"], ("consensus:weight=100,contrast=0.5",)),
        (["--recipe=flickr8k_coco/full", "--w_fit=0", "--reward=own.py:1"], ("own.py:1",)),
    ],
)
def test_old_flags_of_the_consensus_reward(arguments, reward, capsys):
    assert parsed(*arguments).reward == reward
    given = [text.partition("=")[0] for text in arguments]
    lines = capsys.readouterr().err.splitlines()
    old = [name for name in ("--w_fit", "--w_consensus", "--fit_contrast", "--consensus_contrast") if name in given]
    assert [line.partition(" is an old name; now written ")[0] for line in lines] == [f"NOTE: {name}" for name in old]
    for line in lines:  # the printed flags have the same meaning
        assert parsed(*shlex.split(line.partition("now written ")[2])).reward == reward


@pytest.mark.parametrize("value", ["many", ""])
def test_a_wrong_value_of_an_old_flag(value):
    with pytest.raises(flags.IllegalFlagValueError, match="--w_fit"):
        parsed(f"--w_fit={value}")


def test_an_old_flag_beside_a_broken_new_one():
    with pytest.raises(cli.UserError, match="--reward consensus:much=3: 'much=3' is not understood"):
        parsed("--reward=consensus:much=3", "--w_fit=20")


def test_present_flags_say_nothing(capsys):
    assert parsed("--reward=consensus", "--max_steps=4").reward == (CONSENSUS,)
    assert capsys.readouterr().err == ""


def test_the_real_command_takes_old_flags_and_hides_them():
    command = [sys.executable, "train.py", "--data_dir=none"]
    done = subprocess.run([*command, "--w_fit=3"], cwd=tiny_runs.ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and "none/word_counts.txt is missing" in done.stderr
    assert "NOTE: --w_fit is an old name; now written --reward=consensus:weight=3,contrast=0.65\n" in done.stderr
    shown = subprocess.run([*command, "--help"], cwd=tiny_runs.ROOT, capture_output=True, text=True, timeout=120)
    assert "--reward" in shown.stdout and "w_fit" not in shown.stdout


def test_a_later_reward_stands_behind_those_of_the_recipe(capsys):
    full = "--recipe=flickr8k_coco/full"
    assert parsed(full).reward == (CONSENSUS,)
    assert parsed(full, "--reward=own.py:1").reward == (CONSENSUS, "own.py:1")
    assert parsed(full, "--reward=own.py:1", "--reward=consensus:weight=0").reward == ("own.py:1",)
    assert parsed(full, "--reward=", "--reward=own.py:a,b=1").reward == ("own.py:a,b=1",)


# --------------------------------------------------------------------------------------------------------------
# Older runs


def old_settings(**changes):
    """Returns the settings of an older run, when the consensus reward had separate flags."""
    settings = json.loads(json.dumps(dataclasses.asdict(config.FullModel(eval_images=3))))
    del settings["reward"]
    return settings | {"w_fit": 0.0, "fit_contrast": 0.65, "reward": None} | changes


def old_run(folder, **changes):
    """Makes a run directory with the config.json of an older run."""
    folder.mkdir()
    facts = {"vocabulary": "abc", "image_dim": 4, "encoder": None, "names": None}
    content = {"stage": "FullModel", "settings": old_settings(**changes), "facts": facts}
    (folder / "config.json").write_text(json.dumps(content))
    return str(folder), facts


@pytest.mark.parametrize(
    "kept, reward",
    [
        ({}, ()),
        ({"w_fit": 100.0, "fit_contrast": 0.85}, (CONSENSUS,)),
        ({"w_fit": 1 / 3}, (reward_list.canonical([f"consensus:weight={1 / 3},contrast=0.65"]))),
        ({"reward": "own.py:1,2"}, ("own.py:1,2",)),
        ({"w_fit": 20, "reward": "own.py"}, ("consensus:weight=20,contrast=0.65", "own.py")),
    ],
)
def test_runs_that_kept_the_rewards_in_settings_of_their_own(tmp_path, kept, reward):
    job_dir, facts = old_run(tmp_path / "run", **kept)
    settings = read_config(job_dir)["settings"]
    assert settings["reward"] == list(reward) and not {"w_fit", "fit_contrast"} & set(settings)
    options = read_options(job_dir, config.FullModel)
    assert options == config.FullModel(eval_images=3, reward=reward)
    options = dataclasses.replace(options, job_dir=job_dir)
    for _ in range(2):  # first in the old form, then in the present one
        RunDirectory(options, facts | {"rewards": {"phrases.npz": "1"}}).close()
    with pytest.raises(cli.UserError, match="rewards phrases.npz: 1 in the run, 2 now"):
        RunDirectory(options, facts | {"rewards": {"phrases.npz": "2"}})


@pytest.mark.parametrize(
    "kept", [{"w_fit": "20"}, {"w_fit": True}, {"fit_contrast": None}, {"w_fit": [1]}, {"reward": [1]}, {"reward": 5}]
)
def test_damaged_old_settings_are_named(tmp_path, kept):
    job_dir, _ = old_run(tmp_path / "run", **kept)
    with pytest.raises(cli.UserError, match=f"config.json: .*{next(iter(kept))} is .*, expected (a number|texts)"):
        read_config(job_dir)


def test_a_run_goes_on_with_the_same_list_alone(tmp_path):
    job_dir, facts = old_run(tmp_path / "run", w_fit=100.0, fit_contrast=0.85)
    given = read_options(job_dir, config.FullModel)
    for other, message in [
        ((), f"reward: {CONSENSUS} in the run, none now"),
        ((CONSENSUS, f"{OWN}:1"), f"reward: {CONSENSUS} in the run, {CONSENSUS}, {OWN}:1 now"),
        ((f"{OWN}:1", CONSENSUS), f"reward: {CONSENSUS} in the run, {OWN}:1, {CONSENSUS} now"),
    ]:
        with pytest.raises(cli.UserError) as refused:
            RunDirectory(dataclasses.replace(given, job_dir=job_dir, reward=other), facts)
        assert str(refused.value).splitlines()[1:] == [f"  {message}"]
    RunDirectory(dataclasses.replace(given, job_dir=job_dir), facts).close()


# --------------------------------------------------------------------------------------------------------------
# Metrics


def test_old_curves_are_shown_under_their_present_name(tmp_path):
    lines = [{"step": 1, "reward/fit": 2.0}, {"step": 2, "reward/consensus": 3.0}]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert curves.read_metrics(str(tmp_path)) == {"reward/consensus": ([1, 2], [2.0, 3.0])}


def test_what_a_checkpoint_of_an_older_run_had_gathered_is_counted_on(tmp_path, monkeypatch):
    from tests.training import toy
    from training import checkpoints

    state = {"step": 4, "pending": {"reward/fit": [3.0, 2.0], "loss": [1.0, 1.0]}}
    monkeypatch.setattr(checkpoints, "restore_newest", lambda *arguments: (4, state))
    loop = toy.make(toy.options(tmp_path))
    assert set(loop.pending) == {"reward/consensus", "loss"}
    np.testing.assert_array_equal(loop.pending["reward/consensus"], [3.0, 2.0])


def test_every_row_names_what_is_there():
    """Every present name exists, and no old name is a present name as well."""
    fields = {item.name for item in dataclasses.fields(config.FullModel)}
    for old in aliases.SETTINGS:
        assert old.new in fields and (old.name not in fields or old.kind is None)
    assert not set(aliases.METRICS) & set(aliases.METRICS.values())
    assert aliases.current_metric("loss") == "loss"
