"""Counts of the global batch. Every mean is a sum divided by such a count, so devices may hold unequal shares."""

import tensorflow as tf

from training.optimization import global_sum


def counted(mask):
    """Sum of a mask in this replica and over all replicas (at least 1)."""
    local = tf.reduce_sum(mask)
    return local, tf.maximum(global_sum(local), 1.0)


def replicas():
    """Number of replicas; (x, 1 / replicas()) is a metric whose shares add up to the global value."""
    return tf.constant(float(tf.distribute.get_strategy().num_replicas_in_sync))
