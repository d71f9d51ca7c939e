"""Counts over the global batch.

Every mean is a sum divided by such a count, so that replicas may have different numbers of words.
"""

import tensorflow as tf

from training.optimization import global_sum


def counted(mask):
    """Returns (sum of a mask in this replica; sum over all replicas, but at least 1): float32 scalars.

    Must be called in every replica. Args: mask: float32 of any shape, 1 on what is counted, else 0.
    """
    local = tf.reduce_sum(mask)
    return local, tf.maximum(global_sum(local), 1.0)


def replicas():
    """Returns the number of replicas: float32 scalar.

    A metric is (sum, count); both are added over the replicas, then divided. So the value of the metric
    (x, 1 / replicas()) is the sum of x over all replicas.
    """
    return tf.constant(float(tf.distribute.get_strategy().num_replicas_in_sync))
