"""Reads image files: returns the pixels of a file, or raises an error with the reason why it is not a picture.

Array suffixes: H height, W width, C 3 colour channels.
"""

import contextlib
import functools
import hashlib
import io
import os
import time
import unicodedata

import cli
from formats import file_names, folders, sidecars

MAX_PIXELS = 100_000_000  # 300 MB decoded; a small file that declares more is an attack or damaged
UPRIGHT = 1  # the EXIF orientation of a picture that is stored as viewers show it
BACK = {6: 8, 8: 6}  # orientations that undo others; all others undo themselves
BAND = 256  # rows of a transparent picture that are converted at once


class ImageError(Exception):
    """Raised for a file that cannot be used as a picture.

    Attributes:
      path: the file, or "" if its bytes were given.
      reason: why it cannot be used, in a few words.
    """

    def __init__(self, path, reason):
        super().__init__(f"{path}: {reason}" if path else reason)
        self.path, self.reason = path, reason

    def __reduce__(self):  # makes it picklable, for other processes
        return type(self), (self.path, self.reason)


def read_image(source, exif=True):
    """Returns the pixels of an image file.

    RGB and greyscale JPEG files are decoded by TensorFlow with its default method (the fast integer transform), as in
    the authors' program; all others by Pillow. Of an animation the first frame is read, transparent parts become white,
    16-bit greyscale is scaled to 8 bits.

    Args:
      source: path, the bytes of the file, or `Decoded`.
      exif: whether to turn the picture by its EXIF orientation, as image viewers do. False leaves it as it is stored,
        as the authors' program does.

    Returns:
      uint8 [H, W, 3].

    Raises:
      ImageError: the file is missing, empty, cut short, too large, or not a picture.
    """
    if not isinstance(source, Decoded):
        path, data = _read(source)
        pixels_HWC, orientation, _ = _decode(path, data)
        return _turned(pixels_HWC, orientation) if exif else pixels_HWC
    return source.turned_HWC if exif else source.pixels_HWC


def is_turned(source):
    """Returns whether an image file has an EXIF orientation that turns or mirrors it.

    Reads only the header; returns False for a file that cannot be read.

    Args: source: path, the bytes of the file, or `Decoded`.
    """
    from PIL import Image

    if isinstance(source, Decoded):
        return source.turned_HWC is not source.pixels_HWC
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            return _orientation(image) != UPRIGHT
    except Exception:  # Pillow raises many types for a damaged file; `read_image` reports it
        return False


EXIF_HELP = (
    "turn photographs by their EXIF orientation, as viewers do; --noexif: leave them as stored, as the authors do"
)


def exif_note(exif):
    """Returns the settings entry of a sidecar that records the use of the EXIF orientation; `exif_noted` reads it.

    Args: exif: whether photographs are turned by it.
    Returns: {"exif": True}, or {} for photographs as they are stored.
    """
    return {"exif": True} if exif else {}


def exif_noted(json_path):
    """Returns whether an output was made from photographs turned by their EXIF orientation, according to its sidecar.

    Outputs without this entry, or without a sidecar, come from an earlier version or from another program; both used
    the photographs as they are stored.

    Args: json_path: path of the sidecar. Raises: cli.UserError if it is damaged.
    """
    return os.path.exists(json_path) and sidecars.read_sidecar(json_path).get("settings", {}).get("exif") is True


class Decoded(str):
    """The path of an image file together with its pixels, which `read_image` returns without decoding the file again.

    Attributes:
      pixels_HWC: uint8 [H, W, 3], as stored.
      turned_HWC: uint8 [H, W, 3], turned by the EXIF orientation; the same array if nothing is to be turned.
    """

    @classmethod
    def read(cls, path, seconds):
        """Reads and decodes a file; returns `Decoded`.

        Args: seconds: limit of processor time for decoding.
        Raises: ImageError if the file cannot be used as a picture, or decoding takes longer.
        """
        from PIL import Image

        _, data = _read(path)
        with _errors_of(path), Image.open(_LimitedFile(data, seconds)) as image:
            _check_pixels(path, image)
            orientation = _orientation(image)
            if _is_plain_jpeg(image):  # TensorFlow has no time limit, so Pillow first decodes a reduced copy
                image.draft(None, (1, 1))
                image.load()
                pixels_HWC = _decode_jpeg(path, data)
            else:
                pixels_HWC = _as_stored(path, image, orientation)
        found = cls(path)
        found.pixels_HWC, found.turned_HWC = pixels_HWC, _turned(pixels_HWC, orientation)
        return found


class _LimitedFile(io.BytesIO):
    """A file in memory whose `read` raises OSError after `seconds` of this thread's processor time.

    Pillow reads in pieces while it decodes, so this limits the time of decoding.
    """

    def __init__(self, data, seconds):
        super().__init__(data)
        self.end = time.thread_time() + seconds

    def read(self, size=-1):
        """Returns the next `size` bytes, all for -1. Raises: OSError after the limit of processor time."""
        if time.thread_time() > self.end:
            raise OSError("decoding takes too long")
        return super().read(size)


def jpeg_bytes(source, exif=True):
    """Returns the bytes to store in a record: RGB and greyscale JPEG files unchanged, others as JPEG of quality 95.

    `read_image` of these bytes with the same `exif` returns the picture. The file is always decoded, to be sure that
    the record can be read.

    Args:
      source: path, the bytes of the file, or `Decoded`.
      exif: whether to turn a picture that is converted to JPEG by its EXIF orientation.

    Raises: ImageError if the file cannot be used as a picture.
    """
    from PIL import Image

    path, data = _read(source)
    pixels_HWC, orientation, plain = _decode(path, data)
    if plain:
        return data
    buffer = io.BytesIO()
    Image.fromarray(_turned(pixels_HWC, orientation) if exif else pixels_HWC).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def image_names(folder):
    """Returns the sorted list of the names of the files in a folder, without hidden files and subfolders.

    Raises: OSError if the folder cannot be read.
    """
    return look_into(folder)[0]


def look_into(folder):
    """Lists the files of a folder, without hidden files and subfolders.

    Returns: (names, note):
      names: sorted list of file names, including broken links, so that they are reported as files that cannot be read.
      note: text for the user that names the left out files and folders; "" if there are none.
    Raises: OSError if the folder cannot be read.
    """
    found = folders.walk(folder, lambda name: "", recursive=False)
    names = sorted(os.path.basename(path) for path in (*found.files, *found.broken))
    return names, folders.note(folder, found.left_out)


def locate(folder, name):
    """Returns the path of a photograph in a folder or in one of its direct subfolders (COCO unpacks into train2014, …).

    A name whose accents are decomposed (Unicode NFD), as macOS writes them, is found as well. If the photograph does
    not exist, the path in the folder itself is returned.

    Args: folder: folder of the photographs. name: file name.
    Raises: cli.UserError: two of the folders contain it.
    """
    path = os.path.join(folder, name)
    if os.path.lexists(path):
        return path
    spellings = dict.fromkeys([name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD"))])
    places = [folder, *_folders_in(os.fspath(folder), _time_of(folder))]
    found = [there for place in places for name in spellings if os.path.lexists(there := os.path.join(place, name))]
    if len(found) > 1:
        raise cli.UserError(f"{name} is there twice, {found[0]} and {found[1]}; expected one photograph of each name")
    return found[0] if found else path


def _time_of(folder):
    """Returns the time in ns when a file or folder was last changed; None if it does not exist."""
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return None


@functools.lru_cache(maxsize=4)
def _folders_in(folder, time):
    """Returns the sorted paths of the subfolders of a folder, without hidden ones (cached).

    Args: time: when the folder was last changed, so that the cache notices changes; None if it does not exist.
    """
    if time is None:
        return []
    return sorted(e.path for e in os.scandir(folder) if os.path.isdir(e.path) and not e.name.startswith("."))


def digest_of_sizes(names, sizes):
    """Returns the sha256 (hex) over file names and sizes, in the given order.

    Args: names: list of str. sizes: list of int, in bytes, one for each name.
    """
    digest = hashlib.sha256()
    for name, size in zip(names, sizes, strict=True):
        digest.update(file_names.to_bytes(f"{name}\t{size}\n"))
    return digest.hexdigest()


def _read(source):
    """Returns (path, bytes) of a picture that is given as a path or as bytes; the path of bytes is "".

    Raises: ImageError if the file cannot be read or is empty.
    """
    if isinstance(source, bytes):
        path, data = "", source
    else:
        path = os.fspath(source)
        try:
            with open(path, "rb") as file:
                data = file.read()
        except (OSError, ValueError) as error:  # ValueError: no file can have such a name
            raise ImageError(path, f"cannot be read ({getattr(error, 'strerror', error)})") from error
    if not data:
        raise ImageError(path, "empty file")
    return path, data


def _decode(path, data):
    """Decodes the bytes of an image file; `path` is for messages. Raises: ImageError.

    Returns: (pixels as stored: uint8 [H, W, 3], EXIF orientation 1 to 8, whether it is a plain JPEG file).
    """
    from PIL import Image

    with _errors_of(path), Image.open(io.BytesIO(data)) as image:
        _check_pixels(path, image)
        plain, orientation = _is_plain_jpeg(image), _orientation(image)
        pixels_HWC = _decode_jpeg(path, data) if plain else _as_stored(path, image, orientation)
        return pixels_HWC, orientation, plain


def _as_stored(path, image, orientation):
    """Returns the pixels of a Pillow image as they are stored in the file: uint8 [H, W, 3].

    Pillow turns the pixels of a TIFF file when it loads them, and then reports the orientation as upright; this undoes
    it.

    Args: orientation: EXIF orientation, read before the pixels are loaded.
    """
    pixels_HWC = _to_rgb(path, image)
    return _turned(pixels_HWC, BACK.get(orientation, orientation)) if image.format == "TIFF" else pixels_HWC


def _orientation(image):
    """Returns the EXIF orientation of a Pillow image, 1 to 8; UPRIGHT (1) when it is missing or cannot be read."""
    from PIL import ExifTags

    try:
        found = image.getexif().get(ExifTags.Base.Orientation, UPRIGHT)
    except Exception:  # a damaged EXIF block raises many types; the picture is still good
        return UPRIGHT
    return found if isinstance(found, int) and 1 <= found <= 8 else UPRIGHT


def _turned(pixels_HWC, orientation):
    """Returns pixels uint8 [H, W, 3] turned by an EXIF orientation; the same array if the orientation is UPRIGHT."""
    import numpy as np
    from PIL import ExifTags, Image, ImageOps

    if orientation == UPRIGHT:
        return pixels_HWC
    image = Image.fromarray(pixels_HWC)
    image.getexif()[ExifTags.Base.Orientation] = orientation
    return np.asarray(ImageOps.exif_transpose(image))


def _is_plain_jpeg(image):
    """Returns whether a Pillow image is an RGB or greyscale JPEG file, which is decoded by TensorFlow, not by Pillow.

    Returns True for MPO too, which phones write: a JPEG file followed by a second picture.
    """
    return image.format in ("JPEG", "MPO") and image.mode in ("RGB", "L")


def _check_pixels(path, image):
    """Raises ImageError if a Pillow image has more than MAX_PIXELS pixels."""
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(path, f"{image.width} x {image.height} pixels, at most {MAX_PIXELS} are read")


@contextlib.contextmanager
def _errors_of(path):
    """Context manager: converts the exceptions that Pillow raises for damaged files to ImageError.

    Args: path: for messages.
    """
    from PIL import Image

    try:
        yield
    except Image.UnidentifiedImageError as error:
        raise ImageError(path, "not an image file") from error
    except Image.DecompressionBombError as error:
        raise ImageError(path, f"too many pixels, at most {MAX_PIXELS} are read") from error
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, OverflowError, MemoryError) as error:
        raise ImageError(path, f"damaged ({str(error) or type(error).__name__})") from error


def _decode_jpeg(path, data):
    """Returns the pixels of an RGB or greyscale JPEG file, decoded by TensorFlow: uint8 [H, W, 3].

    Args: path: for the message. data: bytes of the file. Raises: ImageError.
    """
    import tensorflow as tf

    try:
        with tf.device("CPU:0"):
            return tf.io.decode_jpeg(data, channels=3).numpy()
    except tf.errors.OpError as error:
        raise ImageError(path, "damaged or cut-short JPEG file") from error


def _to_rgb(path, image):
    """Returns the pixels of a Pillow image: uint8 [H, W, 3].

    Raises: ImageError for 32-bit pixels, whose range is unknown.
    """
    import numpy as np

    if image.mode.startswith("I;16"):
        grey = (np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("I", "F"):
        raise ImageError(path, f"pixels of 32 bits (mode {image.mode}), whose range is unknown; convert it to 8 bits")
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        return _on_white(image)
    return np.asarray(image.convert("RGB"))


def _on_white(image):
    """Returns a transparent Pillow image on a white background: uint8 [H, W, 3].

    It is converted in bands of BAND rows, which takes a third of the memory.
    """
    import numpy as np
    from PIL import Image

    image.load()
    pixels_HWC = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, BAND):
        band = image.crop((0, top, image.width, min(top + BAND, image.height))).convert("RGBA")
        white = Image.new("RGBA", band.size, "white")
        pixels_HWC[top : top + BAND] = np.asarray(Image.alpha_composite(white, band).convert("RGB"))
    return pixels_HWC
