"""Retrieval without training: the sentences that best fit the detections, and the most typical one among them.

The fit of a sentence to an image is a sum over the concept words that it names: score + bonus for a detected word,
- bonus for any other. Sentences with the same set of concept words have the same fit, so a corpus has a few thousand
sets, and all fits are one sparse product. The most typical sentence has the highest mean CIDEr-D against those that
fit equally well (the consensus caption of Devlin et al. 2015, "Exploring Nearest Neighbor Approaches for Image
Captioning").

Shapes: S sets of concept words.
"""

import collections

import numpy as np
import scipy.sparse

from cli import progress
from evaluation.consensus import Consensus

BONUS = 0.7
GROUP_LIMIT = 2000  # maximum number of sentences of a group that are compared; more do not change the consensus
IMAGES_AT_ONCE = 64
EQUAL = 1e-9  # fits that differ by less are equal


def fits(sets, detections, bonus=BONUS):
    """Yields for each image the fit of every set of concept words to it: float64 [S].

    Args:
      sets: list of S distinct tuples of concept words (or their ids).
      detections: list over images of dict concept word -> detection score.
      bonus: added to the score of each detected word of a set, subtracted for any other word of the set.
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
    """Returns for each image the sets of concept words with the best fit: list of tuples of indices into `sets`.

    A tuple has several indices if sets fit equally well.

    Args: sets: list of S distinct tuples of concept words (or their ids). detections: list over images of dict concept
      word -> detection score. bonus: added for a detected word of a set, subtracted for any other.
    """
    return [tuple(np.flatnonzero(fit_S >= fit_S.max() - EQUAL).tolist()) for fit_S in fits(sets, detections, bonus)]


def draw_best_sentences(keys, detections, seeds, k, bonus=BONUS):
    """Returns the k best-fitting sentences of each image, chosen at random among equal fits.

    Args:
      keys: list with the sorted tuple of concept words of each sentence.
      detections: list over images of dict concept word -> detection score.
      seeds: list over images of ints, the seed of each image's choice.
      k: number of sentences. bonus: added to the fit for a detected word, subtracted for any other.

    Returns:
      List over images of lists of indices into `keys`, best first (fewer than k if there are fewer sentences).
    """
    members = collections.defaultdict(list)
    for index, key in enumerate(keys):
        members[key].append(index)
    sets = sorted(members)
    drawn = []
    for seed, fit_S in zip(seeds, fits(sets, detections, bonus), strict=True):
        needed = np.partition(fit_S, -min(k, len(sets)))[-min(k, len(sets))]  # k sets have at least k sentences
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
    """Returns the sentence with the highest mean CIDEr-D against all of `texts`; the first one of a tie.

    Args: texts: list of tokenized sentences; of more than GROUP_LIMIT only an evenly spaced part is compared.
    """
    if len(texts) <= 2:  # two sentences are equally typical
        return texts[0]
    texts = texts[:: -(-len(texts) // GROUP_LIMIT)]
    return texts[int(np.argmax(Consensus([[text] for text in texts]).scores(texts)))]


def retrieve(texts, keys, detections, bonus=BONUS):
    """Returns for each image the most typical of the sentences that fit its detections best: list of sentences.

    Args:
      texts: list of tokenized sentences.
      keys: list with the sorted tuple of concept words of each sentence.
      detections: list over images of dict concept word -> detection score.
      bonus: added to the fit for a detected word, subtracted for any other.
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
