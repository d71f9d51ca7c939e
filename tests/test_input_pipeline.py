"""Batches are pure functions of the step; errors name damaged and inconsistent data."""

import os
import shutil

import numpy as np
import pytest

import cli
from formats import sidecars
from input_pipeline import (
    FeatureBank,
    ImageSet,
    PairedBatches,
    SentenceBatches,
    SentenceSet,
    Stream,
    UnpairedBatches,
    crop_draws,
    padded_rows,
)
from tests import sidecar_edits, tiny_world
from tests.formats.test_record_files import damage, starts
from training.distribution import replica_rows


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return tiny_world.make(str(tmp_path_factory.mktemp("world")))


@pytest.fixture
def copy(world, tmp_path):
    return shutil.copytree(world, str(tmp_path / "world"))


def batches_of(world, kind, batch_size=8, seed=1):
    image_set, corpus = ImageSet.from_bank(world, "train"), SentenceSet.load(world)
    captions = [[np.array([2, 3 + i % 3])] * (i % 3) for i in range(len(image_set))]
    return {
        "unpaired": lambda: UnpairedBatches(image_set, corpus, batch_size, seed),
        "two batches a step": lambda: UnpairedBatches(image_set, corpus, batch_size, seed, per_step=2),
        "sentences": lambda: SentenceBatches(corpus, batch_size, seed),
        "keys": lambda: SentenceBatches(corpus, batch_size, seed, keys=True),
        "paired": lambda: PairedBatches(image_set, captions, batch_size, seed),
    }[kind]()


KINDS = ["unpaired", "two batches a step", "sentences", "keys", "paired"]


def assert_equal(first, second):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


# --------------------------------------------------------------------------------------------------------------
# Order


@pytest.mark.parametrize("size", [1, 7, 50])
def test_every_epoch_is_a_permutation_of_its_own(size):
    stream = Stream(size, 1, "images")
    epochs = [stream.indices(epoch * size, size).tolist() for epoch in range(3)]
    assert all(sorted(epoch) == list(range(size)) for epoch in epochs)
    assert size < 7 or len(set(map(tuple, epochs))) == 3


def test_positions_across_epochs_do_not_depend_on_how_they_are_asked():
    stream, fresh = Stream(7, 1, "images"), Stream(7, 1, "images")
    at_once = stream.indices(3, 40)
    one_by_one = [int(fresh.indices(position, 1)[0]) for position in reversed(range(3, 43))]
    assert at_once.tolist() == one_by_one[::-1]


def test_seed_and_purpose_decide_about_the_order():
    orders = {tuple(Stream(50, seed, purpose).indices(0, 50)) for seed in (1, 2) for purpose in ("images", "sentences")}
    assert len(orders) == 4


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_a_pure_function_of_the_step(world, kind):
    batches, fresh = batches_of(world, kind), batches_of(world, kind)
    forward = {step: batches.batch(step) for step in range(12)}
    for step in (11, 3, 0):
        assert_equal(fresh.batch(step), forward[step])
    assert any(not np.array_equal(forward[0][name], forward[1][name]) for name in forward[0])
    other = batches_of(world, kind, seed=2).batch(0)
    assert any(not np.array_equal(forward[0][name], other[name]) for name in other)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("replicas", [1, 2, 4])
def test_the_shares_of_the_replicas_make_up_the_batch(world, kind, replicas):
    """Each example, with its crop, goes to exactly one replica, whatever the number of replicas."""
    batches = batches_of(world, kind)
    whole, per_step = batches.batch(5), batches.examples // batches.batch_size
    rows = [replica_rows(batches.examples, r, replicas, per_step) for r in range(replicas)]
    assert sorted(np.concatenate(rows)) == list(range(batches.examples))
    for share in rows:
        assert_equal(batches.batch(5, share), {name: values[share] for name, values in whole.items()})


def test_each_replica_has_its_part_of_each_of_two_batches():
    assert replica_rows(8, 0, 2, per_step=2).tolist() == [0, 1, 4, 5]
    assert replica_rows(8, 1, 2, per_step=2).tolist() == [2, 3, 6, 7]


@pytest.mark.parametrize("kind,size", [("unpaired", 40), ("two batches a step", 40), ("sentences", 60), ("paired", 39)])
def test_an_epoch_uses_every_example_once_also_when_the_devices_change(world, kind, size):
    """One replica until the third step, two from then on; images, sentences and pairs are compared by name."""
    batches = batches_of(world, kind, batch_size=4)
    used = []
    for step in range(size // batches.examples):
        names = batches.names(step)
        for replica in range(1 if step < 3 else 2):
            share = replica_rows(batches.examples, replica, 1 if step < 3 else 2, batches.examples // 4)
            used += [names[row] for row in share]
    remaining = size % batches.examples
    assert len(used) == size - remaining
    if kind == "paired":  # an image has as many pairs as captions
        counts = [used.count(name) for name in set(used)]
        assert max(counts) <= 2
    else:
        assert len(set(used)) == len(used)
        assert remaining or len(used) == size


def test_crops_are_drawn_from_all_but_the_centre(world):
    batches = batches_of(world, "unpaired")
    bank = batches.image_set.bank
    chosen = set()
    for step in range(20):
        batch, names = batches.batch(step), batches.names(step)
        for vector, name in zip(batch["image"], names, strict=True):
            crops = np.asarray(bank.features[bank.row_of[name]], np.float32)
            chosen.add(int(np.argmin(np.abs(crops - vector).sum(1))))
    assert chosen == {1, 2}
    draws = crop_draws(1, 0, 1000)
    assert draws.shape == (1000, 2) and 0 <= draws.min() and draws.max() < 1


def test_a_bank_without_crops_gives_the_centre(tmp_path):
    world = tiny_world.make(str(tmp_path / "centre"), crops=0)
    batches = batches_of(world, "unpaired")
    rows = [batches.image_set.bank.row_of[name] for name in batches.names(0)]
    np.testing.assert_array_equal(batches.batch(0)["image"], batches.image_set.bank.centre(rows))


# --------------------------------------------------------------------------------------------------------------
# Rows of ragged arrays


def test_padded_rows_where_no_row_has_anything():
    rows, lengths = padded_rows(np.zeros(0, np.float32), np.zeros(4, np.int64), np.array([2, 0]), 1)
    assert rows.tolist() == [[0.0], [0.0]] and rows.dtype == np.float32 and lengths.tolist() == [0, 0]


def test_padded_rows():
    flat, offsets = np.array([5, 6, 7, 8], np.int32), np.array([0, 2, 2, 4])
    rows, lengths = padded_rows(flat, offsets, np.array([2, 1, 0]), 3)
    assert rows.tolist() == [[7, 8, 0], [0, 0, 0], [5, 6, 0]] and lengths.tolist() == [2, 0, 2]


def test_long_sentences_are_left_out(world):
    assert SentenceSet.load(world, max_length=8).width == 8
    assert len(SentenceSet.load(world, max_length=8)) < len(SentenceSet.load(world)) == 60
    with pytest.raises(cli.UserError, match="no sentence of at most 2 words"):
        SentenceSet.load(world, max_length=2)


# --------------------------------------------------------------------------------------------------------------
# Damage


@pytest.mark.parametrize("stem", ["sentence", "image_train"])
def test_a_damaged_record_ends_the_run_unless_asked_to_be_left_out(copy, stem, capfd):
    path = os.path.join(copy, f"{stem}.tfrec")
    damage(path, starts(path)[4] + 20)
    read = {
        "sentence": SentenceSet.load,
        "image_train": lambda world, **how: ImageSet.from_bank(world, "train", **how),
    }[stem]
    with pytest.raises(cli.UserError, match=rf"{stem}\.tfrec: record 4 is damaged"):
        read(copy)
    assert len(read(copy, skip_damaged=True)) == {"sentence": 59, "image_train": 39}[stem]
    assert "1 damaged records left out (number 4)" in capfd.readouterr().err


def test_another_number_of_records_than_stated(copy):
    path = os.path.join(copy, "sentence.json")
    sidecar_edits.edit(path, count=61)
    with pytest.raises(cli.UserError, match="60 sentence records, but .*sentence.json states 61"):
        SentenceSet.load(copy)


def test_verify_compares_the_checksums(copy):
    assert sidecars.verify(copy) == 5
    path = os.path.join(copy, "features_train.npy")
    damage(path, os.path.getsize(path) - 1)
    FeatureBank(copy, "train")  # the size is right
    with pytest.raises(cli.UserError, match="features_train.npy is not the file that .*sha256"):
        sidecars.verify(copy)


@pytest.mark.parametrize("cut", [10, 100])
def test_a_bank_cut_short_is_named(copy, cut):
    path = os.path.join(copy, "features_train.npy")
    with open(path, "r+b") as file:
        file.truncate(os.path.getsize(path) - cut)
    with pytest.raises(cli.UserError, match="features_train.npy has .* bytes.*extract_features"):
        FeatureBank(copy, "train")


def test_images_without_features_are_named(copy):
    with pytest.raises(cli.UserError, match="1 images have no features, the first is none.jpg"):
        FeatureBank(copy, "train").rows(["train_000.jpg", "none.jpg"])
    os.remove(os.path.join(copy, "features_train.json"))
    with pytest.raises(cli.UserError, match="features_train.json is missing. Make the feature bank with: python -m"):
        FeatureBank(copy, "train")


def test_a_sidecar_that_calls_the_std_deviation_is_read(copy):
    """Older feature banks, which call the field `deviation`, can still be read."""
    path = os.path.join(copy, "features_train.json")
    content, expected = sidecars.read_sidecar(path), FeatureBank(copy, "train").statistics
    content["deviation"] = content.pop("std")
    sidecar_edits.rewrite(path, content)
    np.testing.assert_array_equal(FeatureBank(copy, "train").statistics, expected)
    del content["deviation"]
    sidecar_edits.rewrite(path, content)
    with pytest.raises(cli.UserError, match="features_train.json.*std.*extract_features"):
        FeatureBank(copy, "train")
