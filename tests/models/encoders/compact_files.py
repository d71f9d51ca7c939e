"""Writes compact encoders with random weights."""

import numpy as np

from models.encoders import compact


def write(path):
    """Writes a compact encoder with random weights; returns the path as text."""
    rng, channels, kernels, biases = np.random.default_rng(1), 3, [], []
    for side, _, width in compact.LAYERS:
        kernels.append(rng.standard_normal((side, side, channels, width)) * 0.1)
        biases.append(rng.standard_normal(width))
        channels = width
    compact.save(str(path), kernels, biases, image_size=32, mean=0.5, scale=2.0)
    return str(path)
