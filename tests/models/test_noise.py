"""Noised sentences: shuffling and dropping words."""

import numpy as np
import tensorflow as tf

from models import noise

SEED = tf.constant([5, 6], tf.int32)


def long_sentences(rows, words):
    """Returns rows 0, 2, 3, ..., words + 1, 1: both markers and distinct words."""
    row = np.concatenate([[0], np.arange(2, words + 2), [1]])
    return tf.constant(np.tile(row, [rows, 1]), tf.int32), tf.fill([rows], words + 2)


def test_keep_rate_and_markers():
    sentence, lengths = long_sentences(50, 400)
    noised, noised_lengths = noise.noised_sentences(sentence, lengths, SEED)
    assert noised.shape == (50, 401)
    kept = (noised_lengths.numpy() - 1) / 400
    assert abs(kept.mean() - 0.9) < 0.01
    assert len(set(kept)) > 5
    for row, length in zip(noised.numpy(), noised_lengths.numpy(), strict=True):
        assert row[length - 1] == 1 and not np.any(row[length:])
        assert np.all(row[: length - 1] > 1)


def test_displacement():
    """Words move by about three positions at most, and some do move."""
    words = tf.tile(tf.range(400)[None], [50, 1])
    uniforms = tf.random.stateless_uniform([50, 400], SEED)
    moved = noise.controlled_shuffle(words, tf.fill([50], 400), uniforms).numpy() - np.arange(400)
    assert 2 <= np.abs(moved).max() <= 4
    assert 0.3 < np.mean(moved != 0) < 0.95


def test_padding_stays_behind_and_rows_differ():
    sentence = tf.constant([[0, 5, 6, 7, 1, 0, 0, 0], [0, 2, 3, 4, 5, 6, 7, 1], [0, 1, 0, 0, 0, 0, 0, 0]])
    noised, lengths = noise.noised_sentences(sentence, tf.constant([5, 8, 2]), SEED)
    assert set(noised[0, : lengths[0] - 1].numpy()) <= {5, 6, 7}
    assert set(noised[1, : lengths[1] - 1].numpy()) <= {2, 3, 4, 5, 6, 7}
    np.testing.assert_array_equal(noised[2], [1, 0, 0, 0, 0, 0, 0])
    assert lengths[2] == 1


def test_a_pure_function_of_the_seed():
    sentence, lengths = long_sentences(4, 30)
    first, again = (noise.noised_sentences(sentence, lengths, SEED)[0] for _ in range(2))
    other, _ = noise.noised_sentences(sentence, lengths, SEED + 1)
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)


def test_shuffled():
    """Every order of three words occurs about equally often; padding stays at the end."""
    words = tf.tile(tf.constant([[4, 5, 6, 0]]), [6000, 1])
    orders = noise.shuffled(words, tf.fill([6000], 3), SEED).numpy()
    assert not np.any(orders[:, 3])
    found, counts = np.unique(orders[:, :3], axis=0, return_counts=True)
    assert len(found) == 6 and counts.min() > 850 and counts.max() < 1150
