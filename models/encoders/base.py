"""Base classes of encoders: they prepare photographs, and describe an encoder so that it can be compared with another.

The built-in encoders are in models/encoders/kinds.py; your own (docs/extending.md) derive from the same classes.

Shape suffixes: B batch, H height, W width, C colour, S side in pixels, D feature; cells is the number of grid cells
(None for a pooled vector).
"""

import functools
import os

import numpy as np
import tensorflow as tf

from formats import encoder_names
from formats.sidecars import fingerprint
from models.encoders import image_ops

EXIF = {True: "EXIF orientation applied", False: "EXIF orientation not applied"}  # values in descriptions
WINDOW = (0.85, 1.0)  # range of a random window's side, as a share of the image's side


def as_banked(vectors):
    """Returns vectors as float32 whose values are rounded to float16 precision, as a feature bank stores them.

    Args: vectors: float array of any shape. Values out of the range of float16 become infinite.
    """
    with np.errstate(over="ignore"):
        return np.asarray(vectors, np.float32).astype(np.float16).astype(np.float32)


def rounded(vectors):
    """Returns a tensor of vectors rounded as by `as_banked`: float32. Args: vectors: float32 tensor."""
    return tf.cast(tf.cast(vectors, tf.float16), tf.float32)


def _banked(encode):
    """Returns a method that calls the method `encode` and applies `as_banked` to its result."""

    @functools.wraps(encode)
    def encode_as_banked(self, batch_BSSC):
        return as_banked(encode(self, batch_BSSC))

    return encode_as_banked


class Encoder:
    """Base class of all encoders.

    The vectors that `encode` returns are rounded to float16 precision as in a feature bank, so that a photograph
    captioned from its file has exactly the vector that the captioner was trained and scored on. They stay float32.

    Attributes:
      spec: the encoder's name as given on the command line.
      dim: D.
      cells: number of grid cells, None for a pooled vector.
      image_size: S.
      preprocessing: JSON-serialisable dict that describes how a photograph is prepared.
      files: paths of all files that determine the vectors.
      exif: whether photographs are turned by their EXIF orientation before they are passed to `crops`.
      in_step: method of an encoder that can run inside a training step, else None. It returns the vectors of crops as a
        tensor, float32 [B, D], not rounded. Its arguments are the crops, a tensor [B, S, S, 3] as for `encode`, and
        optionally weights that replace the encoder's own: dict name, as in `blocks`, -> tensor.
      note: text that commands print about the choice of the vector, or "".
      exports: whether the encoder can be exported with a captioner: it has `crop_in_graph` and `vectors_in_graph`.
      network, output: of an encoder whose vectors a `.tflite` file computes: its tflite.TFLiteModel, and the details
        of the tensor that holds the vectors. None for others.
    """

    cells = None
    files = ()
    note = ""
    exif = True
    exports = False
    network = output = None
    in_step = None

    def __init_subclass__(cls, **arguments):
        """Replaces the method `encode` of a new subclass by one that rounds the result (`_banked`)."""
        super().__init_subclass__(**arguments)
        if "encode" in vars(cls):
            cls.encode = _banked(cls.encode)

    def crops(self, image_HWC, k, seed):
        """Returns the prepared crops of a photograph: [1 + k, S, S, 3]; the first is the centre crop or whole image.

        The dtype is the one that `encode` of the same encoder takes.

        Args:
          image_HWC: uint8 [H, W, 3].
          k: number of random crops, in addition to the first one.
          seed: int made from the image's name, so that the result depends only on the input.
        """
        raise NotImplementedError

    def encode(self, batch_BSSC):
        """Returns the features of crops: float32 [B, D] or [B, cells, D], values rounded to float16 precision.

        A subclass need not round: the base class rounds the result of its `encode`.

        Args: batch_BSSC: [B, S, S, 3], crops as `crops` returns them.
        """
        raise NotImplementedError

    def crop_in_graph(self, image_HWC, resize=image_ops.resize):
        """Returns the first crop of `crops` inside a graph: tensor [S, S, 3].

        Args: image_HWC: uint8 tensor. resize: function with the arguments and the result of image_ops.resize.
        """
        raise NotImplementedError

    def vectors_in_graph(self, batch_BSSC):
        """Returns the features as `encode` does, but not rounded, inside a graph: float32 [B, D] or [B, cells, D].

        Args: batch_BSSC: tensor, crops as `crop_in_graph` returns them; for an encoder with a `network` the values of
          its tensor `output` for one crop.
        """
        return self.in_step(batch_BSSC)

    def step_crop(self, image_HWC, draws):
        """Returns a random crop of a photograph for one training step, prepared as those of `crops`: [S, S, 3].

        Args: image_HWC: uint8 [H, W, 3]. draws: float64 [2], uniform random numbers in [0, 1).
        """
        return self.crops(image_HWC, 1, int(draws[0] * 2**53))[1]

    def blocks(self):
        """Returns the blocks of the network that can be trained (--train_encoder), from the first to the last.

        A block is a dict name -> float32 array of its weights; a name occurs in one block only. The list is empty for
        an encoder that cannot be trained.
        """
        return []

    def assign(self, weights):
        """Replaces weights of the network. Args: weights: dict name, as in `blocks`, -> float32 array."""
        raise NotImplementedError

    def describe(self):
        """Returns the encoder's description for sidecars and run directories: a JSON-serialisable dict.

        Its keys are "spec", "dim", "cells", "image_size", "preprocessing" (the attributes, with the use of the EXIF
        orientation in "preprocessing") and "files": a list of dicts with "name", "bytes" and "sha256".
        """
        return {
            "spec": self.spec,
            "dim": self.dim,
            "cells": self.cells,
            "image_size": self.image_size,
            "preprocessing": self.preprocessing | {"decode": EXIF[self.exif]},
            "files": [fingerprint(path) for path in self.files],
        }


def exif_of(description):
    """Returns whether an encoder turns photographs by their EXIF orientation: bool.

    For joined encoders: whether all members do. Args: description: dict from `Encoder.describe`.
    """
    parts = description.get("members") or ([description["base"]] if "base" in description else [])
    if parts:
        return all(map(exif_of, parts))
    return description["preprocessing"].get("decode") == EXIF[True]


def identity(description):
    """Returns the part of an encoder's description that determines its vectors: dict.

    Two encoders give the same vectors if these dicts are equal. Args: description: dict from `Encoder.describe`.
    """
    if "members" in description:
        return {"kind": "joined", "members": [identity(member) for member in description["members"]]}
    if "base" in description:
        own = description["files"][0]["sha256"]
        # "neighbours" is the name of this kind in all stored runs, old and new.
        return {"kind": "neighbours", "files": [own], "dim": description["dim"], "base": identity(description["base"])}
    parts = encoder_names.parse(description["spec"])
    kind, tensor = parts.kind, parts.part if parts.kind in ("tflite", "scene", "compact") else ""
    name = parts.network if kind == "keras" else "rule" if parts.file == "rule" else ""
    if parts.is_code:
        kind, name = os.path.basename(kind), parts.argument
    files = sorted(entry["sha256"] for entry in description["files"])
    return {
        "kind": kind,
        "name": name,
        "tensor": tensor,
        "files": files,
        **{key: description[key] for key in ("dim", "cells", "image_size", "preprocessing")},
    }


# --------------------------------------------------------------------------------------------------------------
# Preparing photographs


class WholeImageEncoder(Encoder):
    """Base class of encoders that resize the whole image; random crops are windows of 85 to 100 % of each side."""

    def prepare_for(self, size, resize):
        """Sets how photographs are prepared; a subclass calls it in `__init__`.

        Args:
          size: S, in pixels.
          resize: "legacy": the bilinear resize of TensorFlow 1; "modern" or None: at pixel centres, antialiased.
        """
        self.image_size = int(size)
        self._mode = resize or "modern"
        self.preprocessing = {
            "centre": "whole image",
            "crops": f"windows of {WINDOW[0]:.0%} to {WINDOW[1]:.0%} of each side",
            "resize": self._mode,
            "resized_to": self.image_size,
        }

    def crops(self, image_HWC, k, seed):
        windows = [(0, 0, *image_HWC.shape[:2]), *random_windows(*image_HWC.shape[:2], k, seed)]
        return np.stack([self._resized(image_HWC[top:bottom, left:right]) for top, left, bottom, right in windows])

    def step_crop(self, image_HWC, draws):
        height, width = image_HWC.shape[:2]
        [(top, left, bottom, right)] = random_windows(height, width, 1, int(draws[0] * 2**53))
        return self._resized(image_HWC[top:bottom, left:right])

    def _resized(self, image_HWC):
        if image_HWC.shape[:2] == (self.image_size, self.image_size):
            return image_HWC
        resized = image_ops.resize(image_HWC[None].astype(np.float32), self.image_size, self._mode)[0]
        return np.clip(np.rint(resized.numpy()), 0, 255).astype(np.uint8)

    def crop_in_graph(self, image_HWC, resize=image_ops.resize):
        resized = resize(tf.cast(image_HWC[None], tf.float32), self.image_size, self._mode)[0]
        return tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)


def random_windows(height, width, k, seed):
    """Returns k random windows with 85 to 100 % of each side: list of (top, left, bottom, right), in pixels."""
    rng = np.random.default_rng(seed)
    windows = []
    for share_y, share_x, place_y, place_x in rng.random((k, 4)):
        low, high = WINDOW
        rows = max(1, round(height * (low + (high - low) * share_y)))
        columns = max(1, round(width * (low + (high - low) * share_x)))
        top, left = int(place_y * (height - rows + 1)), int(place_x * (width - columns + 1))
        windows.append((top, left, top + rows, left + columns))
    return windows
