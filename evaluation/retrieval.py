"""Retrieval without training: the most typical sentence among those that fit what was detected.

Fit of a sentence to an image: for each concept word that it names, + score + bonus where the word was detected, and
- bonus where it was not. Sentences with the same set of concept words fit alike, so a corpus is a few thousand sets
and the fits are one sparse product. Typical: the highest mean CIDEr-D against the sentences that fit equally well
(the consensus caption of Devlin et al. 2015, "Exploring Nearest Neighbor Approaches for Image Captioning").

Source: the fit is that of specs/dynamics.md 1, which draws one of the best at random.
"""

import collections

import numpy as np
import scipy.sparse

from config import progress
from evaluation.consensus import Consensus

BONUS = 0.7
GROUP_LIMIT = 2000  # sentences of a group that are looked at: more do not move the consensus
IMAGES_AT_ONCE = 64


def best_fitting_sets(sets, detections, bonus=BONUS):
    """The concept sets that fit each image best.

    Args:
      sets: list of tuples of concept words, all different.
      detections: list over images of dict word -> score.
      bonus: see the module's text.

    Returns:
      List over images of tuples of indices into `sets`; several where they fit equally well.
    """
    columns = {word: i for i, word in enumerate(sorted({w for group in (*sets, *detections) for w in group}))}
    flat = [columns[word] for words in sets for word in words]
    sizes = np.array([len(words) for words in sets])
    starts = np.concatenate([[0], np.cumsum(sizes)])
    names_SC = scipy.sparse.csr_array((np.ones(len(flat)), flat, starts), (len(sets), len(columns)))
    best = []
    for begin in range(0, len(detections), IMAGES_AT_ONCE):
        chunk = detections[begin : begin + IMAGES_AT_ONCE]
        gain_CB = np.full((len(columns), len(chunk)), -bonus)
        for b, found in enumerate(chunk):
            for word, score in found.items():
                gain_CB[columns[word], b] = score + bonus
        fit_SB = names_SC @ gain_CB
        for fit_S in fit_SB.T:
            best.append(tuple(np.flatnonzero(fit_S >= fit_S.max() - 1e-9).tolist()))
    return best


def most_typical(texts):
    """The sentence with the highest mean CIDEr-D against all of `texts`; the first of equals."""
    if len(texts) <= 2:  # with two, each is as typical as the other
        return texts[0]
    texts = texts[:: -(-len(texts) // GROUP_LIMIT)]
    return texts[int(np.argmax(Consensus([[text] for text in texts]).scores(texts)))]


def retrieve(texts, keys, detections, bonus=BONUS):
    """One corpus sentence for each image.

    Args:
      texts: list of sentences.
      keys: list of tuples of the concept words in each sentence, sorted.
      detections: list over images of dict concept word -> score.

    Returns:
      List of sentences, one per image; a function of the arguments alone.
    """
    members = collections.defaultdict(list)
    for text, key in zip(texts, keys, strict=True):
        members[key].append(text)
    sets = sorted(members)
    chosen = best_fitting_sets(sets, detections, bonus)
    typical = {}
    for group in progress(sorted(set(chosen)), "most typical sentences"):
        typical[group] = most_typical([text for index in group for text in members[sets[index]]])
    return [typical[group] for group in chosen]
