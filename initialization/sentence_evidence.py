"""Evidence in the space of sentence vectors: which corpus sentences mean what the networks found in an image.

The concept words of docs/consensus.md (eq. C1) need a table from classes to words, and count only exact words. Here the
names of all classes that the networks found are encoded as texts (models/consensus/sentence_encoders.py). The vector of
an image is the sum of the vectors of these names, weighted by their scores. Its mean over the training images is
subtracted, and the mean over the corpus from the vectors of sentences; without this all cosines are nearly equal.

    p(s | i)  proportional to  exp(fit(s, i) / temperature + cos(v_s - mean, v_i - mean) / sentence_temperature)

This is equation C8 of docs/consensus.md; the fit is that of the concept words.

Shapes: N sentences, I images, B images of a block, K names of classes, D dimensions of a sentence vector, S sets of
concept words.
"""

import collections
import os
import re

import numpy as np
import scipy.sparse

import cli
from evaluation.retrieval import fits
from formats import made_by, readers, records, sidecars, writing
from models.consensus.kernel_regression import unit_vectors
from preprocessing.detection.concept_objects import is_classification

LOWEST = 0.2  # minimum score of an object with a box; a classifier's probabilities all count
AT_ONCE = 8_000_000  # cosines of a block
CACHE = "sentence_vectors"  # stem of the file with the vectors of the corpus' sentences


def plain_name(class_name):
    """Returns the name of a class as a text: "ski_slope" -> "ski slope", "Human face" -> "human face"."""
    return re.sub(r"[_/]+", " ", class_name).strip().lower()


def scores_of_names(data_dir, images):
    """Returns what the networks found in images: (list of K names of classes, scores float32 CSR matrix [I, K]).

    The score of a class is its highest in the image. Classes of different networks with one name are one class, whose
    scores are added.

    Args: data_dir: data folder with detections. images: list of I file names.
    Raises: cli.UserError if the detections are missing or damaged, or an image has no record.
    """
    row_of = {name: row for row, name in enumerate(images)}
    names, cells, seen = {}, collections.defaultdict(float), set()
    for image, found in records.each_detections(records.find_files(data_dir, "detections")):
        if image not in row_of:
            continue
        seen.add(image)
        best = {}
        for item in found:
            if item.score >= LOWEST or is_classification(item):
                key = item.source, item.class_name
                best[key] = max(best.get(key, 0.0), item.score)
        for (_, class_name), score in best.items():
            column = names.setdefault(plain_name(class_name), len(names))
            cells[row_of[image], column] += score
    if len(seen) < len(row_of):
        lacking = next(name for name in images if name not in seen)
        raise cli.UserError(
            f"{data_dir}: {len(row_of) - len(seen)} training images have no record of detections, e.g. {lacking}; make "
            f"the detections again: {made_by.command(data_dir, 'detections', again=True)}"
        )
    places = np.array(list(cells), np.int64).reshape(-1, 2)
    shape = (len(images), len(names))
    return list(names), scipy.sparse.csr_array((np.array(list(cells.values()), np.float32), places.T), shape)


def image_vectors(encode, names, scores_IK):
    """Returns the vectors of images: float32 [I, D], of unit length, their mean subtracted before.

    Args: encode: encoder of texts (sentence_encoders.load). names, scores_IK: from `scores_of_names`.
    """
    units_ID = unit_vectors(scores_IK @ encode(names))
    return unit_vectors(units_ID - units_ID.mean(0))


def corpus_vectors(encode, texts, folder):
    """Returns (vectors of sentences, their mean): float32 [N, D], of unit length, the mean subtracted; float32 [D].

    The vectors are kept in `sentence_vectors.npz` in `folder` and read from there if encoder and texts are the same.

    Args: encode: encoder of texts. texts: list of N str. folder: the folder that the stage writes.
    """
    path = os.path.join(folder, f"{CACHE}.npz")
    made_from = sidecars.checksum_of({"encoder": encode.identity, "texts": texts})
    vectors_ND = None
    if os.path.exists(path):
        kept = readers.read_npz(path, "what initialization.predict_caption_embeddings --overwrite writes")
        if str(kept.get("made_from")) == made_from:
            vectors_ND = kept["vectors"].astype(np.float32)
    if vectors_ND is None:
        vectors_ND = encode(texts).astype(np.float16).astype(np.float32)
        with writing.replacing(path) as part, open(part, "wb") as file:
            np.savez(file, vectors=vectors_ND.astype(np.float16), made_from=np.array(made_from))
    mean_D = vectors_ND.mean(0)
    return unit_vectors(vectors_ND - mean_D), mean_D


class SentenceDistribution:
    """The distribution p(s | i) of the module docstring over all sentences, for a fixed set of images.

    Args:
      keys: list of N sorted tuples, the ids of the concept words in each sentence.
      detections: list over the images of dict concept word id -> detection score.
      sentences_ND, images_ID: float32, from `corpus_vectors` and `image_vectors`.
      bonus: as for evaluation.retrieval.fits. temperature, sentence_temperature: floats, of the module docstring.
    """

    def __init__(self, keys, detections, sentences_ND, images_ID, bonus, temperature, sentence_temperature):
        self._sets = sorted(set(keys))
        column = {key: index for index, key in enumerate(self._sets)}
        self._set_of_N = np.array([column[key] for key in keys])
        self._detections, self._sentences_ND, self._images_ID = detections, sentences_ND, images_ID
        self._bonus, self._temperature, self._sentence_temperature = bonus, temperature, sentence_temperature

    def blocks(self, label):
        """Yields (first image of a block, p(s | i) of its images, float32 [B, N]). Args: label: of the progress bar."""
        count, size = len(self._images_ID), max(1, AT_ONCE // len(self._set_of_N))
        fit_IS = fits(self._sets, self._detections, self._bonus)
        for start in cli.progress(range(0, count, size), label):
            images_BD = self._images_ID[start : start + size]
            logits_BN = (images_BD @ self._sentences_ND.T) / np.float32(self._sentence_temperature)
            for row, fit_S in zip(logits_BN, fit_IS, strict=False):
                row += (fit_S / self._temperature).astype(np.float32)[self._set_of_N]
            logits_BN -= logits_BN.max(1, keepdims=True)
            np.exp(logits_BN, out=logits_BN)
            logits_BN /= logits_BN.sum(1, keepdims=True)
            yield start, logits_BN

    def mean(self):
        """Returns the mean of p(s | i) over the images: float64 [N]."""
        total_N = np.zeros(len(self._set_of_N))
        for _, weights_BN in self.blocks("sentences that fit"):
            total_N += weights_BN.sum(0)
        return total_N / len(self._images_ID)

    def expectations(self, values_NT):
        """Returns the sum over s of p(s | i) value(s): float32 [I, T]. Args: values_NT: float32."""
        return np.concatenate([weights_BN @ values_NT for _, weights_BN in self.blocks("expected embeddings")])
