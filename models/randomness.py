"""Random numbers as pure functions of a seed: no state to save, replicas differ, a resumed run draws the same numbers.

A seed is an int32 vector [2]. The step, the replica and the purpose are folded into it, one after the other.
"""

import zlib

import tensorflow as tf


def fold_in(seed, value):
    """Returns a new seed, int32 [2], from a seed and a number (int or scalar tensor) or a purpose (str)."""
    if isinstance(value, str):
        value = zlib.crc32(value.encode()) & 0x7FFFFFFF
    return tf.random.experimental.stateless_fold_in(seed, value)


def dropout_mask(shape, keep_prob, seed):
    """Returns an inverted-dropout mask: 1/keep_prob with probability keep_prob, else 0; None if keep_prob is 1."""
    if keep_prob >= 1.0:
        return None
    keep = tf.random.stateless_uniform(shape, seed) < keep_prob
    return tf.cast(keep, tf.float32) * (1.0 / keep_prob)


def apply_mask(values, mask):
    """Returns values * mask, or the values if the mask is None."""
    return values if mask is None else values * mask
