"""The GRU cells against Keras' (reset after) and against their equations (reset before)."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from baselines.show_attend_tell.gru import GRU
from models.lstm import BasicLSTM, TwoBiasLSTM

SEED = tf.constant([1, 2])


def inputs(steps=5, batch=3, dim=4):
    return tf.random.stateless_normal([steps, batch, dim], [3, 4])


def test_reset_after_is_keras():
    cell = GRU(4, 6, SEED, reset_after=True)
    cell.recurrent_bias.assign(tf.random.stateless_normal([18], [5, 6]))
    layer = keras.layers.GRU(6, return_sequences=True)
    layer.build((None, None, 4))
    swap = lambda value: np.concatenate([np.split(value, 3, -1)[i] for i in (1, 0, 2)], -1)  # noqa: E731  Keras: u, r
    bias = np.stack([swap(cell.bias.numpy()), swap(cell.recurrent_bias.numpy())])
    layer.set_weights([swap(cell.kernel.numpy()), swap(cell.recurrent_kernel.numpy()), bias])
    expected = layer(tf.transpose(inputs(), [1, 0, 2]))
    found, (last,) = cell.sequence(inputs(), tf.constant([5, 5, 5]))
    np.testing.assert_allclose(tf.transpose(found, [1, 0, 2]), expected, atol=1e-6)
    np.testing.assert_allclose(last, expected[:, -1], atol=1e-6)
    assert sum(v.shape.num_elements() for v in cell.trainable_variables) == layer.count_params()


def test_reset_before_is_its_equation():
    cell = GRU(4, 6, SEED, reset_after=False)
    x, h = inputs()[0].numpy(), tf.random.stateless_normal([3, 6], [7, 8]).numpy()
    sigmoid = lambda value: 1 / (1 + np.exp(-value))  # noqa: E731
    (wr, wu, wc), (ur, uu, uc) = (np.split(v.numpy(), 3, 1) for v in (cell.kernel, cell.recurrent_kernel))
    r, u = sigmoid(x @ wr + h @ ur + 1), sigmoid(x @ wu + h @ uu + 1)  # TensorFlow 1 initialises the gates' bias with 1
    expected = u * h + (1 - u) * np.tanh(x @ wc + (r * h) @ uc)
    np.testing.assert_allclose(cell.step(tf.constant(x), (tf.constant(h),))[0], expected, atol=1e-6)


@pytest.mark.parametrize("make", [lambda: GRU(4, 6, SEED, True), lambda: GRU(4, 6, SEED, False),
                                  lambda: TwoBiasLSTM(4, 6, SEED, "x")])  # fmt: skip
def test_a_sequence_is_its_steps_and_stops_at_a_rows_length(make):
    cell, x, lengths = make(), inputs(), np.array([5, 2, 0])
    found, last = cell.sequence(x, tf.constant(lengths, tf.int32))
    state = cell.zero_state(3)
    for t in range(5):
        new = cell.step(x[t], state)
        there = (t < lengths)[:, None]
        np.testing.assert_allclose(found[t], np.where(there, new[-1], 0), atol=1e-6)
        state = tuple(tf.where(there, a, b) for a, b in zip(new, state, strict=True))
    for ours, theirs in zip(last, state, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_the_second_bias_adds_up_and_the_forget_bias_is_taken_off():
    cell, plain = TwoBiasLSTM(4, 6, SEED, "x"), BasicLSTM(4, 6, SEED, "x")
    plain.kernel.assign(cell.kernel)
    forget = np.repeat([0, 0, 1, 0], 6)
    plain.bias.assign(cell.bias + cell.recurrent_bias - forget)
    ours, theirs = (c.step(inputs()[0], c.zero_state(3)) for c in (cell, plain))
    np.testing.assert_allclose(ours[1], theirs[1], atol=1e-6)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(cell.sequence(inputs(), tf.constant([5, 5, 5]))[0])
    first, second = tape.gradient(loss, [cell.bias, cell.recurrent_bias])
    np.testing.assert_allclose(first, second)
    assert np.abs(first).max() > 0
