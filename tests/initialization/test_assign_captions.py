"""assign_captions: points of the vector space, the sentences that fit them, and the captioner that learns from them."""

import dataclasses
import json
import os

import numpy as np
import pytest

import cli
import config
from formats.vocabulary import Vocabulary
from initialization import assign_captions, im_caption, predict_caption_embeddings, pseudo_captions
from initialization.assign_captions import Options, best_sentences, mixtures, prices
from input_pipeline import FeatureBank
from models.consensus.consensus_reward import ConsensusReward, NgramProjection
from tests import sidecar_edits, tiny_runs, tiny_world


@pytest.fixture
def made(tmp_path):
    """Options of a call on the tiny world."""
    data = tiny_world.make(str(tmp_path / "data"), sentences=90)
    out = str(tmp_path / "out")
    predict_caption_embeddings.main(predict_caption_embeddings.Options(data_dir=data, output_dir=out, dim=2))
    options = Options(data_dir=out, mixed=50, most=0.0)
    assign_captions.main(options)
    return options


def learn(made, **changes):
    return config.ImageCaption(data_dir=made.data_dir, captions="fit", **changes)


def vocabulary_of(options):
    return Vocabulary.load(os.path.join(options.data_dir, "word_counts.txt"))


def test_each_point_has_the_sentence_that_fits_it_best(made):
    points, found = pseudo_captions.load_points("fit", made.data_dir, vocabulary_of(made))
    bank = FeatureBank(made.data_dir, "train")
    assert len(points) == 40 * 3 + 50 and points.images.names[3] == "point 3"
    np.testing.assert_array_equal(points.take(np.arange(120), None)["image"], bank.features.reshape(-1, 2))
    fit = ConsensusReward(NgramProjection.load(os.path.join(made.data_dir, "phrases.npz")))
    captions = sorted({tuple(ids.tolist()) for [ids] in found.captions})
    assert len(captions) > 1
    for number in (0, 1, 40, 121, 169):
        vector = points.take(np.array([number]), None)["image"]
        fits = [float(fit(np.array([[*ids, 1]], np.int32), vector, made.contrast)[0]) for ids in captions]
        own = fits[captions.index(tuple(found.captions[number][0].tolist()))]
        assert own == pytest.approx(max(fits), abs=1e-5)


def test_mixtures_lie_between_images_and_depend_on_the_seed_alone():
    vectors = np.random.default_rng(0).normal(size=(50, 3, 4)).astype(np.float32)
    points = mixtures(vectors, 400, 1)
    np.testing.assert_array_equal(points, mixtures(vectors, 400, 1))
    assert not np.array_equal(points, mixtures(vectors, 400, 2))
    length = lambda rows: np.linalg.norm(rows, axis=-1).mean()  # noqa: E731
    assert points.shape == (400, 4) and length(points) == pytest.approx(length(vectors[:, 0]), rel=1e-5)
    assert mixtures(vectors, 0, 1).shape == (0, 4)
    assert np.isfinite(mixtures(vectors[:1], 5, 1)).all()


def test_mixtures_are_mostly_of_alike_images():
    """Two groups of images that point apart: 0.3 x 0.5 of the points lie between them."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(200, 1, 2)) * 0.01 + np.repeat([[[1.0, 0.0]], [[0.0, 1.0]]], 100, 0)
    points = mixtures(vectors.astype(np.float32), 2000, 3)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    between = ((points > 0.2).all(1)).mean()
    assert 0.05 < between < 0.16


def test_blocks_do_not_matter(monkeypatch):
    rng = np.random.default_rng(0)
    points, matrix = rng.normal(size=(30, 4)).astype(np.float32), rng.normal(size=(20, 4)).astype(np.float32)
    together = best_sentences(points, matrix, 0.0)
    np.testing.assert_array_equal(together, (points @ matrix.T).argmax(1))
    monkeypatch.setattr(assign_captions, "BLOCK", 60)
    np.testing.assert_array_equal(best_sentences(points, matrix, 0.0), together)


def test_prices_spread_the_sentences_and_those_that_a_sentence_suits_best_keep_it():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(40, 6)).astype(np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    points, general = rng.normal(size=(1000, 6)).astype(np.float32), 3 * matrix[0]  # the first one suits all alike
    free = best_sentences(points, matrix, general)
    price = prices(points, matrix, general, 0.05)
    bought = best_sentences(points, matrix, general, price)
    assert (free == 0).sum() > 200 and np.bincount(bought).max() <= 60 and len(set(bought)) > len(set(free))
    assert price.min() >= 0 and price[0] > 0
    suits = points @ matrix[0]
    assert suits[bought == 0].mean() > suits[free == 0].mean()
    assert not prices(points, matrix, general, 0.0).any()


def test_the_same_command_does_nothing_and_another_setting_is_refused(made):
    path = os.path.join(made.data_dir, "fit_captions.npz")
    before = open(path, "rb").read()
    assign_captions.main(made)
    with pytest.raises(cli.UserError, match="overwrite"):
        assign_captions.main(dataclasses.replace(made, contrast=0.7))
    assign_captions.main(dataclasses.replace(made, overwrite=True))
    assert open(path, "rb").read() == before


def test_a_captioner_learns_from_them_and_the_full_model_goes_on(made, tmp_path):
    import train

    run = str(tmp_path / "start")
    options = learn(made, job_dir=run, standardise=True, **(tiny_runs.SHORT | {"eval_images": 6, "lr": 1e-2}))
    im_caption.main(options)
    with open(os.path.join(run, "metrics.jsonl")) as file:
        losses = [row["loss/sentence"] for row in map(json.loads, file) if "loss/sentence" in row]
    assert losses[-1] < losses[0]
    im_caption.main(options)  # finished: the same captions
    train.main(
        tiny_runs.full(made.data_dir, tmp_path / "full", imcap_ckpt=run, reward=("consensus:weight=10",), max_steps=4)
    )


@pytest.mark.parametrize("change", ["absent", "cut", "dictionary", "vectors", "length", "inc_ckpt"])
def test_what_does_not_belong_is_refused(change, made):
    path, sidecar = (os.path.join(made.data_dir, f"fit_captions.{kind}") for kind in ("npz", "json"))
    options = learn(made, max_sentence_length=3 if change == "length" else 0)
    expected = "fit_captions"
    if change == "absent":
        os.remove(sidecar)
    elif change == "cut":
        os.truncate(path, 100)
    elif change == "length":
        expected = "max_sentence_length 3"
    elif change == "inc_ckpt":
        with pytest.raises(cli.UserError, match="inc_ckpt"):
            im_caption.main(dataclasses.replace(options, inc_ckpt="inception_v4.ckpt"))
        return
    else:
        with open(sidecar) as file:
            about = json.load(file)
        if change == "dictionary":
            about["vocabulary"], expected = "another", "another dictionary"
        else:
            about["made_from"]["features_train"], expected = ["another"], "other image vectors"
        sidecar_edits.rewrite(sidecar, about)
    with pytest.raises(cli.UserError, match=expected):
        pseudo_captions.load_points("fit", made.data_dir, vocabulary_of(made), options.max_sentence_length)


@pytest.mark.parametrize("changes", [{"mixed": -1}, {"contrast": 1.5}, {"most": 2.0}, {"max_sentence_length": -1}])
def test_bad_flags(changes, tmp_path):
    with pytest.raises(cli.UserError, match="expected"):
        assign_captions.main(Options(data_dir=str(tmp_path), **changes))


def test_a_folder_without_such_vectors_is_refused(tmp_path):
    with pytest.raises(cli.UserError, match="predict_caption_embeddings"):
        assign_captions.main(Options(data_dir=tiny_world.make(str(tmp_path / "data"))))
