"""Sampling and argmax: probabilities in closed form, ties, words of probability zero."""

import numpy as np
import pytest
import tensorflow as tf

from models import sampling


@pytest.mark.parametrize("size", [1, 2, 3, 12, 13, 60, 61, 127])
def test_best_is_argmax(size):
    """Ties give the first word, as in tf.argmax; also where the vocabulary size is prime."""
    logits = tf.constant(np.random.default_rng(size).integers(-3, 3, [50, size]), tf.float32)
    words, largest = sampling.best_and_largest(logits)
    np.testing.assert_array_equal(words, tf.argmax(logits, 1))
    np.testing.assert_array_equal(largest, tf.reduce_max(logits, 1))


@pytest.mark.parametrize("size", [1, 7, 12, 61])
def test_drawn_is_the_inverse_of_the_cumulative_distribution(size):
    rng = np.random.default_rng(size)
    logits, uniform = rng.normal(size=[200, size]) * 3, rng.random(200)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = (np.cumsum(p, 1) <= uniform[:, None]).sum(1)
    found = sampling.drawn(tf.constant(logits, tf.float32), tf.constant(uniform)).numpy()
    assert np.mean(found == expected) > 0.99  # rounding at a border
    assert np.all(np.abs(p[np.arange(200), found]) > 0)


def test_frequencies():
    """10,000 draws of a row: every word's frequency is within four standard deviations of its probability."""
    p = np.array([0.5, 0.2, 0.1, 0.1, 0.05, 0.03, 0.02])
    logits = tf.tile(tf.math.log(tf.constant(p, tf.float32))[None], [10_000, 1])
    words = sampling.drawn(logits, sampling.uniforms([1, 2], 1, 10_000)[0]).numpy()
    counts = np.bincount(words, minlength=7)
    assert np.all(np.abs(counts - 10_000 * p) < 4 * np.sqrt(10_000 * p * (1 - p)))


def test_words_without_probability_are_never_drawn():
    """Tested at both ends of the interval, for the first and the last word, and for the padding of the blocks."""
    logits = np.full([7, 7], -np.inf, np.float32)
    np.fill_diagonal(logits, 5.0)
    for uniform in (0.0, 0.5, np.nextafter(1.0, 0.0)):
        found = sampling.drawn(tf.constant(logits), tf.fill([7], tf.constant(uniform, tf.float64)))
        np.testing.assert_array_equal(found, np.arange(7))


def test_a_pure_function_of_the_seed():
    first, again, other = (sampling.uniforms(seed, 3, 4).numpy() for seed in ([1, 2], [1, 2], [1, 3]))
    np.testing.assert_array_equal(first, again)
    assert np.all(first != other) and len(np.unique(first)) == 12
