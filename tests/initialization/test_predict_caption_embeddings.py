"""predict_caption_embeddings: the bank in the place of image vectors, its sidecars, the captioner trained on it."""

import dataclasses
import json
import os

import numpy as np
import pytest

import cli
import config
import train
from formats import records, sidecars
from formats.vocabulary import Vocabulary
from initialization import im_caption, predict_caption_embeddings, retrieve_captions
from initialization.predict_caption_embeddings import Options
from input_pipeline import FeatureBank
from models.consensus.kernel_regression import KernelFit, KnownImages, similarities, unit_vectors
from models.standardise import standardised
from tests import tiny_runs, tiny_world


@pytest.fixture
def made(tmp_path):
    """Options of a call that was made on the tiny world."""
    data = tiny_world.make(str(tmp_path / "data"), sentences=90)
    retrieve_captions.main(retrieve_captions.Options(data_dir=data, neighbours=5))
    options = Options(data_dir=data, output_dir=str(tmp_path / "out"), dim=2, ridge=0.3)
    predict_caption_embeddings.main(options)
    return options


def contents(folder):
    return {entry.name: open(entry.path, "rb").read() for entry in os.scandir(folder)}


@pytest.mark.parametrize("landmarks", [8192, 15])
def test_vectors_are_what_the_other_images_let_expect(made, landmarks):
    options = dataclasses.replace(made, landmarks=landmarks, overwrite=landmarks != made.landmarks)
    predict_caption_embeddings.main(options)
    known = KnownImages.load(os.path.join(made.output_dir, "neighbours.npz"))
    assert known.units_MD.shape[0] == min(landmarks, 40) and known.weights_MT.shape == (min(landmarks, 40), 2)
    vocabulary = Vocabulary.load(os.path.join(made.data_dir, "word_counts.txt"))
    bank = FeatureBank(made.data_dir, "train")
    units = unit_vectors(standardised(bank.centre(np.arange(40)), *bank.statistics))
    images = records.read_images(records.find_files(made.data_dir, "image_train"))
    assert images.names == bank.names
    _, fit, *_ = predict_caption_embeddings.learn(options, vocabulary, images, bank)
    targets = fit.residual_IT + similarities(units, known.units_MD, 2.0) @ fit.weights_MT
    assert np.abs(targets.mean(0)).max() < 1e-4
    for split, count in (("train", 40), ("val", 20)):
        old, new = FeatureBank(made.data_dir, split), FeatureBank(made.output_dir, split)
        assert new.names == old.names and new.features.shape == (count, 3, 2)
        for row in range(count):
            rest = np.delete(np.arange(40), row) if split == "train" else np.arange(40)
            without = KernelFit.of(units[rest], known.units_MD, targets[rest], 2.0, 0.3)
            vectors = unit_vectors(standardised(old.features[row], *bank.statistics))
            expected = similarities(vectors, known.units_MD, 2.0) @ without.weights_MT
            np.testing.assert_allclose(new.features[row], expected, atol=2e-3)
        flat = new.features.astype(np.float64).reshape(-1, 2)
        np.testing.assert_allclose(new.statistics, [flat.mean(0), flat.std(0)], atol=2e-3)


def test_reduced_vectors(made):
    """--pca with as many components as there are dimensions predicts what whole vectors predict; with fewer, others."""
    whole = FeatureBank(made.output_dir, "val").features.astype(np.float32)
    dim = FeatureBank(made.data_dir, "train").dim
    for count in (dim, 2):
        predict_caption_embeddings.main(dataclasses.replace(made, pca=count, overwrite=True))
        known = KnownImages.load(os.path.join(made.output_dir, "neighbours.npz"))
        assert known.units_MD.shape == (40, count) and known.directions_PD.shape == (count, dim)
        difference = np.abs(FeatureBank(made.output_dir, "val").features.astype(np.float32) - whole).max()
        assert difference < 5e-3 if count == dim else difference > 0.02


def test_images_of_one_concept_have_like_vectors(made):
    images = records.read_images(records.find_files(made.data_dir, "image_train"))
    counts = np.diff(images.class_offsets)
    seen = np.flatnonzero(counts)
    nouns = images.class_flat[images.class_offsets[seen]]
    vectors = FeatureBank(made.output_dir, "train").centre(seen)
    centres = {noun: vectors[nouns == noun].mean(0) for noun in set(nouns.tolist())}
    nearest = [min(centres, key=lambda noun: np.linalg.norm(vector - centres[noun])) for vector in vectors]
    assert np.mean(np.array(nearest) == nouns) > 0.75  # by chance 0.4


def test_other_files_are_linked_and_the_same_command_does_nothing(made):
    assert os.path.samefile(os.path.join(made.data_dir, "image_val.tfrec"), f"{made.output_dir}/image_val.tfrec")
    assert sidecars.verify(made.output_dir) == sidecars.verify(made.data_dir) + 1
    before = contents(made.output_dir)
    times = {entry.name: entry.stat().st_mtime_ns for entry in os.scandir(made.output_dir)}
    predict_caption_embeddings.main(made)
    assert times == {entry.name: entry.stat().st_mtime_ns for entry in os.scandir(made.output_dir)}
    predict_caption_embeddings.main(dataclasses.replace(made, overwrite=True))
    after = contents(made.output_dir)
    assert {name for name in before if before[name] != after[name]} <= {
        "neighbours.json",  # the command line
        "features_train.json",
        "features_val.json",
    }


def test_what_was_linked_is_renewed(made):
    retrieve_captions.main(retrieve_captions.Options(data_dir=made.data_dir, neighbours=5, k=2, overwrite=True))
    predict_caption_embeddings.main(made)
    about = json.loads(open(os.path.join(made.output_dir, "retrieved_captions.json")).read())
    assert about["count"] == 80


def test_interrupted_between_the_banks_the_same_command_goes_on(made):
    before = contents(made.output_dir)
    for name in ("features_val.json", "features_val.npy", "features_train.json"):
        os.remove(os.path.join(made.output_dir, name))
    predict_caption_embeddings.main(made)
    assert contents(made.output_dir)["features_train.npy"] == before["features_train.npy"]
    assert contents(made.output_dir)["features_val.npy"] == before["features_val.npy"]


def test_other_settings_are_refused_without_overwrite(made):
    with pytest.raises(cli.UserError, match="overwrite"):
        predict_caption_embeddings.main(dataclasses.replace(made, sharpness=5.0))
    predict_caption_embeddings.main(dataclasses.replace(made, sharpness=5.0, overwrite=True))
    assert KnownImages.load(os.path.join(made.output_dir, "neighbours.npz")).sharpness == 5


def test_a_captioner_is_trained_on_it(made, tmp_path):
    small = {"emb_dim": 8, "mem_dim": 8, "batch_size": 8, "steps_per_loop": 2, "max_steps": 4, "eval_images": 0}
    run = str(tmp_path / "run")
    im_caption.main(config.ImageCaption(data_dir=made.output_dir, captions="retrieved", job_dir=run, **small))
    with open(os.path.join(run, "config.json")) as file:
        facts = json.load(file)["facts"]
    assert facts["image_dim"] == 2 and facts["encoder"]["kind"] == "neighbours"


def test_the_full_model_is_rewarded_for_captions_that_fit(made, tmp_path):
    only = {"w_adv": 0.0, "w_mse": 0.0, "w_sen": 0.0}
    options = tiny_runs.full(made.output_dir, tmp_path / "run", reward=("consensus:weight=20",), **only)
    train.main(options)
    with open(tmp_path / "run" / "metrics.jsonl") as file:
        rows = [json.loads(line) for line in file]
    fits = [row["reward/consensus"] for row in rows if "reward/consensus" in row]
    assert fits and all(np.isfinite(fits)) and any(fits)
    facts = json.loads((tmp_path / "run" / "config.json").read_text())["facts"]["rewards"]
    assert facts == {name: sidecars.fingerprint(f"{made.output_dir}/{name}")["sha256"] for name in facts}
    assert set(facts) == {"neighbours.npz", "phrases.npz"}


@pytest.mark.parametrize(
    "changes, message",
    [
        (
            {"data_dir": "plain"},
            "neighbours: missing. Make it with: python -m initialization.predict_caption_embeddings",
        ),
        ({"inc_ckpt": "inception_v4.ckpt"}, "--reward consensus:.*expected --images bank, no --inc_ckpt"),
        ({"phrases": b"none"}, "phrases.npz has 4 bytes, not the .* Make it with: .* --overwrite"),
    ],
)
def test_the_consensus_reward_needs_these_vectors(changes, message, made, tmp_path):
    folder = made.data_dir if "data_dir" in changes else made.output_dir
    if "phrases" in changes:
        with open(os.path.join(folder, "phrases.npz"), "wb") as file:
            file.write(changes["phrases"])
    options = tiny_runs.full(folder, tmp_path / "run", reward=("consensus",), inc_ckpt=changes.get("inc_ckpt"))
    with pytest.raises(cli.UserError, match=message):
        train.main(options)


@pytest.mark.parametrize(
    "changes",
    [
        {"dim": 0},
        {"landmarks": 0},
        {"threshold": 1.5},
        {"temperature": 0.0},
        {"sharpness": 0.0},
        {"ridge": 0.0},
        {"bonus": -1.0},
        {"output_dir": "same"},
    ],
)
def test_bad_flags(changes, tmp_path):
    data = str(tmp_path)
    changes = {"output_dir": data} if "output_dir" in changes else changes
    with pytest.raises(cli.UserError, match="expected"):
        predict_caption_embeddings.main(Options(data_dir=data, **changes))


def test_a_missing_bank_is_named(tmp_path):
    data = tiny_world.make(str(tmp_path / "data"))
    os.remove(os.path.join(data, "features_train.json"))
    with pytest.raises(cli.UserError, match="features_train.json"):
        predict_caption_embeddings.main(Options(data_dir=data))
