"""Counts over the global batch.

Every mean is a sum divided by such a count, so that replicas and micro-batches may have different numbers of words.
"""

import tensorflow as tf

from training.accumulation import global_sum, parts


def counted(mask):
    """Returns (sum of a mask in this part of the global batch; sum over all parts, but at least 1): float32 scalars.

    A part is the batch of a replica, or a micro-batch of it (training/accumulation.py). Must be called in every
    replica. Args: mask: float32 of any shape, 1 on what is counted, else 0.
    """
    local = tf.reduce_sum(mask)
    return local, tf.maximum(global_sum(local), 1.0)


def replicas():
    """Returns the number of replicas, with accumulation of all their micro-batches: float32 scalar.

    A metric is (sum, count); both are added over the replicas and micro-batches, then divided. So the value of the
    metric (x, 1 / replicas()) is the sum of x over all of them.
    """
    return tf.constant(float(parts()))


def unique_rows(tokens_BT):
    """Returns the number of distinct rows: float32 scalar. Rows are compared by a 64-bit polynomial hash."""
    powers = tf.math.cumprod(tf.fill([tf.shape(tokens_BT)[1]], tf.constant(1_000_003, tf.int64)))
    keys = tf.reduce_sum(tf.cast(tokens_BT, tf.int64) * powers[None], 1)
    return tf.cast(tf.size(tf.unique(keys)[0]), tf.float32)
