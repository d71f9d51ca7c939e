"""How well a caption fits what an image lets expect: their n-gram vectors multiplied, in a compiled step.

    fit(c, i) = sum over t of e(c)_t (x_t + (1 - contrast) general_t)

e(c) are the tf-idf weighted n-grams of a caption, n = 1..4, of unit length for each n, in the main directions that
initialization/neighbour_features.py found; x is what it expects of the image, which is the image vector that it wrote:
a deviation from `general`, the mean over the training images. The product is what consensus retrieval looks for in the
corpus: CIDEr without clipping and length penalty, against what is expected in place of references.

Shapes: B batch, L time, G n-grams of one n, T directions.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from models import layers
from models.ngrams import ODD, ORDERS

LARGEST = np.iinfo(np.int64).max  # a search beyond the end finds this one


@dataclasses.dataclass(frozen=True)
class Phrases:
    """The n-grams that more than one sentence has.

    Attributes, lists over n: keys: int64 [G], ascending. idf: float32 [G]. directions: float16 [G, T].
    rarest: idf of an n-gram of one sentence or none. general_T: float32, expected of all images alike.
    """

    keys: list
    idf: list
    directions: list
    rarest: float
    general_T: np.ndarray

    @classmethod
    def of(cls, counted, sentences, directions_TG, general_T):
        """Args: counted: what ngrams.count_ngrams yields. sentences: N. directions_TG: of all n-grams."""
        keys, idf, directions, start = [], [], [], 0
        for _, hashes, seen_in in counted:
            several = seen_in > 1
            signed = hashes[several].view(np.int64)
            order = np.argsort(signed)
            end = start + int(several.sum())
            keys.append(signed[order])
            idf.append(np.log(sentences / seen_in[several]).astype(np.float32)[order])
            directions.append(directions_TG[:, start:end].T[order].astype(np.float16))
            start = end
        return cls(keys, idf, directions, float(np.log(sentences)), np.asarray(general_T, np.float32))

    def save(self, file):
        """Writes an .npz to a path or an open file."""
        parts = {"keys": self.keys, "idf": self.idf, "directions": self.directions}
        arrays = {f"{name}_{n}": array for name, several in parts.items() for n, array in enumerate(several)}
        np.savez(file, rarest=np.float64(self.rarest), general=self.general_T, **arrays)

    @classmethod
    def load(cls, path):
        """Reads what `save` wrote. Raises: OSError, KeyError, ValueError, zipfile.BadZipFile."""
        with np.load(path, allow_pickle=False) as found:
            count = sum(name.startswith("keys_") for name in found.files)
            parts = [[found[f"{part}_{n}"] for n in range(count)] for part in ("keys", "idf", "directions")]
            return cls(*parts, float(found["rarest"]), found["general"])


class SentenceFit:
    """Scores captions; constants of a compiled step."""

    def __init__(self, phrases):
        self.general_T = tf.constant(phrases.general_T)
        self.rarest = phrases.rarest
        self.keys = [tf.constant(np.append(keys, LARGEST)) for keys in phrases.keys]
        self.idf = [tf.constant(np.append(idf, np.float32(phrases.rarest))) for idf in phrases.idf]
        self.directions = [tf.constant(np.pad(rows, [(0, 1), (0, 0)])) for rows in phrases.directions]

    def vectors(self, tokens_BL):
        """e(c) of captions that end with their end token or the last column: float32 [B, T]."""
        words_BL, lengths_B = tf.cast(tokens_BL, tf.int64) + 1, layers.sequence_lengths(tokens_BL)
        steps, total_BT = tf.shape(words_BL)[1], 0.0
        for n, keys_G, idf_G, directions_GT in zip(ORDERS, self.keys, self.idf, self.directions, strict=False):
            padded = tf.pad(words_BL, [[0, 0], [0, n - 1]])
            odd = ODD.view(np.int64)  # products of 64 bits wrap around, signed or not
            grams_BL = tf.add_n([padded[:, place : place + steps] * int(odd[place]) for place in range(n)])
            valid_BL = tf.cast(tf.range(steps)[None] < (lengths_B - n + 1)[:, None], tf.float32)
            place_BL = tf.reshape(tf.searchsorted(keys_G, tf.reshape(grams_BL, [-1])), tf.shape(grams_BL))
            known_BL = tf.equal(tf.gather(keys_G, place_BL), grams_BL)
            place_BL = tf.where(known_BL, place_BL, tf.size(keys_G) - 1)
            idf_BL = tf.gather(idf_G, place_BL) * valid_BL
            same_BLL = tf.cast(tf.equal(grams_BL[:, :, None], grams_BL[:, None, :]), tf.float32) * valid_BL[:, None, :]
            norm_B = tf.sqrt(tf.reduce_sum(tf.reduce_sum(same_BLL, 2) * idf_BL**2, 1))  # each n-gram count^2 times
            directions_BLT = tf.cast(tf.gather(directions_GT, place_BL), tf.float32)
            vector_BT = tf.einsum("bl,blt->bt", idf_BL, directions_BLT)
            total_BT += tf.math.divide_no_nan(vector_BT, norm_B[:, None])
        return total_BT / len(ORDERS) ** 0.5

    def __call__(self, tokens_BL, image_BT, contrast):
        """fit(c, i) of each row: float32 [B]. Args: image_BT: image vectors as they are in the bank."""
        return tf.reduce_sum(self.vectors(tokens_BL) * (image_BT + (1.0 - contrast) * self.general_T), 1)
