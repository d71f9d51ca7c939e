"""Confidence intervals of scores, comparison of two caption sets, diversity, and recall of objects.

Sizes: N images, S resamples.
"""

import collections
import itertools

import numpy as np

from formats.languages import unicode_text

RESAMPLES = 1000
LEVEL = 0.95
COLLAPSE = 0.05  # a captioner has collapsed if its share of distinct captions is below this twice in a row


# --------------------------------------------------------------------------------------------------------------
# Bootstrap over images


def _draws(count, resamples, seed):
    """Yields `resamples` bootstrap draws: int [N] indices of N = `count` images, drawn with replacement.

    The draws are a pure function of the arguments. Args: seed: int.
    """
    generator = np.random.default_rng(seed)
    for _ in range(resamples):
        yield generator.integers(0, count, count)


def _interval(values, level=LEVEL):
    """Returns the list [low, high], the central interval that holds the share `level` (0 to 1) of the values."""
    tail = 50.0 * (1.0 - level)
    return [float(bound) for bound in np.percentile(values, [tail, 100.0 - tail])]


def bootstrap_interval(per_image, resamples=RESAMPLES, seed=0):
    """Returns the 95 % percentile interval of the mean over images, by bootstrap.

    Only images are resampled; the document frequencies of CIDEr stay the same.

    Args:
      per_image: float [N], e.g. `scores.per_image["CIDEr"]`.
      resamples: number of bootstrap draws. seed: of the draws; the same arguments give the same interval.

    Returns:
      list [low, high] in the unit of `per_image`.
    """
    values = np.asarray(per_image, np.float64)
    return _interval([values[draw].mean() for draw in _draws(len(values), resamples, seed)])


def bleu_from_counts(counts, order=4):
    """Returns the corpus BLEU x100 from summed n-gram counts, equal to pycocoevalcap's up to rounding.

    Args:
      counts: int [..., 10], sums over images of `metrics.Scores.bleu_counts`.
      order: largest n of the n-grams, 1 to 4.

    Returns:
      float64 [...].
    """
    counts = np.asarray(counts, np.float64)
    tiny, small = 1e-15, 1e-9  # pycocoevalcap's guards against zero
    matched, guessed = counts[..., :order], counts[..., 4 : 4 + order]
    precision = np.exp(np.log((matched + tiny) / (guessed + small)).sum(-1) / order)
    ratio = (counts[..., 8] + tiny) / (counts[..., 9] + small)
    return 100.0 * precision * np.exp(np.minimum(0.0, 1.0 - 1.0 / ratio))


def intervals(scores, resamples=RESAMPLES, seed=0):
    """Returns the 95 % bootstrap intervals of all metrics that have a score for each image: dict metric -> [low, high].

    Bounds are x100. BLEU is computed anew from the counts of each draw. METEOR's corpus score is no mean over images
    and cannot be resampled without the jar: its interval is that of the mean, moved by the difference of the two.

    Args: scores: `metrics.Scores`. resamples: number of bootstrap draws. seed: of the draws.
    """
    result = {}
    if scores.bleu_counts is not None:
        sums = np.array([scores.bleu_counts[draw].sum(0) for draw in _draws(len(scores.names), resamples, seed)])
        result = {f"BLEU-{order}": _interval(bleu_from_counts(sums, order)) for order in range(1, 5)}
    for metric in ("METEOR", "ROUGE-L", "CIDEr", "SPICE"):
        if metric in scores.per_image:
            result[metric] = bootstrap_interval(scores.per_image[metric], resamples, seed)
    if "METEOR" in result:
        moved = scores.values["METEOR"] - float(np.mean(scores.per_image["METEOR"]))
        result["METEOR"] = [bound + moved for bound in result["METEOR"]]
    return result


def paired(first, second, resamples=RESAMPLES, seed=0):
    """Compares two caption sets of the same images by a paired bootstrap, which scores both on the same draws.

    Args:
      first, second: `metrics.Scores` of the same images.
      resamples: number of bootstrap draws. seed: of the draws.

    Returns:
      dict metric -> dict, for those of BLEU-4, CIDEr, METEOR and ROUGE-L that both sets have. The inner dict has
      "first" and "second" (the scores x100), "difference" (first - second), "interval" ([low, high], 95 %, of the
      difference) and "p" (two-sided: twice the smaller of the shares of draws with a difference <= 0 and >= 0, at least
      2 / resamples). METEOR is compared by its mean over images, because its corpus score cannot be resampled without
      Java.

    Raises:
      ValueError: the images differ.
    """
    if first.names != second.names:
        raise ValueError("the two caption sets are of different images")
    draws = list(_draws(len(first.names), resamples, seed))
    result = {}
    if first.bleu_counts is not None and second.bleu_counts is not None:
        sides = [scores.bleu_counts for scores in (first, second)]
        wholes = [float(bleu_from_counts(counts.sum(0))) for counts in sides]
        drawn = [np.array([bleu_from_counts(counts[draw].sum(0)) for draw in draws]) for counts in sides]
        result["BLEU-4"] = _comparison(*wholes, drawn[0] - drawn[1])
    for metric in ("CIDEr", "METEOR", "ROUGE-L"):
        if metric in first.per_image and metric in second.per_image:
            one, two = first.per_image[metric], second.per_image[metric]
            differences = np.array([(one - two)[draw].mean() for draw in draws])
            result[metric] = _comparison(float(one.mean()), float(two.mean()), differences)
    return result


def _comparison(first, second, differences):
    """Returns the inner dict that `paired` gives for one metric.

    Args: first, second: the scores x100. differences: float [S], first - second in each draw.
    """
    smaller = min((differences <= 0).mean(), (differences >= 0).mean())
    return {
        "first": first,
        "second": second,
        "difference": first - second,
        "interval": _interval(differences),
        "p": float(min(1.0, 2.0 * max(smaller, 1.0 / len(differences)))),
    }


# --------------------------------------------------------------------------------------------------------------
# Diversity


def diversity(tokens):
    """Measures how much captions differ from each other. If all N images have the same caption, "unique" is 1 / N.

    Args:
      tokens: dict image id -> list of tokens, e.g. `metrics.Scores.tokens`.

    Returns:
      dict: "unique": distinct captions / captions; "length": mean number of tokens; "distinct-1", "distinct-2":
      distinct unigrams (bigrams) / unigrams (bigrams) of all captions together, 0 if there are none; "longest_run":
      length of the longest run of one repeated word in a caption (1 = no word is followed by itself).
    """
    captions = list(tokens.values())
    pairs = [list(itertools.pairwise(caption)) for caption in captions]
    runs = [len(list(group)) for caption in captions for _, group in itertools.groupby(caption)]
    return {
        "unique": _share(len(set(map(tuple, captions))), len(captions)),
        "length": _share(sum(map(len, captions)), len(captions)),
        "distinct-1": _share(len(set(itertools.chain(*captions))), sum(map(len, captions))),
        "distinct-2": _share(len(set(itertools.chain(*pairs))), sum(map(len, pairs))),
        "longest_run": max(runs, default=0),
    }


def _share(part, whole):
    """Returns part / whole as float, 0 if `whole` is 0."""
    return part / whole if whole else 0.0


# --------------------------------------------------------------------------------------------------------------
# Named objects


def class_recall_precision(tokens, image_words, concept_words, singular):
    """Returns recall and precision of the known objects in captions, over all images together (micro average).

    A caption names a concept word if it contains the word or its plural; a word counts once for each caption.

    Args:
      tokens: dict image id -> list of tokens.
      image_words: dict image id -> set of concept words that are known (detected or annotated) in the image.
      concept_words: set of all concept words.
      singular: dict plural -> concept word.

    Returns:
      dict: "class_recall": (image, word) pairs known and named / pairs known; "class_precision": pairs known and
      named / pairs named. Each is None if its denominator is 0.
    """
    counts, merge = collections.Counter(), unicode_text.merger({*concept_words, *singular})
    for name, caption in tokens.items():
        known = image_words.get(name, set())
        named = {singular.get(token, token) for token in merge(caption)} & set(concept_words)
        counts.update(both=len(known & named), known=len(known), named=len(named))
    return {
        "class_recall": counts["both"] / counts["known"] if counts["known"] else None,
        "class_precision": counts["both"] / counts["named"] if counts["named"] else None,
    }
