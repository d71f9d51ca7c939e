"""Random numbers as a pure function of a seed: nothing to save, replicas differ, a resumed run repeats itself.

A seed is an int32 vector [2]. It is folded with the step, the replica and the purpose, one after the other.
"""

import zlib

import tensorflow as tf


def fold_in(seed, value):
    """A new seed from a seed and a number (int or scalar tensor) or a purpose (str)."""
    if isinstance(value, str):
        value = zlib.crc32(value.encode()) & 0x7FFFFFFF
    return tf.random.experimental.stateless_fold_in(seed, value)


def dropout_mask(shape, keep_prob, seed):
    """Inverted-dropout mask: 1/keep_prob with probability keep_prob, else 0; None when nothing is dropped."""
    if keep_prob >= 1.0:
        return None
    keep = tf.random.stateless_uniform(shape, seed) < keep_prob
    return tf.cast(keep, tf.float32) * (1.0 / keep_prob)


def apply_mask(values, mask):
    """values * mask, or the values themselves when the mask is None."""
    return values if mask is None else values * mask
