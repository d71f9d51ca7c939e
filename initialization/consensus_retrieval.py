"""Retrieval by consensus: the corpus sentence that is most similar, on average, to all sentences that may fit an image.

    p(s | i)  proportional to  exp(fit(s, i) / temperature) n(s)^(set_power - 1)
    q(s | i)  = own_share p(s | i) + (1 - own_share) sum over j of k(i, j) p(s | j)
    caption   = argmax over c of  sum over s of (q(s | i) - contrast mean over images of p(s | .)) similarity(c, s)

These are equations C1 to C4 of docs/consensus.md, for an image i and sentences s and c. The distribution p prefers
sentences that fit the objects detected in the image; evaluation/retrieval.py computes the fit. n(s) is the number of
sentences with the same concept words as s: a set_power below 1 reduces the weight of concepts that are frequent in the
corpus. The neighbours j of image i are the images with the closest image vectors, with weights k(i, j) that sum to 1;
their detections add objects that were not detected in image i. The similarity is the mean over n = 1..4 of the cosines
of tf-idf weighted n-grams, which is CIDEr without its clipping and length penalty. So the choice is minimum Bayes risk
decoding (Kumar and Byrne 2004). It uses detections, image vectors and the corpus, and no captions of images.

Shapes: N sentences, C distinct sets of concept words, G n-grams, I images, B images of a block, D dimensions of an
image vector.
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
    """Returns the tf-idf vectors of n-grams of sentences: float32 CSR matrix [N, G].

    The dot product of two rows is the similarity of the two sentences. An n-gram that occurs in only one sentence
    counts in the norm of its vector but has no column, because it contributes to no such product.

    Args:
      sentences: list of N arrays of word ids without start token; an end token, if there is one, is treated as a word.
    """
    blocks = []
    for counts, _, seen_in in count_ngrams(sentences):
        counts.data *= np.log(len(sentences) / seen_in).astype(np.float32)[counts.indices]
        norms = np.sqrt(counts.multiply(counts).sum(axis=1))
        scale = scipy.sparse.diags_array(1.0 / np.maximum(norms, 1e-9) / len(ORDERS) ** 0.5)
        blocks.append((scale @ counts)[:, np.flatnonzero(seen_in > 1)])
    return scipy.sparse.hstack(blocks, "csr").astype(np.float32)


def set_weights(sizes, fit_IC, temperature, set_power=1.0):
    """Returns p(s | i) summed over the sentences s of each set of concept words (eq. C2): float32 CSR matrix [I, C].

    Only the SETS_KEPT largest entries of a row are kept; they sum to 1.

    Args:
      sizes: int [C], number of sentences of each set.
      fit_IC: iterable over the images of float64 [C], the fit of each set of concept words to the image.
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
    """Retrieves sentences for a fixed set of images.

    Args:
      sentences: list of N arrays of word ids without start token; an end token, if there is one, is treated as a word.
      keys: list of N sorted tuples, the ids of the concept words in each sentence.
      detections: list over the images of dict concept word id -> detection score.
      vectors_ID: float32, standardised image vectors; None for no neighbours.
      bonus: added to the fit for each detected concept word of a sentence, and subtracted for each other one.
      temperature, own_share, contrast, set_power: parameters of the equations in the module docstring.
      neighbours: number of neighbours of an image; 0 for none. Without neighbours own_share is 1.

    Attributes:
      vectors_NG: CSR matrix, tf-idf vectors of the sentences.
      means_CG: CSR matrix, mean vector of the sentences of each set of concept words.
      weights_IC: CSR matrix, p(s | i) summed over the sentences of each set.
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
        """Yields for blocks of B images (image indices int [B], expected similarity of each sentence float32 [B, N]).

        The expected similarity is the sum over s that the module docstring maximises. The blocks follow the order of
        `rows`.

        Args: rows: int array, indices of the images.
        """
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
        """Returns the k sentences with the highest expected similarity to each image, best first: int [n, k].

        The numbers are indices into `sentences`. With fewer than k sentences the result is [n, N].

        Args: rows: int [n], indices of the images. k: number of sentences for an image.
        """
        return np.concatenate([np.argsort(-s_BN, axis=1, kind="stable")[:, :k] for _, s_BN in self.expected(rows)])

    def deal(self, k, uses):
        """Returns k sentences for each image, each for at most `uses` images: int [I, k].

        The numbers are indices into `sentences`; an image for which fewer than k sentences are left has -1 at the end.
        The loss of a sentence for an image is the expected similarity of the image's best sentence minus its own. Pairs
        of image and sentence are assigned in ascending order of the loss. So a sentence that fits many images is
        assigned to those that it fits best; the others get more specific sentences.

        Args: k: number of sentences for an image. uses: maximum number of images with the same sentence, at least 1.
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
