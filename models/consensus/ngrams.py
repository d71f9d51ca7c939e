"""64-bit keys of n-grams, and n-gram counts of a corpus.

The key of an n-gram is the sum over its positions of number * ODD[position] modulo 2^64, where the number of a word is
not 0: its id + 1, or a hash. The probability of any collision between 10^8 and 10^6 n-grams is 10^-5.

Shapes: N sentences, G n-grams, T words of a sentence.
"""

import numpy as np
import scipy.sparse

ORDERS = (1, 2, 3, 4)
ODD = np.random.default_rng(4).integers(0, 2**63, len(ORDERS), np.uint64) * np.uint64(2) + np.uint64(1)


def ngram_keys(words_NT, n):
    """Returns the keys of the n-grams along the last axis: uint64 [..., T - n + 1], empty if T is less than n.

    Args: words_NT: uint64 [..., T], the numbers of the words.
    """
    count = max(0, words_NT.shape[-1] - n + 1)
    return sum(words_NT[..., place : place + count] * ODD[place] for place in range(n))


def count_ngrams(sentences):
    """Yields for n = 1..4 (counts float32 CSR [N, G], keys uint64 [G] ascending, seen_in int [G]).

    Args:
      sentences: list of arrays of word ids without a start marker.

    `seen_in` is the number of sentences that contain an n-gram.
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
