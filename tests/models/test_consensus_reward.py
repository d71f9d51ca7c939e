"""The consensus reward: caption vectors against those of the corpus, unknown n-grams, length penalty."""

import numpy as np
import pytest
import tensorflow as tf

from initialization.consensus_retrieval import sentence_vectors
from models.consensus.consensus_reward import ConsensusReward, NgramProjection
from models.consensus.ngrams import count_ngrams

WORDS = {word: i + 2 for i, word in enumerate("a man rides wave dog runs on grass the cat sleeps here".split())}
TEXTS = [
    "a man rides a wave", "the man rides a wave", "a man runs", "a dog runs on grass", "the dog runs on grass",
    "a dog sleeps here", "the cat sleeps here", "a dog runs on the grass",
]  # fmt: skip
SENTENCES = [np.array([WORDS[word] for word in text.split()] + [1], np.int32) for text in TEXTS]


@pytest.fixture(scope="module")
def phrases():
    """Returns (NgramProjection, sentence vectors [N, T], general [T]); all directions are kept, rotated."""
    vectors = sentence_vectors(SENTENCES).toarray()
    size = vectors.shape[1]
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(size, size)))[0].astype(np.float32)
    general = np.random.default_rng(1).normal(size=size).astype(np.float32)
    found = NgramProjection.of(SENTENCES, rotation, general)
    return found, vectors @ rotation.T, general


def padded(sentences, width):
    return tf.constant(np.stack([np.pad(ids, (0, width - len(ids)), constant_values=9) for ids in sentences]))


def test_vectors_are_those_of_the_corpus(phrases):
    """Words after the end token are ignored."""
    found, vectors, _ = phrases
    for width in (7, 9):
        np.testing.assert_allclose(ConsensusReward(found).vectors(padded(SENTENCES, width)), vectors, atol=2e-3)


def test_fit_is_the_product_with_what_is_expected_less_the_length_penalty(phrases):
    found, vectors, general = phrases
    images = np.random.default_rng(2).normal(size=vectors.shape).astype(np.float32)
    fit = tf.function(ConsensusReward(found))
    lengths = np.array([len(ids) for ids in SENTENCES])
    once = ConsensusReward(found).vectors(padded(SENTENCES, 8), repeats=False).numpy()
    penalty = np.exp(-((lengths - lengths.mean()) ** 2) / 72)
    for contrast in (0.0, 0.65, 1.0):
        expected = (once * (images + (1 - contrast) * general)).sum(1)
        expected *= np.where(expected > 0, penalty, 1.0)
        np.testing.assert_allclose(fit(padded(SENTENCES, 8), images, contrast), expected, atol=2e-2)


def test_repeated_and_unknown_ngrams(phrases):
    """A repeated word counts twice and an unknown word only adds to the norm, as in the vectors of the corpus."""
    found, _, _ = phrases
    one, more = SENTENCES[0], np.array([WORDS["man"], WORDS["man"], 700, 1], np.int32)
    together = [*SENTENCES, more]
    # The same document frequencies: those of the corpus without the caption.
    idf = {}
    for _, keys, seen_in in count_ngrams(SENTENCES):
        idf |= dict(zip(keys.tolist(), np.log(len(SENTENCES) / seen_in), strict=True))
    norm, shares = 0.0, {}
    counts, keys, _ = next(iter(count_ngrams(together)))
    row = counts.toarray()[-1]
    for key, count in zip(keys.tolist(), row, strict=True):
        weight = count * idf.get(key, np.log(len(SENTENCES)))
        norm += weight**2
        shares[key] = weight
    table = dict(zip(found.keys[0].tolist(), found.directions[0].astype(np.float32), strict=True))
    signed = lambda key: int(np.uint64(key).view(np.int64))  # noqa: E731
    unigrams = sum(
        weight * table[signed(key)] for key, weight in shares.items() if signed(key) in table and weight
    ) / np.sqrt(norm)
    only_unigrams = NgramProjection(
        found.keys[:1], found.idf[:1], found.directions[:1], found.rarest, found.general_T, 5.0
    )
    np.testing.assert_allclose(
        ConsensusReward(only_unigrams).vectors(padded([more, one], 6))[0], unigrams / 2, atol=2e-3
    )


def test_a_caption_that_breaks_off_fits_its_sentence_less(phrases):
    found, vectors, _ = phrases
    whole = SENTENCES[3]
    broken = np.array([*whole[:-2], 1], np.int32)
    fit = ConsensusReward(found)(padded([whole, broken], 8), tf.constant(vectors[[3, 3]], tf.float32), 1.0).numpy()
    assert fit[1] < 0.8 * fit[0]


def test_what_is_said_again_counts_in_the_length_of_the_vector_alone(phrases):
    found, vectors, _ = phrases
    dog, runs = WORDS["dog"], WORDS["runs"]
    fit = ConsensusReward(found)
    again, twice = np.array([dog, runs, dog, 1], np.int32), np.array([dog, dog, 1], np.int32)
    plain = np.array([dog, runs, WORDS["on"], 1], np.int32)
    for ids in (plain, SENTENCES[5]):  # sentences without repeated words
        np.testing.assert_allclose(*(fit.vectors(padded([ids], 8), repeats=flag) for flag in (True, False)), atol=1e-6)
    for ids in (again, twice):
        once, all_of_it = (fit.vectors(padded([ids], 8), repeats=flag).numpy()[0] for flag in (False, True))
        dog_sentence = vectors[5]  # a dog sleeps here
        assert once @ dog_sentence < 0.8 * (all_of_it @ dog_sentence)


def test_an_empty_caption_has_no_vector(phrases):
    found, _, _ = phrases
    alone = ConsensusReward(found).vectors(tf.constant([[1, 5, 5]]))
    assert np.isfinite(alone).all()


def test_saved_and_loaded(phrases, tmp_path):
    found, _, _ = phrases
    found.save(tmp_path / "phrases.npz")
    again = NgramProjection.load(tmp_path / "phrases.npz")
    words = padded(SENTENCES, 8)
    np.testing.assert_array_equal(ConsensusReward(again).vectors(words), ConsensusReward(found).vectors(words))
    assert again.length == found.length == np.mean([len(ids) for ids in SENTENCES])
