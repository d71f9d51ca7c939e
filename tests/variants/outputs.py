"""Outputs of TensorFlow Lite detectors in every order, with names and without, and what is refused."""

import itertools

import numpy as np

from preprocessing.detection import detectors
from tests.variants import Variant

OUTPUTS = ("boxes", "classes", "scores", "count")
LABELS = "".join(f"{number}: thing {number}x\n" for number in range(20)).encode()
FILES = {"labels.txt": LABELS, "ssd.tflite": b""}  # the network is made when it is read
WRONG = {
    "scores above 1": {"scores": (16.0, 0.5, 0.0)},
    "negative scores": {"scores": (0.9, -0.5, 0.0)},
    "classes that are not whole": {"classes": (16.5, 0, 0)},
    "a class without a name": {"classes": (77, 0, 0)},
    "a count above N": {"count": 9.0},
    "a negative count": {"count": -1.0},
    "boxes of another shape": {"shapes": {"boxes": [1, 12]}},
    "two counts": {"shapes": {"scores": [1, 3, 1]}},
}


def _detects(order, named, **changes):
    """A function of a folder that makes the network there and detects with it."""

    def read(folder):
        from pathlib import Path

        from tests.preprocessing.detection import detection_networks

        path = detection_networks.tflite(Path(folder) / "ssd.tflite", order, named=named, **changes)
        detector = detectors.load(detectors.parse(path, f"{folder}/labels.txt"), 0.1, 3)
        found = detector.detect("a.jpg", np.zeros((64, 64, 3), np.uint8))
        return [(item.class_name, round(item.score, 4)) for item in found]

    return read


def outputs(count, seed):
    """Six orders for each outfit, with names in the signature and without."""
    right = [("thing 16x", 0.9), ("thing 0x", 0.8)]
    orders = list(itertools.permutations(OUTPUTS))
    found = []
    for k in range(min(6 * count, len(orders))):
        order = orders[(7 * k) % len(orders)]
        for named in (True, False):
            name = f"{', '.join(order)}{' named' if named else ''}"
            found.append(Variant(name, FILES, _detects(order, named), right))
    for name, changes in WRONG.items():
        for named in (True, False):
            read = _detects(orders[len(found) % len(orders)], named, **changes)
            found.append(Variant(f"{name}{' named' if named else ''}", FILES, read, None, ("ssd.tflite",)))
    return found
