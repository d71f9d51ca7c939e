"""The numeric precision of matrix products. Variables, softmax, losses and updates are always float32."""

import tensorflow as tf

PRECISIONS = {None: tf.float32, "bfloat16": tf.bfloat16}
_chosen = [tf.float32]


def use(name):
    """Sets the precision of the matrix products in all functions that TensorFlow traces from now on.

    Functions that are already traced keep their precision. Args: name: "bfloat16", or None for float32.
    """
    _chosen[0] = PRECISIONS[name]


def matmul(a, b, transpose_a=False, transpose_b=False):
    """Returns the product of two float32 matrices, computed in the precision that `use` has set: float32.

    Args: a, b: the matrices. transpose_a, transpose_b: whether to transpose them first, as in tf.matmul.
    """
    if _chosen[0] == tf.float32:
        return tf.matmul(a, b, transpose_a, transpose_b)
    return tf.cast(tf.matmul(tf.cast(a, _chosen[0]), tf.cast(b, _chosen[0]), transpose_a, transpose_b), tf.float32)
