"""Sorts the captions of an image by their fit to its predicted caption embedding (`--consensus_weight`).

Beam search finds captions that are probable; the predicted caption embedding of the image says which of them fits
(docs/consensus.md, equation C9). A run whose image vectors are predicted caption embeddings has what the fit needs,
`phrases.npz`: a copy in the run directory (training.setup.keep_for_inference), or else the file in the data folder that
it was trained on.

Shapes: N images, D image vector.
"""

import dataclasses
import os

import numpy as np
import tensorflow as tf

import cli
from models.consensus import consensus_reward
from models.consensus.consensus_reward import NgramProjection
from models.generator import END_ID

CONTRAST = 0.5  # of the fit, as initialization.assign_captions chooses the sentences of the corpus
AT_ONCE = 2048  # captions whose fit is computed together


def path_of(job_dir, data_dir):
    """Returns the path of a run's `phrases.npz`, None if it has none. Args: data_dir: the folder it was trained on."""
    paths = [os.path.join(folder, NgramProjection.FILE) for folder in (job_dir, data_dir)]
    return next((path for path in paths if os.path.exists(path)), None)


def load(path, image_dim):
    """Returns the models.consensus.consensus_reward.ConsensusReward with which captions are sorted.

    Args: path: of the file, None if the run has none. image_dim: D.
    Raises: cli.UserError if the run has no such file, or one that is damaged or for vectors of another dimension.
    """
    if path is None:
        raise cli.UserError(
            "--consensus_weight: this run has no predicted caption embeddings (no phrases.npz in its directory or its "
            "data folder); expected a run trained in the folder that initialization.predict_caption_embeddings writes, "
            "or --consensus_weight 0"
        )
    return consensus_reward.load(path, image_dim, "--consensus_weight")


def reranked(fit, vectors_ND, found, weight):
    """Returns the captions of N images, each list sorted by its score, log p + weight fit, highest first.

    Args: fit: ConsensusReward. vectors_ND: float32, predicted caption embeddings minus their mean, as the encoder gives
      them. found: list of N lists of captioning.captioner.Hypothesis. weight: float.
    """
    rows = np.array([row for row, several in enumerate(found) for _ in several], np.int64)
    flat = [one for several in found for one in several]
    words = np.full((len(flat), max((len(one.words) for one in flat), default=0) + 1), END_ID, np.int32)
    for row, one in zip(words, flat, strict=True):
        row[: len(one.words)] = one.words
    vectors_ND, scored = np.asarray(vectors_ND, np.float32), []
    for start in range(0, len(flat), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        fits = fit(tf.constant(words[part]), tf.constant(vectors_ND[rows[part]]), CONTRAST).numpy()
        for one, value in zip(flat[part], fits, strict=True):
            scored.append(dataclasses.replace(one, score=one.log_prob + weight * float(value)))
    new = iter(scored)
    return [sorted((next(new) for _ in several), key=lambda one: -one.score) for several in found]
