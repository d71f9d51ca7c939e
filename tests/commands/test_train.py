"""The full model's trainer: after an interruption anywhere, the same command gives the same result bit for bit."""

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys

import numpy as np
import pytest

import cli
import config
import registry
import train
from tests import tiny_runs, tiny_world
from training import checkpoints

LAST = tiny_runs.SHORT["max_steps"]


@pytest.fixture(autouse=True)
def no_process_stays_behind():
    yield
    tiny_runs.stop_all()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return tiny_world.make(str(tmp_path_factory.mktemp("world")))


@pytest.fixture(scope="module")
def unbroken(world, tmp_path_factory):
    """Returns the folder of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("runs") / "unbroken"
    train.main(tiny_runs.full(world, folder))
    return folder


def interrupted(options, name, point):
    """Trains a run that gets a signal; returns (exit code, messages)."""
    command = ["-m", "tests.interrupt", "train", name, point, *tiny_runs.flags(options)]
    return tiny_runs.finish(tiny_runs.start(command))


def test_what_a_run_leaves_behind(unbroken, world):
    assert checkpoints.steps_in(str(unbroken)) == [8, 16, 24]
    content = json.loads((unbroken / "config.json").read_text())
    assert registry.is_stage(content, config.FullModel) and content["settings"]["data_dir"] == world
    assert content["facts"]["image_dim"] == tiny_world.DIM and content["facts"]["vocabulary"]
    assert (unbroken / "vocabulary.txt").read_text().split()[::2] == tiny_world.WORDS
    lines = tiny_runs.entries(unbroken)
    assert [line["step"] for line in lines if "loss/generator" in line] == list(range(4, LAST + 1, 4))
    assert [line["step"] for line in lines if "eval/unique" in line] == [8, 16, 24]


@pytest.mark.parametrize(
    "names",
    [
        ["loss/generator", "loss/discriminator", "loss/policy", "loss/sentence", "loss/adversarial", "loss/mse"],
        ["reward/adversarial", "reward/concept", "reward/image", "return/sample", "return/baseline"],
        ["advantage/mean", "advantage/square", "advantage/clipped", "policy/entropy"],
        ["discriminator/accuracy_real", "discriminator/accuracy_fake"],
        ["mean_found_obj", "length/sample", "length/greedy", "unique/sample"],
        ["gradient_norm/generator", "gradient_norm/discriminator"],
    ],
)
def test_what_is_logged(unbroken, names):
    first = tiny_runs.entries(unbroken)[0]
    assert set(names) <= first.keys()
    assert all(np.isfinite(value) for value in first.values())


def test_standardisation_statistics_are_in_the_checkpoint(unbroken, world):
    found = checkpoints.read_variables(str(unbroken))
    with open(os.path.join(world, "features_train.json")) as file:
        sidecar = json.load(file)
    np.testing.assert_allclose(found["Standardise/mean"], sidecar["mean"], rtol=1e-6)
    np.testing.assert_allclose(found["Standardise/std"], sidecar["std"], rtol=1e-6)


def test_sigterm_saves_and_the_same_command_goes_on(world, unbroken, tmp_path):
    options = tiny_runs.full(world, tmp_path / "run")
    code, errors = interrupted(options, "TERM", "batch:15")
    assert code == 75, errors
    step = checkpoints.steps_in(options.job_dir)[-1]
    assert 0 < step < LAST and f"signal 15: saved step {step}; the same command continues" in errors
    train.main(options)
    tiny_runs.assert_same_runs(unbroken, tmp_path / "run", LAST)


def test_sigkill_in_a_save_loses_nothing_that_was_complete(world, unbroken, tmp_path):
    options = tiny_runs.full(world, tmp_path / "run")
    code, errors = interrupted(options, "KILL", "save:7")  # the second checkpoint is complete, but not yet moved
    assert code == -signal.SIGKILL, errors
    assert checkpoints.steps_in(options.job_dir) == [8] and (tmp_path / "run" / "ready-16").exists()
    train.main(options)
    assert not (tmp_path / "run" / "ready-16").exists()
    tiny_runs.assert_same_runs(unbroken, tmp_path / "run", LAST)


def test_a_changed_setting_is_refused(world, unbroken):
    with pytest.raises(cli.UserError, match="gen_lr: 0.001 in the run, 0.01 now"):
        train.main(tiny_runs.full(world, unbroken, gen_lr=0.01))


def test_other_intervals_of_logging_and_saving_leave_the_update_as_it_is(world, unbroken, tmp_path):
    train.main(tiny_runs.full(world, tmp_path / "run", max_steps=8, save_checkpoint_steps=4, save_summary_steps=2))
    train.main(tiny_runs.full(world, tmp_path / "run", save_checkpoint_steps=12, save_summary_steps=8))
    assert checkpoints.steps_in(str(tmp_path / "run"))[-2:] == [12, LAST]
    ours, theirs = (tiny_runs.tensors(run, LAST) for run in (tmp_path / "run", unbroken))
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs) and ours.keys() == theirs.keys()


def test_steps_in_which_only_the_discriminator_learns_are_said(world, tmp_path, capsys):
    own = tmp_path / "own.py"
    own.write_text("def make(argument, options): return lambda tokens_BT, mask_BT, batch: mask_BT\n")
    options = tiny_runs.full(world, tmp_path / "run", max_steps=4, dis_warmup_steps=8, reward=(str(own),))
    train.main(options)
    said = capsys.readouterr().err
    warning = (
        "WARNING: steps 1 to 4: only the discriminator learns, because --max_steps 4 lies within --dis_warmup_steps 8"
    )
    assert said.count(f"{warning}: the captioner stays as it is and --reward {own} has no effect") == 2
    assert said.index(warning) < said.index("step 4/4") < said.rindex(warning)
    (note,) = train.warm_up_notes(dataclasses.replace(options, max_steps=12), 4)
    assert note.startswith("NOTE: steps 5 to 8: only the discriminator learns (--dis_warmup_steps 8)")
    assert not train.warm_up_notes(dataclasses.replace(options, max_steps=16), 8)
    assert not train.warm_up_notes(tiny_runs.full(world, tmp_path / "other"), 0)


def test_another_vocabulary_is_refused(world, unbroken, tmp_path):
    other = tiny_world.make(str(tmp_path / "world"))
    with open(os.path.join(other, "word_counts.txt"), "a") as file:
        file.write("more 1\n")
    with pytest.raises(cli.UserError, match="vocabulary: .* in the run, .* now"):
        train.main(tiny_runs.full(other, unbroken))


def test_verify_refuses_changed_data(tmp_path):
    world = tiny_world.make(str(tmp_path / "world"))
    path = os.path.join(world, "image_train.tfrec")
    with open(path, "r+b") as file:
        file.seek(30)
        file.write(b"\xff\xff")
    with pytest.raises(cli.UserError, match="image_train.tfrec is not the file that"):
        train.main(tiny_runs.full(world, tmp_path / "run", verify=True))
    assert not (tmp_path / "run").exists()


# --------------------------------------------------------------------------------------------------------------
# The slow ones: ten random points of each kind


def assert_begun(folder):
    """Asserts that the run had written files, and had not ended, when it was interrupted."""
    assert (folder / "config.json").exists() and LAST not in checkpoints.steps_in(str(folder))


@pytest.mark.slow
@pytest.mark.parametrize("number", range(10))
@pytest.mark.parametrize("name", ["TERM", "KILL"])
def test_random_points(world, unbroken, tmp_path, name, number):
    draw = random.Random(f"{name} {number}")
    # A step's batch is made up to two calls ahead; a checkpoint is four renamings.
    saves = name == "KILL" and number % 3 == 0
    point = f"save:{draw.randint(1, 11)}" if saves else f"batch:{draw.randrange(1, LAST - 4)}"
    options = tiny_runs.full(world, tmp_path / "run")
    code, errors = interrupted(options, name, point)
    assert code == {"TERM": 75, "KILL": -signal.SIGKILL}[name], (point, errors)
    assert_begun(tmp_path / "run")
    code, errors = tiny_runs.finish(tiny_runs.start(["train.py", *tiny_runs.flags(options)]))
    assert code == 0, (point, errors)
    tiny_runs.assert_same_runs(unbroken, tmp_path / "run", LAST)


@pytest.mark.slow
def test_interrupted_many_times(world, unbroken, tmp_path):
    options = tiny_runs.full(world, tmp_path / "run")
    for name, point in [("TERM", "batch:3"), ("KILL", "save:3"), ("TERM", "batch:11"), ("KILL", "batch:20")]:
        interrupted(options, name, point)
        assert_begun(tmp_path / "run")
    train.main(options)
    tiny_runs.assert_same_runs(unbroken, tmp_path / "run", LAST)


# A file system of its own with a given size; the second run finds it larger.
FULL_DISK = """
set -e
mount -t tmpfs -o size=600k tmpfs "$1"
shift
"$@" --max_steps=4000 && exit 9
echo FULL >&2
mount -o remount,size=50m tmpfs "$(dirname "$JOB_DIR")"
exec "$@" --max_steps=4000
"""


@pytest.mark.slow
def test_a_full_disk_leaves_the_older_checkpoints_and_the_run_goes_on(world, tmp_path):
    """Runs in a small tmpfs in its own namespace, which is first full, then larger."""
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("no right to make a mount namespace here")
    disk = tmp_path / "disk"
    disk.mkdir()
    options = tiny_runs.full(world, disk / "run", max_steps=1_000_000, keep_checkpoints=1000, eval_images=0)
    command = [sys.executable, "train.py", *tiny_runs.flags(options)]
    done = subprocess.run(
        ["unshare", "-m", "bash", "-c", FULL_DISK, "bash", str(disk), *command],
        cwd=tiny_runs.ROOT,
        env={**os.environ, "JOB_DIR": options.job_dir},
        capture_output=True,
        text=True,
        timeout=900,
    )
    first, _, second = done.stderr.partition("FULL\n")
    assert "free disk space and run the same command again" in first and "No space left" in first, done.stderr[-3000:]
    assert done.returncode == 0 and "step 4000/4000" in second, second[-3000:]
    assert "continues at step" in second and "damaged" not in second
