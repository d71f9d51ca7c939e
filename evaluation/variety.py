"""Diversity of several captions of the same image: self-CIDEr and mBLEU-4.

`statistics.diversity` measures how much the captions of different images differ.
"""

import collections
import math

import numpy as np

ORDERS = (1, 2, 3, 4)
MEASURES = ("self-CIDEr", "mBLEU-4")


def of_samples(tokens, references):
    """Returns the diversity of N captions of each image: dict with the keys MEASURES, for N of at least 2.

    Args: tokens: dict image id -> list of the same number N of captions, each a list of tokens.
      references: dict image id -> list of reference captions, each a list of tokens, for document frequencies.
    """
    return {"self-CIDEr": self_cider(tokens, references), "mBLEU-4": mutual_bleu(tokens)}


def self_cider(tokens, references):
    """Returns the mean self-CIDEr of the images: float in 0 to 1; 0 if all captions of each image are equal.

    For N captions of an image, with s the square roots of the eigenvalues of the matrix of their CIDEr similarities, it
    is -log(max s / sum s) / log N (Wang and Chan 2019, Describing like humans, section 3). The similarity is the mean
    over n = 1 to 4 of the cosine between tf-idf vectors of n-grams, as in CIDEr; the document frequencies are those of
    the references.

    Args: as of `of_samples`.
    """
    frequency = collections.Counter()
    for several in references.values():
        frequency.update({ngram for caption in several for ngram in _ngrams(caption)})
    idf = lambda ngram: math.log(len(references)) - math.log(max(1, frequency[ngram]))  # noqa: E731
    return float(np.mean([_diversity(_similarities(several, idf)) for several in tokens.values()]))


def _ngrams(caption):
    """Returns the n-grams of a caption, n in ORDERS, and their counts: Counter of tuples of tokens."""
    return collections.Counter(tuple(caption[i : i + n]) for n in ORDERS for i in range(len(caption) - n + 1))


def _similarities(captions, idf):
    """Returns the CIDEr similarity of each pair of N captions: float64 [N, N].

    Args: captions: list of lists of tokens. idf: function n-gram -> its inverse document frequency.
    """
    counted = [_ngrams(caption) for caption in captions]
    total = np.zeros([len(captions)] * 2)
    for n in ORDERS:
        place = {ngram: i for i, ngram in enumerate({g for ngrams in counted for g in ngrams if len(g) == n})}
        vectors = np.zeros([len(captions), len(place)])
        for row, ngrams in enumerate(counted):
            for ngram in ngrams.keys() & place.keys():
                vectors[row, place[ngram]] = ngrams[ngram] * idf(ngram)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        total += vectors @ vectors.T
    return total / len(ORDERS)


def _diversity(similarities_NN):
    """Returns the self-CIDEr of one image: float; 0 if no caption has an n-gram that is not in all references."""
    roots = np.sqrt(np.maximum(np.linalg.eigvalsh(similarities_NN), 0.0))
    if roots.sum() == 0.0:
        return 0.0
    return float(-np.log(roots.max() / roots.sum()) / np.log(len(roots)))


def mutual_bleu(tokens):
    """Returns mBLEU-4, x100: BLEU-4 of each caption with the other captions of its image as references, the mean.

    It is 100 if all captions of each image are equal. Each of the N values whose mean is taken is a corpus BLEU-4: of
    the captions of the same rank (Shetty et al. 2017).

    Args: tokens: as of `of_samples`.
    """
    from evaluation.metrics import scorer

    lines = {name: [" ".join(caption) for caption in several] for name, several in tokens.items()}
    values = []
    for rank in range(len(next(iter(lines.values())))):
        captions = {name: [several[rank]] for name, several in lines.items()}
        others = {name: several[:rank] + several[rank + 1 :] for name, several in lines.items()}
        values.append(scorer.bleu(others, captions)[0][3])
    return 100.0 * float(np.mean(values))
