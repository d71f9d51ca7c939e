"""Photographs as phones write them: stored on their side, with the EXIF orientation that says how to show them."""

import io

import numpy as np
from PIL import Image

ORIENTATION = 0x0112  # the number of the EXIF tag
# What a viewer does with the stored rows and columns (EXIF 2.32, 4.6.4: where row 0 and column 0 belong).
SHOWN = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
    8: lambda p: np.rot90(p, 1),
}


def tag(orientation):
    """An EXIF block with an orientation."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def stored(shown_HWC, orientation):
    """The pixels that a file with this orientation stores, for a picture that is shown as `shown_HWC`."""
    return SHOWN[{6: 8, 8: 6}.get(orientation, orientation)](shown_HWC)


def file_bytes(shown_HWC, orientation, kind="PNG"):
    """The bytes of a file with this orientation that viewers show as `shown_HWC`."""
    buffer = io.BytesIO()
    options = {"quality": 95} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
    Image.fromarray(stored(shown_HWC, orientation)).save(buffer, kind, exif=tag(orientation), **options)
    return buffer.getvalue()
