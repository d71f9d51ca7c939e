"""The tiny world with real pictures and a real, untrained encoder, for tests that caption files."""

import os

import numpy as np
from PIL import Image

from models import encoders
from models.encoders import compact
from tests import tiny_world

COLOURS = {3: (200, 40, 40), 4: (40, 200, 40), 5: (40, 40, 200)}  # one for each noun of the tiny world


def picture(noun, seed):
    """Returns a picture of a noun: noise around its colour."""
    rng = np.random.default_rng(seed)
    pixels = np.array(COLOURS[noun]) + rng.normal(0, 30, (48, 64, 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def write_encoder(path):
    """Writes an encoder of random convolutions."""
    rng, kernels, biases, channels = np.random.default_rng(0), [], [], 3
    for side, _, width in compact.LAYERS:
        kernels.append(rng.normal(0, (2 / (side * side * channels)) ** 0.5, (side, side, channels, width)))
        biases.append(np.zeros(width))
        channels = width
    compact.save(path, kernels, biases, mean=0.5, scale=2.0)


def make(folder, images=12, spec=None):
    """Makes a data folder as tiny_world does, with photographs in photos/ and an encoder's feature bank.

    Args: spec: name of the encoder; None for one of random convolutions in `folder`/encoder.npz.
    """
    tiny_world.make(folder, images=images)
    if spec is None:
        write_encoder(os.path.join(folder, "encoder.npz"))
    encoder = encoders.load_encoder(spec or f"compact:{folder}/encoder.npz")
    os.makedirs(os.path.join(folder, "photos"))
    for split, count in (("train", images), ("val", images // 2)):
        names = [f"{split}_{i:03d}.jpg" for i in range(count)]
        features = []
        for i, name in enumerate(names):
            picture(tiny_world.NOUNS[i % 3], i).save(os.path.join(folder, "photos", name))
            with Image.open(os.path.join(folder, "photos", name)) as image:
                features.append(encoder.encode(encoder.crops(np.asarray(image), 2, i)))
        tiny_world.write_features(folder, split, names, np.stack(features), encoder.describe())
    return folder
