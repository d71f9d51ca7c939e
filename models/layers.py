"""Layers and tensor functions that several networks share: a linear layer, unit vectors, sequence lengths."""

import tensorflow as tf


class Linear(tf.Module):
    """The linear layer x W + b, with the authors' variable names (`SCOPE/weights`, `SCOPE/biases`).

    Args: input_dim, output_dim: sizes of x and of the result. seed: int32 [2] of the initial weights. scope: SCOPE.
    """

    def __init__(self, input_dim, output_dim, seed, scope):
        super().__init__()
        weights = glorot_uniform([input_dim, output_dim], seed)
        self.weights = tf.Variable(weights, name=f"{scope}/weights")
        self.biases = tf.Variable(tf.zeros([output_dim]), name=f"{scope}/biases")

    def __call__(self, inputs):
        return tf.matmul(inputs, self.weights) + self.biases


def glorot_uniform(shape, seed):
    """Draws Glorot-uniform (Xavier) weights in +-sqrt(6 / (rows + columns)): float32 tensor.

    Args: shape: [rows, columns]. seed: int32 [2].
    """
    limit = (6.0 / sum(shape)) ** 0.5
    return tf.random.stateless_uniform(shape, seed, -limit, limit)


def embedding_variable(vocabulary_size, dim, seed, scope):
    """Returns a new variable of word vectors: float32 [V, dim], uniform in +-0.08 as in the authors' program.

    Args: vocabulary_size: V. seed: int32 [2]. scope: prefix of the variable's name.
    """
    return tf.Variable(
        tf.random.stateless_uniform([vocabulary_size, dim], seed, -0.08, 0.08), name=f"{scope}/embedding"
    )


def unit(vectors):
    """Returns the vectors divided by their L2 norm: float32 of the same shape.

    The squared norm is clipped to at least 1e-12, so that a zero vector stays zero.
    Args: vectors: float32 [..., E], vectors along the last axis.
    """
    return vectors * tf.math.rsqrt(tf.maximum(tf.reduce_sum(vectors * vectors, -1, keepdims=True), 1e-12))


def sequence_lengths(tokens_BT, end_id=1):
    """Returns the number of words up to and including the first end token, T in rows without one: int32 [B].

    Args: tokens_BT: int32 word ids. end_id: word id of the end token.
    """
    is_end = tf.cast(tf.equal(tokens_BT, end_id), tf.int32)
    length = tf.shape(tokens_BT)[1]
    first = tf.argmax(is_end, axis=1, output_type=tf.int32)
    return tf.where(tf.reduce_max(is_end, axis=1) > 0, first + 1, length)


def stacked_rows(several):
    """Returns the rows of several matrices, one matrix below the other: int32 [sum of all B, largest T].

    Args: several: list of int32 [B, T]; B and T may differ. Narrower ones are padded with zeros on the right.
    """
    steps = tf.reduce_max([tf.shape(tokens)[1] for tokens in several])
    return tf.concat([tf.pad(tokens, [[0, 0], [0, steps - tf.shape(tokens)[1]]]) for tokens in several], 0)


def to_longest(batch):
    """Returns a batch whose `sentence`, int32 [B, S], is cut to the longest sentence of the batch: a new dict.

    Args: batch: dict of tensors with `sentence` and `length` (int32 [B]).
    """
    return batch | {"sentence": batch["sentence"][:, : tf.reduce_max(batch["length"])]}


def mask_of(lengths_B, steps):
    """Returns the mask of valid positions: float32 [B, T], 1 before a row's length and 0 after. Args: steps: T."""
    return tf.sequence_mask(lengths_B, steps, dtype=tf.float32)


def named_variables(*networks):
    """Returns the trainable variables of networks: dict variable name, e.g. `Generator/embedding` -> tf.Variable.

    Args: networks: tf.Modules.
    """
    return {v.name.split(":")[0]: v for network in networks for v in network.trainable_variables}
