"""--consensus_weight: the captions of an image are sorted by log p + weight times their fit."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

import cli
from captioning import reranking
from captioning.captioner import Captioner
from captioning.decode import DecodingFlags, decoding_of
from formats.vocabulary import Vocabulary
from models.consensus.consensus_reward import ConsensusReward, NgramProjection
from models.generator import Generator
from models.standardise import Standardise
from tests import tiny_world

V, LENGTH, DIM = len(tiny_world.WORDS) + 1, 6, tiny_world.DIM


@pytest.fixture
def captioner(tmp_path):
    """A captioner of new weights whose run has a phrases.npz, made of random sentences."""
    rng = np.random.default_rng(4)
    sentences = [np.append(rng.integers(2, V - 1, rng.integers(2, 5)), 1).astype(np.int32) for _ in range(40)]
    several = sum(int((seen > 1).sum()) for _, _, seen in reranking.consensus_reward.count_ngrams(sentences))
    directions = rng.normal(size=(DIM, several)).astype(np.float32)
    NgramProjection.of(sentences, directions, rng.normal(size=DIM)).save(tmp_path / "phrases.npz")
    generator = Generator(V, DIM, 8, 8, 1.0, tf.constant([0, 3]), 8.0)
    generator.embedding.assign(generator.embedding * 20.0)
    captioner = Captioner(generator, Standardise(DIM), Vocabulary(tiny_world.WORDS), "fixed", LENGTH)
    captioner.phrases = reranking.path_of(str(tmp_path / "no_run"), str(tmp_path))
    return captioner


@pytest.fixture
def vectors():
    return np.random.default_rng(0).normal(size=(10, DIM)).astype(np.float32)


@pytest.mark.parametrize("decode", ["beam5", "sample5"])
@pytest.mark.parametrize("weight", [300, 1e6])
def test_captions_are_sorted_by_probability_and_fit(captioner, vectors, decode, weight):
    plain = captioner.caption_vectors(vectors, decode)
    sorted_ = captioner.caption_vectors(vectors, f"{decode},consensus_weight={weight:.0f}")
    fit, moved = ConsensusReward(NgramProjection.load(captioner.phrases)), 0
    for vector, before, after in zip(vectors, plain, sorted_, strict=True):
        assert sorted(one.ids for one in before) == sorted(one.ids for one in after), "the same captions"
        assert [one.score for one in after] == sorted((one.score for one in after), reverse=True)
        for one in after:
            words = tf.constant([[*one.words, 1]])
            expected = one.log_prob + weight * float(fit(words, vector[None], reranking.CONTRAST)[0])
            assert one.score == pytest.approx(expected, rel=1e-4)
        moved += before[0].ids != after[0].ids
    assert moved, "another caption comes first for at least one image"


def test_a_weight_of_zero_changes_nothing(captioner, vectors):
    captioner.phrases = None
    assert captioner.caption_vectors(vectors, "beam3,consensus_weight=0") == captioner.caption_vectors(vectors, "beam3")


def test_a_run_without_predicted_embeddings_is_named(captioner, vectors, tmp_path):
    captioner.phrases = reranking.path_of(str(tmp_path / "a"), str(tmp_path / "b"))
    with pytest.raises(cli.UserError, match="no predicted caption embeddings.*predict_caption_embeddings writes"):
        captioner.caption_vectors(vectors, "beam3,consensus_weight=100")


def test_vectors_of_another_size_are_an_error(captioner):
    with pytest.raises(cli.UserError, match=f"--consensus_weight: .*for image vectors of {DIM} numbers"):
        reranking.load(captioner.phrases, DIM + 1)


def test_the_flag():
    assert decoding_of(DecodingFlags("beam10", consensus_weight=400)).name == "beam10,consensus_weight=400"
    assert decoding_of(DecodingFlags(consensus_weight=0.0)).name == "beam3"
    with pytest.raises(cli.UserError, match="greedy decoding has one; expected --decode beamK"):
        decoding_of(dataclasses.replace(DecodingFlags("greedy"), consensus_weight=1.0))
