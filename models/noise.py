"""Noised sentences for the denoising auto-encoder (equation 10): a local shuffle, then dropped words.

Shapes: B batch, S words of a sentence with both markers, K = S words of a noised one.
"""

import tensorflow as tf

from models.generator import END_ID
from models.randomness import fold_in

SHUFFLE_DISTANCE = 3  # a word moves by about this many positions at most
KEEP_WORD = 0.9


def controlled_shuffle(tokens_BK, lengths_B, uniforms_BK):
    """Sorts the words of each row by position + U(0, d + 1); padding stays at the end. Returns int32 [B, K].

    Args: tokens_BK: int32. lengths_B: int32. uniforms_BK: float32 in 0 to 1.
    """
    steps = tf.shape(tokens_BK)[1]
    keys_BK = tf.cast(tf.range(steps), tf.float32)[None] + (SHUFFLE_DISTANCE + 1) * uniforms_BK
    keys_BK = tf.where(tf.sequence_mask(lengths_B, steps), keys_BK, tf.float32.max)
    return tf.gather(tokens_BK, tf.argsort(keys_BK, axis=1, stable=True), batch_dims=1)


def shuffled(tokens_BK, lengths_B, seed):
    """Returns the words of each row in random order; padding stays at the end: int32 [B, K]."""
    keys_BK = tf.random.stateless_uniform(tf.shape(tokens_BK), seed)
    keys_BK = tf.where(tf.sequence_mask(lengths_B, tf.shape(tokens_BK)[1]), keys_BK, 2.0)
    return tf.gather(tokens_BK, tf.argsort(keys_BK, axis=1, stable=True), batch_dims=1)


def random_drop(tokens_BK, lengths_B, uniforms_BK):
    """Drops each word with probability 0.1, independently. Returns the remaining words, zero padded, and the lengths.

    Args: tokens_BK: int32. lengths_B: int32. uniforms_BK: float32 in 0 to 1.
    """
    kept_BK = (uniforms_BK + KEEP_WORD >= 1.0) & tf.sequence_mask(lengths_B, tf.shape(tokens_BK)[1])
    order_BK = tf.argsort(tf.cast(~kept_BK, tf.int32), axis=1, stable=True)
    lengths_B = tf.reduce_sum(tf.cast(kept_BK, tf.int32), axis=1)
    moved_BK = tf.gather(tokens_BK, order_BK, batch_dims=1)
    return tf.where(tf.sequence_mask(lengths_B, tf.shape(tokens_BK)[1]), moved_BK, 0), lengths_B


def noised_sentences(sentence_BS, lengths_B, seed):
    """Returns sentences with words shuffled and dropped, without the start token, ending with the end token.

    Args:
      sentence_BS: int32 with both markers, zero padded. lengths_B: int32, markers counted.

    Returns: int32 [B, S - 1], zero padded; their lengths int32 [B], the end token counted.
    """
    words_BK, words_B = sentence_BS[:, 1:], lengths_B - 2
    uniforms = lambda purpose: tf.random.stateless_uniform(tf.shape(words_BK), fold_in(seed, purpose))  # noqa: E731
    words_BK = controlled_shuffle(words_BK, words_B, uniforms("shuffle"))
    words_BK, words_B = random_drop(words_BK, words_B, uniforms("drop"))
    at_end = tf.equal(tf.range(tf.shape(words_BK)[1])[None], words_B[:, None])
    return tf.where(at_end, END_ID, words_BK), words_B + 1
