"""Rewards and losses in closed form."""

import numpy as np
import tensorflow as tf

from models import layers, rewards


def test_sequence_lengths():
    tokens = tf.constant([[5, 7, 1, 9], [5, 7, 8, 9], [1, 1, 4, 4], [4, 4, 4, 1]])
    np.testing.assert_array_equal(layers.sequence_lengths(tokens), [3, 4, 1, 4])
    assert layers.sequence_lengths(tf.fill([1, 20], 5)) == 20


def test_unit_vectors():
    vectors = tf.constant([[3.0, 4.0], [0.0, 0.0], [1e-9, 0.0]])
    np.testing.assert_allclose(layers.unit(vectors), [[0.6, 0.8], [0.0, 0.0], [1e-3, 0.0]], rtol=1e-6)


def test_concept_reward_in_closed_form():
    """Word 20 earns .5 + .4, word 30 does not occur, the second 10 earns nothing."""
    tokens, mask = tf.constant([[10, 20, 10, 1]]), tf.ones([1, 4])
    objects = tf.constant([[10, 20, 20, 30]]), tf.constant([[0.9, 0.5, 0.4, 0.8]]), tf.constant([4])
    np.testing.assert_allclose(10 * rewards.concept_reward(tokens, mask, *objects), [[9, 9, 0, 0]], rtol=1e-6)


def test_concept_reward_ignores_padding_and_masked_words():
    tokens, mask = tf.constant([[10, 0, 1, 20]]), tf.constant([[1.0, 1.0, 1.0, 0.0]])
    scores = tf.constant([[0.5, 0.7, 0.9]])
    padded = rewards.concept_reward(tokens, mask, tf.constant([[10, 20, 0]]), scores, tf.constant([2]))
    np.testing.assert_allclose(padded, [[0.5, 0, 0, 0]])
    nothing = rewards.concept_reward(tokens, mask, tf.constant([[10, 20, 0]]), scores, tf.constant([0]))
    assert not np.any(nothing)


def test_concept_reward_at_the_first_valid_place():
    """A word outside the mask is not a first occurrence."""
    tokens, mask = tf.constant([[10, 10, 10]]), tf.constant([[0.0, 1.0, 1.0]])
    reward = rewards.concept_reward(tokens, mask, tf.constant([[10]]), tf.constant([[0.5]]), tf.constant([1]))
    np.testing.assert_allclose(reward, [[0, 0.5, 0]])


def test_returns_in_closed_form():
    mask = tf.constant([[1.0, 1.0, 1.0, 0.0, 0.0]])
    returns = rewards.returns(tf.ones([1, 5]), tf.constant([-0.3]), mask, 0.9)
    np.testing.assert_allclose(returns, [[2.41, 1.60, 0.70, 0.0, 0.0]], atol=1e-6)


def test_adversarial_reward():
    reward = rewards.adversarial_reward(tf.constant([[0.0, 100.0, -100.0]]))
    np.testing.assert_allclose(reward, [[np.log(0.5), 0.0, np.log(1e-7)]], atol=1e-6, rtol=1e-5)


def smoothed(logits, smoothing=0.25):
    return [
        float(loss)
        for loss in rewards.adversarial_losses(
            tf.constant([[logits]]), tf.ones([1, 1]), tf.constant([[logits]]), tf.ones([1, 1]), smoothing
        )
    ]


def test_smoothed_cross_entropy():
    """A logit of 0 costs ln 2 for both classes; a large logit costs a real word an eighth of it (target 0.875)."""
    np.testing.assert_allclose(smoothed(0.0), [np.log(2), np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(smoothed(80.0), [0.125 * 80, 80], rtol=1e-6)
    np.testing.assert_allclose(smoothed(-80.0), [0.875 * 80, 0], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(smoothed(80.0, smoothing=0.0), [0, 80], atol=1e-6)


def test_masked_words_cost_nothing():
    logits, mask = tf.constant([[1.0, 50.0]]), tf.constant([[1.0, 0.0]])
    real, fake = rewards.adversarial_losses(logits, mask, logits, mask, 0.25)
    np.testing.assert_allclose([real, fake], [np.log1p(np.exp(-1)) + 0.125, np.log1p(np.e)], rtol=1e-6)


def test_distance_of_orthogonal_features():
    image, sentence = tf.one_hot([0], 512), tf.one_hot([1], 512)
    np.testing.assert_allclose(100 * rewards.feature_distance(image, sentence), [0.390625])


def test_advantages_are_clipped():
    difference = tf.constant([[7.0, -7.0, 3.0]], tf.float64)
    np.testing.assert_array_equal(rewards.advantages(difference, 5.0), [[5.0, -5.0, 3.0]])
