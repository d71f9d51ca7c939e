"""Random numbers as pure functions of a seed.

So there is no random state to save, each replica draws its own numbers, and a resumed run draws the same numbers as an
uninterrupted one. A seed is an int32 vector [2]. The step, the replica and the purpose are folded into it, one after
the other.
"""

import zlib

import tensorflow as tf


def fold_in(seed, value):
    """Returns a new seed, int32 [2], made from a seed and a value.

    Args: seed: int32 [2]. value: a number (int or scalar tensor), e.g. the step, or the purpose of the draw (str).
    """
    if isinstance(value, str):
        value = zlib.crc32(value.encode()) & 0x7FFFFFFF
    return tf.random.experimental.stateless_fold_in(seed, value)


def dropout_mask(shape, keep_prob, seed):
    """Returns an inverted-dropout mask: 1/keep_prob with probability keep_prob, else 0; None if keep_prob is 1.

    Args: shape: of the float32 mask. keep_prob: keep probability. seed: int32 [2].
    """
    if keep_prob >= 1.0:
        return None
    keep = tf.random.stateless_uniform(shape, seed) < keep_prob
    return tf.cast(keep, tf.float32) * (1.0 / keep_prob)


def apply_mask(values, mask):
    """Returns values * mask, or the values themselves if the mask is None."""
    return values if mask is None else values * mask
