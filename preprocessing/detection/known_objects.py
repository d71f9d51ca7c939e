"""Detectors without a network: they read objects from a file. Their interface is described in detectors.py.

annotations:FILE.jsonl   lines {"image": NAME, "objects": [{"name", "score", "box"}]}
hdf5:FILE.hdf5           the file `object.hdf5` that the authors' detect_objects writes: for each photograph a group
                         named like it, without `.jpg`, with the datasets detection_boxes [n, 4], detection_classes
                         [n] (from 1) and detection_scores [n]
"""

import os

import cli
from formats import label_maps, readers
from formats.images import ImageError
from formats.records import Detection
from preprocessing.detection import raw_detections
from preprocessing.detection.raw_detections import WHOLE_IMAGE

EXPECTED = '{"image": ..., "objects": [{"name": ..., "score": 0 to 1, "box": [ymin, xmin, ymax, xmax]}]}'
LISTS = ("objects", "detections")
OTHER_BOXES = (
    "bbox",
    "bndbox",
    "bounding_box",
    "boundingbox",
    "boxes",
    "segmentation",
)  # fields whose order of coordinates is unknown


class Annotations:
    """Detector that returns known objects, from a file of JSON lines.

    A photograph may have several lines, each with a list of objects or one object; all are used. A photograph without
    objects has a line with the list []; for one without a line `detect` raises ImageError.

    Args: part: detectors.Part with the path of the file. settings: not used.
    Raises: cli.UserError naming a line that cannot be read.
    """

    needs_pixels = False

    def __init__(self, part, settings):
        self.source, self._objects = part.source, read_objects(part.path)
        self.classes = sorted({name for objects in self._objects.values() for name, _, _ in objects})
        self._ids = {name: i for i, name in enumerate(self.classes)}
        self._path = part.path

    def detect(self, name, image_HWC=None):
        """Returns the known objects of one photograph, by descending score: list of Detection; uses only the name.

        Raises: ImageError if the file has no line for it.
        """
        if name not in self._objects:
            raise ImageError(name, f"has no line in {self._path}")
        objects = sorted(self._objects[name], key=lambda item: -item[1])
        return [Detection(self._ids[label], label, score, box, self.source) for label, score, box in objects]


def read_objects(path, with_boxes=False):
    """Reads a file of known objects; returns dict image name -> list of (class name, score, box).

    A score is in 0 to 1; it is 1 for an object without one. A box is (ymin, xmin, ymax, xmax) in 0 to 1.

    Args: with_boxes: whether every object must have a box; else the box of an object without one is the whole image.
    Raises: cli.UserError naming the line.
    """
    found = {}
    for place, value in readers.json_values(path, EXPECTED):
        try:
            image, objects = _annotations(value, with_boxes)
        except (TypeError, ValueError, OverflowError) as error:
            fault = f"{place} is {str(value)[:80]!r}" + (f" ({error})" if str(error) else "")
            raise readers.unreadable(path, fault, EXPECTED) from error
        known = found.setdefault(image, [])
        known += [item for item in objects if item not in known] if known else objects
    return found


def _annotations(value, with_boxes):
    """Returns (file name, list of (class name, score, box)) of a JSON value.

    Raises: ValueError, TypeError or OverflowError.
    """
    image = value.get("image", value.get("file_name", value.get("filename"))) if isinstance(value, dict) else None
    if not isinstance(image, str):
        raise ValueError("no file name under `image`")
    objects = next((value[key] for key in LISTS if key in value), None)
    if objects is None:
        objects = value  # a line with one object
    objects = objects if isinstance(objects, list) else [objects]
    return image, [_annotated(item, with_boxes) for item in objects]


def _annotated(item, with_boxes):
    """Returns (class name, score, box) of a JSON object.

    Raises: ValueError, TypeError: a field is missing or out of range.
    """
    if not isinstance(item, dict):
        raise ValueError(f"an object is {str(item)[:40]!r}")
    if strange := [key for key in OTHER_BOXES if key in item]:
        raise ValueError(f"{strange[0]!r}: expected boxes in the field `box`, in shares of the height and width")
    if with_boxes and "box" not in item:
        raise ValueError("an object has no box")
    name = next((item[key] for key in ("name", "label", "class", "class_name", "category") if key in item), None)
    score = float(item.get("score", item.get("confidence", 1.0)))
    box = tuple(float(side) for side in item.get("box", WHOLE_IMAGE))
    if not isinstance(name, str) or not name.strip():
        raise ValueError("an object has no name")
    if len(box) != 4 or not all(0.0 <= side <= 1.0 for side in box):  # also refuses NaN
        raise ValueError(f"the box {list(box)}")
    if box[0] > box[2] or box[1] > box[3]:
        raise ValueError(f"the box {list(box)} ends before it begins")
    if not 0.0 <= score <= 1.0:
        raise ValueError(f"the score {score:g}")
    return name, score, box


class DetectionFile:
    """Detector that returns the detections in the authors' HDF5 file (docs/detectors_encoders.md).

    The file has a group, which may be empty, for each photograph; for one without a group `detect` raises ImageError.

    Args: part: detectors.Part with the paths of the file and of the class names. settings: not used.
    Raises: cli.UserError if the file cannot be read or has no group.
    """

    needs_pixels = False
    FIELDS = ("detection_boxes", "detection_classes", "detection_scores")

    def __init__(self, part, settings):
        self.source, self._path = part.source, part.path
        self.classes = label_maps.from_one(label_maps.read_labels(part.labels))
        self._file, groups = readers.open_hdf5(part.path)
        self._groups = frozenset(groups)
        if not groups:
            raise cli.UserError(f"{part.path}: holds no detections, expected a group for each photograph")

    def detect(self, name, image_HWC=None):
        """Returns the stored detections of one photograph, by descending score: list of Detection; uses only the name.

        Raises: ImageError if the file has no group for it; cli.UserError if the group is damaged.
        """
        stem = os.path.splitext(name)[0]
        if stem not in self._groups:
            raise ImageError(name, f"has no group {stem} in {self._path}")
        expected = f"a group with {', '.join(self.FIELDS)}"
        boxes, numbers, scores = (
            readers.read_dataset(self._file, f"{stem}/{field}", self._path, expected) for field in self.FIELDS
        )
        if boxes.shape != (len(scores), 4) or numbers.shape != scores.shape:
            raise cli.UserError(
                f"{self._path}: the arrays of {stem} do not fit: boxes {list(boxes.shape)}, classes "
                f"{list(numbers.shape)}, scores {list(scores.shape)}"
            )
        found = raw_detections.named(self.source, self.classes, name, boxes, numbers, scores)
        return sorted(found, key=lambda item: -item.score)
