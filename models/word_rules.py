"""Rules on the words of captions while they are decoded, for greedy decoding, beam search and sampling alike.

Shapes: B captions, T words, V vocabulary, P earlier positions at which an n-gram may have begun.
"""

import dataclasses

import tensorflow as tf

from models.generator import END_ID


@dataclasses.dataclass(frozen=True)
class WordRules:
    """Which next words a caption may have, and how much words that it has are made less probable.

    Attributes:
      min_length: minimum number of words, int or int32 scalar: the end token is not allowed before.
      no_repeat_ngram: n, int: no n-gram of words occurs twice in a caption; 0 for no such rule.
      repetition_penalty: factor of at least 1, float or float32 scalar (`penalised`); None for no penalty.
    """

    min_length: int | tf.Tensor = 0
    no_repeat_ngram: int = 0
    repetition_penalty: float | tf.Tensor | None = None

    def log_probs(self, logits_BV, words_BT, t, never=()):
        """Returns the log-probabilities of the next words; they are -inf for words that are not allowed.

        The words that are allowed keep their log-probability: the distribution is not normalised again.

        Args:
          logits_BV: float32. words_BT: int32, the words so far, without the start token. t: scalar, their number; what
          stands in `words_BT` from t on is ignored. never: ids of words that are never allowed.
        Returns: float32 [B, V].
        """
        if self.repetition_penalty is not None:
            logits_BV = penalised(logits_BV, words_BT, t, self.repetition_penalty)
        log_p_BV = tf.nn.log_softmax(logits_BV)
        if never:
            log_p_BV = tf.where(tf.reduce_any(tf.one_hot(never, log_p_BV.shape[1]) > 0, 0), float("-inf"), log_p_BV)
        if self.no_repeat_ngram:
            log_p_BV = without_repeated_ngrams(log_p_BV, words_BT, t, self.no_repeat_ngram)
        return without_early_end(log_p_BV, t, self.min_length)


def penalised(logits_BV, words_BT, t, penalty):
    """Returns the logits with a penalty on the words that a caption has already: float32 [B, V].

    A positive logit x of such a word becomes x / penalty (Keskar et al. 2019, CTRL, section 4.1). A negative one
    becomes x * penalty: divided, it would make the word more probable.

    Args: logits_BV: float32. words_BT: int32, the words so far. t: scalar, their number. penalty: at least 1.
    """
    x_BT = tf.gather(logits_BV, words_BT, batch_dims=1)
    less_BT = tf.where(x_BT > 0, x_BT / penalty, x_BT * penalty)
    return _lowered(logits_BV, words_BT, tf.range(tf.shape(words_BT)[1])[None] < t, less_BT)


def without_repeated_ngrams(log_p_BV, words_BT, t, n):
    """Returns the log-probabilities with -inf for each word that would complete an n-gram the caption has already.

    Args: log_p_BV: float32. words_BT: int32, the words so far. t: scalar, their number. n: int, at least 1.
    """
    places = tf.maximum(tf.shape(words_BT)[1] - n + 1, 0)
    last_BN = tf.gather(words_BT, tf.maximum(t - n + 1 + tf.range(n - 1), 0), axis=1)
    same_BP = tf.fill([tf.shape(words_BT)[0], places], True) & (tf.range(places) + n - 1 < t)[None]
    for i in range(n - 1):
        same_BP &= words_BT[:, i : i + places] == last_BN[:, i, None]
    return _lowered(log_p_BV, words_BT[:, n - 1 :][:, :places], same_BP, float("-inf"))


def without_early_end(log_p_BV, t, min_length):
    """Returns the log-probabilities with -inf for the end token of captions that are too short.

    A caption that has no other word left may end: its end token keeps its log-probability.

    Args: log_p_BV: float32. t: scalar, number of words so far. min_length: scalar, minimum number of words.
    """
    is_end_V = tf.one_hot(END_ID, log_p_BV.shape[1]) > 0
    shorter_BV = tf.where(is_end_V & (t < min_length), float("-inf"), log_p_BV)
    return tf.where(tf.reduce_max(shorter_BV, 1, keepdims=True) > float("-inf"), shorter_BV, log_p_BV)


def _lowered(values_BV, words_BP, where_BP, lower):
    """Returns float32 [B, V] values in which those of some words are replaced by lower ones.

    Args: values_BV: float32. words_BP: int32, word ids. where_BP: bool, which of them are replaced. lower: float32
      [B, P], or a scalar.
    """
    rows_BP = tf.broadcast_to(tf.range(tf.shape(words_BP)[0])[:, None], tf.shape(words_BP))
    lower_BP = tf.where(where_BP, lower, float("inf"))  # the minimum with infinity changes nothing
    return tf.tensor_scatter_nd_min(values_BV, tf.stack([rows_BP, words_BP], 2), lower_BP)
