"""Computes the mean CIDEr-D over all images of each corpus sentence, as if it were the caption of every image.

The scores are exact and computed by sparse matrix products. CIDEr-D clips the count of an n-gram to the reference's
count. It is still linear in the caption if every occurrence is a separate feature: min(t, f) = sum over s = 1..t of
[s <= f], so the s-th occurrence of an n-gram g in the caption c adds a fixed amount, and

    CIDEr-D(c) = 10 / (4 N) sum over n of 1 / |h_n| sum over the occurrences (g, s) in c of V_n[(g, s), length of c]
    V_n[(g, s), L] = idf(g)^2 sum over references r of image i with f_r(g) >= s of
                     f_r(g) / (|r_n| m_i) exp(-(L - L_r)^2 / (2 sigma^2))

with N the number of images, n = 1 to 4 the order of the n-grams, t and f the counts of an n-gram in the caption and in
a reference, f_r(g) the count of g in r, h_n and r_n the tf-idf vectors of caption and reference for order n, m_i the
number of references of image i, and L and L_r the numbers of bigrams of caption and reference (pycocoevalcap's length).
V_n is one matrix product: features x references times references x lengths. |h_n|^2 = sum over occurrences of
(2 s - 1) idf(g)^2, because 1 + 3 + ... + (2 t - 1) = t^2.

Shapes: B sentences of one length, T tokens, K n-grams, J references, F features (pairs of an n-gram and its s).

Source: pycocoevalcap's CIDEr scorer, n 1 to 4, sigma 6; a test compares the scores.
"""

import hashlib

import numpy as np
import scipy.sparse

from formats.languages import unicode_text
from models.consensus.ngrams import ORDERS, ngram_keys

SIGMA = 6.0
ROWS_AT_ONCE = 50_000
AGAIN = np.uint64(0x9B7BABFB741A13B3)  # shifts the key of an n-gram for each further occurrence


class _Hashes(dict):
    """Dict word -> 64-bit hash (int); a missing word is hashed and added when it is looked up."""

    def __missing__(self, word):
        number = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")
        self[word] = number
        return number


def _by_length(sentences, hashes):
    """Groups sentences by their number of words; yields (indices into `sentences` [B], word hashes uint64 [B, T]).

    Args: sentences: list of tokenized strings. hashes: _Hashes.
    """
    words = [unicode_text.split(sentence) for sentence in sentences]
    lengths = np.array([len(sentence) for sentence in words], np.int64)
    flat = np.fromiter((hashes[word] for sentence in words for word in sentence), np.uint64, lengths.sum())
    starts = np.cumsum(lengths) - lengths
    for length in np.unique(lengths):
        same = np.flatnonzero(lengths == length)
        for begin in range(0, len(same), ROWS_AT_ONCE):
            rows = same[begin : begin + ROWS_AT_ONCE]
            yield rows, flat[starts[rows][:, None] + np.arange(length)]


def _occurrences(words_BT, order):
    """Returns the n-grams of each row, sorted: keys uint64 [B, K], and int64 [B, K] with s for the s-th occurrence.

    Args: words_BT: uint64 word hashes. order: n.
    """
    grams_BK = np.sort(ngram_keys(words_BT, order), axis=1)
    nth_BK = np.ones(grams_BK.shape, np.int64)
    for k in range(1, grams_BK.shape[1]):
        nth_BK[:, k] += nth_BK[:, k - 1] * (grams_BK[:, k] == grams_BK[:, k - 1])
    return grams_BK, nth_BK


def _totals(grams_BK, nth_BK):
    """Returns for each n-gram how often it occurs in its row: int64 [B, K].

    Args: grams_BK, nth_BK: sorted keys and occurrence numbers of n-grams, the two results of `_occurrences`.
    """
    totals_BK = nth_BK.copy()
    for k in range(grams_BK.shape[1] - 2, -1, -1):
        totals_BK[:, k] = np.where(grams_BK[:, k] == grams_BK[:, k + 1], totals_BK[:, k + 1], nth_BK[:, k])
    return totals_BK


def _keys(grams, nth):
    """Returns a key uint64 for each feature (g, s), an n-gram and its occurrence number.

    Args: grams: uint64, keys of n-grams. nth: int64 of the same shape, the occurrence numbers s, from 1.
    """
    return grams + (nth - 1).astype(np.uint64) * AGAIN


def _look_up(table, keys):
    """Returns (indices of `keys` in `table`, bool array that is True where the key is in `table`).

    The index of a key that is not in `table` has no meaning.

    Args: table: sorted uint64 [n], not empty. keys: uint64 array; the results have its shape.
    """
    positions = np.minimum(np.searchsorted(table, keys), len(table) - 1)
    return positions, table[positions] == keys


class _Order:
    """The n-grams of one order n in all references: their idf, and the matrix for V_n of the module docstring."""

    def __init__(self, groups, image_of_J, order):
        """Counts the n-grams.

        Args: groups: list of (indices [B], word hashes [B, T]) of the references. image_of_J: int, image index of each
          reference. order: n.
        """
        self.order = order
        found = [(rows, *_occurrences(words, order)) for rows, words in groups]
        grams = np.concatenate([grams.ravel() for _, grams, _ in found])
        nth = np.concatenate([nth.ravel() for _, _, nth in found])
        totals = np.concatenate([_totals(grams, nth).ravel() for _, grams, nth in found])
        reference = np.concatenate([np.repeat(rows, grams.shape[1]) for rows, grams, _ in found])

        images = image_of_J.max() + 1
        self.unseen_idf = np.log(images)
        table, inverse = np.unique(grams, return_inverse=True)
        seen_in = np.unique(inverse * images + image_of_J[reference]) // images
        self.grams, self.idf = table, self.unseen_idf - np.log(np.bincount(seen_in, minlength=len(table)))

        idf = self.idf[inverse]
        norms = np.sqrt(np.bincount(reference, (2 * nth - 1) * idf**2, len(image_of_J)))
        weights = idf**2 * totals / np.where(norms > 0, norms, 1.0)[reference]
        weights /= np.bincount(image_of_J)[image_of_J[reference]]
        self.features, feature = np.unique(_keys(grams, nth), return_inverse=True)
        shape = (len(self.features), len(image_of_J))
        self.weights_FJ = scipy.sparse.csr_array((weights, (feature, reference)), shape)

    def similarities(self, words_BT, closeness_J):
        """Returns for each sentence the sum over images of its mean clipped cosine to the image's references.

        Args: words_BT: uint64 word hashes. closeness_J: float [J], exp(-(L - L_r)^2 / (2 sigma^2)) of each reference.
        Returns: float64 [B].
        """
        grams, nth = _occurrences(words_BT, self.order)
        if not grams.size or not len(self.grams):
            return np.zeros(len(words_BT))
        position, there = _look_up(self.grams, grams)
        idf = np.where(there, self.idf[position], self.unseen_idf)
        norms = np.sqrt(((2 * nth - 1) * idf**2).sum(1))
        position, there = _look_up(self.features, _keys(grams, nth))
        values_F = self.weights_FJ @ closeness_J
        products = np.where(there, values_F[position], 0.0).sum(1)
        return products / np.where(norms > 0, norms, 1.0)


class Consensus:
    """Scores each sentence as if it were the caption of every image: mean CIDEr-D against the references of all images.

    Args:
      references: list over images of lists of tokenized references (strings); at least two images.
    """

    def __init__(self, references):
        self._hashes = _Hashes()
        flat = [text for texts in references for text in texts]
        image_of_J = np.repeat(np.arange(len(references)), [len(texts) for texts in references])
        groups = list(_by_length(flat, self._hashes))
        self._images = len(references)
        self._lengths_J = np.array([max(0, len(unicode_text.split(text)) - 1) for text in flat])
        self._orders = [_Order(groups, image_of_J, order) for order in ORDERS]

    def scores(self, sentences):
        """Returns for each sentence the mean over all images of its CIDEr-D x100: float64 [number of sentences].

        Args:
          sentences: list of tokenized sentences (strings).
        """
        result = np.zeros(len(sentences))
        for rows, words_BT in _by_length(sentences, self._hashes):
            apart_J = max(0, words_BT.shape[1] - 1) - self._lengths_J
            closeness_J = np.exp(-(apart_J**2) / (2 * SIGMA**2))
            for order in self._orders:
                result[rows] += order.similarities(words_BT, closeness_J)
        return result * 1000.0 / (len(ORDERS) * self._images)
