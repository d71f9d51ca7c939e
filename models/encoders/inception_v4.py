"""Inception-v4 (Szegedy et al. 2016), frozen, with the variable names of the checkpoint that TF-Slim released.

Inference only: batch normalisation uses its stored moments, so it is folded into the convolution before it.
The function `network` defines the network once, and runs it on tensors (`InceptionV4`) or on channel counts
(`variable_shapes`), so that the list of variables always matches the computation.

Shape suffixes: B batch, H height, W width, C channels, D feature (1536).
"""

import zlib

import numpy as np
import tensorflow as tf

from models import checkpoint_files

IMAGE_SIZE = 299
FEATURE_DIM = 1536
CLASSES = 1001
EPSILON = 1e-3
SCOPE = "InceptionV4"

# --------------------------------------------------------------------------------------------------------------
# The network. A branch is a list of steps: "max" (3x3, stride 2, VALID), "avg" (3x3, stride 1, SAME), a
# convolution ("0b_1x7", filters[, "stride 2" or "valid"]), or a tuple of two convolutions side by side.

MIXED_3A = [["max"], [("0a_3x3", 96, "stride 2")]]
MIXED_4A = [
    [("0a_1x1", 64), ("1a_3x3", 96, "valid")],
    [("0a_1x1", 64), ("0b_1x7", 64), ("0c_7x1", 64), ("1a_3x3", 96, "valid")],
]
MIXED_5A = [[("1a_3x3", 192, "stride 2")], ["max"]]
INCEPTION_A = [
    [("0a_1x1", 96)],
    [("0a_1x1", 64), ("0b_3x3", 96)],
    [("0a_1x1", 64), ("0b_3x3", 96), ("0c_3x3", 96)],
    ["avg", ("0b_1x1", 96)],
]
REDUCTION_A = [
    [("1a_3x3", 384, "stride 2")],
    [("0a_1x1", 192), ("0b_3x3", 224), ("1a_3x3", 256, "stride 2")],
    ["max"],
]
INCEPTION_B = [
    [("0a_1x1", 384)],
    [("0a_1x1", 192), ("0b_1x7", 224), ("0c_7x1", 256)],
    [("0a_1x1", 192), ("0b_7x1", 192), ("0c_1x7", 224), ("0d_7x1", 224), ("0e_1x7", 256)],
    ["avg", ("0b_1x1", 128)],
]
REDUCTION_B = [
    [("0a_1x1", 192), ("1a_3x3", 192, "stride 2")],
    [("0a_1x1", 256), ("0b_1x7", 256), ("0c_7x1", 320), ("1a_3x3", 320, "stride 2")],
    ["max"],
]
INCEPTION_C = [
    [("0a_1x1", 256)],
    [("0a_1x1", 384), (("0b_1x3", 256), ("0c_3x1", 256))],
    [("0a_1x1", 384), ("0b_3x1", 448), ("0c_1x3", 512), (("0d_1x3", 256), ("0e_3x1", 256))],
    ["avg", ("0b_1x1", 256)],
]
BLOCKS = [
    ("Mixed_3a", MIXED_3A),
    ("Mixed_4a", MIXED_4A),
    ("Mixed_5a", MIXED_5A),
    *((f"Mixed_5{letter}", INCEPTION_A) for letter in "bcde"),
    ("Mixed_6a", REDUCTION_A),
    *((f"Mixed_6{letter}", INCEPTION_B) for letter in "bcdefgh"),
    ("Mixed_7a", REDUCTION_B),
    *((f"Mixed_7{letter}", INCEPTION_C) for letter in "bcd"),
]


def network(ops, x, aux=False):
    """Generator: applies all layers in order and yields (endpoint name, result), from the first convolution on.

    Args:
      ops: object with a method for each kind of layer (InceptionV4, _Shapes): `conv(x, scope, filters, kernel, stride,
        padding)`, `max_pool(x)`, `average_pool(x)`, `aux_pool(x)`, `global_pool(x)`, `flatten(x)`,
        `dense(x, scope, units)`, `softmax(x)`, `join(list)`.
      x: the input of the first layer, in the form that `ops` takes: images, or the number of channels.
      aux: whether to add the auxiliary classifier, which only a test needs.
    """
    for name, filters, stride, padding in (
        ("Conv2d_1a_3x3", 32, 2, "VALID"),
        ("Conv2d_2a_3x3", 32, 1, "VALID"),
        ("Conv2d_2b_3x3", 64, 1, "SAME"),
    ):
        x = ops.conv(x, f"{SCOPE}/{name}", filters, (3, 3), stride, padding)
        yield name, x
    cells = None
    for name, branches in BLOCKS:
        parts = [_branch(ops, x, f"{SCOPE}/{name}/Branch_{i}", steps) for i, steps in enumerate(branches)]
        x = ops.join(parts)
        yield name, x
        if name == "Mixed_6h":
            cells = x
    if aux:
        scope = f"{SCOPE}/AuxLogits"
        y = ops.conv(ops.aux_pool(cells), f"{scope}/Conv2d_1b_1x1", 128, (1, 1), 1, "SAME")
        y = ops.conv(y, f"{scope}/Conv2d_2a", 768, (5, 5), 1, "VALID")
        yield "AuxLogits", ops.dense(ops.flatten(y), f"{scope}/Aux_logits", CLASSES)
    x = ops.global_pool(x)
    yield "global_pool", x
    x = ops.flatten(x)
    yield "PreLogitsFlatten", x
    x = ops.dense(x, f"{SCOPE}/Logits/Logits", CLASSES)
    yield "Logits", x
    yield "Predictions", ops.softmax(x)


def _branch(ops, x, scope, steps):
    """Returns the result of one branch of a block.

    Args: ops: object with a method for each kind of layer (InceptionV4, _Shapes). x: the block's input. scope: prefix
      of the variables' names. steps: list of layers, in the notation of the comment above MIXED_3A.
    """
    for step in steps:
        if step == "max":
            x = ops.max_pool(x)
        elif step == "avg":
            x = ops.average_pool(x)
        elif isinstance(step[0], tuple):
            x = ops.join([_convolution(ops, x, scope, *part) for part in step])
        else:
            x = _convolution(ops, x, scope, *step)
    return x


def _convolution(ops, x, scope, name, filters, mode="same"):
    """Returns the result of a convolution, in the form that `ops` takes.

    Args: ops: object with the method `conv` (InceptionV4, _Shapes). x: the input. scope: prefix of the variables'
      names. name: the layer's name, whose part after `_` is the kernel size, e.g. "0b_1x7". filters: number of output
      channels. mode: "same" or "valid" padding, or "stride 2" (valid padding).
    """
    height, width = (int(side) for side in name.split("_")[1].split("x"))
    stride, padding = {"same": (1, "SAME"), "valid": (1, "VALID"), "stride 2": (2, "VALID")}[mode]
    return ops.conv(x, f"{scope}/Conv2d_{name}", filters, (height, width), stride, padding)


# --------------------------------------------------------------------------------------------------------------
# Interpretation over channel counts: the list of variables


class _Shapes:
    """Interprets `network` over channel counts: its layer methods record the shapes of their variables in `found`.

    Attributes: found: dict variable name -> shape (tuple of int).
    """

    def __init__(self):
        self.found = {}

    def conv(self, x, scope, filters, kernel, stride, padding):
        self.found[f"{scope}/weights"] = (*kernel, x, filters)
        for name in ("beta", "moving_mean", "moving_variance"):
            self.found[f"{scope}/BatchNorm/{name}"] = (filters,)
        return filters

    def dense(self, x, scope, units):
        self.found[f"{scope}/weights"] = (x, units)
        self.found[f"{scope}/biases"] = (units,)
        return units

    def max_pool(self, x):
        return x

    average_pool = aux_pool = global_pool = flatten = softmax = max_pool  # they keep the channel count

    def join(self, parts):
        return sum(parts)


def variable_shapes(aux=False):
    """Returns the shapes of all variables: dict variable name -> tuple of int.

    They are 598 variables, or 608 with the auxiliary classifier (`aux`).
    """
    shapes = _Shapes()
    for _ in network(shapes, 3, aux):
        pass
    return shapes.found


# --------------------------------------------------------------------------------------------------------------
# Interpretation over tensors: the frozen network


class InceptionV4:
    """Inception-v4 with fixed weights, for inference.

    Args:
      weights: dict variable name -> float32 array, e.g. from `load_checkpoint` or `rule_weights`. Variables of the
        auxiliary classifier may be absent.

    Raises:
      ValueError: a variable is missing, has a wrong shape or is not finite; the message names it.
    """

    def __init__(self, weights):
        self.aux = f"{SCOPE}/AuxLogits/Aux_logits/weights" in weights
        check_weights(weights, variable_shapes(self.aux))
        self._kernels, self._biases = {}, {}
        for name, array in weights.items():
            scope, _, kind = name.rpartition("/")
            if kind != "weights" or name not in variable_shapes(self.aux):
                continue
            kernel, bias = array, weights.get(f"{scope}/biases")
            if bias is None:
                kernel, bias = fold_batch_norm(
                    array,
                    *(weights[f"{scope}/BatchNorm/{part}"] for part in ("beta", "moving_mean", "moving_variance")),
                )
            self._kernels[scope], self._biases[scope] = tf.constant(kernel), tf.constant(bias)
        self._pooled = tf.function(
            self._run_to_pooled, input_signature=[tf.TensorSpec([None, IMAGE_SIZE, IMAGE_SIZE, 3], tf.float32)]
        )

    def pooled(self, images_BHWC):
        """Returns the image vectors, the mean of the last feature map over all positions: float32 tensor [B, 1536].

        Args: images_BHWC: float32 [B, 299, 299, 3] in -1 to 1.
        """
        return self._pooled(images_BHWC)

    def endpoints(self, images_BHWC):
        """Returns the results of all layers: dict endpoint name -> tensor; with `AuxLogits` if it has these weights.

        Args: images_BHWC: float32 [B, 299, 299, 3] in -1 to 1.
        """
        return dict(network(self, tf.convert_to_tensor(images_BHWC), self.aux))

    def _run_to_pooled(self, images_BHWC):
        return next(value for name, value in network(self, images_BHWC) if name == "PreLogitsFlatten")

    def conv(self, x, scope, filters, kernel, stride, padding):
        x = tf.nn.conv2d(x, self._kernels[scope], stride, padding)
        return tf.nn.relu(tf.nn.bias_add(x, self._biases[scope]))

    def dense(self, x, scope, units):
        return tf.nn.bias_add(tf.matmul(x, self._kernels[scope]), self._biases[scope])

    def max_pool(self, x):
        return tf.nn.max_pool2d(x, 3, 2, "VALID")

    def average_pool(self, x):
        return tf.nn.avg_pool2d(x, 3, 1, "SAME")  # cells outside the picture are not counted

    def aux_pool(self, x):
        return tf.nn.avg_pool2d(x, 5, 3, "VALID")

    def global_pool(self, x):
        return tf.reduce_mean(x, axis=[1, 2], keepdims=True)

    def flatten(self, x):
        return tf.reshape(x, [tf.shape(x)[0], x.shape[1] * x.shape[2] * x.shape[3]])

    def softmax(self, x):
        return tf.nn.softmax(x)

    def join(self, parts):
        return tf.concat(parts, axis=-1)


def fold_batch_norm(kernel, beta, mean, variance):
    """Returns (kernel, bias) of a convolution with the batch normalisation after it folded in: float32 arrays.

    They are computed in float64, so that the result is rounded only once.

    Args: kernel: [height, width, channels in, filters]. beta, mean, variance: [filters]; gamma is 1.
    """
    scale = 1.0 / np.sqrt(variance.astype(np.float64) + EPSILON)
    folded = kernel.astype(np.float64) * scale
    return folded.astype(np.float32), (beta - mean * scale).astype(np.float32)


# --------------------------------------------------------------------------------------------------------------
# Weights


def check_weights(weights, shapes, source="the weights"):
    """Checks that weights have the given variables.

    Args: weights: dict variable name -> array. shapes: dict variable name -> tuple. source: where the weights are from,
      for the message.
    Raises: ValueError naming the first variable of `shapes` that is missing, has a wrong shape or is not finite.
    """
    missing = [name for name in shapes if name not in weights]
    if missing:
        raise ValueError(
            f"{source}: has no variable {missing[0]} ({len(missing)} of {len(shapes)} are missing); "
            "expected a checkpoint of slim's Inception-v4, e.g. inception_v4.ckpt of 2016-09-09"
        )
    for name, shape in shapes.items():
        if tuple(weights[name].shape) != shape:
            raise ValueError(f"{source}: variable {name} has shape {list(weights[name].shape)}, expected {list(shape)}")
        if not np.isfinite(weights[name]).all():
            raise ValueError(f"{source}: variable {name} has values that are not finite")


def load_checkpoint(path):
    """Returns the weights of a TF-Slim Inception-v4 checkpoint: dict variable name -> float32 array, 598 of them.

    The checkpoint may be of TF1 (a single file or a prefix) or of TF2 (object-based; its variables are found by name).
    The auxiliary classifier, the global step and optimizer slots are ignored.

    Args:
      path: the file, the prefix (without `.index`), or a folder with checkpoints, of which the newest is taken.

    Raises:
      ValueError: the file is absent or truncated, or a variable is missing or has a wrong shape; the message names it.
    """
    try:
        weights = {}
        with checkpoint_files.reader(path) as reader:
            keys = _object_keys(reader)
            for name in variable_shapes():
                key = keys.get(name, name)
                if reader.has_tensor(key):
                    weights[name] = reader.get_tensor(key)
    except Exception as error:  # the reader raises one of six built-in exceptions, depending on the damage
        raise ValueError(
            f"{path}: not a readable checkpoint (absent or truncated): {str(error).splitlines()[0]}"
        ) from error
    check_weights(weights, variable_shapes(), path)
    return weights


def _object_keys(reader):
    """Returns dict variable name -> key inside an object-based (TF2) checkpoint; empty for a TF1 checkpoint."""
    from tensorflow.core.protobuf import trackable_object_graph_pb2

    if not reader.has_tensor("_CHECKPOINTABLE_OBJECT_GRAPH"):
        return {}
    graph = trackable_object_graph_pb2.TrackableObjectGraph()
    graph.ParseFromString(reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH"))
    return {item.full_name: item.checkpoint_key for node in graph.nodes for item in node.attributes}


def rule_weights(seed=None, aux=False):
    """Returns random weights, for tests without a checkpoint: dict variable name -> float32 array.

    Each variable's seed is made from its name.

    Args: seed: int that is combined with each of these seeds, or None. aux: whether to add the auxiliary classifier.
    """
    return {name: _by_rule(name, shape, seed) for name, shape in variable_shapes(aux).items()}


def _by_rule(name, shape, seed):
    """Returns a random float32 array for one variable: weights are He-normal, variances uniform in 1 to 1.1.

    All others are normal with standard deviation 0.1. Args: name, shape: of the variable. seed: int or None.
    """
    crc = zlib.crc32(name.encode())
    rng = np.random.default_rng(crc if seed is None else [crc, seed])
    kind = name.rpartition("/")[2]
    if kind == "weights":
        fan_in = np.prod(shape[:-1])
        return rng.standard_normal(shape, dtype=np.float32) * np.float32(np.sqrt(2.0 / fan_in))
    if kind == "moving_variance":
        return np.float32(1) + np.float32(0.1) * rng.random(shape, dtype=np.float32)
    return np.float32(0.1) * rng.standard_normal(shape, dtype=np.float32)
