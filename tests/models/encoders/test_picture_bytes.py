"""Pictures that are read inside a graph have the pixels that formats.images reads."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from formats.images import read_image
from models.encoders import picture_bytes
from tests.cases import turned

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (13, 17, 3)).astype(np.uint8)
SPEC = tf.TensorSpec([], tf.string)
AS_SHOWN = tf.function(lambda data: picture_bytes.decode(data, True), input_signature=[SPEC])
AS_STORED = tf.function(lambda data: picture_bytes.decode(data, False), input_signature=[SPEC])


def saved(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pictures():
    opacity = np.arange(17 * 13, dtype=np.uint8).reshape(13, 17, 1)
    colour, transparent = Image.fromarray(PIXELS), Image.fromarray(np.concatenate([PIXELS, opacity], 2))
    deep = Image.fromarray(RNG.integers(0, 65536, (13, 17)).astype(np.uint16))
    yield "JPEG", saved(colour, "JPEG", quality=80)
    yield "grey JPEG", saved(colour.convert("L"), "JPEG")
    yield "progressive JPEG", saved(colour, "JPEG", progressive=True, subsampling=2)
    yield "JPEG in 4:4:4", saved(colour, "JPEG", subsampling=0)
    yield "PNG", saved(colour, "PNG")
    yield "grey PNG", saved(colour.convert("L"), "PNG")
    yield "PNG of 16 bits", saved(deep, "PNG")
    yield "transparent PNG", saved(transparent, "PNG")
    yield "transparent grey PNG", saved(transparent.convert("LA"), "PNG")
    yield "palette PNG", saved(colour.quantize(16), "PNG")
    yield "palette PNG with a transparent colour", saved(colour.quantize(16), "PNG", transparency=3)
    yield "PNG with a transparent colour", saved(colour, "PNG", transparency=tuple(map(int, PIXELS[0, 0])))
    yield "black and white PNG", saved(colour.convert("1"), "PNG")
    yield "small palette PNG", saved(colour.quantize(3), "PNG")
    yield "PNG with opacities of a palette", saved(transparent.quantize(16), "PNG")
    yield "BMP", saved(colour, "BMP")
    yield "GIF", saved(colour.quantize(16), "GIF")


@pytest.mark.parametrize("data", [data for _, data in pictures()], ids=[name for name, _ in pictures()])
def test_formats(data):
    np.testing.assert_array_equal(AS_SHOWN(data), read_image(data))


@pytest.mark.parametrize("orientation", turned.SHOWN)
def test_orientations(orientation):
    data = turned.file_bytes(PIXELS, orientation, "JPEG")
    np.testing.assert_array_equal(AS_SHOWN(data), read_image(data))
    np.testing.assert_array_equal(AS_STORED(data), read_image(data, exif=False))


def test_orientation_of_either_order_of_bytes_after_other_blocks():
    for order, block in (("little", b"II*\0\x08\0\0\0"), ("big", b"MM\0*\0\0\0\x08")):
        other = (0x10F).to_bytes(2, order) + (2).to_bytes(2, order) + bytes(8)  # a text of length 0
        entry = (0x112).to_bytes(2, order) + (3).to_bytes(2, order) + (1).to_bytes(4, order)
        entry += (6).to_bytes(2, order) + bytes(2)
        block = b"Exif\0\0" + block + (2).to_bytes(2, order) + other + entry + bytes(4)
        segment = b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block
        plain = saved(Image.fromarray(PIXELS), "JPEG")
        data = plain[:20] + segment + plain[20:]  # after the JFIF segment
        np.testing.assert_array_equal(AS_SHOWN(data), read_image(data))
        assert AS_SHOWN(data).shape == (17, 13, 3)


def test_damaged_exif_blocks_change_nothing():
    whole = turned.file_bytes(PIXELS, 6, "JPEG")
    start, orientation = whole.index(b"Exif"), tf.function(picture_bytes.orientation, input_signature=[SPEC])
    for place in range(start - 4, start + 40):
        damaged = whole[:place] + b"\xff" + whole[place + 1 :]
        assert 1 <= int(orientation(damaged)) <= 8
    for length in range(0, start + 40):
        assert int(orientation(whole[:length])) in (1, 6)
    assert int(orientation(b"")) == 1 and int(orientation(whole)) == 6
