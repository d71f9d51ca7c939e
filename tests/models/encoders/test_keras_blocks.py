"""Blocks of keras.applications networks, and the network with other weights in its last blocks."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.encoders import in_step, keras_blocks


@pytest.mark.parametrize(
    ("layer", "block"),
    [
        ("conv5_block3_1_conv", "conv5_block3"),
        ("block5_conv3", "block5"),
        ("block14_sepconv2", "block14"),
        ("block7a_se_reduce", "block7a"),
        ("block_16_project", "block_16"),
        ("expanded_conv_10_squeeze_excite_conv", "expanded_conv_10"),
        ("expanded_conv_project", "expanded_conv"),
        ("convnext_tiny_stage_3_block_2_depthwise_conv", "convnext_tiny_stage_3_block_2"),
        ("conv2d_93", "conv2d_93"),
        ("Conv_1", "Conv_1"),
        ("fc2", "fc2"),
    ],
)
def test_the_block_of_a_layer(layer, block):
    assert keras_blocks.name_of(layer) == block


class Small:
    """An encoder of a small network with two blocks and batch normalisation, as far as InStepEncoder needs one."""

    spec = "keras:Small"

    def __init__(self):
        inputs = keras.Input((8, 8, 3))
        x = keras.layers.Conv2D(4, 3, name="stem_conv")(inputs)
        x = keras.layers.BatchNormalization(name="block1_bn")(keras.layers.Conv2D(4, 3, name="block1_conv1")(x))
        x = keras.layers.Dense(5, name="block1_out")(keras.layers.ReLU()(x))
        self.network = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))
        for weight in self.network.weights:
            start = np.random.default_rng(len(weight.shape)).uniform(0.5, 1.5, weight.shape)
            weight.assign(start - (len(weight.shape) > 1))

    def blocks(self):
        return [{k: v.numpy() for k, v in block.items()} for block in keras_blocks.blocks_of(self.network)]

    def in_step(self, pixels, weights=None):
        return keras_blocks.output(self.network, tf.cast(pixels, tf.float32), weights)


def test_the_weights_of_a_block_are_trained_and_the_moments_are_kept():
    encoder, pixels = Small(), tf.random.stateless_normal([3, 8, 8, 3], [1, 2])
    first, last = encoder.blocks()
    assert [name.partition("_")[2] for name in first] == ["0_kernel", "1_bias"]
    assert [name.partition("_")[2] for name in last] == ["0_kernel", "1_bias", "0_kernel", "1_bias"]
    before, fixed = encoder.in_step(pixels), [weight.numpy() for weight in encoder.network.weights]
    step = in_step.InStepEncoder(encoder, 1)
    np.testing.assert_allclose(step(pixels), before, rtol=1e-6)

    @tf.function
    def gradients():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(step(pixels) ** 2)
        return loss, tape.gradient(loss, list(step.weights.values()))

    loss, slopes = gradients()
    for variable, slope in zip(step.weights.values(), slopes, strict=True):
        moves = 1e-3 * slope / (tf.norm(slope) + 1e-9)
        variable.assign_add(moves)
        more = gradients()[0]
        variable.assign_sub(moves)
        expected = float(tf.reduce_sum(moves * slope))
        assert float(more - loss) == pytest.approx(expected, rel=0.05, abs=2e-6 * float(loss))
    assert sum(float(tf.norm(slope)) > 0 for slope in slopes) == 4
    for weight, old in zip(encoder.network.weights, fixed, strict=True):
        np.testing.assert_array_equal(weight, old)
