"""bfloat16 products: the size of the differences, and what stays float32."""

import numpy as np
import pytest
import tensorflow as tf

from models import precision
from models.generator import Generator
from models.token_loss import weighted_cross_entropy

SEED = tf.constant([1, 2], tf.int32)


@pytest.fixture
def bfloat16():
    precision.use("bfloat16")
    yield
    precision.use(None)


def results():
    """Returns log-probabilities, hidden states and gradients of a small generator under teacher forcing."""
    generator = Generator(23, 7, 16, 16, 1.0, SEED)
    generator.embedding.assign(tf.random.stateless_normal([23, 16], SEED))
    feature = generator.image_feature(tf.random.stateless_normal([4, 7], [9, 9]))
    words = tf.random.stateless_uniform([4, 5], [3, 4], 0, 23, tf.int32)
    with tf.GradientTape() as tape:
        hidden = generator.hidden_states(generator.initial_state(feature), words, tf.fill([4], 5))
        flat, targets = tf.reshape(hidden, [-1, 16]), tf.reshape(words, [-1])
        weights = tf.fill([20], 0.05)
        loss, log_probs, _, _ = weighted_cross_entropy(flat, generator.embedding, generator.softmax_b, targets, weights)
    variables = [generator.embedding, generator.basic_lstm_cell.kernel]
    return [hidden, log_probs, *map(tf.convert_to_tensor, tape.gradient(loss, variables))]


def test_agrees_within_the_formats_rounding(bfloat16):
    """bfloat16 has 8 bits: results differ from float32's, by about one per cent of their largest value."""
    low = results()
    precision.use(None)
    for found, wanted in zip(low, results(), strict=True):
        assert found.dtype == tf.float32
        scale = np.abs(wanted).max()
        difference = np.abs(found - wanted).max() / scale
        assert 1e-5 < difference < 0.03
