"""Optimizers, and a gradient update whose result does not depend on the number of devices.

Keras would clip the gradients of each replica and then sum them inside `Optimizer.apply`. So they are summed here
first, clipped by their global norm, and divided by the number of replicas; the sum inside `apply` then restores them.
"""

import keras
import tensorflow as tf

from training.accumulation import global_sum

EPSILON = 1e-8  # TensorFlow 1's Adam; Keras has 1e-7


class FusedAdam(keras.optimizers.Adam):
    """Keras's Adam as one fused TensorFlow operation, which reads and writes memory once instead of a dozen times."""

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        momentum, velocity = self._momentums[index].value, self._velocities[index].value
        step = tf.cast(self.iterations + 1, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=momentum.handle,
            v=velocity.handle,
            beta1_power=tf.pow(tf.constant(self.beta_1, tf.float32), step),
            beta2_power=tf.pow(tf.constant(self.beta_2, tf.float32), step),
            lr=tf.cast(learning_rate, tf.float32),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )


def make_optimizer(options, learning_rate, beta1, network):
    """Returns the optimizer of a network with its slot variables: FusedAdam, or keras.optimizers.SGD.

    Must be called inside `strategy.scope()`.

    Args:
      options: a config.Trainer; its `optimizer` is "adam" or "sgd".
      learning_rate: float, or a Keras schedule over the optimizer's own steps.
      beta1: float, Adam's beta1; not used by SGD.
      network: tf.Module whose trainable variables the optimizer updates, or a list of such modules.
    """
    if options.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(learning_rate)
    else:
        optimizer = FusedAdam(learning_rate, beta1, 0.999, EPSILON, name="adam")
    networks = network if isinstance(network, (list, tuple)) else [network]
    optimizer.build([variable for part in networks for variable in part.trainable_variables])
    return optimizer


def decayed(rate, steps):
    """Returns a Keras schedule, the cosine decay from `rate`, a float, to 0 over `steps` updates; `rate` if it is 0."""
    return keras.optimizers.schedules.CosineDecay(rate, steps) if steps else rate


class WarmedUp(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate schedule whose first updates have a rate of their own.

    Args: updates: number of first updates. first: their rate. then: rate of the later ones, a float, or a schedule that
      counts from the first of them.
    """

    def __init__(self, updates, first, then):
        self._updates, self._first, self._then = updates, first, then

    def __call__(self, step):
        later = tf.maximum(tf.cast(step, tf.int64) - self._updates, 0)
        then = self._then(later) if callable(self._then) else self._then
        return tf.where(tf.cast(step, tf.int64) < self._updates, tf.constant(self._first, tf.float32), then)


def apply_gradients(optimizer, gradients, variables, clip_norm):
    """Updates the variables with the gradients, summed over the replicas and clipped by their global norm.

    Args:
      optimizer: Keras optimizer.
      gradients: list of gradients of this replica's share of the global loss, which is the sum of all shares; None for
        a variable without gradient, which counts as zero.
      variables: list of tf.Variable in the same order.
      clip_norm: float, maximum global norm; sparse gradients are converted to dense ones before the norm is computed.

    Returns: the global norm of the summed gradients before clipping, float32 scalar, the same in all replicas.
    """
    dense = [
        tf.zeros_like(variable) if gradient is None else tf.convert_to_tensor(gradient)
        for gradient, variable in zip(gradients, variables, strict=True)
    ]
    summed = global_sum(dense)
    norm = tf.linalg.global_norm(summed)
    # Most steps need no clipping; multiplying by 1 would still read and write every gradient.
    clipped = tf.cond(norm > clip_norm, lambda: [g * (clip_norm / norm) for g in summed], lambda: list(summed))
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    optimizer.apply([gradient / replicas for gradient in clipped] if replicas > 1 else clipped, variables)
    return norm
