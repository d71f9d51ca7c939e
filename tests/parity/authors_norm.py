"""Computes the norm by which the authors clip: that of gradients whose sparse rows are not summed (quirk Q25).

TensorFlow 1.13 adds the parts of an embedding's gradient by concatenating their rows, also the rows of a dense part. So
`clip_by_global_norm` reads more and smaller rows than there are words. This project clips by the norm of the summed
gradient. To follow the authors over several steps, the tests clip by the authors' norm.
"""

import contextlib
import dataclasses

import tensorflow as tf
from tensorflow.python.eager import backprop_util


def _rows_behind_each_other(parts):
    """Adds gradients, at least one of them sparse, as TensorFlow 1.13 does: concatenates their rows."""
    slices = [
        part
        if isinstance(part, tf.IndexedSlices)
        else tf.IndexedSlices(part, tf.range(tf.shape(part)[0]), tf.shape(part))
        for part in parts
        if part is not None
    ]
    values, indices = tf.concat([s.values for s in slices], 0), tf.concat([s.indices for s in slices], 0)
    return tf.IndexedSlices(values, indices, slices[0].dense_shape)


@contextlib.contextmanager
def unsummed_rows():
    """Makes the eager tape add gradients as TensorFlow 1.13 does, within the block."""
    ours = backprop_util.AggregateIndexedSlicesGradients
    backprop_util.AggregateIndexedSlicesGradients = _rows_behind_each_other
    try:
        yield
    finally:
        backprop_util.AggregateIndexedSlicesGradients = ours


def square(gradient):
    values = gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient
    return float(tf.reduce_sum(tf.cast(values, tf.float64) ** 2))


def norm_of(gradients):
    """Returns the global norm of gradients computed within `unsummed_rows`."""
    return sum(map(square, gradients)) ** 0.5


def generator_norm(objective, batch, rollout, terms, seed):
    """Returns the authors' norm of the generator's gradients.

    Our two losses share one product with the vocabulary, theirs have one each. So each loss is differentiated alone.
    """
    options = objective.options
    if not options.w_sen:
        with unsummed_rows():
            return norm_of(objective.generator_gradients(batch, rollout, terms, seed)[1])
    nothing = terms | {"advantages": tf.zeros_like(terms["advantages"])}
    try:
        with unsummed_rows():
            _, sentence = objective.generator_gradients(batch, rollout, nothing, seed)
            objective.options = dataclasses.replace(options, w_sen=0.0)
            _, policy = objective.generator_gradients(batch, rollout, terms, seed)
    finally:
        objective.options = options
    total = 0.0
    for a, b in zip(sentence, policy, strict=True):
        sparse = isinstance(a, tf.IndexedSlices)
        total += square(a) + square(b) if sparse else square(sum(part for part in (a, b) if part is not None))
    return total**0.5


def discriminator_norm(objective, batch, rollout, seed):
    """Returns the authors' norm of the discriminator's gradients."""
    with unsummed_rows():
        return norm_of(objective.discriminator_gradients(batch, rollout, seed)[1])


def apply_clipped(optimizer, gradients, variables, norm, clip=10.0):
    """Makes one optimizer step with gradients clipped as if their global norm were `norm`."""
    factor = min(1.0, clip / norm)
    optimizer.apply([tf.convert_to_tensor(gradient) * factor for gradient in gradients], variables)
