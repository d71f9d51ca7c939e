"""Retrieval by consensus: the corpus sentence with the highest expected similarity to all that plausibly fit an image.

    p(s | i)  ~ exp(fit(s, i) / temperature) n(s)^(set_power - 1)  sentences that fit the objects detected in image i
    q(. | i)  = own p(. | i) + (1 - own) sum over neighbours j of k(i, j) p(. | j)
    caption   = argmax over c of  sum over s of (q(s | i) - contrast mean over images of p(s | .)) similarity(c, s)

These are equations C1 to C4 of docs/consensus.md. The fit is computed by evaluation/retrieval.py. n(s) is the number of
sentences with the same concept words as s: a set_power below 1 reduces the weight of concepts that are frequent in the
corpus. The neighbours are the images with the closest vectors. Their detections add what is missing in the detections
of one image. The similarity is the mean over n = 1..4 of the cosines of tf-idf weighted n-grams, which is CIDEr without
its clipping and length penalty. So the choice is a decision by minimum Bayes risk (Kumar and Byrne 2004). It uses
detections, image vectors and the corpus, and no captions of images.

Shapes: N sentences, C sets of concept words, G n-grams, I images, D dimensions of an image vector.
"""

import collections

import numpy as np
import scipy.sparse

from evaluation.retrieval import BONUS, fits
from models.consensus.kernel_regression import ROWS_AT_ONCE, neighbour_weights, unit_vectors
from models.consensus.ngrams import ORDERS, count_ngrams

SETS_KEPT = 64  # concept sets of an image that are kept: the softmax gives the others almost no weight
DEALT = 200  # best sentences of an image, among which `deal` chooses


def sentence_vectors(sentences):
    """Returns tf-idf vectors of n-grams, whose products are the similarities defined above: float32 CSR [N, G].

    Args:
      sentences: list of arrays of word ids without markers.

    n-grams that occur in only one sentence count in its norm but have no column: no product needs them.
    """
    blocks = []
    for counts, _, seen_in in count_ngrams(sentences):
        counts.data *= np.log(len(sentences) / seen_in).astype(np.float32)[counts.indices]
        norms = np.sqrt(counts.multiply(counts).sum(axis=1))
        scale = scipy.sparse.diags_array(1.0 / np.maximum(norms, 1e-9) / len(ORDERS) ** 0.5)
        blocks.append((scale @ counts)[:, np.flatnonzero(seen_in > 1)])
    return scipy.sparse.hstack(blocks, "csr").astype(np.float32)


def set_weights(sizes, fit_IC, temperature, set_power=1.0):
    """Returns p(. | i) summed over the sentences of each concept set (eq. C2): float32 CSR [I, C].

    Only the SETS_KEPT largest entries of a row are kept.

    Args:
      sizes: [C], number of sentences of each set.
      fit_IC: iterable over the images of float64 [C].
      temperature: temperature of the softmax.
      set_power: exponent of the sizes; 1 gives all sentences the same weight, 0 all sets.
    """
    kept = min(SETS_KEPT, len(sizes))
    columns, values = [], []
    for fit_C in fit_IC:
        logits_C = fit_C / temperature + set_power * np.log(sizes)
        best = np.sort(np.argpartition(-logits_C, kept - 1)[:kept])
        weights = np.exp(logits_C[best] - logits_C[best].max())
        columns.append(best)
        values.append((weights / weights.sum()).astype(np.float32))
    starts = np.arange(0, kept * len(columns) + 1, kept)
    return scipy.sparse.csr_array((np.concatenate(values), np.concatenate(columns), starts), (len(columns), len(sizes)))


class ConsensusRetrieval:
    """Retrieval for a fixed set of images.

    Args:
      sentences: list of arrays of word ids without markers.
      keys: list of tuples of the concept words in each sentence, sorted.
      detections: list over the images of dict concept word -> score.
      vectors_ID: float32 [I, D] image vectors, standardised; None for no neighbours.
      bonus, temperature, neighbours, own_share, contrast, set_power: see the docstring of the module.
    """

    def __init__(
        self,
        sentences,
        keys,
        detections,
        vectors_ID=None,
        bonus=BONUS,
        temperature=0.2,
        neighbours=60,
        own_share=0.2,
        contrast=0.0,
        set_power=1.0,
    ):
        members = collections.defaultdict(list)
        for index, key in enumerate(keys):
            members[key].append(index)
        sets = sorted(members)
        sizes = np.array([len(members[key]) for key in sets])
        self.vectors_NG = sentence_vectors(sentences)
        rows = np.repeat(np.arange(len(sets)), sizes)
        mean = (np.repeat(1.0 / sizes, sizes), (rows, [index for key in sets for index in members[key]]))
        self.means_CG = scipy.sparse.csr_array(mean, (len(sets), len(sentences))).astype(np.float32) @ self.vectors_NG
        self.weights_IC = set_weights(sizes, fits(sets, detections, bonus), temperature, set_power)
        self.neighbours, self.own_share = neighbours, own_share if neighbours and vectors_ID is not None else 1.0
        if self.own_share < 1:
            self.units_ID = unit_vectors(vectors_ID)
        mean_C = np.asarray(self.weights_IC.mean(axis=0)).ravel()
        self.general_N = (contrast * (self.vectors_NG @ (self.means_CG.T @ mean_C))).astype(np.float32)

    def expected(self, rows):
        """Yields for blocks of B images (rows int [B], expected similarity of each sentence float32 [B, N])."""
        for begin in range(0, len(rows), ROWS_AT_ONCE):
            piece = rows[begin : begin + ROWS_AT_ONCE]
            weights_BC = self.weights_IC[piece]
            if self.own_share < 1:
                others_BC = (
                    neighbour_weights(self.units_ID[piece], self.units_ID, self.neighbours, piece) @ self.weights_IC
                )
                weights_BC = self.own_share * weights_BC + (1 - self.own_share) * others_BC
            expected_GB = self.means_CG.T @ weights_BC.T.toarray()
            yield piece, (self.vectors_NG @ expected_GB - self.general_N[:, None]).T

    def retrieve(self, rows, k):
        """Returns the k sentences with the highest expected similarity for each of `rows`: int [n, k], best first."""
        return np.concatenate([np.argsort(-s_BN, axis=1, kind="stable")[:, :k] for _, s_BN in self.expected(rows)])

    def deal(self, k, uses):
        """Returns k sentences for each image, each sentence for at most `uses` images: int [I, k], -1 = none left.

        Pairs of image and sentence are taken in the order of their loss against the best sentence of the image. So a
        sentence that fits many images goes to those that it fits best; the others get a more specific sentence.
        """
        best_IM, loss_IM = [], []
        for _, score_BN in self.expected(np.arange(self.weights_IC.shape[0])):
            count = min(DEALT, score_BN.shape[1])
            best_BM = np.sort(np.argpartition(-score_BN, count - 1, axis=1)[:, :count], axis=1)
            score_BM = np.take_along_axis(score_BN, best_BM, 1)
            best_IM.append(best_BM)
            loss_IM.append(score_BM.max(1, keepdims=True) - score_BM)
        best_IM, loss_IM = np.concatenate(best_IM), np.concatenate(loss_IM)
        order = np.argsort(loss_IM, axis=None, kind="stable")
        images, sentences = (order // best_IM.shape[1]).tolist(), best_IM.ravel()[order].tolist()
        chosen, used = [[] for _ in best_IM], np.zeros(len(self.general_N), np.int64)
        for image, sentence in zip(images, sentences, strict=True):
            if len(chosen[image]) < k and used[sentence] < uses:
                chosen[image].append(sentence)
                used[sentence] += 1
        return np.array([several + [-1] * (k - len(several)) for several in chosen])
