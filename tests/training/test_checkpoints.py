"""Checkpoints: atomic writes, restoring the newest readable one, no silent new start."""

import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

import cli
from models import layers
from tests.training import toy
from training import checkpoints

DATA = "data-00000-of-00001"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Trains a run with checkpoints at 10, 20 and 30."""
    folder = tmp_path_factory.mktemp("trained")
    toy.train(toy.options(folder))
    return folder


@pytest.fixture
def run(trained, tmp_path):
    """Returns a copy of the trained run."""
    return shutil.copytree(trained, tmp_path / "run")


def cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def flip(path):
    content = bytearray(path.read_bytes())
    content[10] ^= 1
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


def remove(path):
    path.unlink()


DAMAGES = [(DATA, cut), (DATA, flip), (DATA, empty), (DATA, remove), ("index", cut), ("index", empty)]
DAMAGES += [("index", remove), ("json", remove), ("json", cut), ("json", empty)]


def restore(folder):
    """Restores a toy run; returns (step, state, warnings)."""
    warnings = []
    with tf.init_scope():
        objective = toy.ToyObjective(toy.options(folder))
    step, state = checkpoints.restore_newest(str(folder), objective.checkpointed(), warnings.append)
    return step, state, warnings, objective


@pytest.mark.parametrize("ending,damage", DAMAGES, ids=lambda value: getattr(value, "__name__", value))
def test_a_damaged_checkpoint_is_passed_over_with_a_warning(run, trained, ending, damage):
    damage(run / f"ckpt-30.{ending}")
    step, state, warnings, objective = restore(run)
    assert step == state["step"] == 20
    assert len(warnings) == 1 and "ckpt-30 is damaged and skipped" in warnings[0]
    wanted = toy.tensors(trained, 20)["network/weights/.ATTRIBUTES/VARIABLE_VALUE"]
    np.testing.assert_array_equal(objective.network.weights, wanted)


def test_the_run_goes_on_from_the_one_before_and_ends_as_if_nothing_had_been(run, trained, capsys):
    flip(run / f"ckpt-30.{DATA}")
    (run / "ckpt-20.index").unlink()
    toy.train(toy.options(run))
    printed = capsys.readouterr().err
    assert printed.count("damaged and skipped") == 2 and "continues at step 10" in printed
    toy.assert_same(toy.tensors(trained, 30), toy.tensors(run, 30))
    assert (run / "metrics.jsonl").read_text() == (trained / "metrics.jsonl").read_text()


@pytest.mark.parametrize("ending", [DATA, "index", "json"])
def test_when_all_are_damaged_nothing_starts_afresh(run, ending):
    for step in (10, 20, 30):
        empty(run / f"ckpt-{step}.{ending}")
    with pytest.raises(cli.UserError, match="none of the 3 checkpoints can be restored"):
        restore(run)


def test_a_folder_without_checkpoints_starts_afresh(tmp_path):
    assert restore(tmp_path)[:3] == (0, {}, [])


def test_the_order_is_that_of_numbers(run):
    for path in list(run.glob("ckpt-30.*")):
        path.rename(run / path.name.replace("ckpt-30", "ckpt-9"))
    assert checkpoints.steps_in(str(run)) == [9, 10, 20]


def test_a_checkpoint_of_other_networks_names_what_is_missing(run):
    network = layers.Linear(toy.DIM + 1, 1, tf.constant([1, 1]), "toy")
    with pytest.raises(cli.UserError, match="ckpt-30: cannot be restored"):
        checkpoints.restore(str(run / "ckpt-30"), {"network": network})
    extra = layers.Linear(toy.DIM, 1, tf.constant([1, 1]), "toy")
    with pytest.raises(cli.UserError, match="ckpt-30: cannot be restored"):
        checkpoints.restore(str(run / "ckpt-30"), {"network": extra, "another": network})


# --------------------------------------------------------------------------------------------------------------
# Saves that were killed


def split(run, step, ready):
    """Puts a checkpoint into the state that a killed save leaves: some files are still in the folder `ready-STEP`."""
    folder = run / f"ready-{step}"
    folder.mkdir()
    for ending in ready:
        (run / f"ckpt-{step}.{ending}").rename(folder / f"ckpt-{step}.{ending}")


@pytest.mark.parametrize("ready", [[DATA, "index", "json"], ["index", "json"], ["index"], []])
def test_a_save_that_was_complete_is_put_in_place(run, trained, ready):
    split(run, 30, ready)
    checkpoints.finish_saves(str(run))
    assert restore(run)[0] == 30 and not list(run.glob("ready-*"))
    toy.assert_same(toy.tensors(trained, 30), toy.tensors(run, 30))


def test_a_save_that_was_not_complete_is_removed(run):
    (run / "part-40").mkdir()
    (run / "part-40" / f"ckpt-40.{DATA}").write_bytes(b"half")
    checkpoints.finish_saves(str(run))
    assert restore(run)[:1] == (30,) and not list(run.glob("part-*"))


def test_superseded_checkpoints_go_and_with_them_what_is_left_of_removed_ones(run):
    (run / "ckpt-10.index").unlink()  # a removal that was killed half-way through
    checkpoints.remove_superseded(str(run), keep_last=1, keep_every=0)
    assert {path.name.split(".")[0] for path in run.glob("ckpt-*")} == {"ckpt-30"}
    checkpoints.remove_superseded(str(run), keep_last=1, keep_every=0)
    assert checkpoints.steps_in(str(run)) == [30]


# --------------------------------------------------------------------------------------------------------------
# Variables by name


@pytest.fixture
def authors(tmp_path):
    """Writes a TF1 checkpoint with a variable, its slots and the other contents of the authors' files."""
    arrays = {"Generator/embedding": np.ones([5, 2], np.float32), "Generator/embedding/Adam": np.ones([5, 2])}
    arrays |= {"Generator/embedding/Adam_1": np.ones([5, 2]), "train/generator_train/beta1_power": np.array(0.5)}
    arrays |= {"global_step": np.array(6, np.int64)}
    prefix = str(tmp_path / "model.ckpt-6")
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=list(arrays),
        shape_and_slices=[""] * len(arrays),
        tensors=[tf.constant(value) for value in arrays.values()],
    )
    return prefix


def test_the_authors_variables_are_read_without_their_slots(authors):
    found = checkpoints.read_variables(authors)
    assert set(found) == {"Generator/embedding", "global_step"}
    assert set(checkpoints.read_variables(authors + ".index")) == set(found), "one of its files means the checkpoint"


@pytest.mark.parametrize("name", ["nothing", "folder"])
def test_what_is_no_checkpoint_is_named(tmp_path, name):
    (tmp_path / "folder").mkdir()
    with pytest.raises(cli.UserError, match=name):
        checkpoints.read_variables(str(tmp_path / name))


def test_a_checkpoint_cut_short_is_named(authors):
    path = f"{authors}.data-00000-of-00001"
    os.truncate(path, 20)
    with pytest.raises(cli.UserError, match="model.ckpt-6: cannot be read"):
        checkpoints.read_variables(authors)


def test_variables_are_handed_over_all_or_none():
    network = layers.Linear(3, 2, tf.constant([1, 1]), "Generator/fully_connected")
    names = layers.named_variables(network)
    before = network.weights.numpy()
    arrays = {"Generator/fully_connected/weights": np.zeros([3, 2], np.float32)}
    with pytest.raises(cli.UserError, match="has no variable Generator/fully_connected/biases"):
        checkpoints.assign_variables(names, arrays, "file")
    arrays["Generator/fully_connected/biases"] = np.zeros([4], np.float32)
    with pytest.raises(cli.UserError, match=r"biases has shape \(4,\), expected \(2,\)"):
        checkpoints.assign_variables(names, arrays, "file")
    np.testing.assert_array_equal(network.weights, before)
    arrays["Generator/fully_connected/biases"] = np.ones([2], np.float32)
    assert set(checkpoints.assign_variables(names, arrays, "file")) == set(names)
    assert network.weights.numpy().sum() == 0 and network.biases.numpy().tolist() == [1, 1]


def test_the_state_of_the_loop_is_plain_json(trained):
    state = json.loads((trained / "ckpt-30.json").read_text())
    assert state == {"step": 30, "pending": {}}


@pytest.mark.parametrize("name", ["ready-1", "part-1"])
def test_a_link_in_the_run_is_not_followed(tmp_path, name):
    run, outside = tmp_path / "run", tmp_path / "outside"
    for folder in (run, outside):
        folder.mkdir()
    for file in ("ckpt-1.index", "config.json", "thesis.txt"):
        (outside / file).write_text("mine")
    (run / name).symlink_to(outside)
    (run / (name + "0")).write_text("a file of such a name")
    checkpoints.finish_saves(str(run))
    assert sorted(os.listdir(outside)) == ["ckpt-1.index", "config.json", "thesis.txt"]
    assert sorted(os.listdir(run)) == [name, name + "0"]


def test_only_files_of_checkpoints_are_put_in_place(tmp_path):
    (tmp_path / "config.json").write_text("of the run")
    (tmp_path / "ready-1").mkdir()
    for file in ("ckpt-1.index", "config.json"):
        (tmp_path / "ready-1" / file).write_text("of the save")
    checkpoints.finish_saves(str(tmp_path))
    assert (tmp_path / "config.json").read_text() == "of the run"
    assert sorted(os.listdir(tmp_path)) == ["ckpt-1.index", "config.json"]
