"""Standardisation of image vectors. Its statistics are variables, so a checkpoint is enough to caption an image."""

import tensorflow as tf


class Standardise(tf.Module):
    """(vector - mean) / deviation per dimension; the identity until statistics are assigned."""

    def __init__(self, image_dim):
        super().__init__()
        self.mean = tf.Variable(tf.zeros([image_dim]), trainable=False, name="Standardise/mean")
        self.deviation = tf.Variable(tf.ones([image_dim]), trainable=False, name="Standardise/deviation")

    def assign(self, mean, deviation):
        """Sets the statistics; a dimension that never changes keeps deviation 1."""
        deviation = tf.convert_to_tensor(deviation, tf.float32)
        self.mean.assign(mean)
        self.deviation.assign(tf.where(deviation > 1e-6, deviation, 1.0))

    def __call__(self, image_BD):
        return (image_BD - self.mean) / self.deviation
