"""Image files of every kind that a folder of photographs may hold, drawn on the spot."""

import io

import numpy as np
from PIL import Image


def pixels(height=24, width=32, seed=0):
    """A smooth coloured picture, uint8 [height, width, 3], so that JPEG keeps it nearly as it is."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(30, 226, (3, 4, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def jpeg(array, mode="RGB", **options):
    """The bytes of a JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(array).convert(mode).save(buffer, "JPEG", **{"quality": 95, **options})
    return buffer.getvalue()


def encoded(image, kind, **options):
    """The bytes of a PIL image in another format."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def write_pictures(folder, count, size=(24, 32)):
    """`count` JPEG files pic_0000.jpg, ... that all differ; returns their names."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"pic_{i:04d}.jpg" for i in range(count)]
    for i, name in enumerate(names):
        (folder / name).write_bytes(jpeg(pixels(*size, seed=i)))
    return names


def write_odd_files(folder):
    """A text file, an empty file and a truncated JPEG, a CMYK JPEG and an animated GIF; returns the broken names."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = jpeg(pixels())
    (folder / "text.jpg").write_text("this is no picture\n")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "truncated.jpg").write_bytes(whole[: len(whole) * 9 // 10])
    (folder / "cmyk.jpg").write_bytes(jpeg(pixels(), "CMYK"))
    frames = [Image.fromarray(pixels(seed=seed)) for seed in (1, 2)]
    (folder / "animated.gif").write_bytes(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    return ["empty.jpg", "text.jpg", "truncated.jpg"]
