"""Argmax and sampling over a large vocabulary.

Shapes: B rows, V vocabulary, split into K blocks of S. Both find the block first and then the word inside it, so that
only cheap passes (maximum, exponential, sum) run over the whole vocabulary: a plain argmax is five times slower on a
CPU, and Gumbel noise costs two logarithms for every word.
"""

import functools

import tensorflow as tf


@functools.cache
def block_size(vocabulary_size):
    """Returns S: the divisor of V nearest to its square root, or the root rounded up if no divisor is near.

    In the second case `_blocks` pads the rows.
    """
    root = vocabulary_size**0.5
    divisors = [size for size in range(max(1, int(root / 8)), int(8 * root) + 1) if vocabulary_size % size == 0]
    near = [size for size in divisors if root / 8 <= size <= 8 * root]
    return min(near, key=lambda size: abs(size - root)) if near else int(-(-root // 1))


def _blocks(values_BV, fill):
    """Splits rows into blocks: [B, K, S], the last one padded with `fill`."""
    size = block_size(values_BV.shape[1])
    missing = -values_BV.shape[1] % size
    if missing:
        values_BV = tf.pad(values_BV, [[0, 0], [0, missing]], constant_values=fill)
    return tf.reshape(values_BV, [-1, values_BV.shape[1] // size, size])


def best_and_largest(logits_BV):
    """Returns (most probable word int32 [B], the first one of a tie; its logit float32 [B])."""
    blocks_BKS = _blocks(logits_BV, logits_BV.dtype.min)
    largest_BK = tf.reduce_max(blocks_BKS, 2)
    block_B = tf.argmax(largest_BK, 1, tf.int32)
    inside_B = tf.argmax(tf.gather(blocks_BKS, block_B, batch_dims=1), 1, tf.int32)
    return block_B * blocks_BKS.shape[2] + inside_B, tf.reduce_max(largest_BK, 1)


def best(logits_BV):
    """Returns the most probable word of each row, the first one of a tie: int32 [B]."""
    return best_and_largest(logits_BV)[0]


def uniforms(seed, steps, batch):
    """Draws the uniform numbers that `drawn` takes: float64 [T, B] in 0 to 1, a pure function of the seed."""
    return tf.random.stateless_uniform([steps, batch], seed, dtype=tf.float64)


def drawn(logits_BV, uniform_B):
    """Samples a word of each row from softmax(logits): int32 [B], a pure function of `uniform_B`.

    Returns the first word at which the cumulative probability exceeds uniform_B (float64, in 0 to 1). Cumulative sums
    are float64, so that words of probability 1e-7 have the right frequency.
    """
    largest_B1 = tf.reduce_max(logits_BV, 1, keepdims=True)
    weights_BKS = _blocks(tf.exp(logits_BV - largest_B1), 0.0)
    block_B, rest_B = _first_above(tf.reduce_sum(weights_BKS, 2), uniform_B)
    inside_B, _ = _first_above(tf.gather(weights_BKS, block_B, batch_dims=1), rest_B)
    return block_B * weights_BKS.shape[2] + inside_B


def _first_above(weights_BK, uniform_B):
    """Returns (first index at which the cumulative share of weight exceeds uniform_B, position inside it in 0 to 1).

    Rounding never selects an index of weight zero.
    """
    cumulative_BK = tf.cumsum(tf.cast(weights_BK, tf.float64), axis=1)
    total_B1 = cumulative_BK[:, -1:]
    target_B1 = uniform_B[:, None] * total_B1
    place_B = tf.reduce_sum(tf.cast((cumulative_BK <= target_B1) & (cumulative_BK < total_B1), tf.int32), 1)
    end_B = tf.gather(cumulative_BK, place_B, batch_dims=1)
    weight_B = tf.cast(tf.gather(weights_BK, place_B, batch_dims=1), tf.float64)
    return place_B, tf.clip_by_value(1.0 - (end_B - target_B1[:, 0]) / weight_B, 0.0, 1.0)
