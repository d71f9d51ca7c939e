"""Batched beam search with the same result as the authors' search over one image at a time.

As in the authors' program, each image has two lists of at most K captions: finished captions, which have reached the
end token, and partial ones. A finished caption frees its place in the beam. "Quirk Q22" and "Q8" are rows of
docs/implementation_details.md.

Shapes: B batch, K beam, T words, V vocabulary, E embedding.
"""

import dataclasses

import tensorflow as tf

from models.generator import END_ID, START_ID

IMPROBABLE = 1e-12  # less probable words are never appended


@dataclasses.dataclass
class Beams:
    """The best captions of each image, best first; an image may have fewer than K.

    Attributes:
      words: int32 [B, K, T] without the start token, with the end token if the caption has ended, zero padded.
      lengths: int32 [B, K], number of words, the end token counted.
      log_probs: float64 [B, K], summed natural log-probabilities; -inf in places without a caption, whose words and
        lengths mean nothing.
      scores: float64 [B, K], the sort key: log_probs, or log_probs divided by a power of the length.
      ended: bool [B, K], whether the captions of the image have reached the end token; the same value K times.
    """

    words: tf.Tensor
    lengths: tf.Tensor
    log_probs: tf.Tensor
    scores: tf.Tensor
    ended: tf.Tensor


def beam_search(
    generator,
    state,
    beam_size=3,
    max_caption_length=20,
    length_normalization=0.0,
    suppress_unknown=True,
    input_embedding=None,
):
    """Returns the most probable captions of each image: `Beams`.

    They are the finished captions of an image, or its partial captions if none has finished.

    Args:
      generator: a models.generator.WordDecoder.
      state: tuple of tensors [B, ...]: the decoder's state before the first word, e.g. (c, h) of an LSTM.
      beam_size: K.
      max_caption_length: number of decoding steps plus one, as in the authors' program (20 gives 19 steps, quirk Q22).
      length_normalization: exponent a; finished captions are sorted by log p / length^a. The length counts the start
        and the end token. 0 sorts by log p.
      suppress_unknown: sets the probability of the last word id, the unknown word, to zero without renormalising.
      input_embedding: float32 [V, E], embedding of the input words; None for the generator's own (quirk Q8).

    The loop stops early only when no partial caption of any image can still enter the list of finished captions, so
    stopping early does not change the result.
    """
    rounds = max_caption_length - 1
    batch, K = tf.shape(state[0])[0], beam_size
    embedding = generator.embedding if input_embedding is None else input_embedding
    minus_inf = tf.constant(float("-inf"), tf.float64)

    def normalised(log_probs, length):
        if length_normalization <= 0:
            return log_probs
        return log_probs / tf.cast(length, tf.float64) ** length_normalization

    def expand(t, partial, finished):
        words, log_probs, state = partial
        inputs = tf.gather(embedding, words[:, :, t])
        output, state = generator.step(tf.reshape(inputs, [batch * K, -1]), state)
        p = tf.nn.softmax(generator.logits(output))
        if suppress_unknown:
            p *= tf.concat([tf.ones([generator.vocabulary_size - 1]), [0.0]], 0)
        top_p, top_words = tf.math.top_k(p, K)
        # One candidate for each partial caption and each of its K best words: [B, K * K].
        step_log_p = tf.where(top_p >= IMPROBABLE, tf.math.log(tf.cast(top_p, tf.float64)), minus_inf)
        candidates = tf.reshape(log_probs[:, :, None] + tf.reshape(step_log_p, [batch, K, K]), [batch, K * K])
        next_words = tf.reshape(top_words, [batch, K * K])
        ends = tf.equal(next_words, END_ID)

        # Partial captions: the best K candidates that do not end.
        log_probs, choice = tf.math.top_k(tf.where(ends, minus_inf, candidates), K)
        parent = choice // K
        chosen_words = tf.gather(next_words, choice, batch_dims=1)
        # Finished captions: the best K of the old and the new ones.
        done_words, done_log_probs, done_scores, done_lengths = finished
        new_scores = tf.where(ends, normalised(candidates, t + 2), minus_inf)  # start and t + 1 words
        all_scores = tf.concat([done_scores, new_scores], 1)
        done_scores, kept = tf.math.top_k(all_scores, K)
        end_parent = tf.tile(tf.range(K)[None, :, None], [batch, 1, K])
        end_history = tf.gather(words, tf.reshape(end_parent, [batch, K * K]), batch_dims=1)
        end_history = _write(end_history, t + 1, next_words)
        done_words = tf.gather(tf.concat([done_words, end_history], 1), kept, batch_dims=1)
        done_log_probs = tf.gather(tf.concat([done_log_probs, candidates], 1), kept, batch_dims=1)
        new_lengths = tf.fill([batch, K * K], t + 1)
        done_lengths = tf.gather(tf.concat([done_lengths, new_lengths], 1), kept, batch_dims=1)

        words = _write(tf.gather(words, parent, batch_dims=1), t + 1, chosen_words)
        row = tf.reshape(tf.range(batch)[:, None] * K + parent, [-1])
        partial = (words, log_probs, tuple(tf.gather(part, row) for part in state))
        return t + 1, partial, (done_words, done_log_probs, done_scores, done_lengths)

    def can_improve(t, partial, finished):
        bound = normalised(partial[1][:, 0], max_caption_length)  # log p only falls, the length only grows
        return (t < rounds) & tf.reduce_any(bound > finished[2][:, -1])

    words = tf.fill([batch, K, rounds + 1], START_ID)
    first_log_probs = tf.tile(tf.where(tf.range(K) == 0, tf.zeros([], tf.float64), minus_inf)[None], [batch, 1])
    none = tf.fill([batch, K], minus_inf)
    partial = (words, first_log_probs, tuple(tf.repeat(part, K, 0) for part in state))
    finished = (words, none, none, tf.zeros([batch, K], tf.int32))
    t, partial, finished = tf.while_loop(can_improve, expand, (tf.constant(0), partial, finished))

    ended = tf.tile(finished[2][:, :1] > minus_inf, [1, K])
    words = tf.where(ended[:, :, None], finished[0], partial[0])[:, :, 1:]
    return Beams(
        words,
        tf.where(ended, finished[3], t),
        tf.where(ended, finished[1], partial[1]),
        tf.where(ended, finished[2], partial[1]),
        ended,
    )


def _write(words_BKT, position, values_BK):
    """Returns a copy of int32 [B, K, T] words with `values_BK` written at time `position` (scalar)."""
    at = tf.one_hot(position, tf.shape(words_BKT)[2], dtype=tf.bool, on_value=True, off_value=False)
    return tf.where(at[None, None, :], values_BK[:, :, None], words_BKT)
