"""Reading one image file, whatever it is: a picture, or the reason why it is none."""

import contextlib
import functools
import hashlib
import io
import os
import time
import unicodedata

import cli
from formats import file_names, folders, sidecars

MAX_PIXELS = 100_000_000  # 300 MB decoded; a small file that claims more is an attack or an accident
UPRIGHT = 1  # the EXIF orientation of a picture that is stored as it is shown
BAND = 256  # rows of a transparent picture that are converted at once


class ImageError(Exception):
    """A file that cannot be used as a picture.

    Attributes:
      path: the file, or "" for bytes. reason: why, in a few words.
    """

    def __init__(self, path, reason):
        super().__init__(f"{path}: {reason}" if path else reason)
        self.path, self.reason = path, reason

    def __reduce__(self):  # so that it crosses process borders
        return type(self), (self.path, self.reason)


def read_image(source, exif=True):
    """The pixels of an image file.

    RGB and greyscale JPEG files are decoded by TensorFlow's default (the fast integer transform), as the reference
    does; all others by Pillow. An animation gives its first frame, transparent parts become white, 16-bit greyscale is
    scaled to 8 bits.

    Args:
      source: path, the bytes of the file, or `Decoded`.
      exif: turn the picture as its EXIF orientation says, as viewers do; False leaves it as it is stored, as the
        reference does (TIFF files, which the reference does not read, are turned in any case).

    Returns:
      uint8 [H, W, 3].

    Raises:
      ImageError: the file is absent, empty, cut short, too large, or no picture.
    """
    if not isinstance(source, Decoded):
        path, data = _read(source)
        pixels_HWC, orientation, _ = _decode(path, data)
        return _turned(pixels_HWC, orientation) if exif else pixels_HWC
    return source.turned_HWC if exif else source.pixels_HWC


def is_turned(source):
    """Whether viewers show an image file otherwise than it is stored. Its header alone is read; False for no picture.

    Args: source: as `read_image` takes it.
    """
    from PIL import Image

    if isinstance(source, Decoded):
        return source.turned_HWC is not source.pixels_HWC
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            return image.format != "TIFF" and _orientation(image) != UPRIGHT
    except Exception:  # whatever Pillow raises for a broken file, which `read_image` will name
        return False


EXIF_HELP = (
    "turn photographs as their EXIF orientation says, as viewers do; --noexif: as they are stored, as the authors"
)


def exif_note(exif):
    """The note in a sidecar's settings: {"exif": True}, or {} for photographs as they are stored (see `exif_noted`)."""
    return {"exif": True} if exif else {}


def exif_noted(json_path):
    """Whether the photographs of an output were turned by their EXIF orientation: what its sidecar's settings say.

    Outputs without such a note, made by an earlier version or by others, were made of the pictures as they are stored.
    """
    return os.path.exists(json_path) and sidecars.read_sidecar(json_path).get("settings", {}).get("exif") is True


class Decoded(str):
    """The path of an image file with its pixels, for what takes a path: `read_image` gives them again.

    Attributes: pixels_HWC: uint8, as they are stored. turned_HWC: the same as viewers show it.
    """

    @classmethod
    def read(cls, path, seconds):
        """Decodes a file. Args: seconds: of computing, after which it is given up. Raises ImageError."""
        from PIL import Image

        _, data = _read(path)
        with _errors_of(path), Image.open(_LimitedFile(data, seconds)) as image:
            _check_pixels(path, image)
            if _is_plain_jpeg(image):  # TensorFlow cannot be stopped: Pillow first reads all, and makes little of it
                image.draft(None, (1, 1))
                image.load()
                pixels_HWC = _decode_jpeg(path, data)
            else:
                pixels_HWC = _to_rgb(path, image)
            orientation = _orientation(image)
        found = cls(path)
        found.pixels_HWC, found.turned_HWC = pixels_HWC, _turned(pixels_HWC, orientation)
        return found


class _LimitedFile(io.BytesIO):
    """Bytes that can be read for some seconds of computing of this thread; Pillow reads while it decodes."""

    def __init__(self, data, seconds):
        super().__init__(data)
        self.end = time.thread_time() + seconds

    def read(self, size=-1):
        if time.thread_time() > self.end:
            raise OSError("decoding takes too long")
        return super().read(size)


def jpeg_bytes(source, exif=True):
    """The bytes to keep in a record: RGB and greyscale JPEG files unchanged, others as JPEG of quality 95.

    `read_image` of these bytes with the same `exif` gives the picture. Decodes the file in any case, so what is in a
    record can be read. Arguments and exceptions as for `read_image`.
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
    """The names of all files in a folder, sorted; hidden ones and folders are left out.

    Links that lead nowhere are among them, so that they are named like other files that cannot be read.
    """
    return look_into(folder)[0]


def look_into(folder):
    """(the names of all files in a folder, sorted; a note that names what is left out, "" for nothing)."""
    found = folders.walk(folder, lambda name: "", recursive=False)
    names = sorted(os.path.basename(path) for path in (*found.files, *found.broken))
    return names, folders.note(folder, found.left_out)


def locate(folder, name):
    """The path of a photograph in a folder, or in one of the folders inside it: COCO unpacks into train2014, val2014.

    A name that is written with its accents as letters of their own, as macOS does, is found as well.

    Returns: the path; that in the folder itself where it is nowhere.
    Raises: cli.UserError: it is in two of the folders.
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
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return None


@functools.lru_cache(maxsize=4)
def _folders_in(folder, time):
    """The folders inside of a folder. Args: time: when it was changed, so that it is looked into again."""
    if time is None:
        return []
    return sorted(e.path for e in os.scandir(folder) if os.path.isdir(e.path) and not e.name.startswith("."))


def digest_of_sizes(names, sizes):
    """sha256 (hex) over names and byte counts in order."""
    digest = hashlib.sha256()
    for name, size in zip(names, sizes, strict=True):
        digest.update(file_names.to_bytes(f"{name}\t{size}\n"))
    return digest.hexdigest()


def _read(source):
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
    """(uint8 [H, W, 3] as it is stored, EXIF orientation, whether the data is a plain JPEG file)."""
    from PIL import Image

    with _errors_of(path), Image.open(io.BytesIO(data)) as image:
        _check_pixels(path, image)
        plain = _is_plain_jpeg(image)
        pixels_HWC = _decode_jpeg(path, data) if plain else _to_rgb(path, image)
        return pixels_HWC, _orientation(image), plain


def _orientation(image):
    """The EXIF orientation of an open picture, 1 to 8; UPRIGHT where there is none, or none that can be read.

    Of a TIFF file Pillow turns the pixels when it loads them, and then says that they are upright.
    """
    from PIL import ExifTags

    try:
        found = image.getexif().get(ExifTags.Base.Orientation, UPRIGHT)
    except Exception:  # a damaged block raises whatever its bytes lead to; the picture is good all the same
        return UPRIGHT
    return found if isinstance(found, int) and 1 <= found <= 8 else UPRIGHT


def _turned(pixels_HWC, orientation):
    """A picture as viewers show it; the very array where it is stored upright."""
    import numpy as np
    from PIL import ExifTags, Image, ImageOps

    if orientation == UPRIGHT:
        return pixels_HWC
    image = Image.fromarray(pixels_HWC)
    image.getexif()[ExifTags.Base.Orientation] = orientation
    return np.asarray(ImageOps.exif_transpose(image))


def _is_plain_jpeg(image):
    """Whether TensorFlow decodes it. MPO is what phones write for JPEG files with a second picture behind the first."""
    return image.format in ("JPEG", "MPO") and image.mode in ("RGB", "L")


def _check_pixels(path, image):
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(path, f"{image.width} x {image.height} pixels, at most {MAX_PIXELS} are read")


@contextlib.contextmanager
def _errors_of(path):
    """Makes an ImageError of what Pillow raises for broken files, depending on the format."""
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
    import tensorflow as tf

    try:
        with tf.device("CPU:0"):
            return tf.io.decode_jpeg(data, channels=3).numpy()
    except tf.errors.OpError as error:
        raise ImageError(path, "damaged or cut-short JPEG file") from error


def _to_rgb(path, image):
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
    """A transparent picture on white: uint8 [H, W, 3]. By bands of rows, which takes a third of the memory."""
    import numpy as np
    from PIL import Image

    image.load()
    pixels_HWC = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, BAND):
        band = image.crop((0, top, image.width, min(top + BAND, image.height))).convert("RGBA")
        white = Image.new("RGBA", band.size, "white")
        pixels_HWC[top : top + BAND] = np.asarray(Image.alpha_composite(white, band).convert("RGB"))
    return pixels_HWC
