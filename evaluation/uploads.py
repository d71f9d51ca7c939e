"""Files from strangers: what is refused before a network sees it, and why, in words for the one who sent it."""

import os

from preprocessing.images import ImageError, read_image

MAX_BYTES = 10 << 20
MAX_PIXELS = 40_000_000  # 120 MB decoded
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")  # MPO, what phones write, comes with JPEG
READ_HERE = "JPEG, PNG, WebP, GIF, BMP or TIFF"


class Refused(Exception):
    """A file that is not captioned.

    Attributes:
      message: for the sender. status: the HTTP status that says the same.
    """

    def __init__(self, message, status):
        super().__init__(message)
        self.message, self.status = message, status


def check_size(count):
    """Raises Refused for a file of no bytes, or of too many."""
    if not count:
        raise Refused("The file is empty.", 422)
    if count > MAX_BYTES:
        raise Refused(f"The file has {count / 2**20:.1f} MB; at most {MAX_BYTES >> 20} MB are taken.", 413)


def check_file(path):
    """Looks at an uploaded file without decoding its pixels.

    Raises: Refused when it is empty or too large, no picture, one that moves or has pages, or when it unfolds to more
      than MAX_PIXELS (a decompression bomb).
    """
    from PIL import Image

    check_size(os.path.getsize(path))
    try:
        with Image.open(path, formats=FORMATS) as image:
            width, height = image.size
            frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)  # MPO: a phone's second view
            kind = image.format
    except Image.DecompressionBombError:
        raise _too_many_pixels("far too many") from None
    except Image.UnidentifiedImageError:
        raise Refused(f"This is not a picture that can be read here: expected {READ_HERE}.", 415) from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, OverflowError, MemoryError) as error:
        raise Refused(f"The picture is damaged ({_short(error)}).", 422) from error
    if width * height > MAX_PIXELS:
        raise _too_many_pixels(f"{width} x {height}")
    if frames > 1:
        raise Refused(f"This {kind} file holds {frames} pictures (an animation, or pages); send one of them.", 415)


def read_upload(path):
    """The pixels of an uploaded file: uint8 [H, W, 3]. Raises Refused."""
    check_file(path)
    try:
        return read_image(path)
    except ImageError as error:
        raise Refused(f"The picture cannot be read: {error.reason}.", 422) from error


def _too_many_pixels(found):
    return Refused(f"The picture has {found} pixels; at most {MAX_PIXELS // 10**6} million are taken.", 413)


def _short(error):
    return (str(error).splitlines() or [type(error).__name__])[0][:100]
