"""The built-in encoders, and encoders made of others. models/encoders/registry.py lists their names.

Shape suffixes: B batch, H height, W width, C colour, S side in pixels, D feature, P pixels of all members; cells is the
number of grid cells (None for a pooled vector).
"""

import math

import numpy as np
import tensorflow as tf

import cli
from formats import encoder_names
from models import checkpoint_files
from models.encoders import image_ops
from models.encoders.base import Encoder, WholeImageEncoder, fingerprint, identity, rounded

UNREADABLE = (OSError, KeyError, EOFError, cli.UserError)  # raised by damaged files, besides ValueError


def load_data_encoder(spec, resize=None, exif=True):
    """Returns one built-in encoder: `Encoder`. It never executes a Python file, so it is safe for stored descriptions.

    Args:
      spec: the encoder's name, KIND:FILE.
      resize: how photographs are resized: "legacy" or "modern" (image_ops.py); None for the encoder's default.
      exif: whether photographs are turned by their EXIF orientation.

    Raises: ValueError if the kind is unknown, or the file is missing or damaged.
    """
    name = encoder_names.parse(spec)
    if name.kind not in KINDS:
        raise ValueError(f"encoder {spec!r}: no such kind; expected {encoder_names.USAGE}")
    if not name.argument:
        raise _wrong(spec, name, "found nothing after the colon")
    try:
        encoder = KINDS[name.kind](spec, name, resize)
        encoder.exif = exif
        return encoder
    except UNREADABLE as error:
        raise ValueError(f"encoder {spec!r}: its file cannot be read ({error})") from error


def _wrong(spec, name, found):
    """Returns the ValueError for a malformed name. Args: name: its EncoderName. found: what is wrong with it."""
    return ValueError(f"encoder {spec!r}: {found}, expected {encoder_names.KINDS[name.kind]}")


# --------------------------------------------------------------------------------------------------------------
# The built-in encoders: each is made from (spec, its EncoderName, resize as for `load_encoder`)


class _InceptionEncoder(Encoder):
    """Encoder of pooled vectors of Inception-v4.

    Images are resized to 346x346, cropped to 299x299 (centre or random) and scaled to [-1, 1].
    """

    exports = True

    def __init__(self, spec, name, resize):
        from models.encoders import inception_v4

        self.spec, self._mode = spec, resize or "legacy"
        self.dim, self.image_size = inception_v4.FEATURE_DIM, inception_v4.IMAGE_SIZE
        if name.file == "rule":
            weights = inception_v4.rule_weights()
        else:
            weights, self.files = inception_v4.load_checkpoint(name.file), checkpoint_files.files(name.file)
        self._network = inception_v4.InceptionV4(weights)
        last = image_ops.CENTRE + image_ops.CROPPED - 1
        self.preprocessing = {
            "centre": f"rows and columns {image_ops.CENTRE} to {last} of the resized image",
            "crops": f"{image_ops.CROPPED} pixels a side at offsets 0 to {image_ops.OFFSETS - 1}",
            "resize": self._mode,
            "resized_to": image_ops.RESIZED,
            "range": "-1 to 1",
        }

    def crops(self, image_HWC, k, seed):
        resized = image_ops.resize(image_ops.to_unit(image_HWC)[None], image_ops.RESIZED, self._mode)
        corners = np.random.default_rng(seed).integers(0, image_ops.OFFSETS, (k, 2))
        corners = np.concatenate([[[image_ops.CENTRE] * 2], corners]).astype(np.int32)
        crops = image_ops.crop_299(tf.repeat(resized, 1 + k, axis=0), tf.constant(corners))
        return image_ops.to_signed(crops).numpy()

    def crop_in_graph(self, image_HWC, resize=image_ops.resize):
        resized_HWC = resize(image_ops.to_unit(image_HWC)[None], image_ops.RESIZED, self._mode)[0]
        inside = slice(image_ops.CENTRE, image_ops.CENTRE + image_ops.CROPPED)
        return image_ops.to_signed(resized_HWC[inside, inside])

    def step_crop(self, image_HWC, draws):
        corner = tf.constant((draws * image_ops.OFFSETS).astype(np.int32)[None])
        resized = image_ops.resize(image_ops.to_unit(image_HWC)[None], image_ops.RESIZED, self._mode)
        return image_ops.to_signed(image_ops.crop_299(resized, corner))[0].numpy()

    def encode(self, batch_BSSC):
        return self._network.pooled(batch_BSSC).numpy()

    def in_step(self, pixels_BSSC, weights=None):
        return self._network.pooled(pixels_BSSC)


class _TFLiteEncoder(WholeImageEncoder):
    """Encoder whose vectors are one tensor of a `.tflite` network, as float32; it encodes one image at a time."""

    exports = True
    _pixels = "-1 to 1"  # range of the pixels if the network's input is float

    def __init__(self, spec, name, resize):
        from models.encoders.tflite import TFLiteModel

        tensor, at, reduced = name.part.partition("@")
        if at and reduced != "max":
            raise _wrong(spec, name, f"@{reduced} is unknown")
        self._largest = bool(at)
        self.spec, self.files = spec, (name.file,)
        self.network = TFLiteModel(name.file, keep_all=bool(tensor), pixels=self._pixels)
        self.output = self._chosen(tensor) if tensor else self.network.outputs[0]
        shape = _shape(self.output)
        if len(shape) not in ((3, 4) if self._largest else (2, 4)) or shape[0] != 1:
            raise ValueError(
                f"encoder {spec!r}: tensor {self.output['index']} has shape {shape}, expected [1, D] or a grid "
                f"[1, H, W, D]; {self._vectors_before(shape[-1])}"
            )
        if not tensor:
            self.note = (
                f"{spec}: takes tensor {self.output['index']} {shape}, the network's first output, which holds the "
                f"scores of the classes in a classifier; {self._vectors_before(shape[-1])}"
            )
        cells = shape[1] * shape[2] if len(shape) == 4 and not self._largest else 1
        self.dim, self.cells = shape[-1], cells if cells > 1 else None
        self.prepare_for(self.network.image_size, resize)

    def _chosen(self, tensor):
        """Returns the details (dict) of the tensor with a given number. Raises: ValueError if there is none."""
        tensors = self.network.tensors()
        if not tensor.isdigit() or int(tensor) not in tensors:
            wide = [f"{n} {_shape(details)}" for n, details in tensors.items() if len(details["shape"]) in (2, 4)]
            raise ValueError(f"encoder {self.spec!r}: no tensor {tensor}; the last tensors are {', '.join(wide[-6:])}")
        return tensors[int(tensor)]

    def _vectors_before(self, classes):
        """Returns a text that lists the last tensors that hold one vector each, for messages.

        Args: classes: size of the network's output; vectors of this size are not listed.
        """
        shapes = {number: _shape(details) for number, details in self.network.tensors().items()}
        vectors = {n: shape for n, shape in shapes.items() if len(shape) > 1 and shape[-1] == math.prod(shape) > 1}
        before = [f"#{number} {shape}" for number, shape in vectors.items() if shape[-1] != classes]
        if not before:
            return "it has no tensor with a vector of another size"
        return f"vectors before it, to be named behind the file: {', '.join(before[-4:])}"

    def encode(self, batch_BSSC):
        shape = (self.dim,) if self.cells is None else (self.cells, self.dim)
        features = np.empty((len(batch_BSSC), *shape), np.float32)
        for feature, image in zip(features, batch_BSSC, strict=True):
            self.network.run(image)
            values = self.network.read(self.output)
            feature[...] = values.reshape(-1, self.dim).max(0) if self._largest else values.reshape(shape)
        return features

    def vectors_in_graph(self, values):
        values = self.network.dequantised(values, self.output)
        if self._largest:
            return tf.reduce_max(tf.reshape(values, [1, -1, self.dim]), 1)
        return tf.reshape(values, [1, self.dim] if self.cells is None else [1, self.cells, self.dim])


class _SceneEncoder(_TFLiteEncoder):
    """The same for a network whose float input has pixels of 0 to 255, e.g. one trained on Places365 in Caffe."""

    _pixels = "0 to 255"


def _shape(details):
    """Returns the shape of a tensor as a list of int. Args: details: dict of the tensor, from TFLiteModel."""
    return [int(side) for side in details["shape"]]


class _CompactEncoder(WholeImageEncoder):
    """Encoder of vectors of compact.CompactEncoder, which was trained on drawings of objects of the miniature world."""

    exports = True

    def __init__(self, spec, name, resize):
        from models.encoders import compact

        if name.part not in ("", "grid"):
            raise _wrong(spec, name, f"#{name.part} is unknown")
        self.spec, self.files = spec, (name.file,)
        self._network = compact.load(name.file)
        self.dim, self.cells = int(self._network.dim), int(self._network.cells) if name.part else None
        self.prepare_for(self._network.image_size, resize)

    def encode(self, batch_BSSC):
        return np.asarray(self.in_step(batch_BSSC), np.float32)

    def in_step(self, pixels_BSSC, weights=None):
        network, images = self._network.with_weights(weights or {}), image_ops.to_unit(pixels_BSSC)
        return network(images) if self.cells is None else network.grid(images)

    def blocks(self):
        return self._network.layers()

    def assign(self, weights):
        self._network = self._network.with_weights({name: tf.constant(array) for name, array in weights.items()})


SIDES = {"InceptionV3": 299, "InceptionResNetV2": 299, "Xception": 299}  # pixels; the others were trained on 224


class _KerasEncoder(WholeImageEncoder):
    """Encoder of pooled vectors (VGG-16: fc2) or grids of cells of a keras.applications network.

    Photographs get the preprocessing that keras.applications defines for the network.
    """

    exports = True

    def __init__(self, spec, name, resize):
        import keras

        if name.part not in ("", "grid"):
            raise _wrong(spec, name, f"#{name.part} is unknown")
        self.spec, grid, network_name = spec, bool(name.part), name.network
        weights = "" if name.kind != "keras" and name.file == "imagenet" else name.file
        modules = [
            module
            for module in vars(keras.applications).values()
            if hasattr(module, "preprocess_input") and callable(getattr(module, network_name, None))
        ]
        if not modules:
            raise ValueError(f"encoder {spec!r}: keras.applications has no network {network_name!r}")
        self.files, side = (weights,) if weights else (), SIDES.get(network_name, 224)
        top = {"include_top": True} if name.kind == "vgg16" and not grid else {"include_top": False}
        if not top["include_top"]:
            top |= {"pooling": None if grid else "avg", "input_shape": (side, side, 3)}
        try:
            network = getattr(modules[0], network_name)(weights=weights or "imagenet", **top)
        except Exception as error:  # Keras raises bare Exceptions for failed downloads
            raise ValueError(
                f"encoder {spec!r}: its weights cannot be loaded ({str(error).splitlines()[0]}). Download them on "
                f"another machine and use {name.at('WEIGHTS.h5')}, or take a network that needs no download, "
                "tflite:FILE#TENSOR (docs/detectors_encoders.md)"
            ) from error
        if top["include_top"]:
            network = keras.Model(network.input, network.get_layer("fc2").output)
        self._network, self._scale = network, modules[0].preprocess_input
        self.dim = int(network.output_shape[-1])
        self.cells = int(np.prod(network.output_shape[1:3])) if grid else None
        self.prepare_for(side, resize)
        self.preprocessing["range"] = f"keras.applications preprocess_input of {network_name}"

    def encode(self, batch_BSSC):
        features = self._network(self._scale(batch_BSSC.astype(np.float32)), training=False).numpy()
        return features if self.cells is None else features.reshape(len(features), self.cells, self.dim)

    def in_step(self, pixels_BSSC, weights=None):
        from models.encoders import keras_blocks

        features = keras_blocks.output(self._network, self._scale(tf.cast(pixels_BSSC, tf.float32)), weights)
        return features if self.cells is None else tf.reshape(features, [-1, self.cells, self.dim])

    def blocks(self):
        from models.encoders import keras_blocks

        blocks = keras_blocks.blocks_of(self._network)
        return [{name: np.asarray(weight, np.float32) for name, weight in block.items()} for block in blocks]

    def assign(self, weights):
        from models.encoders import keras_blocks

        for block in keras_blocks.blocks_of(self._network):
            for name in block.keys() & weights.keys():
                block[name].assign(weights[name])


class CaptionEmbeddingEncoder(Encoder):
    """Predicts caption embeddings by kernel regression on a base encoder's vectors (docs/consensus.md, C5)."""

    def __init__(self, spec, load_base):
        """Reads the regression and loads the base.

        Args: spec: caption_embeddings:FILE. load_base: function (description of the base) -> the base, an Encoder.
        Raises: ValueError if the file is damaged or was made with another base.
        """
        from models.consensus.kernel_regression import KnownImages

        self.spec, path = spec, encoder_names.parse(spec).file
        try:
            self._known = KnownImages.load(path)
        except (ValueError, *UNREADABLE) as error:
            raise ValueError(
                f"encoder {spec!r}: expected caption_embeddings:FILE.npz, a file that "
                f"initialization.predict_caption_embeddings wrote ({error})"
            ) from error
        self.base = load_base(self._known.base)
        if identity(self.base.describe()) != identity(self._known.base):
            raise ValueError(
                f"encoder {spec!r}: it was made for vectors of {self._known.base['spec']}, found {self.base.spec}"
            )
        self.dim, self.files = self._known.weights_MT.shape[1], (path, *self.base.files)
        self.image_size, self.preprocessing = self.base.image_size, self.base.preprocessing
        self.exif, self.exports = self.base.exif, self.base.exports
        self.network, self.output = self.base.network, self.base.output

    def crops(self, image_HWC, k, seed):
        return self.base.crops(image_HWC, k, seed)

    def encode(self, batch_BSSC):
        return self._known.expected(self.base.encode(batch_BSSC))

    def crop_in_graph(self, image_HWC, resize=image_ops.resize):
        return self.base.crop_in_graph(image_HWC, resize)

    def vectors_in_graph(self, batch_BSSC):
        return self._known.expected_in_graph(rounded(self.base.vectors_in_graph(batch_BSSC)))

    def describe(self):
        return describe_caption_embeddings(self.files[0], self.dim, self.base.describe())


def describe_caption_embeddings(path, dim, base):
    """Returns the description that `describe` of a CaptionEmbeddingEncoder returns: dict.

    Args: path: of its .npz file. dim: dimension of the caption embeddings. base: description of the base encoder.
    """
    own = {
        "spec": f"{encoder_names.CAPTION_EMBEDDINGS}:{path}",
        "dim": dim,
        "cells": None,
        "image_size": base["image_size"],
    }
    files = [fingerprint(path), *base["files"]]  # the same dicts as the base's, not copies
    return own | {"preprocessing": base["preprocessing"], "files": files, "base": base}


class JoinedEncoder(Encoder):
    """Encoder that concatenates the vectors of several; each prepares its own crops, from the same random seed.

    Args: members: list of Encoder. Raises: ValueError if one of them gives grids of cells or predicts caption
      embeddings.
    """

    def __init__(self, members):
        if any(member.cells is not None for member in members):
            raise ValueError("encoders joined by + must give pooled vectors; grids of cells cannot be joined")
        if any(isinstance(member, CaptionEmbeddingEncoder) for member in members):
            raise ValueError("caption_embeddings:… cannot be joined by +, but its base may be joined encoders")
        self.members, self.spec = members, "+".join(member.spec for member in members)
        self.dim, self.files = sum(member.dim for member in members), sum((tuple(m.files) for m in members), ())
        self.image_size = [member.image_size for member in members]
        self.preprocessing = {"resize": "each encoder's own"}
        self.exif = members[0].exif

    def crops(self, image_HWC, k, seed):
        """Returns the crops of all members, flattened and concatenated: float32 [1 + k, P].

        Args: image_HWC: uint8. k: number of random crops. seed: int.
        """
        pictures = [member.crops(image_HWC, k, seed).reshape(1 + k, -1) for member in self.members]
        return np.concatenate(pictures, 1).astype(np.float32)

    def encode(self, batch_BP):
        """Returns the vectors of all members, concatenated: float32 [B, D]. Args: batch_BP: float32, from `crops`."""
        vectors, start = [], 0
        for member in self.members:
            side = member.image_size
            end = start + side * side * 3
            kind = np.uint8 if isinstance(member, WholeImageEncoder) else np.float32
            pictures = batch_BP[:, start:end].reshape(-1, side, side, 3).astype(kind)
            vectors.append(member.encode(pictures))
            start = end
        return np.concatenate(vectors, 1)

    def describe(self):
        members = [member.describe() for member in self.members]
        files = [entry for member in members for entry in member["files"]]  # the same dicts, not copies
        own = {"spec": self.spec, "dim": self.dim, "cells": None, "image_size": self.image_size}
        return own | {"preprocessing": self.preprocessing, "files": files, "members": members}


KINDS = {
    "inception_v4": _InceptionEncoder,
    "tflite": _TFLiteEncoder,
    "scene": _SceneEncoder,
    "compact": _CompactEncoder,
    "keras": _KerasEncoder,
    **dict.fromkeys(encoder_names.NETWORKS, _KerasEncoder),
}
