"""The chunked cross entropy against the plain formula, and against finite differences."""

import numpy as np
import pytest
import tensorflow as tf

from models.token_loss import divergence, weighted_cross_entropy

N, H, V = 11, 5, 13


def draw(*shape, purpose=0):
    return tf.random.stateless_normal(shape, [purpose, 9])


def inputs(rows=N):
    targets = tf.random.stateless_uniform([rows], [1, 2], 0, V, tf.int32)
    return draw(rows, H, purpose=1), draw(V, H, purpose=2), draw(V, purpose=3), targets, draw(rows, purpose=4)


def plain(hidden, embedding, bias, targets, weights):
    log_p = tf.nn.log_softmax(hidden @ tf.transpose(embedding) + bias)
    picked = tf.gather(log_p, targets, batch_dims=1)
    entropy = -tf.reduce_sum(tf.exp(log_p) * log_p, 1)
    return -tf.reduce_sum(weights * picked), picked, entropy, tf.argmax(log_p, 1, tf.int32)


def results(function, hidden, embedding, bias, targets, weights):
    with tf.GradientTape() as tape:
        tape.watch([hidden, embedding, bias])
        loss, *rest = function(hidden, embedding, bias, targets, weights)
        scaled = 3.0 * loss
    return [loss, *rest, *tape.gradient(scaled, [hidden, embedding, bias])]


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("chunk", [1, 4, N, 100])
def test_equals_plain_formula(chunk, compiled):
    ours = lambda *values: weighted_cross_entropy(*values, chunk=chunk)  # noqa: E731
    ours = tf.function(ours) if compiled else ours
    for found, wanted in zip(results(ours, *inputs()), results(plain, *inputs()), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("compiled", [False, True])
def test_no_rows(compiled):
    """A replica without a valid word contributes 0, not NaN."""
    function = tf.function(weighted_cross_entropy) if compiled else weighted_cross_entropy
    loss, log_probs, entropy, best, *gradients = results(function, *inputs(0))
    assert loss == 0.0
    assert log_probs.shape == entropy.shape == best.shape == (0,)
    for gradient, shape in zip(gradients, ([0, H], [V, H], [V]), strict=True):
        np.testing.assert_array_equal(gradient, np.zeros(shape))


def test_no_gradient_to_weights():
    hidden, embedding, bias, targets, weights = inputs()
    with tf.GradientTape() as tape:
        tape.watch(weights)
        loss = weighted_cross_entropy(hidden, embedding, bias, targets, weights)[0]
    assert tape.gradient(loss, weights) is None


def test_gradient_of_logits_in_closed_form():
    """d loss / d logits_n = w_n (p_n - onehot_n): the policy gradient with w = A / N."""
    _, _, _, targets, advantages = inputs()
    logits = draw(N, V, purpose=8)
    with tf.GradientTape() as tape:
        tape.watch(logits)  # an identity matrix makes the hidden states the logits
        loss = weighted_cross_entropy(logits, tf.eye(V), tf.zeros([V]), targets, advantages / N, chunk=4)[0]
    expected = advantages[:, None] * (tf.nn.softmax(logits) - tf.one_hot(targets, V)) / N
    np.testing.assert_allclose(tape.gradient(loss, logits), expected, rtol=1e-5, atol=1e-7)


def test_finite_differences():
    values = inputs()
    directions = [draw(*value.shape, purpose=20 + k) for k, value in enumerate(values[:3])]

    def loss_at(step):
        moved = [value + step * direction for value, direction in zip(values[:3], directions, strict=True)]
        return weighted_cross_entropy(*moved, *values[3:], chunk=3)[0]

    gradients = [gradient / 3.0 for gradient in results(weighted_cross_entropy, *values)[4:]]
    slope = sum(float(tf.reduce_sum(g * d)) for g, d in zip(gradients, directions, strict=True))
    np.testing.assert_allclose((loss_at(1e-2) - loss_at(-1e-2)) / 2e-2, slope, rtol=2e-3)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("rows, chunk", [(N, 1), (N, 4), (N, N), (N, 100), (0, 4), (1, 4)])
def test_divergence_equals_plain_formula(rows, chunk, compiled):
    hidden, embedding, bias, _, _ = inputs(rows)
    target = draw(rows, H, purpose=5), draw(V, H, purpose=6), draw(V, purpose=7)

    def plain_divergence(hidden, embedding, bias):
        wanted = tf.nn.log_softmax(target[0] @ tf.transpose(target[1]) + target[2])
        found = tf.nn.log_softmax(hidden @ tf.transpose(embedding) + bias)
        return tf.reduce_sum(tf.exp(wanted) * (wanted - found))

    ours = lambda *values: divergence(target, *values, chunk=chunk)  # noqa: E731
    found = []
    for function in (tf.function(ours) if compiled else ours, plain_divergence):
        with tf.GradientTape() as tape:
            tape.watch([hidden, embedding, bias])
            value = function(hidden, embedding, bias)
            scaled = 3.0 * value
        found.append([value, *tape.gradient(scaled, [hidden, embedding, bias])])
    for own, expected in zip(*found, strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-4, atol=1e-5)


def test_divergence_from_itself_is_zero():
    hidden, embedding, bias, _, _ = inputs()
    assert abs(float(divergence((hidden, embedding, bias), hidden, embedding, bias))) < 1e-5
