"""The compact encoder: a small convolutional network, trained to classify drawings of single objects.

Shapes: B batch, s image side, C cells of the grid, D features.
"""

import copy
import json

import numpy as np
import tensorflow as tf

from formats import readers

# (kernel side, stride, channels) of each layer.
LAYERS = ((5, 2, 24), (3, 2, 48), (3, 2, 96), (3, 1, 128), (1, 1, 192))
IMAGE_SIZE = 64
LARGEST_SIZE = 4096  # maximum image_size of a file, in pixels
BATCH_NORM_EPSILON = 1e-3


class CompactEncoder:
    """The network: convolutions with ReLU; the pooled vector is the mean over the last feature map.

    Attributes: image_size: s. dim: number of pooled features. grid_dim: number of features of a cell. cells: C.
    """

    def __init__(self, kernels, biases, image_size, mean, scale):
        """Builds the network from its weights.

        Args:
          kernels, biases: lists of arrays, one for each row of LAYERS; kernels are [side, side, channels in, out].
          image_size: s, in pixels. mean, scale: floats; images become (image - mean) * scale.
        """
        self.kernels = [tf.constant(kernel, tf.float32) for kernel in kernels]
        self.biases = [tf.constant(bias, tf.float32) for bias in biases]
        self.image_size, self.mean, self.scale = image_size, mean, scale
        self.dim = self.grid_dim = int(self.biases[-1].shape[0])
        side = image_size
        for _, stride, _ in LAYERS:
            side = -(-side // stride)
        self.cells = side * side

    def grid(self, images):
        """Returns the features of the grid's cells, row by row: float32 [B, C, D], D = grid_dim.

        Args: images: float32 [B, s, s, 3] in 0 to 1.
        """
        x = (images - self.mean) * self.scale
        for kernel, bias, (_, stride, _) in zip(self.kernels, self.biases, LAYERS, strict=True):
            x = tf.nn.relu(tf.nn.conv2d(x, kernel, stride, "SAME") + bias)
        return tf.reshape(x, [-1, self.cells, self.grid_dim])

    def __call__(self, images):
        """Returns the pooled features: float32 [B, D], D = dim.

        Args: images: float32 [B, s, s, 3] in 0 to 1.
        """
        return tf.reduce_mean(self.grid(images), 1)

    def layers(self):
        """Returns the weights of each layer: list of dicts {"kernel_I": array, "bias_I": array}, I from 0."""
        pairs = enumerate(zip(self.kernels, self.biases, strict=True))
        return [{f"kernel_{i}": kernel.numpy(), f"bias_{i}": bias.numpy()} for i, (kernel, bias) in pairs]

    def with_weights(self, weights):
        """Returns a CompactEncoder that is equal to this one but for some weights.

        Args: weights: dict name, as in `layers`, -> float32 array, tensor or variable.
        """
        network = copy.copy(self)
        network.kernels = [weights.get(f"kernel_{i}", kernel) for i, kernel in enumerate(self.kernels)]
        network.biases = [weights.get(f"bias_{i}", bias) for i, bias in enumerate(self.biases)]
        return network


def save(path, kernels, biases, *, image_size=IMAGE_SIZE, mean, scale, **about):
    """Writes a compact encoder to an .npz file.

    Args:
      path: of the file.
      kernels, biases: lists of arrays, one for each row of LAYERS; kernels are [side, side, channels in, out].
      image_size: in pixels. mean, scale: floats; images become (image - mean) * scale.
      about: further JSON-serialisable values that are stored in the file.
    """
    meta = {"image_size": image_size, "dim": int(biases[-1].shape[0]), "mean": mean, "scale": scale, **about}
    arrays = {f"kernel_{i}": np.asarray(kernel, np.float32) for i, kernel in enumerate(kernels)}
    arrays |= {f"bias_{i}": np.asarray(bias, np.float32) for i, bias in enumerate(biases)}
    with open(path, "wb") as file:
        np.savez(file, meta=np.array(json.dumps(meta, sort_keys=True)), **arrays)


def load(path):
    """Returns the CompactEncoder in an .npz file that `save` wrote.

    Its `about` values are not read.
    Raises: cli.UserError if the file is missing or damaged, ValueError if it does not hold a compact encoder.
    """
    stored = readers.read_npz(path)
    wanted = {"meta", *(f"{kind}_{i}" for kind in ("kernel", "bias") for i in range(len(LAYERS)))}
    if set(stored) != wanted:
        raise ValueError(f"{path}: expected the arrays {sorted(wanted)}, found {sorted(stored)}")
    try:
        meta = readers.parse_json(str(stored["meta"]))
    except ValueError as error:
        raise ValueError(f"{path}: meta is not JSON ({error})") from error
    fields = {"image_size": lambda side: readers.is_count(side) and 0 < side <= LARGEST_SIZE}
    readers.check_fields(meta, fields | dict.fromkeys(("mean", "scale"), readers.is_number), f"{path}: meta")
    kernels, biases = ([stored[f"{kind}_{i}"] for i in range(len(LAYERS))] for kind in ("kernel", "bias"))
    channels = 3
    for kernel, bias, (side, _, _) in zip(kernels, biases, LAYERS, strict=True):
        if kernel.ndim != 4 or kernel.shape[:3] != (side, side, channels) or bias.shape != kernel.shape[3:]:
            raise ValueError(f"{path}: its layers do not fit together")
        if not all(array.dtype.kind == "f" and np.isfinite(array).all() for array in (kernel, bias)):
            raise ValueError(f"{path}: has values that are not finite")
        channels = kernel.shape[3]
    return CompactEncoder(kernels, biases, meta["image_size"], meta["mean"], meta["scale"])


# --------------------------------------------------------------------------------------------------------------
# Training: the network with batch normalisation, which is folded into the convolutions at the end


class TrainableCompact(tf.Module):
    """CompactEncoder during training: its convolutions with batch normalisation, and a layer of class logits.

    Args: classes: number of classes. seed: int, of the initial weights.
    """

    def __init__(self, classes, seed):
        super().__init__()
        self.kernels, self.gammas, self.betas = [], [], []
        channels = 3
        for index, (side, _, width) in enumerate(LAYERS):
            std = (2.0 / (side * side * channels)) ** 0.5  # He
            start = tf.random.stateless_normal([side, side, channels, width], [seed, index], stddev=std)
            self.kernels.append(tf.Variable(start))
            self.gammas.append(tf.Variable(tf.ones([width])))
            self.betas.append(tf.Variable(tf.zeros([width])))
            channels = width
        self.weight = tf.Variable(tf.random.stateless_normal([channels, classes], [seed, 99], stddev=0.03))
        self.bias = tf.Variable(tf.zeros([classes]))

    def logits(self, x):
        """Returns the class logits and the moments of batch normalisation.

        Args: x: float32 [B, s, s, 3], images as (image - mean) * scale.
        Returns: (logits float32 [B, classes]; list with (mean, variance) of each layer in this batch).
        """
        moments = []
        for kernel, gamma, beta, (_, stride, _) in zip(self.kernels, self.gammas, self.betas, LAYERS, strict=True):
            x = tf.nn.conv2d(x, kernel, stride, "SAME")
            mean, variance = tf.nn.moments(x, [0, 1, 2])
            moments.append((mean, variance))
            x = tf.nn.relu(tf.nn.batch_normalization(x, mean, variance, beta, gamma, BATCH_NORM_EPSILON))
        return tf.matmul(tf.reduce_mean(x, [1, 2]), self.weight) + self.bias, moments

    def folded(self, moments):
        """Returns (kernels, biases), lists of arrays: each convolution with its batch normalisation folded in.

        Args: moments: list of (mean, variance) arrays of each layer, with which the batch normalisation is fixed.
        """
        kernels, biases = [], []
        for kernel, gamma, beta, (mean, variance) in zip(self.kernels, self.gammas, self.betas, moments, strict=True):
            factor = gamma.numpy() / np.sqrt(variance + BATCH_NORM_EPSILON)
            kernels.append(kernel.numpy() * factor)
            biases.append(beta.numpy() - mean * factor)
        return kernels, biases
