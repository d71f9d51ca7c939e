"""The norm by which the authors clip: that of gradients whose sparse rows have not been summed.

TensorFlow 1.13 adds the parts of an embedding's gradient by putting their rows one after the other, also the rows of
a dense part; `clip_by_global_norm` then sees more and smaller rows than there are words. We clip by the norm of the
summed gradient. To follow the authors over several steps all the same, the tests clip by their norm.
"""

import contextlib
import dataclasses

import tensorflow as tf
from tensorflow.python.eager import backprop_util


def _rows_behind_each_other(parts):
    """How TensorFlow 1.13 adds gradients of which at least one is sparse."""
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
    """Within it the eager tape adds gradients as TensorFlow 1.13 does."""
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
    """Global norm of gradients taken under `unsummed_rows`."""
    return sum(map(square, gradients)) ** 0.5


def generator_norm(objective, batch, rollout, terms, seed):
    """The authors' norm of the generator's gradients.

    Our two losses share one product with the vocabulary, theirs have one each; so the losses are taken one by one.
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
    """The authors' norm of the discriminator's gradients."""
    with unsummed_rows():
        return norm_of(objective.discriminator_gradients(batch, rollout, seed)[1])


def apply_clipped(optimizer, gradients, variables, norm, clip=10.0):
    """One step with gradients clipped as if their norm were `norm`."""
    factor = min(1.0, clip / norm)
    optimizer.apply([tf.convert_to_tensor(gradient) * factor for gradient in gradients], variables)
