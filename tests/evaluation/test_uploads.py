"""Uploads: what strangers send is refused with a clear message, or read."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from evaluation import uploads

RED = Image.new("RGB", (40, 30), (200, 30, 30))


def saved(path, image=RED, **options):
    image.save(path, **options)
    return path


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(path, width, height):
    """A PNG file of a few hundred bytes that claims width x height pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.gif", "a.bmp", "a.tif", "named_wrongly.jpg"])
def test_pictures_are_read(tmp_path, name):
    path = tmp_path / name
    saved(path, format="PNG" if name == "named_wrongly.jpg" else None)
    pixels = uploads.read_upload(str(path))
    assert pixels.shape == (30, 40, 3) and pixels.dtype == np.uint8
    assert np.abs(pixels.mean((0, 1)) - (200, 30, 30)).max() < 6


def animated(tmp_path):
    frames = [Image.new("RGB", (40, 30), (i * 80, 0, 0)) for i in range(3)]
    return saved(tmp_path / "moving.gif", frames[0], save_all=True, append_images=frames[1:])


def pages(tmp_path):
    return saved(tmp_path / "pages.tif", save_all=True, append_images=[RED.transpose(Image.Transpose.ROTATE_90)])


def cut_short(tmp_path):
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, "PNG")
    (tmp_path / "cut.png").write_bytes(buffer.getvalue()[:2000])
    return tmp_path / "cut.png"


def written(name, data):
    def make(tmp_path):
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return make


REFUSED = {
    "empty": (written("a.jpg", b""), 422, "The file is empty"),
    "text": (written("a.jpg", b"no picture at all"), 415, "not a picture that can be read here: expected JPEG"),
    "page": (written("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"), 415, "not a picture"),
    "postscript": (written("a.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"), 415, "not a picture"),
    "large": (written("a.jpg", b"\xff\xd8" + b"\0" * uploads.MAX_BYTES), 413, "10.0 MB; at most 10 MB are taken"),
    "animation": (animated, 415, "GIF file holds 3 pictures"),
    "pages": (pages, 415, "TIFF file holds 2 pictures"),
    "cut short": (cut_short, 422, "cannot be read: damaged"),
    "bomb": (lambda folder: bomb(folder / "b.png", 9000, 9000), 413, "9000 x 9000 pixels; at most 40 million"),
    "large bomb": (lambda folder: bomb(folder / "b.png", 60000, 60000), 413, "far too many pixels"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused(tmp_path, kind):
    make, status, message = REFUSED[kind]
    with pytest.raises(uploads.Refused) as found:
        uploads.read_upload(str(make(tmp_path)))
    assert message in found.value.message and found.value.status == status


def test_a_phones_second_view_is_no_animation(tmp_path):
    path = saved(tmp_path / "phone.jpg", format="MPO", save_all=True, append_images=[RED])
    with Image.open(path) as image:
        assert image.format == "MPO" and image.n_frames == 2
    assert uploads.read_upload(str(path)).shape == (30, 40, 3)
