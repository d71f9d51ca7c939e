"""Tiny `.tflite` networks, converted on the spot, with the signatures of the real ones."""

import numpy as np
import tensorflow as tf

SIDE = 8  # pixels of a picture


def _convert(function, path, quantised=False):
    kind = tf.float32 if quantised else tf.uint8
    concrete = tf.function(function, input_signature=[tf.TensorSpec([1, SIDE, SIDE, 3], kind)]).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    if quantised:
        levels = np.linspace(0.0, 1.0, 9, dtype=np.float32)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([np.full((1, SIDE, SIDE, 3), level)] for level in levels)
        converter.inference_input_type = converter.inference_output_type = tf.uint8
    path.write_bytes(converter.convert())
    return str(path)


def detector(path):
    """An SSD's outputs: box and score of class 1 follow the mean red of the picture, class 3 always scores 0.5."""

    def network(image):
        red = tf.reduce_mean(tf.cast(image, tf.float32)[..., 0]) / 255.0
        boxes = tf.stack([tf.stack([0.0, 0.0, red, 1.2]), tf.constant([0.25, 0.25, 0.75, 0.75]), tf.zeros(4)])
        scores = tf.stack([red, 0.5, 0.9])  # the third one is beyond the count
        return boxes[None], tf.constant([[0.0, 2.0, 7.0]]) + 0.0 * red, scores[None], tf.reshape(2.0 + 0.0 * red, [1])

    return _convert(network, path)


def classifier(path):
    """Probabilities of four classes: mean red, green and blue of the picture, the first (background) always 0.1."""

    def network(image):
        colours = tf.reduce_mean(tf.cast(image, tf.float32), axis=[1, 2]) / 255.0
        return tf.concat([tf.fill([1, 1], 0.1), colours], axis=1)

    return _convert(network, path)


def encoder(path):
    """Grid [1, 4, 4, 6] and its mean [1, 6]: averages of 2x2 pixels and their complements to 255."""

    def network(image):
        cells = tf.nn.avg_pool2d(tf.cast(image, tf.float32), 2, 2, "VALID")
        return tf.reduce_mean(tf.concat([cells, 255.0 - cells], axis=-1), axis=[1, 2])

    return _convert(network, path)


def class_logits(path):
    """[1, 16, 7], as an SSD's class logits over its boxes: the cells of `encoder`, and a .1 that never changes."""

    def network(image):
        cells = tf.nn.avg_pool2d(tf.cast(image, tf.float32), 2, 2, "VALID")
        logits = tf.reshape(tf.concat([cells, 255.0 - cells], axis=-1), [1, 16, 6])
        return tf.concat([logits, tf.fill([1, 16, 1], 0.1)], axis=-1)

    return _convert(network, path)


def quantised_encoder(path):
    """The mean of 1 + the picture in 0 to 1, with quantised input, output and all that lies between."""
    return _convert(lambda image: tf.reduce_mean(1.0 + image, axis=[1, 2]), path, quantised=True)
