"""The consensus reward: how well a caption fits the predicted caption embedding of its image (docs/consensus.md, C7).

    fit(c, i) = l(c) sum over t of e(c)_t (x_t + (1 - contrast) general_t)

e(c) is the embedding of caption c: the vector of its tf-idf weighted n-grams, n = 1..4, with unit length for each n,
projected on T principal directions. x is the predicted caption embedding of image i minus `general`, the mean embedding
over the training images. initialization/predict_caption_embeddings.py writes the directions, x and general. `contrast`
is a setting of the reward: 1 leaves `general` out, 0 uses the whole predicted embedding. Consensus retrieval maximises
the same sum over the sentences of the corpus.

l(c) = exp(-d^2 / 72) is the length penalty of CIDEr-D (Vedantam et al. 2015); d is the difference between the length of
the caption and the mean length of the corpus' sentences. Without it captions become 1.5 words shorter in training.
Repetitions of an n-gram are added to the norm of e(c) only, which replaces CIDEr-D's clipping. Without this captions
become `a dog with a dog with a dog`. So the reward is CIDEr-D with the predicted caption embedding in place of
references.

Shapes: B batch, L words of a caption, G n-grams of one order n, T directions.
"""

import dataclasses
import os

import numpy as np
import tensorflow as tf

import cli
from formats import readers
from models import layers
from models.consensus.ngrams import ODD, ORDERS, count_ngrams

SIGMA = 6.0  # of CIDEr-D's length penalty, in words
LARGEST = np.iinfo(np.int64).max  # last key: the search for an unknown n-gram never runs past the end


@dataclasses.dataclass(frozen=True)
class NgramProjection:
    """Projection of n-grams on the principal directions, for n-grams that occur in more than one sentence.

    Attributes; the first three are lists with one array for each n = 1..4:
      keys: int64 [G], 64-bit keys of the n-grams (ngrams.py), ascending.
      idf: float32 [G], inverse document frequencies.
      directions: float16 [G, T], projections of the n-grams.
      rarest: idf of an n-gram that occurs in one sentence or in none.
      general_T: float32, mean caption embedding of the training images.
      length: mean length of the sentences, end token counted.
    """

    FILE = "phrases.npz"  # its name in a data folder

    keys: list
    idf: list
    directions: list
    rarest: float
    general_T: np.ndarray
    length: float

    @classmethod
    def of(cls, sentences, directions_TG, general_T):
        """Returns the NgramProjection of a corpus.

        Args:
          sentences: list of N arrays of word ids, without start token, each ending with the end token.
          directions_TG: float [T, G of all n], projections of the n-grams that occur in more than one sentence, in the
            order in which `count_ngrams` yields them.
          general_T: float32, mean caption embedding of the training images.
        """
        keys, idf, directions, start = [], [], [], 0
        for _, hashes, seen_in in count_ngrams(sentences):
            several = seen_in > 1
            signed = hashes[several].view(np.int64)
            order = np.argsort(signed)
            end = start + int(several.sum())
            keys.append(signed[order])
            idf.append(np.log(len(sentences) / seen_in[several]).astype(np.float32)[order])
            directions.append(directions_TG[:, start:end].T[order].astype(np.float16))
            start = end
        general_T, length = np.asarray(general_T, np.float32), float(np.mean([len(ids) for ids in sentences]))
        return cls(keys, idf, directions, float(np.log(len(sentences))), general_T, length)

    @property
    def image_dim(self):
        """Dimension T of the embeddings."""
        return len(self.general_T)

    def save(self, file):
        """Writes the projection in .npz format. Args: file: a path or an open file."""
        parts = {"keys": self.keys, "idf": self.idf, "directions": self.directions}
        arrays = {f"{name}_{n}": array for name, several in parts.items() for n, array in enumerate(several)}
        single = {"rarest": np.float64(self.rarest), "general": self.general_T, "length": np.float64(self.length)}
        np.savez(file, **single, **arrays)

    @classmethod
    def load(cls, path):
        """Returns the NgramProjection in a file that `save` wrote.

        Raises: cli.UserError if it is missing or damaged.
        """
        mend = "expected what initialization.predict_caption_embeddings --overwrite writes"
        found = readers.read_npz(path, mend.removeprefix("expected "))
        count = sum(name.startswith("keys_") for name in found)
        kinds = {"keys": ("i", 1), "idf": ("f", 1), "directions": ("f", 2)}
        wanted = {f"{part}_{n}": kind for part, kind in kinds.items() for n in range(count)}
        single = {"rarest": ("f", 0), "general": ("f", 1), "length": ("f", 0)}
        readers.check_arrays(found, wanted | single, path, mend)
        parts = [[found[f"{part}_{n}"] for n in range(count)] for part in kinds]
        for keys, idf, directions in zip(*parts, strict=True):
            if not len(keys) == len(idf) == len(directions) or directions.shape[1] != len(found["general"]):
                raise cli.UserError(f"{path}: its arrays do not fit together; {mend}")
        return cls(*parts, float(found["rarest"]), found["general"], float(found["length"]))


class ConsensusReward:
    """Computes the consensus reward of captions inside a compiled training step.

    Args: phrases: NgramProjection.
    """

    def __init__(self, phrases):
        self.general_T = tf.constant(phrases.general_T)
        self.rarest, self.length = phrases.rarest, phrases.length
        self.keys = [tf.constant(np.append(keys, LARGEST)) for keys in phrases.keys]
        self.idf = [tf.constant(np.append(idf, np.float32(phrases.rarest))) for idf in phrases.idf]
        self.directions = [tf.constant(np.pad(rows, [(0, 1), (0, 0)])) for rows in phrases.directions]

    def vectors(self, tokens_BL, repeats=True):
        """Returns the caption embeddings e(c): float32 [B, T].

        Args:
          tokens_BL: int32 word ids; a caption ends with its end token, or with the last column if it has none.
          repeats: whether each repetition of an n-gram is added, as in the embeddings of the corpus; else only the
            first occurrence is.
        """
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
            norm_B = tf.sqrt(tf.reduce_sum(tf.reduce_sum(same_BLL, 2) * idf_BL**2, 1))  # sum of (count idf)^2
            if not repeats:
                said_BL = tf.reduce_sum(tf.linalg.band_part(same_BLL, -1, 0), 2)  # occurrences up to this position
                idf_BL *= tf.cast(said_BL < 1.5, tf.float32)
            directions_BLT = tf.cast(tf.gather(directions_GT, place_BL), tf.float32)
            vector_BT = tf.einsum("bl,blt->bt", idf_BL, directions_BLT)
            total_BT += tf.math.divide_no_nan(vector_BT, norm_B[:, None])
        return total_BT / len(ORDERS) ** 0.5

    def __call__(self, tokens_BL, image_BT, contrast):
        """Returns the reward fit(c, i) of each caption, equation C7: float32 [B].

        A negative sum is returned without the length penalty l(c), which would raise it.

        Args: tokens_BL: int32 word ids, each caption up to its end token. image_BT: float32, x of each caption's image.
          contrast: float in 0 to 1; 1 leaves the mean embedding out.
        """
        expected_BT = image_BT + (1.0 - contrast) * self.general_T
        fit_B = tf.reduce_sum(self.vectors(tokens_BL, repeats=False) * expected_BT, 1)
        too_long_B = tf.cast(layers.sequence_lengths(tokens_BL), tf.float32) - self.length
        return fit_B * tf.where(fit_B > 0, tf.exp(-(too_long_B**2) / (2 * SIGMA**2)), 1.0)


def make(options, image_dim, contrast):
    """Returns the consensus reward: a function of models.rewards.Captions that returns float32 [B].

    Args: options: config.FullModel. image_dim: dimension of the image vectors. contrast: float in 0 to 1; 1 leaves the
      mean caption embedding out.
    Raises: cli.UserError if phrases.npz of the data folder is damaged or was made for vectors of another dimension.
    """
    fit = load(os.path.join(options.data_dir, NgramProjection.FILE), image_dim)
    return lambda captions: fit(captions.tokens_BT, captions.batch["image"], contrast)


def load(path, image_dim, flag="--reward consensus"):
    """Returns the ConsensusReward whose NgramProjection is in a file.

    Args: path: of the file, phrases.npz of the data folder. image_dim: dimension of the image vectors. flag: that asks
      for it, for messages.
    Raises: cli.UserError if the file is missing, damaged, or was made for vectors of another dimension.
    """
    return ConsensusReward(load_for(NgramProjection, path, image_dim, flag))


def load_for(kind, path, image_dim, flag):
    """Returns what a file of predict_caption_embeddings holds for a reward: a NgramProjection or a SentenceSpace.

    Args: kind: the class, whose attribute `image_dim` is the dimension of the predicted caption embeddings. path: of
      the file. image_dim: dimension of the image vectors. flag: that asks for it, for messages.
    Raises: cli.UserError if the file is missing, damaged, or was made for vectors of another dimension.
    """
    try:
        found = kind.load(path)
    except cli.UserError as error:
        raise cli.UserError(f"{flag}: {error}") from error
    if found.image_dim != image_dim:
        raise cli.UserError(
            f"{flag}: {path} is for image vectors of {found.image_dim} numbers, the feature bank "
            f"has {image_dim}; expected the folder that initialization.predict_caption_embeddings writes"
        )
    return found
