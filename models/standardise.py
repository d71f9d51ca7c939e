"""Standardisation of image vectors: the one place where a mean is subtracted and a standard deviation divided by.

A dimension that never changes is 0, whatever a new vector holds there: divided by an std of nearly 0, the last bit of
one number would outweigh all the others.

Shapes: N vectors, B batch, D image vector.
"""

import numpy as np
import tensorflow as tf

CONSTANT = 1e-6  # an std up to this, relative to the mean where that is above 1, is rounding


def usable_std(mean_D, std_D):
    """The standard deviations to divide by: float32 [D], exactly 0 for dimensions that never change."""
    mean_D, std_D = np.asarray(mean_D, np.float64), np.asarray(std_D, np.float64)
    changes_D = std_D > CONSTANT * np.maximum(1.0, np.abs(mean_D))
    return np.where(changes_D, std_D, 0.0).astype(np.float32)


def standardised(vectors_ND, mean_D, std_D):
    """(vector - mean) / std: float32 [N, D]; dimensions that never change are 0.

    Args: vectors_ND: any number format. mean_D, std_D: over the vectors of a feature bank.
    """
    divisor_D = usable_std(mean_D, std_D)
    centred_ND = np.asarray(vectors_ND, np.float32) - np.asarray(mean_D, np.float32)
    return np.divide(centred_ND, divisor_D, out=np.zeros_like(centred_ND), where=divisor_D > 0)


class Standardise(tf.Module):
    """The same inside a network; the identity until statistics are assigned.

    Its statistics are variables, so a checkpoint is enough to caption an image.
    """

    def __init__(self, image_dim):
        super().__init__()
        self.mean = tf.Variable(tf.zeros([image_dim]), trainable=False, name="Standardise/mean")
        self.deviation = tf.Variable(tf.ones([image_dim]), trainable=False, name="Standardise/std")
        self.std = self.deviation  # checkpoints know it by both names, older ones by the first alone

    def assign(self, mean_D, std_D):
        """Sets the statistics."""
        self.mean.assign(np.asarray(mean_D, np.float32))
        self.std.assign(usable_std(mean_D, std_D))

    def __call__(self, image_BD):
        return tf.math.divide_no_nan(image_BD - self.mean, self.std)
