"""Adam in one pass against Keras's own, and the clip by the global norm."""

import keras
import numpy as np
import tensorflow as tf

import config
from training import optimization


class Network(tf.Module):
    def __init__(self):
        super().__init__()
        self.a = tf.Variable(tf.random.stateless_normal([7, 5], [1, 2]))
        self.b = tf.Variable(tf.random.stateless_normal([3], [1, 3]))


def gradients(step):
    return [tf.random.stateless_normal(shape, [step, len(shape)]) * 10.0**-step for shape in ([7, 5], [3])]


def test_fused_adam_is_kerass():
    """Variables and both moments are equal after five steps with a changing rate; slots have the same names.

    TensorFlow's kernel, which the authors used, computes 1 - beta2 in float32, which differs by 1.3e-5 from Keras's.
    """
    networks, rate = (Network(), Network()), optimization.WarmedUp(2, 0.1, 0.02)
    options = config.Trainer()
    ours = optimization.make_optimizer(options, rate, 0.5, networks[0])
    theirs = keras.optimizers.Adam(rate, 0.5, 0.999, optimization.EPSILON, name="adam")
    theirs.build(networks[1].trainable_variables)
    for step in range(5):
        for optimizer, network in zip((ours, theirs), networks, strict=True):
            optimizer.apply(gradients(step), network.trainable_variables)
    assert [v.path for v in ours.variables] == [v.path for v in theirs.variables]
    for one, two in zip(ours.variables, theirs.variables, strict=True):
        np.testing.assert_allclose(one, two, rtol=3e-5, atol=1e-9)
    for one, two in zip(networks[0].trainable_variables, networks[1].trainable_variables, strict=True):
        np.testing.assert_allclose(one, two, rtol=0, atol=3e-6)  # the steps add up to 0.26


def test_rates_after_a_warm_up():
    """The first updates have a rate of their own; the later one is constant, or decays from the first of them on."""
    constant = optimization.WarmedUp(2, 0.1, optimization.decayed(0.02, 0))
    np.testing.assert_allclose([constant(step) for step in range(4)], [0.1, 0.1, 0.02, 0.02])
    decay = optimization.WarmedUp(2, 0.1, optimization.decayed(0.02, 10))
    cosine = [0.01 * (1 + np.cos(np.pi * min(step, 10) / 10)) for step in range(12)]
    np.testing.assert_allclose([decay(step) for step in range(14)], [0.1, 0.1, *cosine], atol=1e-7)


def test_clip_by_the_global_norm():
    """Gradients below the norm are unchanged, gradients above it are scaled to it (tested with SGD)."""
    given = [2.0 * tf.ones([7, 5]), None]
    norm = 2.0 * 35**0.5
    for clip, factor in ((100.0, 1.0), (1.0, 1.0 / norm)):
        network = Network()
        before = [variable.numpy() for variable in network.trainable_variables]
        optimizer = optimization.make_optimizer(config.Trainer(optimizer="sgd"), 1.0, 0.9, network)
        found = optimization.apply_gradients(optimizer, given, network.trainable_variables, clip)
        np.testing.assert_allclose(found, norm, rtol=1e-6)
        np.testing.assert_allclose(before[0] - network.a.numpy(), factor * given[0], rtol=1e-5)
        np.testing.assert_array_equal(before[1], network.b)
