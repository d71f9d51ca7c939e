"""Small pieces that several networks share: a linear layer, unit vectors, sequence lengths."""

import tensorflow as tf


class Linear(tf.Module):
    """x W + b with the authors' variable names (`SCOPE/weights`, `SCOPE/biases`)."""

    def __init__(self, input_dim, output_dim, seed, scope):
        super().__init__()
        weights = glorot_uniform([input_dim, output_dim], seed)
        self.weights = tf.Variable(weights, name=f"{scope}/weights")
        self.biases = tf.Variable(tf.zeros([output_dim]), name=f"{scope}/biases")

    def __call__(self, inputs):
        return tf.matmul(inputs, self.weights) + self.biases


def glorot_uniform(shape, seed):
    """Uniform in +-sqrt(6 / (rows + columns)), also named after Xavier: float32 of that shape."""
    limit = (6.0 / sum(shape)) ** 0.5
    return tf.random.stateless_uniform(shape, seed, -limit, limit)


def embedding_variable(vocabulary_size, dim, seed, scope):
    """Word vectors [V, E], uniform in +-0.08 (UIC spec 7.2, 7.3)."""
    return tf.Variable(
        tf.random.stateless_uniform([vocabulary_size, dim], seed, -0.08, 0.08), name=f"{scope}/embedding"
    )


def unit(vectors):
    """Vectors divided by their length along the last axis; the squared length is at least 1e-12 (UIC spec 7.1)."""
    return vectors * tf.math.rsqrt(tf.maximum(tf.reduce_sum(vectors * vectors, -1, keepdims=True), 1e-12))


def sequence_lengths(tokens_BT, end_id=1):
    """Index of the first end token plus one, or T when there is none: int32 [B] (UIC spec 7.3)."""
    is_end = tf.cast(tf.equal(tokens_BT, end_id), tf.int32)
    length = tf.shape(tokens_BT)[1]
    first = tf.argmax(is_end, axis=1, output_type=tf.int32)
    return tf.where(tf.reduce_max(is_end, axis=1) > 0, first + 1, length)


def stacked_rows(several):
    """Matrices int32 [B, T] one behind the other, the narrower ones filled up with zeros."""
    steps = tf.reduce_max([tf.shape(tokens)[1] for tokens in several])
    return tf.concat([tf.pad(tokens, [[0, 0], [0, steps - tf.shape(tokens)[1]]]) for tokens in several], 0)


def to_longest(batch):
    """A batch whose `sentence` int32 [B, S] is cut to the longest of its `length`."""
    return batch | {"sentence": batch["sentence"][:, : tf.reduce_max(batch["length"])]}


def mask_of(lengths_B, steps):
    """float32 [B, T], 1 on valid positions."""
    return tf.sequence_mask(lengths_B, steps, dtype=tf.float32)


def named_variables(*networks):
    """The trainable variables of the networks by the authors' names, e.g. `Generator/embedding`."""
    return {v.name.split(":")[0]: v for network in networks for v in network.trainable_variables}
