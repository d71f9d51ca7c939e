"""Reading image files: every kind of picture, and every way of being none."""

import io
import pickle
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from formats import images
from tests.preprocessing.picture_files import encoded, jpeg, pixels, write_odd_files, write_pictures


def assert_near(ours, expected, tolerance=6):
    assert ours.shape == expected.shape and ours.dtype == np.uint8
    assert np.abs(ours.astype(int) - expected).mean() < tolerance


def test_plain_jpeg_is_decoded_as_the_reference_does():
    data = jpeg(pixels())
    np.testing.assert_array_equal(images.read_image(data), tf.io.decode_jpeg(data, channels=3))
    assert_near(images.read_image(data), pixels())


def test_greyscale_jpeg_has_three_equal_channels():
    data = jpeg(pixels(), "L")
    image = images.read_image(data)
    assert image.shape == (24, 32, 3) and np.ptp(image, axis=2).max() == 0
    assert images.jpeg_bytes(data) == data


def test_path_and_bytes_give_the_same(tmp_path):
    (name,) = write_pictures(tmp_path, 1)
    path = tmp_path / name
    np.testing.assert_array_equal(images.read_image(path), images.read_image(path.read_bytes()))
    np.testing.assert_array_equal(images.read_image(str(path)), images.read_image(path))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
def test_other_formats(kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(Image.fromarray(pixels()), kind, **options)
    np.testing.assert_array_equal(images.read_image(data), pixels())


def test_cmyk_jpeg():
    data = jpeg(pixels(), "CMYK")
    assert_near(images.read_image(data), pixels())
    kept = images.jpeg_bytes(data)
    assert kept != data and Image.open(io.BytesIO(kept)).mode == "RGB"
    assert_near(images.read_image(kept), pixels())


def test_16_bit_greyscale_png_is_scaled():
    levels = np.array([[0, 256 * 100 + 7, 65535]], np.uint16)
    image = images.read_image(encoded(Image.fromarray(levels), "PNG"))
    assert image.tolist() == [[[0] * 3, [100] * 3, [255] * 3]]


def test_float_picture_is_refused():
    data = encoded(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF")
    with pytest.raises(images.ImageError, match="32 bits"):
        images.read_image(data)


def test_transparent_parts_become_white():
    rgba = np.zeros((1, 2, 4), np.uint8)
    rgba[0, 1] = [200, 0, 0, 255]
    assert images.read_image(encoded(Image.fromarray(rgba), "PNG")).tolist() == [[[255] * 3, [200, 0, 0]]]
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 200, 0, 0])
    palette.putpixel((1, 0), 1)
    data = encoded(palette, "PNG", transparency=0)
    assert images.read_image(data).tolist() == [[[255] * 3, [200, 0, 0]]]


def test_transparent_pictures_are_laid_on_white_as_pillow_does():
    levels = np.random.default_rng(0).integers(0, 255, (2 * images.BAND + 3, 5, 4), dtype=np.uint8)
    image = Image.fromarray(levels)
    wanted = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    np.testing.assert_array_equal(images.read_image(encoded(image, "PNG")), wanted)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF"])
def test_a_decoded_file_has_the_same_pixels(tmp_path, kind):
    path = tmp_path / "picture"
    path.write_bytes(encoded(Image.fromarray(pixels(60, 80)), kind))
    found = images.Decoded.read(str(path), 5)
    assert found == str(path) and images.read_image(found) is found.pixels_HWC
    np.testing.assert_array_equal(found.pixels_HWC, images.read_image(path))
    with pytest.raises(images.ImageError, match="cannot be read"):
        images.Decoded.read(str(tmp_path / "absent"), 5)


def test_animation_gives_its_first_frame(tmp_path):
    write_odd_files(tmp_path)
    assert_near(images.read_image(tmp_path / "animated.gif"), pixels(seed=1), tolerance=16)


def test_jpeg_bytes_keep_the_file(tmp_path):
    (name,) = write_pictures(tmp_path, 1)
    assert images.jpeg_bytes(tmp_path / name) == (tmp_path / name).read_bytes()
    png = encoded(Image.fromarray(pixels()), "PNG")
    assert_near(images.read_image(images.jpeg_bytes(png)), pixels())


def test_broken_files_say_why(tmp_path):
    broken = write_odd_files(tmp_path)
    reasons = {"empty.jpg": "empty file", "text.jpg": "not an image", "truncated.jpg": "cut-short"}
    assert set(broken) == set(reasons)
    for name, reason in reasons.items():
        for function in (images.read_image, images.jpeg_bytes):
            with pytest.raises(images.ImageError, match=f"{name}: .*{reason}") as raised:
                function(tmp_path / name)
            assert raised.value.path == str(tmp_path / name) and reason in raised.value.reason
    with pytest.raises(images.ImageError, match="absent.jpg: cannot be read"):
        images.read_image(tmp_path / "absent.jpg")
    with pytest.raises(images.ImageError, match="cannot be read"):
        images.read_image(tmp_path)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "TIFF", "WEBP", "JPEG"])
def test_every_cut_is_an_image_error_or_a_picture(kind):
    """No cut of a file may end in another exception; most are refused."""
    data = encoded(Image.fromarray(pixels()), kind)
    refused = 0
    for size in np.linspace(1, len(data) - 1, 40).astype(int):
        try:
            assert images.read_image(data[:size]).dtype == np.uint8
        except images.ImageError:
            refused += 1
    assert refused >= 20


def test_decompression_bomb():
    """A file of a few bytes whose header announces 900 million pixels, and one of 121 million."""
    for side in (30_000, 11_000):
        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b"")]
        parts = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks]
        with pytest.raises(images.ImageError, match="pixels"):
            images.read_image(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def test_error_crosses_process_borders():
    error = pickle.loads(pickle.dumps(images.ImageError("a.jpg", "empty file")))
    assert (error.path, error.reason, str(error)) == ("a.jpg", "empty file", "a.jpg: empty file")


def test_image_names(tmp_path):
    write_pictures(tmp_path, 3)
    (tmp_path / ".hidden").write_text("")
    (tmp_path / "folder").mkdir()
    assert images.image_names(tmp_path) == ["pic_0000.jpg", "pic_0001.jpg", "pic_0002.jpg"]
