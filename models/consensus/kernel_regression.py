"""Known images as a basis: what is expected of a photograph, from what is known of others.

Two ways. `neighbour_weights`: those most like it. `KernelFit`: kernel ridge regression, a weighted sum of similarities
to known images whose weights are fitted to what is known of all of them; with `KnownImages`, the file of an encoder.
docs/results/flickr8k.md compares them: the fit serves retrieval better.

Shapes: N images asked about, I known images, M of them landmarks, D image vector, T target,
K neighbours.
"""

import dataclasses
import json

import numpy as np
import scipy.linalg
import scipy.sparse

import cli
from formats import readers
from models.standardise import standardised

SHARPNESS = 10.0  # of the neighbours' weights, exp(SHARPNESS cosine)
ROWS_AT_ONCE = 256
ROWS_OF_A_FIT = 4096
STEADY = 1e-4  # of the ridge: the same photograph twice, or almost, must not make the equations singular


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


def similarities(units_ND, known_MD, sharpness):
    """exp(sharpness (cosine - 1)), the kernel: float32 [N, M]. Args: both float32, unit length."""
    return np.exp(sharpness * (units_ND @ known_MD.T - 1.0)).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class KernelFit:
    """Kernel ridge regression of targets on unit vectors, and what of it each known image has decided.

        minimise over w:  sum over i of |t_i - w k_i|^2 + ridge w K w    k_i: similarities of image i to M known ones

    Landmarks are known images, K their similarities among each other. If they are all of them this is kernel ridge
    regression itself (a Gaussian process' mean), if fewer its approximation by a subset of regressors (Rasmussen and
    Williams 2006, 8.3.1), of which the cost grows with I and not with I^3.

    Attributes: weights_MT, influence_IM, residual_IT: float32.
    """

    weights_MT: np.ndarray
    influence_IM: np.ndarray
    residual_IT: np.ndarray

    @classmethod
    def of(cls, units_ID, landmarks_MD, targets_IT, sharpness, ridge):
        """Fits it. Args: units_ID, landmarks_MD: float32, unit length. targets_IT: of mean 0."""
        count, basis = len(units_ID), len(landmarks_MD)
        blocks = [slice(start, start + ROWS_OF_A_FIT) for start in range(0, count, ROWS_OF_A_FIT)]
        similar_IM = np.concatenate([similarities(units_ID[block], landmarks_MD, sharpness) for block in blocks])
        moments_MM = ridge * (
            similarities(landmarks_MD, landmarks_MD, sharpness).astype(np.float64) + STEADY * np.eye(basis)
        )
        products_MT = np.zeros((basis, targets_IT.shape[1]))
        for block in blocks:
            rows_BM = similar_IM[block].astype(np.float64)
            moments_MM += rows_BM.T @ rows_BM
            products_MT += rows_BM.T @ targets_IT[block]
        factor = scipy.linalg.cho_factor(moments_MM, overwrite_a=True)
        weights_MT = scipy.linalg.cho_solve(factor, products_MT)
        influence_IM = np.empty_like(similar_IM)
        for block in blocks:
            rows_BM = similar_IM[block].astype(np.float64)
            solved_BM = scipy.linalg.cho_solve(factor, rows_BM.T).T
            leverage_B = np.einsum("bm,bm->b", rows_BM, solved_BM)
            influence_IM[block] = solved_BM / np.maximum(1.0 - leverage_B, 1e-6)[:, None]
        weights_MT = weights_MT.astype(np.float32)
        return cls(weights_MT, influence_IM, (targets_IT - similar_IM @ weights_MT).astype(np.float32))

    def decided(self, similar_NM, left_out_N):
        """What the image `left_out` of each row adds to the targets expected there, in closed form: float32 [N, T]."""
        share_N = np.einsum("nm,nm->n", similar_NM, self.influence_IM[left_out_N])
        return share_N[:, None] * self.residual_IT[left_out_N]


@dataclasses.dataclass(frozen=True)
class KnownImages:
    """Known images and the kernel regression on them: the content of `caption_embeddings:FILE.npz`.

    Attributes:
      units_MD: float32, standardised vectors of the landmarks at unit length. weights_MT: float32, of `KernelFit`.
      mean_D, std_D: float32, for standardising. sharpness: of the similarities.
      base: description (`Encoder.describe`) of the encoder whose vectors these are.
    """

    units_MD: np.ndarray
    weights_MT: np.ndarray
    mean_D: np.ndarray
    std_D: np.ndarray
    sharpness: float
    base: dict

    def expected(self, vectors_ND, left_out_N=None, fit=None):
        """What is expected of images: float32 [N, T].

        Args:
          vectors_ND: as the base encoder gives them.
          left_out_N: int, for images that the fit was made of: which one each is; nothing is learned from it.
          fit: KernelFit that the weights come from, where images are left out.
        """
        units_ND = unit_vectors(standardised(vectors_ND, self.mean_D, self.std_D))
        similar_NM = similarities(units_ND, self.units_MD, self.sharpness)
        expected_NT = similar_NM @ self.weights_MT
        return expected_NT if left_out_N is None else expected_NT - fit.decided(similar_NM, left_out_N)

    def save(self, file):
        """Writes an .npz to a path or an open file; vectors as float16."""
        np.savez(
            file,
            units=self.units_MD.astype(np.float16),
            weights=self.weights_MT.astype(np.float32),
            mean=self.mean_D.astype(np.float32),
            std=self.std_D.astype(np.float32),
            sharpness=np.float64(self.sharpness),
            base=np.array(json.dumps(self.base, sort_keys=True)),
        )

    @classmethod
    def load(cls, path):
        """Reads what `save` wrote. Raises: cli.UserError."""
        mend = "expected what python -m initialization.predict_caption_embeddings --overwrite writes"
        found = readers.read_npz(path, mend.removeprefix("expected "))
        if "std" not in found and "deviation" in found:  # written before the array was called std
            found["std"] = found.pop("deviation")
        wanted = {"units": ("f", 2), "weights": ("f", 2), "mean": ("f", 1), "std": ("f", 1)}
        readers.check_arrays(found, wanted | {"sharpness": ("f", 0), "base": ("U", 0)}, path, mend)
        (landmarks, dim), sides = found["units"].shape, {name: found[name].shape for name in wanted}
        if sides["mean"] != (dim,) or sides["std"] != (dim,) or sides["weights"][0] != landmarks:
            raise cli.UserError(f"{path}: its arrays do not fit together, {sides}; {mend}")
        try:
            base = readers.parse_json(str(found["base"]))
        except ValueError as error:
            raise cli.UserError(f"{path}: base is not JSON ({error}); {mend}") from error
        numbers = (found["weights"], found["mean"], found["std"], float(found["sharpness"]))
        return cls(found["units"].astype(np.float32), *numbers, base)
