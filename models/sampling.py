"""Argmax and sampling over a large vocabulary.

`best` and `drawn` divide the vocabulary into K blocks of S words. They find the block first and then the word inside,
so that only cheap passes (maximum, exponential, sum) run over the whole vocabulary: a plain argmax is five times slower
on a CPU, and sampling by Gumbel noise needs two logarithms for every word.

Shapes: B rows, V vocabulary, K blocks, S words of a block.
"""

import functools

import tensorflow as tf


@functools.cache
def block_size(vocabulary_size):
    """Returns S, the number of words of a block: int.

    It is the divisor of V nearest to sqrt(V), among those between sqrt(V)/8 and 8 sqrt(V). If there is none, it is
    sqrt(V) rounded up, and `_blocks` pads the rows.
    """
    root = vocabulary_size**0.5
    divisors = [size for size in range(max(1, int(root / 8)), int(8 * root) + 1) if vocabulary_size % size == 0]
    near = [size for size in divisors if root / 8 <= size <= 8 * root]
    return min(near, key=lambda size: abs(size - root)) if near else int(-(-root // 1))


def _blocks(values_BV, fill):
    """Returns rows divided into blocks: [B, K, S]. Args: fill: value of the padding at the end of the last block."""
    size = block_size(values_BV.shape[1])
    missing = -values_BV.shape[1] % size
    if missing:
        values_BV = tf.pad(values_BV, [[0, 0], [0, missing]], constant_values=fill)
    return tf.reshape(values_BV, [-1, values_BV.shape[1] // size, size])


def best_and_largest(logits_BV):
    """Returns (index of the most probable word int32 [B], its logit float32 [B]); of a tie, the first word is taken."""
    blocks_BKS = _blocks(logits_BV, logits_BV.dtype.min)
    largest_BK = tf.reduce_max(blocks_BKS, 2)
    block_B = tf.argmax(largest_BK, 1, tf.int32)
    inside_B = tf.argmax(tf.gather(blocks_BKS, block_B, batch_dims=1), 1, tf.int32)
    return block_B * blocks_BKS.shape[2] + inside_B, tf.reduce_max(largest_BK, 1)


def best(logits_BV):
    """Returns the index of the most probable word of each row, the first one of a tie: int32 [B]."""
    return best_and_largest(logits_BV)[0]


def uniforms(seed, steps, batch):
    """Draws the uniform random numbers that `drawn` takes: float64 [T, B] in 0 to 1, a pure function of the seed.

    Args: seed: int32 [2]. steps: T, number of words. batch: B.
    """
    return tf.random.stateless_uniform([steps, batch], seed, dtype=tf.float64)


def drawn(logits_BV, uniform_B):
    """Returns one word of each row, sampled from softmax(logits): int32 [B], a pure function of `uniform_B`.

    It is the first word at which the cumulative probability exceeds uniform_B (float64, in 0 to 1). Cumulative sums
    are float64, so that words of probability 1e-7 have the right frequency.
    """
    largest_B1 = tf.reduce_max(logits_BV, 1, keepdims=True)
    weights_BKS = _blocks(tf.exp(logits_BV - largest_B1), 0.0)
    block_B, rest_B = _first_above(tf.reduce_sum(weights_BKS, 2), uniform_B)
    inside_B, _ = _first_above(tf.gather(weights_BKS, block_B, batch_dims=1), rest_B)
    return block_B * weights_BKS.shape[2] + inside_B


def drawn_from_top(log_p_BV, uniform_B, top_k, top_p):
    """Returns one word of each row, sampled from its most probable words: int32 [B], a pure function of `uniform_B`.

    The words that may be drawn are the `top_k` most probable ones (Fan et al. 2018), and of them the smallest number of
    most probable ones whose probabilities, normalised, sum to at least `top_p` (nucleus sampling, Holtzman et al.
    2020). Of words with equal probability the first ones are taken.

    Args: log_p_BV: float32, log-probabilities or logits, -inf for a word that is never drawn. uniform_B: float64 in 0
      to 1. top_k: scalar int, 0 for no limit. top_p: scalar in 0 to 1; 1 for no limit.
    """
    sorted_BV, words_BV = tf.math.top_k(log_p_BV, log_p_BV.shape[1])
    rank_V = tf.range(log_p_BV.shape[1])
    sorted_BV = tf.where((top_k <= 0) | (rank_V < top_k), sorted_BV, float("-inf"))
    p_BV = tf.nn.softmax(tf.cast(sorted_BV, tf.float64))
    before_BV = tf.cumsum(p_BV, axis=1, exclusive=True)  # probability of the more probable words
    kept_BV = (before_BV < tf.cast(top_p, tf.float64)) | (top_p >= 1) | (rank_V == 0)
    place_B = drawn(tf.where(kept_BV, sorted_BV, float("-inf")), uniform_B)
    return tf.gather(words_BV, place_B, batch_dims=1)


def _first_above(weights_BK, uniform_B):
    """Finds for each row the first index at which the cumulative share of the weights exceeds uniform_B.

    Rounding errors never select an index of weight zero.

    Returns: (index int32 [B]; position of uniform_B inside the interval of that index, float64 [B] in 0 to 1).
    """
    cumulative_BK = tf.cumsum(tf.cast(weights_BK, tf.float64), axis=1)
    total_B1 = cumulative_BK[:, -1:]
    target_B1 = uniform_B[:, None] * total_B1
    place_B = tf.reduce_sum(tf.cast((cumulative_BK <= target_B1) & (cumulative_BK < total_B1), tf.int32), 1)
    end_B = tf.gather(cumulative_BK, place_B, batch_dims=1)
    weight_B = tf.cast(tf.gather(weights_BK, place_B, batch_dims=1), tf.float64)
    return place_B, tf.clip_by_value(1.0 - (end_B - target_B1[:, 0]) / weight_B, 0.0, 1.0)
