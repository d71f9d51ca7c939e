"""Retrieval without training: sentences that fit what was detected, and the most typical one among them.

Fit of a sentence to an image: for each concept word that it names, + score + bonus where the word was detected, and
- bonus where it was not. Sentences with the same set of concept words fit alike, so a corpus is a few thousand sets
and the fits are one sparse product. Typical: the highest mean CIDEr-D against the sentences that fit equally well
(the consensus caption of Devlin et al. 2015, "Exploring Nearest Neighbor Approaches for Image Captioning").

Source: the fit is that of specs/dynamics.md 1, which draws one of the best at random.
"""

import collections

import numpy as np
import scipy.sparse

from cli import progress
from evaluation.consensus import Consensus

BONUS = 0.7
GROUP_LIMIT = 2000  # sentences of a group that are looked at: more do not move the consensus
IMAGES_AT_ONCE = 64
EQUAL = 1e-9  # fits that differ by less are equal


def fits(sets, detections, bonus=BONUS):
    """Yields for each image the fit of every concept set: float64 [S].

    Args:
      sets: list of tuples of concept words (or their ids), all different.
      detections: list over images of dict word -> score.
      bonus: see the module's text.
    """
    columns = {word: i for i, word in enumerate(sorted({w for group in (*sets, *detections) for w in group}))}
    flat = [columns[word] for words in sets for word in words]
    sizes = np.array([len(words) for words in sets])
    starts = np.concatenate([[0], np.cumsum(sizes)])
    names_SC = scipy.sparse.csr_array((np.ones(len(flat)), flat, starts), (len(sets), len(columns)))
    for begin in range(0, len(detections), IMAGES_AT_ONCE):
        chunk = detections[begin : begin + IMAGES_AT_ONCE]
        gain_CB = np.full((len(columns), len(chunk)), -bonus)
        for b, found in enumerate(chunk):
            for word, score in found.items():
                gain_CB[columns[word], b] = score + bonus
        yield from (names_SC @ gain_CB).T


def best_fitting_sets(sets, detections, bonus=BONUS):
    """The concept sets that fit each image best: list over images of tuples of indices into `sets`.

    There are several where they fit equally well. Args: as in `fits`.
    """
    return [tuple(np.flatnonzero(fit_S >= fit_S.max() - EQUAL).tolist()) for fit_S in fits(sets, detections, bonus)]


def draw_fitting(keys, detections, seeds, k, bonus=BONUS):
    """The k best-fitting sentences of each image; among equals a random choice.

    Args:
      keys: list of tuples of the concept words in each sentence, sorted.
      detections: list over images of dict concept word -> score.
      seeds: list over images of ints; the choice for an image depends on nothing else.

    Returns:
      List over images of lists of indices into `keys`, best first (fewer than k where there are fewer sentences).
    """
    members = collections.defaultdict(list)
    for index, key in enumerate(keys):
        members[key].append(index)
    sets = sorted(members)
    drawn = []
    for seed, fit_S in zip(seeds, fits(sets, detections, bonus), strict=True):
        needed = np.partition(fit_S, -min(k, len(sets)))[-min(k, len(sets))]  # k sets hold at least k sentences
        candidates = np.flatnonzero(fit_S >= needed - EQUAL)
        order = candidates[np.argsort(-fit_S[candidates], kind="stable")]
        chosen, random = [], np.random.default_rng(seed)
        for group in np.split(order, 1 + np.flatnonzero(-np.diff(fit_S[order]) > EQUAL)):
            pool = [index for s in group for index in members[sets[s]]]
            chosen += random.permutation(pool)[: k - len(chosen)].tolist()
            if len(chosen) == k:
                break
        drawn.append(chosen)
    return drawn


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
