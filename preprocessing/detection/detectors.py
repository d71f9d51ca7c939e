"""Object detectors with one interface: photographs -> classes, scores, boxes.

    FILE.tflite or tflite:FILE      an SSD network with the detection post-processing inside
    yolo:FILE                       a YOLO network in TensorFlow Lite, see yolo.py
    classifier:FILE                 a .tflite classifier: its most probable classes, as objects without boxes
    scene:FILE                      the same for a network whose float input has pixels of 0 to 255 (Places365)
    frozen:FILE.pb                  a frozen graph of TensorFlow 1's object-detection zoo (the authors' detector)
    saved_model:FOLDER              a SavedModel of the object-detection zoo, or one with the Open Images signature
    hub:HANDLE                      the same from TensorFlow Hub; `hub:google/faster_rcnn/openimages_v4/
                                    inception_resnet_v2/1`, or a complete address
    annotations:FILE                known objects, JSON lines with the fields
                                    image, objects: [{name, score, box: [ymin, xmin, ymax, xmax]}, ...]
    hdf5:FILE                       objects detected by the authors' program (their `object.hdf5`)
    FILE.py:ARGUMENT                your own detector, see extensions.py

Class names are read from `--labels FILE`, or from FILE in `KIND:PATH#labels=FILE` (see label_maps.py); annotations and
networks with the Open Images signature have their own. Several detectors are joined by `+`. Each detection records the
name of its detector. If there are several, the class numbers of each begin after those of the one before it, so that a
number stands for one class of one detector.

A detector is a class with
    __init__(part, settings)    part: Part; settings: dict with "classifier_threshold", "classifier_top" and "tiles"
    source                      its name, stored with each detection
    classes                     list of class names by number; None if its output has them
    needs_pixels                whether `detect` needs the pixels and not only the file name
    detect(name, image_HWC)     returns a list of records.Detection for the image uint8 [H, W, 3] with this file name
and, if it detects the objects of several images faster together,
    group                       the largest number of images for `detect_group`
    detect_group(names, images) returns a list with the result of `detect` for each image
"""

import dataclasses
import functools
import os
import re

import cli
import extensions
from formats import paths, sidecars
from preprocessing.detection import detector_networks, known_objects, yolo
from preprocessing.detection.detector_networks import CLASS_NUMBERS

KINDS = {
    "tflite": detector_networks.TFLiteDetector,
    "yolo": yolo.YoloDetector,
    "classifier": detector_networks.TFLiteClassifier,
    "scene": detector_networks.TFLiteSceneClassifier,
    "frozen": detector_networks.FrozenGraphDetector,
    "saved_model": detector_networks.SavedModelDetector,
    "hub": detector_networks.SavedModelDetector,
    "annotations": known_objects.Annotations,
    "hdf5": known_objects.DetectionFile,
}
BEGINS = re.compile(
    rf"(?:{'|'.join(KINDS)}):|[^+:]+\.py:|[^+]+\.tflite(?:$|[+#])"
)  # the beginning of a detector's name
DATA_ONLY = (
    "tflite",
    "yolo",
    "classifier",
    "scene",
    "annotations",
    "hdf5",
)  # all other kinds are programs, see extensions.py
NAMED_BY_THEMSELVES = ("annotations", "saved_model", "hub")  # kinds for which no class names need to be given
ON_GRAPHICS_CARDS = ("frozen", "saved_model", "hub")


@dataclasses.dataclass(frozen=True)
class Part:
    """One of the detectors that `--detector` names.

    Attributes:
      kind: one of KINDS, or the path of a Python file.
      path: its file, folder or address; for a Python file the text after the colon.
      labels: path of its class names, or None.
      sha256: sha256 of its file or folder; None for an address, which identifies a network by its version.
      labels_sha256: sha256 of `labels`, or None.
    """

    kind: str
    path: str
    labels: str | None
    sha256: str | None
    labels_sha256: str | None

    @property
    def source(self):
        """Returns the name of the detector that is stored with its detections: KIND:NAME, without folders."""
        if extensions.is_file(self.kind):
            return f"{os.path.basename(self.kind)}:{self.path}"
        name = self.path if self.kind == "hub" else os.path.basename(os.path.normpath(self.path))
        return f"{self.kind}:{name}"

    def identity(self):
        """Returns what determines the detections, a dict for JSON: {"source", "sha256", "labels_sha256"}."""
        return {"source": self.source, "sha256": self.sha256, "labels_sha256": self.labels_sha256}


def _kind_of(text):
    """Returns (kind, argument) of one detector's name; kind is "tflite" for a name that is only a file."""
    kind, _, argument = text.partition(":")
    if kind not in KINDS and _path_and_labels(text)[0].endswith(".tflite"):
        return "tflite", text
    return kind, argument


def _path_and_labels(argument):
    """Splits PATH#labels=FILE into (path, path of the class names or "")."""
    path, mark, labels = argument.rpartition("#labels=")
    return (path, labels) if mark else (argument, "")


def _split(spec):
    """Splits a value of --detector at each `+` between detectors, not in paths; returns a list of str."""
    return paths.split(spec, "+", _is_there, BEGINS.match)


def _is_there(text):
    """Returns whether the files that one detector's name contains exist."""
    kind, argument = _kind_of(text)
    if extensions.is_file(kind):
        return os.path.isfile(kind) and "+" not in argument
    return kind in KINDS and all(map(os.path.exists, filter(None, _path_and_labels(argument))))


def programs_in(spec):
    """Returns the list of the detectors (str) in a value of --detector that run code or are of an unknown kind.

    A stored file may not name these.
    """
    return [text for text in _split(spec) if _kind_of(text)[0] not in DATA_ONLY]


def parse(spec, labels=None):
    """Parses the value of `--detector`; returns a tuple of Part. Does not need TensorFlow.

    Args:
      spec: the value: one detector or several joined by +, see the docstring of the module.
      labels: file of class names for detectors whose name does not include one; None without such a file.

    Raises:
      cli.UserError: no detector, an unknown kind, a missing file, or no class names where they are needed.
    """
    parts = []
    for text in _split(spec):
        kind, argument = _kind_of(text)
        if extensions.is_file(kind):
            parts.append(Part(kind, argument, labels, _digest(text, kind, kind), _digest(text, "labels", labels)))
            continue
        path, own_labels = _path_and_labels(argument)
        if kind not in KINDS or not path:
            raise cli.UserError(
                f"--detector {text!r}: expected FILE.tflite, or one of {', '.join(f'{name}:PATH' for name in KINDS)}"
            )
        names = None if kind == "annotations" else own_labels or labels
        if not names and kind not in NAMED_BY_THEMSELVES:
            raise cli.UserError(f"--detector {text!r}: give its class names by --labels FILE or #labels=FILE")
        path = _address(path) if kind == "hub" else path
        parts.append(Part(kind, path, names, _digest(text, kind, path), _digest(text, "labels", names)))
    if not parts:
        raise cli.UserError(
            "--detector: expected FILE.tflite, hub:HANDLE, annotations:FILE or another kind, see --help"
        )
    return tuple(parts)


def _address(handle):
    """Returns the complete address of a handle of TensorFlow Hub. Raises: cli.UserError if it is not a handle."""
    if "://" not in handle and ("/" not in handle.strip("/") or os.path.exists(handle)):
        raise cli.UserError(
            f"--detector hub:{handle}: expected hub:PUBLISHER/NAME/VERSION or an address; folders: saved_model:FOLDER"
        )
    return handle if "://" in handle else f"https://tfhub.dev/{handle.strip('/')}"


def _digest(text, kind, path):
    """Returns the sha256 (hex) of a file or folder; None for an address or for `path` None.

    Args: text: name of the detector, for messages. kind: kind of the detector, or "labels". Raises: cli.UserError.
    """
    if path is None or kind == "hub":
        return None
    if kind != "saved_model":
        if not os.path.isfile(path):
            raise cli.UserError(f"--detector {text!r}: {path} is not a file")
        return sidecars.fingerprint(path)["sha256"]
    if not any(os.path.isfile(os.path.join(path, name)) for name in ("saved_model.pb", "saved_model.pbtxt")):
        raise cli.UserError(f"--detector {text!r}: {path} is not a folder with a saved_model.pb")
    return sidecars.folder_digest(path)


# --------------------------------------------------------------------------------------------------------------
# Several as one


class Detectors:
    """Several detectors as one: `detect` returns the detections of all, with distinct class numbers.

    Args:
      parts: sequence of Part, from `parse`.
      settings: dict with "classifier_threshold", "classifier_top" and "tiles".

    Attributes:
      members: list of the detectors.
      needs_pixels: whether one of them needs the pixels of a photograph.
      group: largest number of photographs for `detect_together`.
      first_ids: list of the first class number of each.
    """

    def __init__(self, parts, settings):
        self.members = [_class_of(part.kind)(part, settings) for part in parts]
        self.needs_pixels = any(member.needs_pixels for member in self.members)
        self.group = max(getattr(member, "group", 1) for member in self.members)
        sizes = [CLASS_NUMBERS if member.classes is None else len(member.classes) for member in self.members]
        self.first_ids = [sum(sizes[:i]) for i in range(len(sizes))]

    def detect_together(self, names, images):
        """Returns what the detectors that take several photographs at once find, for `detect`.

        Args: names: file names, at most `group`. images: list of uint8 [H, W, 3].
        Returns: list with one dict for each photograph: index in `members` -> list of records.Detection.
        Raises: cli.UserError if the output of a network is not valid.
        """
        found = [{} for _ in names]
        for index, member in enumerate(self.members if names else ()):
            if getattr(member, "group", 1) > 1:
                for one, several in zip(found, member.detect_group(names, images), strict=True):
                    one[index] = several
        return found

    def detect(self, name, image_HWC=None, known=None):
        """Returns the detections of one photograph, detector by detector: list of records.Detection.

        Args:
          name: file name, for messages and for annotations.
          image_HWC: uint8 [H, W, 3]; may be None if no detector needs pixels.
          known: dict of this photograph from `detect_together`; these detectors are not run again. None: all are run.

        Raises: ImageError if known objects are read from a file and it has none for this photograph; cli.UserError if
          the output of a network is not valid.
        """
        known = known or {}
        return [
            dataclasses.replace(detection, class_id=first + detection.class_id)
            for index, (member, first) in enumerate(zip(self.members, self.first_ids, strict=True))
            for detection in (known[index] if index in known else member.detect(name, image_HWC))
        ]

    def describe(self):
        """Returns a list with a dict for each detector, for the sidecar.

        Its keys are "source", "first_class_id" and "class_names" (None if the network's output names the classes).
        """
        return [
            {"source": member.source, "first_class_id": first, "class_names": member.classes}
            for member, first in zip(self.members, self.first_ids, strict=True)
        ]


def _class_of(kind):
    """Returns the Python class of a kind of detector.

    Args: kind: one of KINDS, or the path of a Python file (extensions.py).
    Raises: cli.UserError if the Python file has no class `Detector`.
    """
    if not extensions.is_file(kind):
        return KINDS[kind]
    try:
        return extensions.load(kind, "Detector")
    except ValueError as error:
        raise cli.UserError(f"--detector {kind}: {error}") from error


@functools.cache
def load(parts, classifier_threshold, classifier_top, tiles=1):
    """Returns the `Detectors` of a tuple of Part; cached, so that each process loads them once.

    Args:
      classifier_threshold: minimum probability of a classifier's class.
      classifier_top: largest number of a classifier's classes for one photograph.
      tiles: photographs in a row and in a column of the picture that a YOLO network reads.

    Raises: cli.UserError if a detector or its labels cannot be loaded.
    """
    settings = {"classifier_threshold": classifier_threshold, "classifier_top": classifier_top, "tiles": tiles}
    return Detectors(parts, settings)
