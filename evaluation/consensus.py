"""CIDEr-D of every sentence of a corpus as the one caption of all images, exactly, by one sparse product.

CIDEr-D clips the count of an n-gram to the reference's count. It is still linear in the caption if every occurrence is
a separate feature: min(t, f) = sum over s = 1..t of [s <= f], so the s-th occurrence of an n-gram g in the caption adds
a fixed amount, and

    CIDEr-D(c) = 10 / (4 N) sum over n of 1 / |h_n| sum over the occurrences (g, s) in c of V_n[(g, s), length of c]
    V_n[(g, s), L] = idf(g)^2 sum over references r of image i with f_r(g) >= s of
                     f_r(g) / (|r_n| m_i) exp(-(L - L_r)^2 / (2 sigma^2))

with f the counts, m_i the number of references of image i, and L the number of bigrams (pycocoevalcap's length). V_n is
one matrix product: features x references times references x lengths. |h_n|^2 = sum over occurrences of
(2 s - 1) idf(g)^2, because 1 + 3 + ... + (2 t - 1) = t^2.

Shapes: B sentences of one length, T tokens, K n-grams, J references, F features.

Source: pycocoevalcap's CIDEr scorer, n 1 to 4, sigma 6; a test compares the scores.
"""

import hashlib

import numpy as np
import scipy.sparse

from models.consensus.ngrams import ORDERS, ngram_keys

SIGMA = 6.0
ROWS_AT_ONCE = 50_000
AGAIN = np.uint64(0x9B7BABFB741A13B3)  # shifts the key of an n-gram for each further occurrence


class _Hashes(dict):
    """dict word -> 64-bit hash, computed at the first look-up."""

    def __missing__(self, word):
        number = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")
        self[word] = number
        return number


def _by_length(sentences, hashes):
    """Yields (indices [B], word hashes uint64 [B, T]) for each length among the sentences."""
    words = [sentence.split() for sentence in sentences]
    lengths = np.array([len(sentence) for sentence in words], np.int64)
    flat = np.fromiter((hashes[word] for sentence in words for word in sentence), np.uint64, lengths.sum())
    starts = np.cumsum(lengths) - lengths
    for length in np.unique(lengths):
        same = np.flatnonzero(lengths == length)
        for begin in range(0, len(same), ROWS_AT_ONCE):
            rows = same[begin : begin + ROWS_AT_ONCE]
            yield rows, flat[starts[rows][:, None] + np.arange(length)]


def _occurrences(words_BT, order):
    """Returns the sorted n-grams of each row: keys uint64 [B, K], and s int64 [B, K] for the s-th occurrence."""
    grams_BK = np.sort(ngram_keys(words_BT, order), axis=1)
    nth_BK = np.ones(grams_BK.shape, np.int64)
    for k in range(1, grams_BK.shape[1]):
        nth_BK[:, k] += nth_BK[:, k - 1] * (grams_BK[:, k] == grams_BK[:, k - 1])
    return grams_BK, nth_BK


def _totals(grams_BK, nth_BK):
    """Counts each n-gram in its row: int64 [B, K]."""
    totals_BK = nth_BK.copy()
    for k in range(grams_BK.shape[1] - 2, -1, -1):
        totals_BK[:, k] = np.where(grams_BK[:, k] == grams_BK[:, k + 1], totals_BK[:, k + 1], nth_BK[:, k])
    return totals_BK


def _keys(grams, nth):
    """Returns the features of occurrences: the n-gram's key for the first one, shifted for each further one."""
    return grams + (nth - 1).astype(np.uint64) * AGAIN


def _look_up(table, keys):
    """Returns (positions of `keys` in the sorted `table`, whether each key is in it)."""
    positions = np.minimum(np.searchsorted(table, keys), len(table) - 1)
    return positions, table[positions] == keys


class _Order:
    """The references' n-grams of one order."""

    def __init__(self, groups, image_of_J, order):
        """Args: groups: list of (indices [B], words [B, T]) of the references. image_of_J: image of each reference."""
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
        """Returns the sum over the references of the clipped cosines, weighted by `closeness_J` [J]: float64 [B]."""
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
    """Scores sentences against the references of all images at once.

    Args:
      references: list over the images of lists of tokenized references; at least two images.
    """

    def __init__(self, references):
        self._hashes = _Hashes()
        flat = [text for texts in references for text in texts]
        image_of_J = np.repeat(np.arange(len(references)), [len(texts) for texts in references])
        groups = list(_by_length(flat, self._hashes))
        self._images = len(references)
        self._lengths_J = np.array([max(0, len(text.split()) - 1) for text in flat])
        self._orders = [_Order(groups, image_of_J, order) for order in ORDERS]

    def scores(self, sentences):
        """Returns the mean CIDEr-D x100 of each sentence as the caption of all images.

        Args:
          sentences: list of tokenized sentences.

        Returns:
          float64 [number of sentences].
        """
        result = np.zeros(len(sentences))
        for rows, words_BT in _by_length(sentences, self._hashes):
            apart_J = max(0, words_BT.shape[1] - 1) - self._lengths_J
            closeness_J = np.exp(-(apart_J**2) / (2 * SIGMA**2))
            for order in self._orders:
                result[rows] += order.similarities(words_BT, closeness_J)
        return result * 1000.0 / (len(ORDERS) * self._images)
