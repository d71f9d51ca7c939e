"""Makes networks by rule: tiny `.tflite` ones with the signatures of real ones, and weights of a large one."""

import keras
import numpy as np
import tensorflow as tf

SIDE = 8  # pixels of a picture


def _convert(function, path, quantised=False, kind=tf.uint8):
    kind = tf.float32 if quantised else kind
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
    """Writes a detector with an SSD's outputs: class 1 depends on the mean red of the picture, class 3 scores 0.5."""

    def network(image):
        red = tf.reduce_mean(tf.cast(image, tf.float32)[..., 0]) / 255.0
        boxes = tf.stack([tf.stack([0.0, 0.0, red, 1.2]), tf.constant([0.25, 0.25, 0.75, 0.75]), tf.zeros(4)])
        scores = tf.stack([red, 0.5, 0.9])  # the third is beyond the number of detections
        return boxes[None], tf.constant([[0.0, 2.0, 7.0]]) + 0.0 * red, scores[None], tf.reshape(2.0 + 0.0 * red, [1])

    return _convert(network, path)


def classifier(path):
    """Writes a classifier of four classes: 0.1 for the first (background), then mean red, green and blue."""

    def network(image):
        colours = tf.reduce_mean(tf.cast(image, tf.float32), axis=[1, 2]) / 255.0
        return tf.concat([tf.fill([1, 1], 0.1), colours], axis=1)

    return _convert(network, path)


def scenes(path):
    """Writes a classifier of three classes whose float input has pixels of 0 to 255: mean red, green and blue / 255."""
    return _convert(lambda image: tf.reduce_mean(image, axis=[1, 2]) / 255.0, path, kind=tf.float32)


def yolo(path, in_pixels=False, transposed=False):
    """Writes a YOLO network of three classes, float pixels of 0 to 1: the scores of each 2x2 cell are its mean colours.

    The boxes are centred at the cells and as wide and high as half the picture.
    """
    centres = (np.arange(4, dtype=np.float32) + 0.5) / 4
    boxes = np.stack([np.tile(centres, 4), np.repeat(centres, 4), np.full(16, 0.5), np.full(16, 0.5)]).astype(
        np.float32
    )
    boxes = boxes * (SIDE if in_pixels else 1)

    def network(image):
        scores = tf.reshape(tf.nn.avg_pool2d(image, 2, 2, "VALID"), [16, 3])
        found = tf.concat([tf.constant(boxes), tf.transpose(scores)], axis=0)
        return (tf.transpose(found) if transposed else found)[None]

    return _convert(network, path, kind=tf.float32)


def encoder(path):
    """Writes an encoder with a grid [1, 4, 4, 6] and its mean [1, 6]: averages of 2x2 pixels and 255 minus them."""

    def network(image):
        cells = tf.nn.avg_pool2d(tf.cast(image, tf.float32), 2, 2, "VALID")
        return tf.reduce_mean(tf.concat([cells, 255.0 - cells], axis=-1), axis=[1, 2])

    return _convert(network, path)


def classifier_with_vector(path):
    """Writes a classifier of four classes whose vector [1, 1, 1, 6] before them is the mean of `encoder`'s grid."""
    weights = tf.constant(np.linspace(-1.0, 1.0, 24, dtype=np.float32).reshape(6, 4))

    def network(image):
        cells = tf.nn.avg_pool2d(tf.cast(image, tf.float32), 2, 2, "VALID")
        vector = tf.reduce_mean(tf.concat([cells, 255.0 - cells], axis=-1), axis=[1, 2], keepdims=True)
        return tf.nn.softmax(tf.matmul(tf.reshape(vector, [1, 6]), weights))

    return _convert(network, path)


def class_logits(path):
    """Writes a network with an SSD's class logits over its boxes, [1, 16, 7]: the cells of `encoder`, and 0.1."""

    def network(image):
        cells = tf.nn.avg_pool2d(tf.cast(image, tf.float32), 2, 2, "VALID")
        logits = tf.reshape(tf.concat([cells, 255.0 - cells], axis=-1), [1, 16, 6])
        return tf.concat([logits, tf.fill([1, 16, 1], 0.1)], axis=-1)

    return _convert(network, path)


def quantised_encoder(path):
    """Writes a fully quantised encoder: the mean of 1 + picture, for pixels from 0 to 1."""
    return _convert(lambda image: tf.reduce_mean(1.0 + image, axis=[1, 2]), path, quantised=True)


def colour_detector(path):
    """Writes an SSD of three classes, numbered 0, 1, 2, whose scores are the mean red, green and blue, above 0.4."""

    def network(image):
        colours = tf.reduce_mean(tf.cast(image, tf.float32), axis=[0, 1, 2]) / 255.0
        scores, classes = tf.math.top_k(colours, 3)
        boxes = tf.tile(tf.constant([[[0.1, 0.1, 0.9, 0.9]]]), [1, 3, 1]) + 0.0 * colours[0]
        found = tf.reduce_sum(tf.cast(scores > 0.4, tf.float32))
        return boxes, tf.cast(classes, tf.float32)[None], scores[None], found[None]

    return _convert(network, path)


def mobilenet_weights(path):
    """Writes a weights file of MobileNetV2 without its classifier, from a seed. Returns its path as str."""
    network = keras.applications.MobileNetV2(include_top=False, pooling="avg", weights=None)
    rng = np.random.default_rng(0)
    for weight in network.weights:
        if len(weight.shape) == 4:  # kernels; with Keras' initial ones the features vanish
            inputs = np.prod(weight.shape[: 2 if weight.shape[3] == 1 else 3])
            weight.assign(rng.normal(0, (2 / inputs) ** 0.5, weight.shape))
    network.save_weights(path)
    return str(path)
