"""The LSTM against a plain unrolled one with TensorFlow's automatic gradients."""

import numpy as np
import pytest
import tensorflow as tf

from models.lstm import BasicLSTM

T, B, E, H = 6, 5, 3, 4
LENGTHS = tf.constant([6, 0, 1, 4, 6])
SEED = tf.constant([3, 4], tf.int32)


def draw(*shape, purpose=0):
    return tf.random.stateless_normal(shape, [purpose, 7])


def plain_sequence(cell, inputs_TBE, lengths_B, state):
    """Runs the LSTM's equations one step after the other."""
    (c, h), outputs = state, []
    for t in range(inputs_TBE.shape[0]):
        gates = tf.concat([inputs_TBE[t], h], 1) @ cell.kernel + cell.bias
        i, j, f, o = tf.split(gates, 4, 1)
        new_c = c * tf.sigmoid(f + 1.0) + tf.sigmoid(i) * tf.tanh(j)
        new_h = tf.tanh(new_c) * tf.sigmoid(o)
        valid = (t < lengths_B)[:, None]
        outputs.append(tf.where(valid, new_h, 0.0))
        c, h = tf.where(valid, new_c, c), tf.where(valid, new_h, h)
    return tf.stack(outputs), (c, h)


@pytest.fixture
def cell():
    cell = BasicLSTM(E, H, SEED, "Generator")
    cell.bias.assign(draw(4 * H, purpose=1))
    return cell


def results(sequence, cell, inputs, state):
    """Returns outputs, last state, and gradients of a loss that weights all of them differently."""
    with tf.GradientTape() as tape:
        tape.watch([inputs, *state])
        outputs, (c, h) = sequence(inputs, LENGTHS, state)
        loss = tf.reduce_sum(outputs * draw(T, B, H, purpose=2))
        loss += tf.reduce_sum(c * draw(B, H, purpose=3)) + tf.reduce_sum(h * draw(B, H, purpose=4))
    gradients = tape.gradient(loss, [inputs, *state, cell.kernel, cell.bias])
    return [outputs, c, h, *gradients]


@pytest.mark.parametrize("compiled", [False, True])
def test_equals_plain_implementation(cell, compiled):
    inputs, state = draw(T, B, E, purpose=5), (draw(B, H, purpose=6), draw(B, H, purpose=7))
    ours = lambda *values: results(cell.sequence, cell, *values)  # noqa: E731
    expected = results(lambda *values: plain_sequence(cell, *values), cell, inputs, state)
    for found, wanted in zip((tf.function(ours) if compiled else ours)(inputs, state), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=2e-6)


def test_step_equals_sequence(cell):
    inputs, state = draw(1, B, E, purpose=5), (draw(B, H, purpose=6), draw(B, H, purpose=7))
    outputs, last = cell.sequence(inputs, tf.ones([B], tf.int32), state)
    c, h = cell.step(inputs[0], state)
    np.testing.assert_allclose(outputs[0], h, atol=1e-6)
    np.testing.assert_allclose(last, (c, h), atol=1e-6)


def test_past_the_length(cell):
    """Past a row's length outputs are exactly zero, the state is unchanged and inputs have no influence."""
    inputs = draw(T, B, E, purpose=5)
    outputs, (c, h) = cell.sequence(inputs, LENGTHS)
    for row, length in enumerate(LENGTHS.numpy()):
        assert not np.any(outputs[length:, row])
        np.testing.assert_array_equal(h[row], outputs[length - 1, row] if length else tf.zeros([H]))
    assert not np.any(c[1])
    changed = tf.where(tf.range(T)[:, None, None] < LENGTHS[None, :, None], inputs, 100.0)
    np.testing.assert_array_equal(cell.sequence(changed, LENGTHS)[0], outputs)


def test_forget_bias_is_added_at_run_time():
    """With zero weights, a zero bias and c = 1 the new cell is sigmoid(1)."""
    cell = BasicLSTM(E, H, SEED, "Generator")
    assert not np.any(cell.bias)
    cell.kernel.assign(tf.zeros_like(cell.kernel))
    c, h = cell.step(tf.ones([1, E]), (tf.ones([1, H]), tf.zeros([1, H])))
    np.testing.assert_allclose(c, np.full([1, H], 1 / (1 + np.exp(-1.0))), rtol=1e-6)
    np.testing.assert_allclose(h, 0.5 * np.tanh(c), rtol=1e-6)


def test_gate_order():
    """A bias on one gate changes only that gate; the order is i, j, f, o."""
    cell = BasicLSTM(1, 1, SEED, "Generator")
    cell.kernel.assign(tf.zeros_like(cell.kernel))
    sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    for gate in range(4):
        i, j, f, o = np.eye(4)[gate] * 2.0
        cell.bias.assign([i, j, f, o])
        c, h = cell.step(tf.zeros([1, 1]), (tf.ones([1, 1]), tf.zeros([1, 1])))
        expected = sigmoid(f + 1) + sigmoid(i) * np.tanh(j)
        np.testing.assert_allclose(c, [[expected]], rtol=1e-6)
        np.testing.assert_allclose(h, [[np.tanh(expected) * sigmoid(o)]], rtol=1e-6)


def test_initial_weights():
    """Glorot-uniform over the whole kernel: the limit is 0.0442 with 512 units."""
    kernel = BasicLSTM(512, 512, SEED, "Generator").kernel.numpy()
    assert kernel.shape == (1024, 2048)
    assert 0.0441 < np.abs(kernel).max() <= 0.04420
