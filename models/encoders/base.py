"""What every encoder is: how it prepares a photograph, what it consists of, when two of them are the same.

The kinds are in models/encoders/kinds.py; encoders of your own (docs/extending.md) start from these classes as well.

Shape suffixes: B batch, S side in pixels, D feature; cells is the number of grid cells (None for a pooled vector).
"""

import functools
import os

import numpy as np

from formats import encoder_names
from formats.sidecars import fingerprint
from models.encoders import image_ops

EXIF = {True: "EXIF orientation applied", False: "EXIF orientation not applied"}  # what descriptions say
WINDOW = (0.85, 1.0)  # share of each side that a random window keeps


def as_banked(vectors):
    """Vectors as a feature bank holds them: rounded to float16, as float32; what float16 cannot hold is infinite."""
    with np.errstate(over="ignore"):
        return np.asarray(vectors, np.float32).astype(np.float16).astype(np.float32)


def _banked(encode):
    """An `encode` whose vectors are as a feature bank holds them."""

    @functools.wraps(encode)
    def encode_as_banked(self, batch_BSSC):
        return as_banked(encode(self, batch_BSSC))

    return encode_as_banked


class Encoder:
    """What all encoders share.

    `encode` of every subclass hands out vectors as a feature bank holds them, so that a photograph that is captioned
    from its file gives the very vector that the captioner was trained and scored on.

    Attributes:
      spec: as given. dim: D. cells: number of grid cells or None. image_size: S.
      preprocessing: dict, how a photograph is prepared. files: paths of the files that it consists of.
      exif: whether photographs are turned by their EXIF orientation before `crops` gets them (formats.images).
    """

    cells = None
    files = ()
    exif = True

    def __init_subclass__(cls, **arguments):
        super().__init_subclass__(**arguments)
        if "encode" in vars(cls):
            cls.encode = _banked(cls.encode)

    def crops(self, image_HWC, k, seed):
        """Prepares one photograph.

        Args:
          image_HWC: uint8 [H, W, 3].
          k: number of random crops beside the centre.
          seed: int made from the image's name, so that the result depends on the input alone.

        Returns:
          [1 + k, S, S, 3]; index 0 is the centre crop or whole image.
        """
        raise NotImplementedError

    def encode(self, batch_BSSC):
        """Features of prepared pictures: [B, S, S, 3] -> float32 [B, D] or [B, cells, D], in float16's precision."""
        raise NotImplementedError

    def describe(self):
        """What this encoder is, for sidecars and run directories (JSON-able)."""
        return {
            "spec": self.spec,
            "dim": self.dim,
            "cells": self.cells,
            "image_size": self.image_size,
            "preprocessing": self.preprocessing | {"decode": EXIF[self.exif]},
            "files": [fingerprint(path) for path in self.files],
        }


def exif_of(description):
    """Whether the photographs of a described encoder are turned by their EXIF orientation."""
    parts = description.get("members") or ([description["base"]] if "base" in description else [])
    if parts:
        return all(map(exif_of, parts))
    return description["preprocessing"].get("decode") == EXIF[True]


def identity(description):
    """The part of a description that decides about the features: two encoders with the same one are the same."""
    if "members" in description:
        return {"kind": "joined", "members": [identity(member) for member in description["members"]]}
    if "base" in description:
        own = description["files"][0]["sha256"]
        # "neighbours" is this kind's name in the facts of runs since the first of them.
        return {"kind": "neighbours", "files": [own], "dim": description["dim"], "base": identity(description["base"])}
    parts = encoder_names.parse(description["spec"])
    kind, tensor = parts.kind, parts.part if parts.kind in ("tflite", "compact") else ""
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
    """Takes the whole image, resized; random crops are windows of 85 to 100 % of each side, resized."""

    def prepare_for(self, size, resize):
        """States how photographs are prepared; called once, in `__init__`. Args: size: S. resize: as `load_encoder`."""
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

    def _resized(self, image_HWC):
        if image_HWC.shape[:2] == (self.image_size, self.image_size):
            return image_HWC
        resized = image_ops.resize(image_HWC[None].astype(np.float32), self.image_size, self._mode)[0]
        return np.clip(np.rint(resized.numpy()), 0, 255).astype(np.uint8)


def random_windows(height, width, k, seed):
    """k windows (top, left, bottom, right) that keep 85 to 100 % of each side, at random places."""
    rng = np.random.default_rng(seed)
    windows = []
    for share_y, share_x, place_y, place_x in rng.random((k, 4)):
        low, high = WINDOW
        rows = max(1, round(height * (low + (high - low) * share_y)))
        columns = max(1, round(width * (low + (high - low) * share_x)))
        top, left = int(place_y * (height - rows + 1)), int(place_x * (width - columns + 1))
        windows.append((top, left, top + rows, left + columns))
    return windows
