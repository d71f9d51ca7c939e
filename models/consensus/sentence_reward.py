"""The sentence-vector reward: is a caption's meaning that predicted for its image? (docs/consensus.md, C11)

    r(c, i) = cos(v(c) - mean, M x_i)

v(c) is the sentence vector of caption c (sentence_encoders.py), `mean` the mean over the corpus, x_i the predicted
caption embedding of image i, and M a linear map, fitted on the training images. M x predicts the expected sentence
vector of an image, which is the mean over the sentences weighted by C8, minus its mean over the training images. In
contrast to the consensus reward (C7), words count by their meaning: "a puppy" is near to "a dog". But the vector hardly
changes with the order of words, so it says little about fluency.

Shapes: B batch, L words of a caption, N texts, I images, T dimensions of an embedding, D of a sentence vector.
"""

import dataclasses
import json
import os

import numpy as np
import tensorflow as tf

import cli
from formats import readers
from formats.vocabulary import Vocabulary
from models.consensus import sentence_encoders
from models.consensus.consensus_reward import load_for
from models.consensus.kernel_regression import unit_vectors

RIDGE = 1e-2  # share of the mean variance of an embedding's dimensions that is added to each
MEND = "expected what initialization.predict_caption_embeddings --sentence_encoder ENCODER --overwrite writes"


@dataclasses.dataclass(frozen=True)
class SentenceSpace:
    """The map from predicted caption embeddings to sentence vectors: the content of `sentence_space.npz`.

    Attributes:
      map_TD: float32, the transposed M of the module docstring. mean_D: float32, mean vector of the corpus' sentences.
      encoder: value of --sentence_encoder. identity: dict, what identifies its files (sentence_encoders.identity).
      arrays: dict of arrays, for `tfidf` those of sentence_encoders.LatentSemanticAnalysis, else empty.
    """

    FILE = "sentence_space.npz"  # its name in a data folder

    map_TD: np.ndarray
    mean_D: np.ndarray
    encoder: str
    identity: dict
    arrays: dict

    @classmethod
    def of(cls, embeddings_IT, expected_ID, mean_D, spec, encode):
        """Returns the SentenceSpace of a corpus, by ridge regression of expected sentence vectors on embeddings.

        Args:
          embeddings_IT: float32, predicted caption embeddings of the training images, each without its own image.
          expected_ID: float32, expected sentence vectors of these images. mean_D: float32, mean over the corpus.
          spec: value of --sentence_encoder. encode: the encoder that it names.
        """
        x_IT = embeddings_IT.astype(np.float64)
        moments_TT = x_IT.T @ x_IT
        moments_TT += RIDGE * np.trace(moments_TT) / len(moments_TT) * np.eye(len(moments_TT))
        map_TD = np.linalg.solve(moments_TT, x_IT.T @ (expected_ID - expected_ID.mean(0)))
        return cls(map_TD.astype(np.float32), mean_D, spec, encode.identity, getattr(encode, "arrays", {}))

    @property
    def image_dim(self):
        """Dimension T of the embeddings."""
        return len(self.map_TD)

    def save(self, file):
        """Writes it in .npz format. Args: file: a path or an open file."""
        texts = {"encoder": np.array(self.encoder), "identity": np.array(json.dumps(self.identity, sort_keys=True))}
        np.savez(file, map=self.map_TD, mean=self.mean_D, **texts, **self.arrays)

    @classmethod
    def load(cls, path):
        """Returns the SentenceSpace in a file that `save` wrote. Raises: cli.UserError if it is missing or damaged."""
        found = readers.read_npz(path, MEND.removeprefix("expected "))
        wanted = {"map": ("f", 2), "mean": ("f", 1), "encoder": ("U", 0), "identity": ("U", 0)}
        readers.check_arrays(found, wanted, path, MEND)
        arrays = {name: found[name] for name in found if name not in wanted}
        if arrays or str(found["encoder"]) == "tfidf":
            readers.check_arrays(arrays, {"words": ("U", 1), "idf": ("f", 1), "directions": ("f", 2)}, path, MEND)
        try:
            identity = readers.parse_json(str(found["identity"]))
        except ValueError as error:
            raise cli.UserError(f"{path}: identity is not JSON ({error}); {MEND}") from error
        if found["map"].shape[1] != len(found["mean"]):
            raise cli.UserError(f"{path}: its arrays do not fit together; {MEND}")
        return cls(found["map"], found["mean"], str(found["encoder"]), identity, arrays)

    def load_encoder(self):
        """Returns the encoder of texts. Raises: cli.UserError if its files are missing or are not those of then."""
        encode = sentence_encoders.load(self.encoder, None, self.arrays)
        if encode.identity != self.identity:
            raise cli.UserError(
                f"--reward sentence_vectors: the files of {self.encoder} are not those with which the data were made; "
                + MEND
            )
        return encode


class SentenceReward:
    """Computes the sentence-vector reward of captions inside a training step; the encoder runs outside of the graph.

    Args: space: SentenceSpace. vocabulary: Vocabulary.
    """

    def __init__(self, space, vocabulary):
        self._encode, self._mean_D, self._map_TD = space.load_encoder(), space.mean_D, tf.constant(space.map_TD)
        self._vocabulary = vocabulary

    def vectors(self, tokens_BL):
        """Returns v(c) - mean of each caption at unit length: float32 [B, D].

        Args: tokens_BL: int array of word ids; a caption ends before its first end token.
        """
        texts = [" ".join(self._vocabulary.words_of(ids)) for ids in np.asarray(tokens_BL)]
        return unit_vectors(self._encode(texts) - self._mean_D)

    def __call__(self, tokens_BL, image_BT):
        """Returns the reward r(c, i) of each caption, equation C11: float32 [B], -1 to 1.

        Args: tokens_BL: int32 word ids. image_BT: float32, x of each caption's image.
        """
        vectors_BD = tf.numpy_function(self.vectors, [tokens_BL], tf.float32, stateful=False)
        vectors_BD = tf.ensure_shape(vectors_BD, [None, len(self._mean_D)])
        return tf.reduce_sum(vectors_BD * tf.math.l2_normalize(tf.matmul(image_BT, self._map_TD), 1), 1)


def make(options, image_dim):
    """Returns the sentence-vector reward: a function of models.rewards.Captions that returns float32 [B].

    Args: options: config.FullModel. image_dim: dimension of the image vectors.
    Raises: cli.UserError if sentence_space.npz of the data folder is missing, damaged, or does not fit the data.
    """
    path = os.path.join(options.data_dir, SentenceSpace.FILE)
    space = load_for(SentenceSpace, path, image_dim, "--reward sentence_vectors")
    reward = SentenceReward(space, Vocabulary.load(os.path.join(options.data_dir, "word_counts.txt")))
    return lambda captions: reward(captions.tokens_BT, captions.batch["image"])
