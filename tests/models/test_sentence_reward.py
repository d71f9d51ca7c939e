"""The reward of a caption by its sentence vector (equation C11), and the map from embeddings to sentence vectors."""

import dataclasses
import json
import os

import numpy as np
import pytest
import tensorflow as tf

import cli
import config
import train
from formats import records
from formats.vocabulary import Vocabulary
from initialization import predict_caption_embeddings
from models.consensus import sentence_encoders, sentence_reward
from models.consensus.sentence_reward import SentenceReward, SentenceSpace
from tests import tiny_runs, tiny_world

CORPUS = ["a dog runs", "a dog sits", "a cat sits", "a cat runs", "a dog and a cat", "the sky is blue", "a blue dog"]
WORDS = ["<S>", "</S>", "a", "dog", "cat", "runs", "sits", "blue"]


@pytest.fixture
def space(monkeypatch):
    """A SentenceSpace of tfidf vectors with three dimensions, from embeddings with two."""
    monkeypatch.setattr(sentence_encoders, "DIMENSIONS", 3)
    encode = sentence_encoders.load("tfidf", CORPUS)
    rng = np.random.default_rng(1)
    embeddings, expected = rng.normal(size=(50, 2)).astype(np.float32), rng.normal(size=(50, 3)).astype(np.float32)
    return SentenceSpace.of(embeddings, expected, encode(CORPUS).mean(0), "tfidf", encode)


def test_the_map_is_the_ridge_regression():
    rng = np.random.default_rng(2)
    truth, embeddings = rng.normal(size=(4, 3)), rng.normal(size=(5000, 4)).astype(np.float32)
    encode = sentence_encoders.load("tfidf", CORPUS)
    expected = (embeddings @ truth + [1, 2, 3] + 0.1 * rng.normal(size=(5000, 3))).astype(np.float32)
    found = SentenceSpace.of(embeddings, expected, np.zeros(3, np.float32), "tfidf", encode).map_TD
    np.testing.assert_allclose(found * (1 + sentence_reward.RIDGE), truth, atol=0.05)


def test_reward_is_the_cosine(space, tmp_path):
    """Also from the saved file, which holds the encoder; words behind the end count nothing."""
    space.save(str(tmp_path / "sentence_space.npz"))
    loaded = SentenceSpace.load(str(tmp_path / "sentence_space.npz"))
    reward = SentenceReward(loaded, Vocabulary(WORDS))
    tokens = np.array([[2, 3, 5, 1, 0, 0], [2, 4, 6, 1, 3, 3], [2, 7, 3, 1, 0, 0]], np.int32)
    images = np.random.default_rng(3).normal(size=(3, 2)).astype(np.float32)
    found = tf.function(reward)(tf.constant(tokens), tf.constant(images))
    encode = sentence_encoders.load("tfidf", CORPUS)
    vectors = encode(["a dog runs", "a cat sits", "a blue dog"]) - space.mean_D
    targets = images @ space.map_TD
    cosine = (vectors * targets).sum(1) / np.linalg.norm(vectors, axis=1) / np.linalg.norm(targets, axis=1)
    np.testing.assert_allclose(found, cosine, atol=1e-5)


def test_other_files_of_the_encoder_are_refused(space):
    with pytest.raises(cli.UserError, match="are not those with which the data were made; expected what"):
        dataclasses.replace(space, identity={"kind": "minilm", "files": ["0"]}).load_encoder()


def test_a_space_of_other_embeddings_is_refused(space, tmp_path):
    space.save(str(tmp_path / SentenceSpace.FILE))
    with pytest.raises(cli.UserError, match="sentence_vectors: .*image vectors of 2 numbers, the feature bank has 7"):
        sentence_reward.make(config.FullModel(data_dir=str(tmp_path)), 7)


@pytest.mark.parametrize("change", [{"mean_D": np.zeros(5, np.float32)}, {"arrays": {}}, {"map_TD": np.zeros(3)}])
def test_damaged_files(space, change, tmp_path):
    dataclasses.replace(space, **change).save(str(tmp_path / "space.npz"))
    with pytest.raises(cli.UserError, match=r"space.npz.*--overwrite"):
        SentenceSpace.load(str(tmp_path / "space.npz"))


def test_a_run_is_rewarded_by_it(tmp_path):
    data = tiny_world.make(str(tmp_path / "data"), sentences=90)
    images = records.read_images(records.find_files(data, "image_train"))
    ends = zip(images.names, images.class_offsets, images.class_offsets[1:], strict=False)
    found = {name: [tiny_world.WORDS[noun] for noun in images.class_flat[start:end]] for name, start, end in ends}
    box, ssd = (0.0, 0.0, 1.0, 1.0), "tflite:ssd.tflite"
    examples = [
        records.detection_example(name, [0] * n, nouns, [0.9] * n, [box] * n, [ssd] * n)
        for name, nouns in found.items()
        for n in [len(nouns)]
    ]
    tiny_world.write(data, "detections", examples)
    options = predict_caption_embeddings.Options(
        data_dir=data, output_dir=str(tmp_path / "out"), dim=2, ridge=0.3, sentence_encoder="tfidf"
    )
    predict_caption_embeddings.main(options)
    only = {"w_adv": 0.0, "w_mse": 0.0, "w_sen": 0.0, "reward": ("sentence_vectors:weight=3",)}
    train.main(tiny_runs.full(options.output_dir, tmp_path / "run", **only))
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    rewards = [row["reward/sentence_vectors"] for row in rows if "reward/sentence_vectors" in row]
    assert rewards and any(rewards) and all(-3 <= reward <= 3 for reward in rewards)

    predict_caption_embeddings.main(dataclasses.replace(options, sentence_encoder="", overwrite=True))
    assert not os.path.exists(tmp_path / "out" / "sentence_space.npz")
    with pytest.raises(cli.UserError, match="--reward sentence_vectors: .*--sentence_encoder ENCODER"):
        train.main(tiny_runs.full(options.output_dir, tmp_path / "other", **only))
