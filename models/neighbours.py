"""Known images as a basis: what is expected of a photograph, from what is known of others.

Two ways, of which the mean is taken: the mean of what is known of those most like it, and a linear map that was fitted
to what is known of all (ridge regression). Together they say more than either (Flickr8k's dev images, Flickr30k's text:
retrieval by what is expected has CIDEr 18.3 by neighbours, 19.1 by the map, 19.3 by both).

Shapes: N images asked about, I known images, D image vector, T target, K neighbours.
"""

import dataclasses
import json

import numpy as np
import scipy.sparse

SHARPNESS = 10.0  # of the neighbours' weights, exp(SHARPNESS cosine)
ROWS_AT_ONCE = 256


def standardised(vectors_ND, mean_D, deviation_D):
    """float32 [N, D]; numbers that never differ are zero."""
    return (np.asarray(vectors_ND, np.float32) - mean_D) / np.maximum(deviation_D, 1e-6)


def unit_vectors(vectors_ND):
    """Vectors of unit length: float32 [N, D]."""
    vectors_ND = np.asarray(vectors_ND, np.float32)
    return vectors_ND / np.maximum(np.linalg.norm(vectors_ND, axis=1, keepdims=True), 1e-9)


def neighbour_weights(units_ND, known_ID, k, left_out_N=None):
    """Weights of the k most alike of the known images, exp(SHARPNESS cosine): float32 CSR [N, I], rows add up to 1.

    Args:
      units_ND: float32, unit length. known_ID: float32, unit length. k: neighbours of an image.
      left_out_N: int, the known image that is no neighbour of it, for images that are among the known ones themselves.
    """
    k = min(k, len(known_ID) - (left_out_N is not None))
    columns, values = [np.zeros((0, k), np.int64)], [np.zeros((0, k), np.float32)]
    for begin in range(0, len(units_ND), ROWS_AT_ONCE):
        chunk = slice(begin, begin + ROWS_AT_ONCE)
        cosine_BI = units_ND[chunk] @ known_ID.T
        if left_out_N is not None:
            cosine_BI[np.arange(len(cosine_BI)), left_out_N[chunk]] = -np.inf
        nearest_BK = np.sort(np.argpartition(-cosine_BI, k - 1, axis=1)[:, :k], axis=1)
        weights_BK = np.exp(SHARPNESS * np.take_along_axis(cosine_BI, nearest_BK, 1))
        columns.append(nearest_BK)
        values.append(weights_BK / weights_BK.sum(1, keepdims=True))
    columns, values = np.concatenate(columns), np.concatenate(values).astype(np.float32)
    starts = np.arange(0, columns.size + 1, k)
    return scipy.sparse.csr_array((values.ravel(), columns.ravel(), starts), (len(units_ND), len(known_ID)))


@dataclasses.dataclass(frozen=True)
class LinearFit:
    """Ridge regression of targets on vectors, and what of it each known image has decided.

    Attributes: slope_DT, influence_ID, residual_IT: float32.
    """

    slope_DT: np.ndarray
    influence_ID: np.ndarray
    residual_IT: np.ndarray

    @classmethod
    def of(cls, vectors_ID, targets_IT, ridge):
        """Fits it. Args: vectors_ID: standardised. targets_IT: of mean 0. ridge: the penalty, for each image."""
        vectors_ID, targets_IT = vectors_ID.astype(np.float64), targets_IT.astype(np.float64)
        moments_DD = vectors_ID.T @ vectors_ID + ridge * len(vectors_ID) * np.eye(vectors_ID.shape[1])
        solved_DI = np.linalg.solve(moments_DD, vectors_ID.T)
        slope_DT = solved_DI @ targets_IT
        leverage_I = np.einsum("id,di->i", vectors_ID, solved_DI)
        influence_ID = (solved_DI / np.maximum(1.0 - leverage_I, 1e-6)).T
        arrays = slope_DT, influence_ID, targets_IT - vectors_ID @ slope_DT
        return cls(*(array.astype(np.float32) for array in arrays))

    def expected(self, vectors_ND, left_out_N):
        """What the fit without the image `left_out_N` of each row says, in closed form: float32 [N, T]."""
        share_N = np.einsum("nd,nd->n", vectors_ND, self.influence_ID[left_out_N])
        return vectors_ND @ self.slope_DT - share_N[:, None] * self.residual_IT[left_out_N]


@dataclasses.dataclass(frozen=True)
class KnownImages:
    """Known images, and what is known of each: the file that the encoder `neighbours:FILE.npz` consists of.

    Attributes:
      units_ID: float32, their standardised vectors at unit length. targets_IT: float32, what is known of them, mean 0.
      slope_DT: float32, the linear map of `LinearFit`. mean_D, deviation_D: float32, for standardising.
      k: neighbours that are asked. base: description (`Encoder.describe`) of the encoder whose vectors these are.
    """

    units_ID: np.ndarray
    targets_IT: np.ndarray
    slope_DT: np.ndarray
    mean_D: np.ndarray
    deviation_D: np.ndarray
    k: int
    base: dict

    def expected(self, vectors_ND, left_out_N=None, fit=None):
        """What is expected of images, mean of both ways: float32 [N, T].

        Args:
          vectors_ND: as the base encoder gives them.
          left_out_N: int, for images that are among the known ones: which one each is; nothing is learned from it.
          fit: LinearFit of the known images, where images are left out.
        """
        vectors_ND = standardised(vectors_ND, self.mean_D, self.deviation_D)
        alike_NT = neighbour_weights(unit_vectors(vectors_ND), self.units_ID, self.k, left_out_N) @ self.targets_IT
        linear_NT = vectors_ND @ self.slope_DT if left_out_N is None else fit.expected(vectors_ND, left_out_N)
        return (alike_NT + linear_NT) / 2

    def save(self, file):
        """Writes an .npz to a path or an open file; vectors and targets as float16."""
        np.savez(
            file,
            units=self.units_ID.astype(np.float16),
            targets=self.targets_IT.astype(np.float16),
            slope=self.slope_DT.astype(np.float32),
            mean=self.mean_D.astype(np.float32),
            deviation=self.deviation_D.astype(np.float32),
            k=np.int64(self.k),
            base=np.array(json.dumps(self.base, sort_keys=True)),
        )

    @classmethod
    def load(cls, path):
        """Reads what `save` wrote. Raises: OSError, KeyError, ValueError, zipfile.BadZipFile."""
        with np.load(path, allow_pickle=False) as found:
            return cls(
                found["units"].astype(np.float32),
                found["targets"].astype(np.float32),
                found["slope"],
                found["mean"],
                found["deviation"],
                int(found["k"]),
                json.loads(str(found["base"])),
            )
