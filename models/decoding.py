"""Decodes captions in batches: beam search, greedy decoding and sampling, each with rules on the words if wanted.

Beam search has the same result as the authors' search over one image at a time: as in the authors' program, each image
has two lists of at most K captions: finished captions, which have reached the end token, and partial ones. A finished
caption frees its place in the beam. "Quirk Q22" and "Q8" are rows of docs/implementation_details.md.

Shapes: B batch, K captions of an image (the beam, or the samples), T words, V vocabulary, E embedding, M words of all
captions.
"""

import dataclasses

import tensorflow as tf

from models import layers, sampling
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
    rules=None,
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
      rules: models.word_rules.WordRules, None for none. With a repetition penalty the search sums and sorts by the
        log-probabilities after it; `Beams.log_probs` are those of the network.

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
        logits = generator.logits(output)
        if rules is None:
            p = tf.nn.softmax(logits)
            if suppress_unknown:
                p *= tf.concat([tf.ones([generator.vocabulary_size - 1]), [0.0]], 0)
            top_p, top_words = tf.math.top_k(p, K)
            step_log_p = tf.where(top_p >= IMPROBABLE, tf.math.log(tf.cast(top_p, tf.float64)), minus_inf)
        else:  # however improbable: what the rules allow may be all that is left
            never = (generator.vocabulary_size - 1,) if suppress_unknown else ()
            history = tf.reshape(words[:, :, 1:], [batch * K, rounds])
            top_log_p, top_words = tf.math.top_k(rules.log_probs(logits, history, t, never), K)
            step_log_p = tf.cast(top_log_p, tf.float64)
        # One candidate for each partial caption and each of its K best words: [B, K * K].
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
    lengths = tf.where(ended, finished[3], t)
    log_probs = tf.where(ended, finished[1], partial[1])
    scores = tf.where(ended, finished[2], partial[1])
    if rules is not None and rules.repetition_penalty is not None:
        tiled = tuple(tf.repeat(part, K, 0) for part in state)
        lengths_N = tf.reshape(tf.where(scores > minus_inf, lengths, 1), [-1])  # places without a caption are ignored
        own_N = caption_log_probs(generator, tiled, tf.reshape(words, [batch * K, rounds]), lengths_N, input_embedding)
        log_probs = tf.where(scores > minus_inf, tf.reshape(own_N, [batch, K]), minus_inf)
    return Beams(words, lengths, log_probs, scores, ended)


def _write(words_BKT, position, values_BK):
    """Returns a copy of int32 [B, K, T] words with `values_BK` written at time `position` (scalar)."""
    at = tf.one_hot(position, tf.shape(words_BKT)[2], dtype=tf.bool, on_value=True, off_value=False)
    return tf.where(at[None, None, :], values_BK[:, :, None], words_BKT)


# --------------------------------------------------------------------------------------------------------------
# Greedy decoding and sampling


def greedy(generator, state, max_caption_length, input_embedding=None, rules=None):
    """Decodes captions greedily, taking the most probable word at each step: returns `Beams` with K = 1.

    Args:
      generator: WordDecoder.
      state: tuple of tensors [B, ...], the generator's state before the first word.
      max_caption_length: T, maximum number of words, the end token counted.
      input_embedding: float32 [V, E], embedding of the input words; None for the generator's own.
      rules: models.word_rules.WordRules, None for none.
    """
    if rules is None:
        words_BT = generator.decode(state, max_caption_length, input_embedding=input_embedding)
    else:

        def choose(logits_AV, t, rows_A, words_TB):
            so_far_AT = tf.transpose(tf.gather(words_TB, rows_A, axis=1))
            return sampling.best(rules.log_probs(logits_AV, so_far_AT, t))

        words_BT = generator.decode_by(state, max_caption_length, None, choose, _not_ended, input_embedding)
    return _as_beams(generator, state, words_BT, input_embedding)


def sample(generator, state, uniforms_BKT, nucleus, rules, suppress_unknown=True, input_embedding=None):
    """Samples K captions of each image: returns `Beams`, sorted by log-probability, the highest first.

    The start token is never drawn. The log-probabilities are those of the network, without temperature, truncation and
    rules.

    Args:
      generator: WordDecoder.
      state: tuple of tensors [B, ...], the generator's state before the first word.
      uniforms_BKT: float64 in 0 to 1, the random number of each word; T is the maximum number of words, the end token
        counted.
      nucleus: Nucleus. rules: models.word_rules.WordRules.
      suppress_unknown: whether the last word id, the unknown word, is never drawn.
      input_embedding: float32 [V, E], embedding of the input words; None for the generator's own.
    """
    samples, steps = uniforms_BKT.shape[1:]
    uniforms_TN = tf.transpose(tf.reshape(uniforms_BKT, [-1, steps]))
    never = (START_ID, generator.vocabulary_size - 1) if suppress_unknown else (START_ID,)

    def choose(logits_AV, t, rows_A, words_TN):
        so_far_AT = tf.transpose(tf.gather(words_TN, rows_A, axis=1))
        log_p_AV = rules.log_probs(logits_AV, so_far_AT, t, never)
        return nucleus.drawn(log_p_AV, tf.gather(uniforms_TN[t], rows_A))

    tiled = tuple(tf.repeat(part, samples, 0) for part in state)
    words_NT = generator.decode_by(tiled, steps, None, choose, _not_ended, input_embedding)
    one_each = _as_beams(generator, tiled, words_NT, input_embedding)
    parts = [tf.reshape(part, [-1, samples, *part.shape[2:]]) for part in vars(one_each).values()]
    order_BK = tf.argsort(parts[2], direction="DESCENDING", stable=True)
    return Beams(*(tf.gather(part, order_BK, batch_dims=1) for part in parts))


@dataclasses.dataclass(frozen=True)
class Nucleus:
    """How a word is drawn: from softmax(log p / temperature), truncated to its most probable words.

    Attributes: temperature: above 0, float or float32 scalar. top_k, top_p: as of `sampling.drawn_from_top`; both None
      to draw from all words, which needs no sorting.
    """

    temperature: float | tf.Tensor = 1.0
    top_k: int | tf.Tensor | None = None
    top_p: float | tf.Tensor | None = None

    def drawn(self, log_p_BV, uniform_B):
        """Returns one word of each row, int32 [B]. Args: log_p_BV: float32. uniform_B: float64 in 0 to 1."""
        log_p_BV /= self.temperature
        if self.top_k is None and self.top_p is None:
            return sampling.drawn(log_p_BV, uniform_B)
        top_k, top_p = (0 if self.top_k is None else self.top_k), (1.0 if self.top_p is None else self.top_p)
        return sampling.drawn_from_top(log_p_BV, uniform_B, top_k, top_p)


def _not_ended(ended_B, t):
    """Returns which rows continue, bool [B], for WordDecoder.decode_by: those without an end token."""
    return ~ended_B


def _as_beams(generator, state, words_BT, input_embedding):
    """Returns one decoded caption of each row as `Beams` with K = 1. Args: words_BT: int32, 0 after the end token."""
    lengths_B = layers.sequence_lengths(words_BT)
    log_probs_B = caption_log_probs(generator, state, words_BT, lengths_B, input_embedding)
    ended_B = tf.reduce_any(words_BT == END_ID, 1)
    parts = (words_BT, lengths_B, log_probs_B, log_probs_B, ended_B)
    return Beams(*(part[:, None] for part in parts))


# --------------------------------------------------------------------------------------------------------------
# Log-probabilities of given captions


def caption_log_probs(generator, state, words_BT, lengths_B, input_embedding=None):
    """Returns the summed natural log-probability of each caption: float64 [B]. Args: as of `word_log_probs`."""
    log_p_M, place_M2 = _log_probs(generator, state, words_BT, lengths_B, input_embedding)
    return tf.math.unsorted_segment_sum(tf.cast(log_p_M, tf.float64), place_M2[:, 0], tf.shape(words_BT)[0])


def word_log_probs(generator, state, words_BT, lengths_B, input_embedding=None):
    """Returns the natural log-probability of each word of given captions: float32 [B, T], 0 past a caption's length.

    Args:
      generator: WordDecoder. state: tuple of tensors [B, ...], its state before the first word.
      words_BT: int32, word ids without the start token. lengths_B: int32, numbers of words, the end token counted.
      input_embedding: float32 [V, E], embedding of the input words; None for the generator's own.
    """
    log_p_M, place_M2 = _log_probs(generator, state, words_BT, lengths_B, input_embedding)
    return tf.scatter_nd(place_M2, log_p_M, tf.shape(words_BT, tf.int64))


def _log_probs(generator, state, words_BT, lengths_B, input_embedding):
    """Returns (log-probabilities float32 [M], place of each as int64 [M, 2], row and time) of the words of captions."""
    inputs_BT = tf.pad(words_BT[:, :-1], [[0, 0], [1, 0]])
    hidden_BTH = generator.hidden_states(state, inputs_BT, lengths_B, None, input_embedding)
    is_word_BT = layers.mask_of(lengths_B, tf.shape(words_BT)[1]) > 0
    logits_MV = generator.logits(tf.boolean_mask(hidden_BTH, is_word_BT))
    losses_M = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.boolean_mask(words_BT, is_word_BT), logits_MV)
    return -losses_M, tf.where(is_word_BT)
