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
