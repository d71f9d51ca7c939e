"""Retrieval by consensus: the corpus sentence that is expected to score best, given what an image and its likes show.

    p(s | i)  ~ exp(fit(s, i) / temperature) n(s)^(set_power - 1)  sentences that fit the objects detected in image i
    q(. | i)  = own p(. | i) + (1 - own) sum over neighbours j of k(i, j) p(. | j)
    caption   = argmax over c of  sum over s of (q(s | i) - contrast mean over images of p(s | .)) similarity(c, s)

Fit is that of evaluation/retrieval.py. n(s) is the number of sentences with the concept words of s: with a set_power
below 1 what the corpus speaks of often, and the photographs need not show as often, counts for less. Neighbours are the
images with the closest vectors: what one photograph's detections leave open, a table or a wave, its likes say.
Similarity is the mean over n = 1..4 of the cosines of tf-idf weighted n-grams, which is CIDEr without its clipping and
length penalty: the choice is one by minimum Bayes risk (Kumar and Byrne 2004). Nothing but detections, image vectors
and the corpus is used.

Shapes: N sentences, C concept sets of sentences, G n-grams, I images, D image vector.
"""

import collections

import numpy as np
import scipy.sparse

from evaluation.retrieval import BONUS, fits
from models.consensus.kernel_regression import ROWS_AT_ONCE, neighbour_weights, unit_vectors
from models.consensus.ngrams import ORDERS, count_ngrams

SETS_KEPT = 64  # of an image: the softmax gives the others next to nothing
DEALT = 200  # best sentences of an image that are dealt out


def sentence_vectors(sentences):
    """Vectors whose products are the similarities of the module's text: float32 CSR [N, G].

    Args:
      sentences: list of arrays of word ids without markers.

    n-grams of one sentence alone are left out, though not of the norms: they are similar to nothing.
    """
    blocks = []
    for counts, _, seen_in in count_ngrams(sentences):
        counts.data *= np.log(len(sentences) / seen_in).astype(np.float32)[counts.indices]
        norms = np.sqrt(counts.multiply(counts).sum(axis=1))
        scale = scipy.sparse.diags_array(1.0 / np.maximum(norms, 1e-9) / len(ORDERS) ** 0.5)
        blocks.append((scale @ counts)[:, np.flatnonzero(seen_in > 1)])
    return scipy.sparse.hstack(blocks, "csr").astype(np.float32)


def set_weights(sizes, fit_IC, temperature, set_power=1.0):
    """p(. | i) summed over the sentences of each concept set: float32 CSR [I, C], the SETS_KEPT largest of a row.

    Args:
      sizes: [C], sentences of each set.
      fit_IC: iterable over the images of float64 [C].
      temperature: of the softmax.
      set_power: of the sizes; 1: every sentence counts alike, 0: every set.
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
      bonus, temperature, neighbours, own_share, contrast, set_power: see the module's text.
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
        """Yields (a piece of `rows`, the expected similarity of every sentence float32 [piece, N]), piece by piece."""
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
        """The k sentences with the highest expected similarity for the images `rows`: int [n, k], best first."""
        return np.concatenate([np.argsort(-s_BN, axis=1, kind="stable")[:, :k] for _, s_BN in self.expected(rows)])

    def deal(self, k, uses):
        """Sentences for all images, none of them for more than `uses`: int [I, k], -1 where an image got fewer.

        The pair that gives up least against the best sentence of its image comes first, so a sentence that suits many
        goes to those that it suits best, and the others get something that says more about them.
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
