"""Noise for the denoising auto-encoder (Feng et al. 2019, equation 10): words are shuffled locally, then dropped.

Shapes: B batch, S words of a sentence with start and end token, K words of a row without the start token.
"""

import tensorflow as tf

from models.generator import END_ID
from models.randomness import fold_in

SHUFFLE_DISTANCE = 3  # a word moves by about this many positions at most
KEEP_WORD = 0.9


def controlled_shuffle(tokens_BK, lengths_B, uniforms_BK):
    """Returns the words of each row shuffled locally: int32 [B, K].

    They are sorted by position + (SHUFFLE_DISTANCE + 1) u, where u is the uniform random number of the word.

    Args: tokens_BK: int32. lengths_B: int32, number of words; padding after them stays. uniforms_BK: float32 in 0 to 1.
    """
    steps = tf.shape(tokens_BK)[1]
    keys_BK = tf.cast(tf.range(steps), tf.float32)[None] + (SHUFFLE_DISTANCE + 1) * uniforms_BK
    keys_BK = tf.where(tf.sequence_mask(lengths_B, steps), keys_BK, tf.float32.max)
    return tf.gather(tokens_BK, tf.argsort(keys_BK, axis=1, stable=True), batch_dims=1)


def shuffled(tokens_BK, lengths_B, seed):
    """Returns the words of each row in random order: int32 [B, K].

    Args: tokens_BK: int32. lengths_B: int32, number of words; padding after them stays. seed: int32 [2].
    """
    keys_BK = tf.random.stateless_uniform(tf.shape(tokens_BK), seed)
    keys_BK = tf.where(tf.sequence_mask(lengths_B, tf.shape(tokens_BK)[1]), keys_BK, 2.0)
    return tf.gather(tokens_BK, tf.argsort(keys_BK, axis=1, stable=True), batch_dims=1)


def random_drop(tokens_BK, lengths_B, uniforms_BK):
    """Drops each word with probability 0.1, independently: those whose uniform random number is below 0.1.

    Args: tokens_BK: int32. lengths_B: int32, number of words. uniforms_BK: float32 in 0 to 1.
    Returns: (remaining words int32 [B, K], zero padded; their number int32 [B]).
    """
    kept_BK = (uniforms_BK + KEEP_WORD >= 1.0) & tf.sequence_mask(lengths_B, tf.shape(tokens_BK)[1])
    order_BK = tf.argsort(tf.cast(~kept_BK, tf.int32), axis=1, stable=True)
    lengths_B = tf.reduce_sum(tf.cast(kept_BK, tf.int32), axis=1)
    moved_BK = tf.gather(tokens_BK, order_BK, batch_dims=1)
    return tf.where(tf.sequence_mask(lengths_B, tf.shape(tokens_BK)[1]), moved_BK, 0), lengths_B


def noised_sentences(sentence_BS, lengths_B, seed):
    """Returns sentences with words shuffled and dropped, without the start token, ending with the end token.

    Args:
      sentence_BS: int32 with start and end token, zero padded. lengths_B: int32, number of words with both tokens.
      seed: int32 [2].

    Returns: (words int32 [B, S - 1], zero padded; lengths int32 [B], the end token counted).
    """
    words_BK, words_B = sentence_BS[:, 1:], lengths_B - 2
    uniforms = lambda purpose: tf.random.stateless_uniform(tf.shape(words_BK), fold_in(seed, purpose))  # noqa: E731
    words_BK = controlled_shuffle(words_BK, words_B, uniforms("shuffle"))
    words_BK, words_B = random_drop(words_BK, words_B, uniforms("drop"))
    at_end = tf.equal(tf.range(tf.shape(words_BK)[1])[None], words_B[:, None])
    return tf.where(at_end, END_ID, words_BK), words_B + 1
