"""EXIF orientation: photographs are turned as viewers turn them, or left as they are stored, by every reader."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from formats import images, sidecars
from tests.cases.turned import ORIENTATION, SHOWN, tag
from tests.preprocessing.picture_files import encoded, jpeg, pixels

LOSSLESS = {"PNG": {}, "WEBP": {"lossless": True}}


def block(kind, count, value=6):
    """An EXIF block whose orientation is of another TIFF type (1 byte, 2 text, 3 short, 4 long, …), or many values."""
    return b"Exif\0\0II*\0" + struct.pack("<IHHHIII", 8, 1, ORIENTATION, kind, count, value, 0)


@pytest.mark.parametrize("orientation", SHOWN)
def test_jpeg_in_all_orientations(orientation):
    data = jpeg(pixels(), exif=tag(orientation))
    stored = images.read_image(data, exif=False)
    np.testing.assert_array_equal(stored, images.read_image(jpeg(pixels())))
    np.testing.assert_array_equal(images.read_image(data), SHOWN[orientation](stored))
    assert images.is_turned(data) == (orientation != 1)
    assert images.jpeg_bytes(data) == images.jpeg_bytes(data, exif=False) == data


@pytest.mark.parametrize("orientation", SHOWN)
@pytest.mark.parametrize("kind", LOSSLESS)
def test_other_formats_in_all_orientations(kind, orientation):
    data = encoded(Image.fromarray(pixels()), kind, exif=tag(orientation), **LOSSLESS[kind])
    np.testing.assert_array_equal(images.read_image(data, exif=False), pixels())
    np.testing.assert_array_equal(images.read_image(data), SHOWN[orientation](pixels()))
    for exif in (True, False):  # what a record holds gives the same picture again
        kept, wanted = images.jpeg_bytes(data, exif), images.read_image(data, exif).astype(int)
        again = images.read_image(kept, exif)
        assert again.shape == wanted.shape and np.abs(again - wanted).mean() < 6


@pytest.mark.parametrize("orientation", SHOWN)
def test_tiff_in_all_orientations(orientation):
    """Pillow turns it when it loads it; without EXIF it is turned back."""
    data = encoded(Image.fromarray(pixels()), "TIFF", tiffinfo={ORIENTATION: orientation})
    np.testing.assert_array_equal(images.read_image(data), SHOWN[orientation](pixels()))
    np.testing.assert_array_equal(images.read_image(data, exif=False), pixels())
    assert images.is_turned(data) == (orientation != 1)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "1", "I;16"])
def test_pictures_of_every_mode_are_turned(mode):
    image = Image.fromarray(np.uint16([[0, 30000], [60000, 9000], [1, 65535]]))
    image = image if mode == "I;16" else Image.fromarray(pixels(6, 4)).convert(mode)
    data = encoded(image, "PNG", exif=tag(6))
    np.testing.assert_array_equal(images.read_image(data), SHOWN[6](images.read_image(data, exif=False)))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_a_checked_upload_holds_both(tmp_path, kind):
    path = tmp_path / "picture"
    path.write_bytes(encoded(Image.fromarray(pixels()), kind, exif=tag(6)))
    found = images.Decoded.read(str(path), 5)
    for exif in (True, False):
        np.testing.assert_array_equal(images.read_image(found, exif), images.read_image(path, exif))
    assert images.is_turned(found) and images.is_turned(path)


def test_a_damaged_block_leaves_the_picture_as_it_is_stored():
    """Whatever stands in the block: cut anywhere, each byte changed, values of other types, noise."""
    good = tag(6).tobytes()
    rng = np.random.default_rng(0)
    blocks = [good[:size] for size in range(len(good))]
    blocks += [good[:i] + bytes([value]) + good[i + 1 :] for i in range(len(good)) for value in (0, 1, 9, 127, 255)]
    blocks += [b"Exif\0\0" + rng.bytes(int(size)) for size in rng.integers(1, 200, 60)]
    blocks += [block(kind, count) for kind in range(14) for count in (0, 1, 2, 5, 2**32 - 1)]
    stored = images.read_image(jpeg(pixels()))
    shown = [SHOWN[orientation](stored) for orientation in SHOWN]
    for damaged in blocks:
        data = jpeg(pixels(), exif=damaged)
        found = images.read_image(data)
        assert any(np.array_equal(found, wanted) for wanted in shown)
        np.testing.assert_array_equal(images.read_image(data, exif=False), stored)
        assert images.is_turned(data) in (True, False)
    for value in (0, 9, 65535):
        np.testing.assert_array_equal(images.read_image(jpeg(pixels(), exif=tag(value))), stored)


def test_no_picture_is_not_turned(tmp_path):
    (tmp_path / "text.jpg").write_text("this is no picture")
    assert not images.is_turned(tmp_path / "text.jpg") and not images.is_turned(tmp_path / "absent.jpg")
    assert not images.is_turned(b"")


def test_what_sidecars_say_of_it(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    for exif in (True, False):
        path = str(tmp_path / f"{exif}.json")
        settings = {"shards": 1} | images.exif_note(exif)
        sidecars.write_sidecar(path, files=[tmp_path / "a.txt"], count=1, settings=settings, made_from={})
        assert images.exif_noted(path) == exif
    assert images.exif_note(False) == {}, "with --noexif a sidecar is that of an earlier version"
    assert not images.exif_noted(str(tmp_path / "absent.json"))


def test_the_original_bytes_keep_their_tag():
    with Image.open(io.BytesIO(images.jpeg_bytes(jpeg(pixels(), exif=tag(8))))) as image:
        assert image.getexif()[ORIENTATION] == 8
