"""Regression on image vectors: predicts the target of a photograph from the targets of known images.

A target is a vector, e.g. a caption embedding. There are two methods. `neighbour_weights`: nearest neighbours.
`KernelFit`: kernel ridge regression, a weighted sum of similarities to known images; `KnownImages` saves it as the file
of an encoder (docs/consensus.md, equation C5). docs/results/flickr8k.md compares them: kernel ridge regression
retrieves better captions.

Shapes: N query images, I known images, M of them landmarks, D image vector, T target, K neighbours.
"""

import dataclasses
import json

import numpy as np
import scipy.linalg
import scipy.sparse
import tensorflow as tf

import cli
from formats import readers
from models.standardise import standardised, usable_std

SHARPNESS = 10.0  # the weight of a neighbour is exp(SHARPNESS cosine)
ROWS_AT_ONCE = 256
ROWS_OF_A_FIT = 4096
STEADY = 1e-4  # share of the ridge added to the diagonal: duplicate photographs must not make the equations singular


def unit_vectors(vectors_ND):
    """Returns a new array with the vectors divided by their L2 norm: float32 [N, D]; zero vectors stay zero."""
    vectors_ND = np.asarray(vectors_ND, np.float32)
    return vectors_ND / np.maximum(np.linalg.norm(vectors_ND, axis=1, keepdims=True), 1e-9)


def principal_directions(vectors_ND, count):
    """Returns the first principal directions of standardised image vectors: float32 [P, D], orthonormal rows.

    Args:
      vectors_ND: float32, standardised. count: int, number of directions P.
    Raises: cli.UserError if the vectors have fewer dimensions, or there are fewer of them.
    """
    from sklearn.decomposition import PCA

    if count > min(vectors_ND.shape):
        images, dim = vectors_ND.shape
        raise cli.UserError(f"--pca {count}: expected at most {min(images, dim)}: {images} images of {dim} dimensions")
    return PCA(count, svd_solver="covariance_eigh").fit(vectors_ND).components_.astype(np.float32)


def neighbour_weights(units_ND, known_ID, k, left_out_N=None):
    """Returns the weights of the k nearest known images of each query image: float32 CSR matrix [N, I], rows sum to 1.

    A weight is proportional to exp(SHARPNESS cosine). scikit-learn's NearestNeighbors is not faster. It compares
    euclidean distances, so its rounding errors change which of several almost equally near images are chosen.

    Args:
      units_ND: float32, query images' vectors at unit length. known_ID: float32, known images' vectors at unit length.
      k: number of neighbours; all known images if there are fewer.
      left_out_N: int, index of each query image among the known images, so that it is not its own neighbour; None
        for new images.
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


def compared(standard_ND, directions_PD=None):
    """Returns standardised image vectors as the kernel compares them: float32 [N, D], or [N, P], of unit length.

    Args: standard_ND: float32. directions_PD: float32, `principal_directions` to which they are reduced; None: not.
    """
    return unit_vectors(standard_ND if directions_PD is None else standard_ND @ directions_PD.T)


def similarities(units_ND, known_MD, sharpness):
    """Returns the kernel exp(sharpness (cosine - 1)) of each pair of vectors: float32 [N, M].

    Args: units_ND, known_MD: float32, vectors at unit length. sharpness: float.
    """
    return np.exp(sharpness * (units_ND @ known_MD.T - 1.0)).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class KernelFit:
    """Kernel ridge regression of targets on unit vectors, with leave-one-out predictions in closed form.

        minimise over w:  sum over i of |t_i - w k_i|^2 + ridge w K w

    t_i is the target of known image i, and k_i are its similarities to M landmarks. Landmarks are known images, K the
    similarities among them. If all known images are landmarks, this is exact kernel ridge regression (the mean of a
    Gaussian process). With fewer it is the subset-of-regressors approximation (Rasmussen and Williams 2006, 8.3.1),
    whose cost grows with I instead of I^3.

    Attributes:
      weights_MT: float32, the solution w.
      influence_IM: float32; row i times residual i is what known image i adds to w.
      residual_IT: float32, target minus prediction of each known image.
      left_out_IT: float32, prediction of each known image by a regression without it.
    """

    weights_MT: np.ndarray
    influence_IM: np.ndarray
    residual_IT: np.ndarray
    left_out_IT: np.ndarray

    @classmethod
    def of(cls, units_ID, landmarks_MD, targets_IT, sharpness, ridge):
        """Returns the KernelFit of given images.

        Args:
          units_ID, landmarks_MD: float32, vectors of the known images and of the landmarks, at unit length.
          targets_IT: float32, targets of the known images, with mean 0 over I.
          sharpness: float, of the kernel. ridge: float, weight of the regularisation.
        """
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
        weights_MT = weights_MT.astype(np.float32)
        residual_IT = (targets_IT - similar_IM @ weights_MT).astype(np.float32)
        influence_IM, left_out_IT = np.empty_like(similar_IM), np.empty_like(residual_IT)
        for block in blocks:
            rows_BM = similar_IM[block].astype(np.float64)
            solved_BM = scipy.linalg.cho_solve(factor, rows_BM.T).T
            leverage_B = np.einsum("bm,bm->b", rows_BM, solved_BM)
            rest_B1 = np.maximum(1.0 - leverage_B, 1e-6)[:, None]
            influence_IM[block] = solved_BM / rest_B1
            left_out_IT[block] = targets_IT[block] - residual_IT[block] / rest_B1
        return cls(weights_MT, influence_IM, residual_IT, left_out_IT)

    def decided(self, similar_NM, left_out_N):
        """Returns how much a given known image contributes to each prediction: float32 [N, T].

        A prediction minus this contribution is the prediction of a regression that was fitted without that image.

        Args:
          similar_NM: float32, similarities of the query images to the landmarks, from `similarities`.
          left_out_N: int, index of the known image for each query image.
        """
        share_N = np.einsum("nm,nm->n", similar_NM, self.influence_IM[left_out_N])
        return share_N[:, None] * self.residual_IT[left_out_N]


@dataclasses.dataclass(frozen=True)
class KnownImages:
    """Landmarks and weights of a kernel regression: the content of `caption_embeddings:FILE.npz`.

    Attributes:
      units_MD: float32, standardised vectors of the landmarks at unit length, [M, P] if they are reduced. weights_MT:
        float32, the solution w of the regression (`KernelFit`).
      mean_D, std_D: float32, mean and standard deviation of the image vectors. sharpness: float, of the kernel.
      base: description (dict, from `Encoder.describe`) of the encoder that makes the image vectors.
      directions_PD: float32, `principal_directions` to which standardised vectors are reduced; None: whole vectors.
    """

    units_MD: np.ndarray
    weights_MT: np.ndarray
    mean_D: np.ndarray
    std_D: np.ndarray
    sharpness: float
    base: dict
    directions_PD: np.ndarray | None = None

    def expected(self, vectors_ND, left_out_N=None, fit=None):
        """Returns the predicted targets of images: float32 [N, T].

        Args:
          vectors_ND: float32 image vectors, not standardised.
          left_out_N: int, index of each image among the known images, if all are known ones; each is then predicted by
            a regression without itself. None for new images.
          fit: the KernelFit that the weights are from, needed with `left_out_N`.
        """
        units_ND = compared(standardised(vectors_ND, self.mean_D, self.std_D), self.directions_PD)
        similar_NM = similarities(units_ND, self.units_MD, self.sharpness)
        expected_NT = similar_NM @ self.weights_MT
        return expected_NT if left_out_N is None else expected_NT - fit.decided(similar_NM, left_out_N)

    def expected_in_graph(self, vectors_ND):
        """Returns the predicted targets of new images, as `expected`, inside a graph: float32 [N, T].

        Args: vectors_ND: float32 tensor, image vectors, not standardised.
        """
        standard_ND = tf.math.divide_no_nan(vectors_ND - self.mean_D, usable_std(self.mean_D, self.std_D))
        if self.directions_PD is not None:
            standard_ND = tf.matmul(standard_ND, self.directions_PD, transpose_b=True)
        units_ND = standard_ND / tf.maximum(tf.norm(standard_ND, axis=1, keepdims=True), 1e-9)
        cosine_NM = tf.matmul(units_ND, self.units_MD, transpose_b=True)
        return tf.matmul(tf.exp(np.float32(self.sharpness) * (cosine_NM - 1.0)), self.weights_MT)

    def save(self, file):
        """Writes the regression in .npz format; landmark vectors are stored as float16.

        Args: file: a path or an open file.
        """
        reduction = {} if self.directions_PD is None else {"directions": self.directions_PD.astype(np.float32)}
        np.savez(
            file,
            **reduction,
            units=self.units_MD.astype(np.float16),
            weights=self.weights_MT.astype(np.float32),
            mean=self.mean_D.astype(np.float32),
            std=self.std_D.astype(np.float32),
            sharpness=np.float64(self.sharpness),
            base=np.array(json.dumps(self.base, sort_keys=True)),
        )

    @classmethod
    def load(cls, path):
        """Returns the KnownImages in a file that `save` wrote. Raises: cli.UserError if it is missing or damaged."""
        mend = "expected what initialization.predict_caption_embeddings --overwrite writes"
        found = readers.read_npz(path, mend.removeprefix("expected "))
        if "std" not in found and "deviation" in found:  # written before the array was called std
            found["std"] = found.pop("deviation")
        wanted = {"units": ("f", 2), "weights": ("f", 2), "mean": ("f", 1), "std": ("f", 1)}
        if "directions" in found:  # only where vectors are reduced
            wanted["directions"] = ("f", 2)
        readers.check_arrays(found, wanted | {"sharpness": ("f", 0), "base": ("U", 0)}, path, mend)
        (landmarks, dim), sides = found["units"].shape, {name: found[name].shape for name in wanted}
        reduced, whole = sides.get("directions", (dim, dim))
        if sides["mean"] != (whole,) or sides["std"] != (whole,) or (reduced, sides["weights"][0]) != (dim, landmarks):
            raise cli.UserError(f"{path}: its arrays do not fit together, {sides}; {mend}")
        try:
            base = readers.parse_json(str(found["base"]))
        except ValueError as error:
            raise cli.UserError(f"{path}: base is not JSON ({error}); {mend}") from error
        numbers = (found["weights"], found["mean"], found["std"], float(found["sharpness"]))
        return cls(found["units"].astype(np.float32), *numbers, base, found.get("directions"))
