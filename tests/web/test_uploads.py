"""Uploaded files are read, or refused with a clear message."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from web import uploads

RED = Image.new("RGB", (40, 30), (200, 30, 30))


def saved(path, image=RED, **options):
    image.save(path, **options)
    return path


def checked(path):
    """Returns the path after uploads.check_file."""
    uploads.check_file(str(path))
    return str(path)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(path, width, height):
    """Writes a PNG file of a few hundred bytes that declares width x height pixels; returns its path."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.gif", "a.bmp", "a.tif", "named_wrongly.jpg"])
def test_pictures_are_read(tmp_path, name):
    path = tmp_path / name
    saved(path, format="PNG" if name == "named_wrongly.jpg" else None)
    pixels = uploads.read_upload(checked(path)).pixels_HWC
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


def many_scans(tmp_path, count=40):
    """Writes a progressive JPEG file with its last scan repeated `count` times; returns its path."""
    buffer = io.BytesIO()
    RED.save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last = data.rfind(b"\xff\xda")
    (tmp_path / "scans.jpg").write_bytes(data[:-2] + data[last:-2] * count + data[-2:])
    return tmp_path / "scans.jpg"


def costly_scans(tmp_path):
    """Writes a JPEG file with fewer scans but more pixels; returns its path."""
    path = many_scans(tmp_path, 10)
    data = path.read_bytes()
    head, size = data.rfind(b"\xff\xc2"), struct.pack(">HH", 4000, 4000)
    path.write_bytes(data[: head + 5] + size + data[head + 9 :])
    return path


def many_frames(tmp_path):
    frames = [Image.fromarray(np.random.default_rng(i).integers(0, 255, (800, 800), dtype=np.uint8)) for i in range(4)]
    return saved(tmp_path / "long.gif", frames[0], save_all=True, append_images=frames[1:])


REFUSED = {
    "empty": (written("a.jpg", b""), 422, "The file is empty"),
    "text": (written("a.jpg", b"no picture at all"), 415, "not a picture of a known format: expected JPEG"),
    "page": (written("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"), 415, "not a picture"),
    "postscript": (written("a.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"), 415, "not a picture"),
    "large": (written("a.jpg", b"\xff\xd8" + b"\0" * uploads.MAX_BYTES), 413, "10.0 MB; at most 10 MB are accepted"),
    "animation": (animated, 415, "GIF file holds 3 pictures"),
    "pages": (pages, 415, "TIFF file holds 2 pictures"),
    "scans": (many_scans, 413, "scans; at most 32 are decoded for its size"),
    "costly scans": (costly_scans, 413, "holds 20 scans; at most 12 are decoded for its size"),
    "many frames": (many_frames, 415, "GIF file holds many pictures"),
    "long": (lambda folder: bomb(folder / "b.png", 20001, 1), 413, "20001 x 1 pixels; a side may have 20000"),
    "absent": (lambda folder: folder / "none.jpg", 422, "damaged"),
    "cut short": (cut_short, 422, "cannot be read: damaged"),
    "bomb": (lambda folder: bomb(folder / "b.png", 9000, 9000), 413, "9000 x 9000 pixels; at most 16 million"),
    "large bomb": (lambda folder: bomb(folder / "b.png", 60000, 60000), 413, "far too many pixels"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused(tmp_path, kind):
    make, status, message = REFUSED[kind]
    with pytest.raises(uploads.Refused) as found:
        uploads.read_upload(checked(make(tmp_path)))
    assert message in found.value.message and found.value.status == status


def test_a_phones_second_view_is_no_animation(tmp_path):
    path = saved(tmp_path / "phone.jpg", format="MPO", save_all=True, append_images=[RED])
    with Image.open(path) as image:
        assert image.format == "MPO" and image.n_frames == 2
    assert uploads.read_upload(checked(path)).pixels_HWC.shape == (30, 40, 3)


def test_usual_progressive_files_and_tiff_files_with_jpeg_data_are_read(tmp_path):
    """TIFF files of several tiles have one scan for each."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (2000, 300, 3), dtype=np.uint8))
    for name, options in [("a.jpg", {"progressive": True}), ("a.tif", {"compression": "jpeg"})]:
        path = saved(tmp_path / name, noise, **options)
        assert uploads.read_upload(checked(path)).pixels_HWC.shape == (2000, 300, 3)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.gif"])
def test_decoding_takes_a_limited_time(tmp_path, monkeypatch, name):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (700, 700), dtype=np.uint8))
    path = checked(saved(tmp_path / name, noise))
    uploads.read_upload(path)
    monkeypatch.setattr(uploads, "MAX_SECONDS", -1)
    with pytest.raises(uploads.Refused, match="takes too long"):
        uploads.read_upload(path)


def test_what_costs_more_to_decode_waits_longer(tmp_path):
    flat, scanned = saved(tmp_path / "a.jpg"), saved(tmp_path / "b.jpg", progressive=True)
    assert uploads.check_file(flat) == 1200 < uploads.check_file(scanned)
