"""64-bit keys of n-grams, and n-gram counts of a corpus.

The key of an n-gram is the sum over its positions of number * ODD[position] modulo 2^64. The number of a word is its
id + 1 or a hash, so never 0. If 10^8 n-grams are looked up among 10^6, any two collide with probability 10^-5.

Shapes: N sentences, G n-grams, T words of a sentence.
"""

import numpy as np
import scipy.sparse

ORDERS = (1, 2, 3, 4)
ODD = np.random.default_rng(4).integers(0, 2**63, len(ORDERS), np.uint64) * np.uint64(2) + np.uint64(1)


def ngram_keys(words_NT, n):
    """Returns the keys of the n-grams along the last axis: uint64 [..., T - n + 1], empty if T is less than n.

    Args: words_NT: uint64 [..., T], the number of each word (its id + 1, or a hash). n: words of an n-gram.
    """
    count = max(0, words_NT.shape[-1] - n + 1)
    return sum(words_NT[..., place : place + count] * ODD[place] for place in range(n))


def count_ngrams(sentences):
    """Generator: yields the n-gram counts of a corpus, for n = 1, 2, 3, 4 in this order.

    It stops early if the corpus has fewer than n words.

    Args: sentences: list of arrays of word ids without a start token.

    Yields: (counts, keys, seen_in): the counts of each n-gram in each sentence, float32 CSR matrix [N, G]; the keys of
      the n-grams, uint64 [G], ascending; the number of sentences that contain each n-gram, int [G].
    """
    lengths = np.array([len(ids) for ids in sentences])
    flat = np.concatenate(sentences).astype(np.uint64) + np.uint64(1)
    row = np.repeat(np.arange(len(sentences)), lengths)
    for n in ORDERS:
        count = len(flat) - n + 1
        if count < 1:
            break
        inside = row[:count] == row[n - 1 :]
        keys, column = np.unique(ngram_keys(flat, n)[inside], return_inverse=True)
        shape = (len(sentences), len(keys))
        counts = scipy.sparse.coo_array((np.ones(len(column), np.float32), (row[:count][inside], column)), shape)
        counts = counts.tocsr()  # adds up the occurrences of an n-gram in a sentence
        yield counts, keys, np.bincount(counts.indices, minlength=shape[1])
