"""CIDEr-D on word ids, as dense tensor operations: the reward of self-critical training.

Shapes: B batch, R references of an image, T words, P n-grams of a caption, Q n-grams of a reference, G known n-grams.
Captions include their end token: without it training produces captions that stop in mid-sentence.
An n-gram (n = 1 to 4) is encoded as one integer, its ids as digits to the base V, the size of the vocabulary, so there
are no hash collisions.
Source: Vedantam et al., CVPR 2015, as pycocoevalcap computes it (tests/models/test_cider.py compares the two).
"""

import collections
import os

import numpy as np
import tensorflow as tf

import cli
from formats import readers, writing

LONGEST, SIGMA = 4, 6.0


class DocumentFrequencies:
    """Document frequencies: for each n-gram the number of training images in whose captions it occurs.

    Attributes:
      keys: list of four arrays int64 [G], for n = 1 to 4 the sorted encoded n-grams.
      counts: list of four arrays int64 [G], the document frequencies of these n-grams.
      images: int, number of training images with captions.
    """

    def __init__(self, keys, counts, images):
        self.keys, self.counts, self.images = keys, counts, images

    @classmethod
    def of(cls, captions, vocabulary_size):
        """Returns the DocumentFrequencies of the training captions.

        Args: captions: list over images of lists of word id arrays, without start and end tokens. vocabulary_size: V.
        Raises: cli.UserError if the vocabulary is so large that encoded n-grams do not fit into 64 bits.
        """
        if vocabulary_size**LONGEST >= 2**63:
            raise cli.UserError(
                f"the dictionary has {vocabulary_size} words, self-critical training takes at most 55,000 (it encodes "
                f"{LONGEST}-grams in 64 bits); make the dictionary with a larger --min_word_count"
            )
        counters = [collections.Counter() for _ in range(LONGEST)]
        used = [several for several in captions if several]
        for several in used:
            found = [set() for _ in range(LONGEST)]
            for ids in several:
                ended = [*(int(i) for i in ids), 1]
                for n in range(1, LONGEST + 1):
                    for start in range(len(ended) - n + 1):
                        key = 0
                        for i in ended[start : start + n]:
                            key = key * vocabulary_size + i
                        found[n - 1].add(key)
            for counter, keys in zip(counters, found, strict=True):
                counter.update(keys)
        keys = [np.array(sorted(counter), np.int64) for counter in counters]
        counts = [
            np.array([counter[int(k)] for k in key], np.int64) for key, counter in zip(keys, counters, strict=True)
        ]
        return cls(keys, counts, len(used))

    @classmethod
    def cached(cls, path, digest, captions, vocabulary_size, write=True):
        """Returns the DocumentFrequencies saved in a file if its digest matches; otherwise counts them.

        Args:
          path: .npz file, which need not exist. digest: text that identifies `captions`.
          captions: list over images of lists of word id arrays, without start and end tokens. vocabulary_size: V.
          write: whether to save newly counted frequencies to `path`.

        Raises: cli.UserError if the vocabulary is so large that encoded n-grams do not fit into 64 bits. A damaged file
          is counted again without an error.
        """
        if os.path.exists(path):
            try:
                stored = readers.read_npz(path)
                if str(stored["digest"]) == digest:
                    parts = [[stored[f"{part}_{n}"] for n in range(LONGEST)] for part in ("keys", "counts")]
                    return cls(*parts, int(stored["images"]))
            except (cli.UserError, KeyError):
                pass  # an unreadable file is written again
        found = cls.of(captions, vocabulary_size)
        if write:
            arrays = {f"keys_{n}": keys for n, keys in enumerate(found.keys)}
            arrays |= {f"counts_{n}": counts for n, counts in enumerate(found.counts)}
            with writing.replacing(path) as part, open(part, "wb") as file:
                np.savez(file, digest=digest, images=found.images, **arrays)
        return found


class CiderD:
    """Computes CIDEr-D of captions against the references of their images; the maximum is 10, as in pycocoevalcap.

    Args: frequencies: DocumentFrequencies, for the idf weights. vocabulary_size: V.
    """

    def __init__(self, frequencies, vocabulary_size):
        self.vocabulary_size = vocabulary_size
        self.log_images = np.log(frequencies.images)
        # The last key, so that the search for an unknown n-gram never runs past the end.
        largest = np.array([np.iinfo(np.int64).max])
        self.keys = [np.concatenate([keys, largest]) for keys in frequencies.keys]
        self.log_counts = [np.log(np.append(counts, 1)) for counts in frequencies.counts]

    def __call__(self, words_BT, lengths_B, references_BRT, reference_lengths_BR):
        """Returns CIDEr-D of each caption: float64 [B].

        Args:
          words_BT: int32, captions with their end token. lengths_B: int32, their lengths, the end token counted.
          references_BRT: int32, with end tokens. reference_lengths_BR: int32, their lengths, 0 where an image has no
            further reference.
        """
        references = tf.cast(tf.reduce_sum(tf.cast(reference_lengths_BR > 0, tf.int32), 1), tf.float64)
        bigrams = lambda lengths: tf.cast(tf.maximum(lengths - 1, 0), tf.float64)  # noqa: E731
        delta_BR = bigrams(lengths_B)[:, None] - bigrams(reference_lengths_BR)
        total_BR = tf.zeros_like(delta_BR)
        for n in range(1, LONGEST + 1):
            total_BR += self._similarity(n, words_BT, lengths_B, references_BRT, reference_lengths_BR)
        total_BR *= tf.exp(-(delta_BR**2) / (2 * SIGMA**2)) * tf.cast(reference_lengths_BR > 0, tf.float64)
        return 10.0 / LONGEST * tf.reduce_sum(total_BR, 1) / tf.maximum(references, 1.0)

    def _similarity(self, n, words_BT, lengths_B, references_BRT, reference_lengths_BR):
        """Returns the clipped cosine similarity of the tf-idf vectors of n-grams: float64 [B, R].

        Args: n: length of the n-grams; the others are those of `__call__`.
        """
        ours_BP, weight_BP = self._grams(n, words_BT, lengths_B)
        theirs_BRQ, their_weight_BRQ = self._grams(n, references_BRT, reference_lengths_BR)
        here_BP = _occurrences(ours_BP, ours_BP)
        there_BRP = _occurrences(tf.tile(ours_BP[:, None], [1, tf.shape(theirs_BRQ)[1], 1]), theirs_BRQ)
        # Each distinct n-gram occurs `here` times in the row, so each occurrence has the weight 1 / here.
        shared_BRP = tf.minimum(here_BP[:, None], there_BRP) * there_BRP * (weight_BP**2 / here_BP)[:, None]
        norm_B = tf.sqrt(tf.reduce_sum(here_BP * weight_BP**2, 1))
        norm_BR = tf.sqrt(tf.reduce_sum(_occurrences(theirs_BRQ, theirs_BRQ) * their_weight_BRQ**2, 2))
        return tf.math.divide_no_nan(tf.reduce_sum(shared_BRP, 2), norm_B[:, None] * norm_BR)

    def _grams(self, n, words, lengths):
        """Returns (encoded n-grams int64 [..., T], their idf float64 [..., T]).

        Position t has the n-gram that begins at word t; where it would pass the row's end, there are -1 and 0.

        Args: n: length of n-grams. words: int32 [..., T]. lengths: int32 [...], number of words in each row.
        """
        words = tf.cast(words, tf.int64)
        steps = tf.shape(words)[-1]
        padded = tf.pad(words, [[0, 0]] * (words.shape.rank - 1) + [[0, n - 1]])
        keys = tf.zeros_like(words)
        for i in range(n):
            keys = keys * self.vocabulary_size + padded[..., i : i + steps]
        valid = tf.range(steps) < (lengths - n + 1)[..., None]
        place = tf.reshape(tf.searchsorted(self.keys[n - 1], tf.reshape(keys, [-1])), tf.shape(keys))
        known = tf.equal(tf.gather(self.keys[n - 1], place), keys)
        log_count = tf.where(known, tf.gather(self.log_counts[n - 1], place), 0.0)
        idf = tf.where(valid, self.log_images - log_count, 0.0)
        return tf.where(valid, keys, tf.constant(-1, tf.int64)), idf


def _occurrences(grams, others):
    """Returns how often each n-gram occurs among the n-grams of the same row of `others`: float64 [..., P].

    Args: grams: int64 [..., P]. others: int64 [..., Q].
    """
    return tf.reduce_sum(tf.cast(tf.equal(grams[..., :, None], others[..., None, :]), tf.float64), -1)
