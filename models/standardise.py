"""Standardisation of image vectors: subtracts the mean and divides by the standard deviation.

A constant dimension becomes 0, whatever its value in a new vector: divided by a standard deviation near 0, rounding
noise of one dimension would outweigh all others.

Shapes: N vectors, B batch, D image vector.
"""

import numpy as np
import tensorflow as tf

CONSTANT = 1e-6  # a standard deviation up to CONSTANT * max(1, |mean|) is rounding noise


def usable_std(mean_D, std_D):
    """Returns the standard deviations to divide by: float32 [D], exactly 0 for constant dimensions.

    Args: mean_D, std_D: mean and standard deviation of each dimension over a feature bank.
    """
    mean_D, std_D = np.asarray(mean_D, np.float64), np.asarray(std_D, np.float64)
    changes_D = std_D > CONSTANT * np.maximum(1.0, np.abs(mean_D))
    return np.where(changes_D, std_D, 0.0).astype(np.float32)


def standardised(vectors_ND, mean_D, std_D):
    """Returns (vector - mean) / std: float32 [N, D]; constant dimensions are 0.

    Args:
      vectors_ND: array of any numeric dtype.
      mean_D, std_D: mean and standard deviation of each dimension over a feature bank.
    """
    divisor_D = usable_std(mean_D, std_D)
    centred_ND = np.asarray(vectors_ND, np.float32) - np.asarray(mean_D, np.float32)
    return np.divide(centred_ND, divisor_D, out=np.zeros_like(centred_ND), where=divisor_D > 0)


class Standardise(tf.Module):
    """Standardises image vectors inside a network; before `assign` is called it returns them unchanged.

    The statistics are variables, so that a checkpoint contains them. Args: image_dim: D.
    """

    def __init__(self, image_dim):
        super().__init__()
        self.mean = tf.Variable(tf.zeros([image_dim]), trainable=False, name="Standardise/mean")
        self.deviation = tf.Variable(tf.ones([image_dim]), trainable=False, name="Standardise/std")
        self.std = self.deviation  # checkpoints have it under both names, older ones only under the first

    def assign(self, mean_D, std_D):
        """Sets the mean and the standard deviation; the latter becomes 0 for constant dimensions.

        Args: mean_D, std_D: mean and standard deviation of each dimension over a feature bank.
        """
        self.mean.assign(np.asarray(mean_D, np.float32))
        self.std.assign(usable_std(mean_D, std_D))

    def __call__(self, image_BD):
        """Returns standardised image vectors: float32 [B, D]; constant dimensions are 0. Args: image_BD: float32."""
        return tf.math.divide_no_nan(image_BD - self.mean, self.std)
