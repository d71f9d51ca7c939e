"""Object detectors behind one function: photographs -> classes, scores, boxes.

    FILE.tflite or tflite:FILE[#labels=FILE]   an SSD network with the detection post-processing inside
    classifier:FILE[#labels=FILE]              a .tflite classifier: its likeliest classes, as objects without boxes
    annotations:FILE                           objects that are known already, JSON lines with the fields
                                               image, objects: [{name, score, box: [ymin, xmin, ymax, xmax]}, ...]

Several are joined by `+`. Each detection keeps its source; class numbers of later detectors follow on those of the
earlier ones, so a number means one class of one detector.
TensorFlow is imported when the first network is loaded.
"""

import dataclasses
import functools
import json
import os

import numpy as np

import config
from preprocessing import datasets, sidecars
from preprocessing.images import ImageError
from preprocessing.records import Detection

PLACEHOLDERS = ("???", "background")  # lines of label files that stand for no class
WHOLE_IMAGE = (0.0, 0.0, 1.0, 1.0)


@dataclasses.dataclass(frozen=True)
class Part:
    """One detector of a specification.

    Attributes:
      kind: "tflite", "classifier" or "annotations". path: its file. labels: path of its class names, or None.
      sha256, labels_sha256: of the two files.
    """

    kind: str
    path: str
    labels: str | None
    sha256: str
    labels_sha256: str | None

    @property
    def source(self):
        return f"{self.kind}:{os.path.basename(self.path)}"

    def identity(self):
        """What decides about its detections (JSON-able)."""
        return {"source": self.source, "sha256": self.sha256, "labels_sha256": self.labels_sha256}


def parse(spec, labels=None):
    """The parts of a specification; needs no TensorFlow.

    Args:
      spec: see the top of this file.
      labels: class names for networks whose part names none.

    Raises:
      config.UserError: unknown kind or absent file.
    """
    parts = []
    for text in filter(None, spec.split("+")):
        kind, _, argument = text.partition(":")
        if kind not in KINDS and text.partition("#")[0].endswith(".tflite"):
            kind, argument = "tflite", text
        path, _, own_labels = argument.partition("#labels=")
        if kind not in KINDS or not path:
            raise config.UserError(
                f"--detector {text!r}: expected FILE.tflite, or one of {', '.join(f'{name}:FILE' for name in KINDS)}"
            )
        names = None if kind == "annotations" else own_labels or labels
        if not names and kind != "annotations":
            raise config.UserError(f"--detector {text!r}: give its class names by --labels FILE or #labels=FILE")
        for file in filter(None, (path, names)):
            if not os.path.isfile(file):
                raise config.UserError(f"--detector {text!r}: {file} is no file")
        digests = [sidecars.fingerprint(file)["sha256"] if file else None for file in (path, names)]
        parts.append(Part(kind, path, names, *digests))
    if not parts:
        raise config.UserError("--detector: expected FILE.tflite, tflite:FILE, classifier:FILE or annotations:FILE")
    return tuple(parts)


def read_labels(path):
    """The lines of a label file; an empty line between others counts, like the placeholder `???`."""
    labels = []
    for number, line in datasets.text_lines(path):
        labels += [PLACEHOLDERS[0]] * (number - 1 - len(labels)) + [line.strip()]
    if not labels:
        raise config.UserError(f"{path}: no class names, expected one a line")
    return labels


# --------------------------------------------------------------------------------------------------------------
# The kinds


class TFLiteDetector:
    """An SSD network that ends in boxes [1, N, 4], classes [1, N], scores [1, N] and a count [1].

    The name of class c is line c of the label file, or line c + 1 if its first line is a placeholder.
    """

    needs_pixels = True

    def __init__(self, part, settings):
        from models.tflite import TFLiteModel

        self.source, self.classes = part.source, read_labels(part.labels)
        self._first = 1 if self.classes[0] in PLACEHOLDERS else 0
        self._model = _load(TFLiteModel, part.path)
        shapes = [[int(side) for side in output["shape"]] for output in self._model.outputs]
        if len(shapes) != 4 or len(shapes[0]) != 3 or shapes[0][2] != 4 or not shapes[0][1] == shapes[1][1]:
            raise config.UserError(
                f"{part.path}: its outputs have shapes {shapes}, expected boxes [1, N, 4], classes [1, N], "
                "scores [1, N], count [1]; a classifier is given as classifier:FILE"
            )

    def detect(self, name, image_HWC):
        """Detections of one photograph, uint8 [H, W, 3], by falling score."""
        self._model.run(_resized(image_HWC, self._model.image_size))
        boxes, classes, scores, count = (self._model.read(output) for output in self._model.outputs)
        count = int(count.reshape(-1)[0]) if count.ndim else int(count)
        found = []
        for box, number, score in zip(boxes[:count], classes[:count], scores[:count], strict=True):
            if not np.isfinite([*box, number, score]).all():
                raise config.UserError(f"{self.source}: a box, class or score of {name} is not a finite number")
            class_id = int(round(float(number))) + self._first
            if not 0 <= class_id < len(self.classes):
                raise config.UserError(
                    f"{self.source}: class {class_id - self._first} was found in {name}, but there are only "
                    f"{len(self.classes)} labels; is it the right label file?"
                )
            if self.classes[class_id] not in PLACEHOLDERS:
                box = tuple(np.clip(box, 0.0, 1.0).tolist())
                found.append(Detection(class_id, self.classes[class_id], float(score), box, self.source))
        return found


class TFLiteClassifier:
    """A classifier as a detector without boxes: its likeliest classes, at least `classifier_threshold` sure.

    Of a label with synonyms ("tench, Tinca tinca") the first one is the name.
    """

    needs_pixels = True

    def __init__(self, part, settings):
        from models.tflite import TFLiteModel

        self.source = part.source
        self.classes = [label.partition(",")[0].strip() for label in read_labels(part.labels)]
        self._threshold, self._top = settings["classifier_threshold"], settings["classifier_top"]
        self._model = _load(TFLiteModel, part.path)
        shape = [int(side) for side in self._model.outputs[0]["shape"]]
        if np.prod(shape) != len(self.classes):
            raise config.UserError(
                f"{part.path}: its output has shape {shape}, but {part.labels} has {len(self.classes)} class names"
            )

    def detect(self, name, image_HWC):
        """Classes of one photograph, uint8 [H, W, 3], by falling score; the box is the whole image."""
        self._model.run(_resized(image_HWC, self._model.image_size))
        scores = self._model.read(self._model.outputs[0]).reshape(-1)
        if not np.isfinite(scores).all():
            raise config.UserError(f"{self.source}: a score of {name} is not a finite number")
        scores = _probabilities(scores)
        order = np.argsort(-scores, kind="stable")[: self._top]
        return [
            Detection(int(class_id), self.classes[class_id], float(scores[class_id]), WHOLE_IMAGE, self.source)
            for class_id in order
            if scores[class_id] >= self._threshold and self.classes[class_id] not in PLACEHOLDERS
        ]


class Annotations:
    """Objects that are known already; a photograph without a line is an error, one without objects has `[]`."""

    needs_pixels = False

    def __init__(self, part, settings):
        self.source, self._objects = part.source, {}
        for number, line in datasets.text_lines(part.path):
            try:
                value = json.loads(line)
                objects = [_annotated(item) for item in value["objects"]]
                self._objects[value["image"]] = objects
            except (json.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
                raise config.UserError(
                    f'{part.path}: line {number} is {line[:80]!r}, expected {{"image": ..., "objects": '
                    '[{"name": ..., "score": 0 to 1, "box": [ymin, xmin, ymax, xmax]}]}'
                ) from error
        self.classes = sorted({name for objects in self._objects.values() for name, _, _ in objects})
        self._ids = {name: i for i, name in enumerate(self.classes)}
        self._path = part.path

    def detect(self, name, image_HWC=None):
        """The known objects of one photograph, by falling score."""
        if name not in self._objects:
            raise ImageError(name, f"has no line in {self._path}")
        objects = sorted(self._objects[name], key=lambda item: -item[1])
        return [Detection(self._ids[label], label, score, box, self.source) for label, score, box in objects]


def _annotated(item):
    """(name, score, box) of one annotated object; ValueError when a number is missing or out of range."""
    name, score = item["name"], float(item.get("score", 1.0))
    box = tuple(float(side) for side in item.get("box", WHOLE_IMAGE))
    if not isinstance(name, str) or not name.strip() or len(box) != 4:
        raise ValueError
    if not all(0.0 <= value <= 1.0 for value in (score, *box)):  # also refuses NaN
        raise ValueError
    return name, score, box


KINDS = {"tflite": TFLiteDetector, "classifier": TFLiteClassifier, "annotations": Annotations}


def _load(model_class, path):
    try:
        return model_class(path)
    except ValueError as error:
        raise config.UserError(str(error)) from error


def _resized(image_HWC, size):
    from PIL import Image

    if image_HWC.shape[:2] == (size, size):
        return image_HWC
    return np.asarray(Image.fromarray(image_HWC).resize((size, size), Image.Resampling.BILINEAR))


def _probabilities(scores):
    """Scores as they are when they are probabilities; their softmax when one lies outside 0 to 1."""
    if scores.min() >= 0.0 and scores.max() <= 1.0:
        return scores
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()


# --------------------------------------------------------------------------------------------------------------
# Several as one


class Detectors:
    """All parts of a specification as one detector.

    Args:
      parts: from `parse`.
      settings: dict with "classifier_threshold" and "classifier_top".
    """

    def __init__(self, parts, settings):
        self.members = [KINDS[part.kind](part, settings) for part in parts]
        self.needs_pixels = any(member.needs_pixels for member in self.members)
        sizes = [len(member.classes) for member in self.members]
        self.first_ids = [sum(sizes[:i]) for i in range(len(sizes))]

    def detect(self, name, image_HWC=None):
        """Detections of one photograph, detector by detector.

        Args:
          name: file name, for messages and for annotations.
          image_HWC: uint8 [H, W, 3]; may be None when no member needs pixels.

        Returns:
          list of `records.Detection`.
        """
        return [
            dataclasses.replace(detection, class_id=first + detection.class_id)
            for member, first in zip(self.members, self.first_ids, strict=True)
            for detection in member.detect(name, image_HWC)
        ]

    def describe(self):
        """Per detector: its source, its first class number and its class names (JSON-able)."""
        return [
            {"source": member.source, "first_class_id": first, "class_names": member.classes}
            for member, first in zip(self.members, self.first_ids, strict=True)
        ]


@functools.cache
def load(parts, classifier_threshold, classifier_top):
    """The detector of a specification, loaded once in a process."""
    return Detectors(parts, {"classifier_threshold": classifier_threshold, "classifier_top": classifier_top})
