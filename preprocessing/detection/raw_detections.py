"""Checks the detections that a network gives for one photograph and adds class names."""

import numpy as np

import cli
from formats.label_names import is_placeholder
from formats.records import Detection

ROUNDING = 1e-3  # tolerance of scores outside 0 to 1 and of class numbers that are not integers
WHOLE_IMAGE = (0.0, 0.0, 1.0, 1.0)


def check_finite(source, name, *arrays):
    """Raises cli.UserError when an array of image `name` has a number that is not finite.

    Args: source: name of the detector.
    """
    if not all(np.isfinite(np.asarray(array, np.float64)).all() for array in arrays):
        raise cli.UserError(f"{source}: a box, class or score of {name} is not a finite number")


def check_scores(source, name, scores):
    """Raises cli.UserError when a score of image `name` is not in 0 to 1, e.g. if the wrong output was read.

    Args: source: name of the detector. scores: sequence of float.
    """
    if len(scores) and not -ROUNDING <= min(scores) <= max(scores) <= 1 + ROUNDING:
        raise cli.UserError(
            f"{source}: the scores of {name} are from {min(scores):g} to {max(scores):g}, expected 0 to 1; are they "
            "another output of the network?"
        )


def inside(box):
    """Returns a box clipped to the image: tuple (ymin, xmin, ymax, xmax), each in 0 to 1."""
    return tuple(np.clip(np.asarray(box, np.float32), 0.0, 1.0).tolist())


def named(source, labels, name, boxes, numbers, scores, first=0):
    """Returns the detections in a photograph as a list of `Detection`, in the given order.

    Detections whose label is a placeholder (the entry of a number that stands for no class) are left out.

    Args:
      source: name of the detector.
      labels: list of class names by number.
      name: file name of the photograph, for messages.
      boxes: float [n, 4], ymin, xmin, ymax, xmax in 0 to 1.
      numbers: float [n], class numbers.
      scores: float [n], in 0 to 1.
      first: offset added to the class numbers, so that they are indices of `labels`.

    Raises: cli.UserError when a number is not finite, a score is outside 0 to 1, or a class number is not an integer or
      has no name.
    """
    check_finite(source, name, boxes, numbers, scores)
    check_scores(source, name, scores)
    found = []
    for box, number, score in zip(boxes, numbers, scores, strict=True):
        class_id = int(round(float(number))) + first
        if abs(float(number) - round(float(number))) > ROUNDING:
            raise cli.UserError(f"{source}: class {number:g} was found in {name}, expected an integer")
        if not 0 <= class_id < len(labels):
            raise cli.UserError(
                f"{source}: class {class_id - first} was found in {name}, but there are only {len(labels)} labels; "
                "is it the right label file, with a line for each number that has no class?"
            )
        if not is_placeholder(labels[class_id]):
            score = min(max(float(score), 0.0), 1.0)
            found.append(Detection(class_id, labels[class_id], score, inside(box), source))
    return found
