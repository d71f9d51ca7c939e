"""Checks uploaded files before a network reads them, with error messages for the sender."""

import collections
import contextlib
import os
import threading

from formats.images import Decoded, ImageError

MAX_BYTES = 10 << 20
MAX_PIXELS = 16_000_000  # encoders need 30 bytes a pixel, which must fit into 2 GiB with TensorFlow
MAX_SIDE = 20_000  # pixels
MAX_SCANS = 32  # scans of a progressive JPEG file, each of which decodes all pixels; 10 are usual
MAX_COST = 12 * MAX_PIXELS  # pixels times scans
MAX_SECONDS = 5  # processor time for decoding
COUNTED = 1 << 20  # bytes; frames are counted only in files up to this size
PREVIEW = 960  # pixels of the longer side of the copy that is drawn on
MAX_KEPT = 32  # uploads that are kept
CHECKS = threading.Semaphore(2)  # files checked at once: Pillow allocates the pixels of a WebP file when it opens it
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")  # JPEG includes MPO, which phones write
READ_HERE = "JPEG, PNG, WebP, GIF, BMP or TIFF"


class Refused(Exception):
    """Raised for a request or file that is refused.

    Attributes: message: text for the sender, what was found and expected. status: HTTP status (int), e.g. 413 or 422.
    """

    def __init__(self, message, status):
        super().__init__(message)
        self.message, self.status = message, status


def check_size(count):
    """Raises Refused if a file is empty or too large. Args: count: its number of bytes."""
    if not count:
        raise Refused("The file is empty.", 422)
    if count > MAX_BYTES:
        raise Refused(f"The file has {count / 2**20:.1f} MB; at most {MAX_BYTES >> 20} MB are accepted.", 413)


def check_file(path):
    """Checks an uploaded file without decoding its pixels; returns the cost of decoding (int): pixels times scans.

    Args: path: of the file. Raises: Refused when the file is empty, too large, damaged, not a picture, an animation or
      multi-page file, or when decoding costs too much: more than MAX_PIXELS, MAX_SIDE, MAX_SCANS or MAX_COST.
    """
    from PIL import Image

    try:
        check_size(os.path.getsize(path))
        with CHECKS, Image.open(path, formats=FORMATS) as image:
            width, height = image.size
            frames = _frames(image, path)
            kind, scans = image.format, _surplus_scans(image, path)
    except Image.DecompressionBombError:
        raise _too_many_pixels("far too many") from None
    except Image.UnidentifiedImageError:
        raise Refused(f"This is not a picture of a known format: expected {READ_HERE}.", 415) from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, OverflowError, MemoryError) as error:
        raise Refused(f"The picture is damaged ({_short(error)}).", 422) from error
    if width * height > MAX_PIXELS:
        raise _too_many_pixels(f"{width} x {height}")
    if max(width, height) > MAX_SIDE:
        raise Refused(f"The picture has {width} x {height} pixels; a side may have {MAX_SIDE}.", 413)
    if frames != 1:
        count = frames or "many"
        raise Refused(f"This {kind} file holds {count} pictures (an animation, or pages); send one of them.", 415)
    cost = width * height * max(scans, 1)
    if scans > MAX_SCANS or cost > MAX_COST:
        most = min(MAX_SCANS, MAX_COST // (width * height))
        raise Refused(f"This JPEG file holds {scans} scans; at most {most} are decoded for its size.", 413)
    return cost


def read_upload(path):
    """Decodes a file that `check_file` has accepted; returns formats.images.Decoded, its path with its pixels.

    Args: path: of the file. Raises: Refused if it is damaged, or takes more than MAX_SECONDS of processor time.
    """
    try:
        return Decoded.read(path, MAX_SECONDS)
    except ImageError as error:
        raise Refused(f"The picture cannot be read: {error.reason}.", 422) from error


def small_copy(image_HWC):
    """Returns a copy of a picture for drawing, in which only every n-th pixel is kept: uint8 [h, w, 3].

    n is such that the longer side has fewer than 2 * PREVIEW pixels. Args: image_HWC: uint8.
    """
    step = max(1, max(image_HWC.shape) // PREVIEW)
    return image_HWC[::step, ::step].copy()


class Register:
    """The paths of the files that the page may read: its examples and the latest uploads.

    Paths are compared as text, so the disk is not read for an unregistered path, and the answer does not reveal whether
    such a file exists.
    """

    def __init__(self, folder, most=MAX_KEPT):
        """Creates an empty register.

        Args: folder: where Gradio writes files. most: number of uploads that are kept; older ones are deleted.
        """
        self.folder, self.most = os.path.realpath(folder), most
        self._uploads, self._examples = collections.OrderedDict(), set()

    def add(self, path):
        """Registers the path (str) of an upload, and deletes the file of the oldest upload if there are too many."""
        self._uploads[path] = True
        self._uploads.move_to_end(path)
        while len(self._uploads) > self.most:
            oldest, _ = self._uploads.popitem(last=False)
            if oldest not in self._examples:
                with contextlib.suppress(OSError):
                    os.remove(oldest)

    def add_example(self, path):
        """Registers the path (str) of a copy of an example; the register never deletes this file."""
        self._examples.add(path)

    def check(self, path):
        """Raises Refused unless the page may read the file `path`; returns None.

        Allowed are registered paths whose file exists and lies, with links resolved, in `folder`, to which Gradio
        writes uploads. Args: path: value that a browser has sent, of any type.
        """
        known = isinstance(path, str) and (path in self._uploads or path in self._examples)
        if not (known and os.path.isfile(path) and os.path.realpath(path).startswith(self.folder + os.sep)):
            raise Refused("This picture is not, or no longer, among the uploads of this page; upload it again.", 422)


def _frames(image, path):
    """Returns the number of pictures in a file; 0 = several, in a file too large to count them.

    Args: image: PIL image, opened but not decoded. path: of the file.
    """
    if image.format == "MPO" or not getattr(image, "is_animated", False):  # MPO: a phone's second view
        return 1
    return image.n_frames if os.path.getsize(path) <= COUNTED else 0


def _surplus_scans(image, path):
    """Returns the number of JPEG scans that have to be decoded (int), 0 for other formats.

    In a TIFF file with JPEG data, one scan for each tile is usual; the result is then 1 plus the scans beyond these.

    Args: image: PIL image, opened but not decoded. path: of the file.
    """
    inside = image.format == "TIFF" and image.info.get("compression") == "jpeg"
    if image.format not in ("JPEG", "MPO") and not inside:
        return 0
    with open(path, "rb") as file:
        scans = file.read().count(b"\xff\xda")  # entropy-coded data has no such bytes
    return scans - len(image.tile) + 1 if inside else scans


def _too_many_pixels(found):
    """Returns the Refused for a picture with too many pixels. Args: found: their number as text."""
    return Refused(f"The picture has {found} pixels; at most {MAX_PIXELS // 10**6} million are accepted.", 413)


def _short(error):
    """Returns the first line of an exception's message, or its type without one, at most 100 characters."""
    return (str(error).splitlines() or [type(error).__name__])[0][:100]
