"""Detectors that are networks, in the formats in which object detectors are published.

Their interface is described in detectors.py. TensorFlow is imported when a network is loaded, tensorflow-hub only for
networks of TensorFlow Hub.
"""

import contextlib
import os

import numpy as np

import cli
from formats import label_maps
from formats.label_names import is_placeholder
from formats.records import Detection
from preprocessing.detection import raw_detections, tflite_outputs
from preprocessing.detection.raw_detections import WHOLE_IMAGE
from preprocessing.sharding import shards

# --------------------------------------------------------------------------------------------------------------
# TensorFlow Lite


class TFLiteDetector:
    """An SSD network in TensorFlow Lite with the outputs boxes [1, N, 4], classes [1, N], scores [1, N], count [1].

    The outputs may be in any order. The name of class c (from 0) is entry c of the label file, or entry c + 1 if the
    first entry is a placeholder.

    Args: part: detectors.Part with the paths of the network and of the class names. settings: not used.
    Raises: cli.UserError if the file is not such a network, or the labels do not fit its number of classes.
    """

    needs_pixels = True

    def __init__(self, part, settings):
        from models.encoders.tflite import TFLiteModel

        self.source, self._path = part.source, part.path
        self._model = load(TFLiteModel, part.path)
        self._outputs, count = tflite_outputs.outputs_of(self._model)
        labels = label_maps.read_labels(part.labels)
        self.classes, self.note = label_maps.for_detector(labels, (count,) if count else (), part.labels)
        self._first = 1 if is_placeholder(self.classes[0]) else 0

    def detect(self, name, image_HWC):
        """Returns the detections in a photograph, uint8 [H, W, 3], in the network's order: list of Detection.

        Raises: cli.UserError if a number in the output is not finite, or a class has no name.
        """
        self._model.run(resized(image_HWC, self._model.image_size))
        boxes, numbers, scores, count = (self._model.read(self._outputs[role]) for role in tflite_outputs.ROLES)
        count = tflite_outputs.count_of(count, len(scores), self._path)
        arrays = boxes[:count], numbers[:count], scores[:count]
        return raw_detections.named(self.source, self.classes, name, *arrays, first=self._first)


class TFLiteClassifier:
    """A classifier as a detector without boxes: it returns the most probable classes of a photograph.

    Of a label with synonyms ("tench, Tinca tinca") the first one is the class name. Outputs that are not all in 0 to 1
    become probabilities by softmax.

    Args:
      part: detectors.Part with the paths of the network and of the class names.
      settings: dict with "classifier_top", the largest number of classes, and "classifier_threshold", their minimum
        probability.

    Raises: cli.UserError if the network cannot be read, or the labels do not fit its number of classes.
    """

    needs_pixels = True
    pixels = "-1 to 1"  # range of the pixels if the network's input is float

    def __init__(self, part, settings):
        from models.encoders.tflite import TFLiteModel

        self.source = part.source
        self._threshold, self._top = settings["classifier_threshold"], settings["classifier_top"]
        self._model = load(lambda path: TFLiteModel(path, pixels=self.pixels), part.path)
        shape = [int(side) for side in self._model.outputs[0]["shape"]]
        labels, self.note = label_maps.for_classifier(
            label_maps.read_labels(part.labels), int(np.prod(shape)), part.labels
        )
        self.classes = [label.partition(",")[0].strip() for label in labels]

    def detect(self, name, image_HWC):
        """Returns the classes of a photograph, uint8 [H, W, 3], by descending probability: list of Detection.

        The box of each is the whole image. Raises: cli.UserError if a score is not finite.
        """
        self._model.run(resized(image_HWC, self._model.image_size))
        scores = self._model.read(self._model.outputs[0]).reshape(-1)
        if not np.isfinite(scores).all():
            raise cli.UserError(f"{self.source}: a score of {name} is not a finite number")
        scores = _probabilities(scores)
        order = np.argsort(-scores, kind="stable")[: self._top]
        return [
            Detection(int(class_id), self.classes[class_id], float(scores[class_id]), WHOLE_IMAGE, self.source)
            for class_id in order
            if scores[class_id] >= self._threshold and not is_placeholder(self.classes[class_id])
        ]


class TFLiteSceneClassifier(TFLiteClassifier):
    """A classifier of scenes (beach, street), e.g. one trained on Places365 in Caffe: float pixels of 0 to 255."""

    pixels = "0 to 255"


def load(make, path):
    """Returns the TFLiteModel of a file. Args: make: function path -> TFLiteModel. path: the file.

    Raises: cli.UserError if the file cannot be read.
    """
    try:
        return make(path)
    except ValueError as error:
        raise cli.UserError(str(error)) from error


def resized(image_HWC, size):
    """Returns a picture uint8 [H, W, 3] resized to uint8 [size, size, 3]."""
    from PIL import Image

    if image_HWC.shape[:2] == (size, size):
        return image_HWC
    return np.asarray(Image.fromarray(image_HWC).resize((size, size), Image.Resampling.BILINEAR))


def _probabilities(scores):
    """Returns scores unchanged if all are in 0 to 1, else their softmax. Args: scores: float [classes]."""
    if scores.min() >= 0.0 and scores.max() <= 1.0:
        return scores
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()


# --------------------------------------------------------------------------------------------------------------
# The object-detection zoo and the Open Images detectors of TensorFlow Hub. They read a photograph at its own size.

ZOO = ("detection_boxes", "detection_classes", "detection_scores", "num_detections")
OPEN_IMAGES = ("detection_boxes", "detection_class_entities", "detection_class_labels", "detection_scores")
COLUMNS = ("detection_multiclass_scores", "raw_detection_scores")  # outputs with a column for each class
CLASS_NUMBERS = 1000  # class numbers reserved for an Open Images detector, which names its 601 classes in its output


class _ZooDetector:
    """Base class of detectors with the outputs of the object-detection zoo, which number their classes from 1.

    Subclasses set `source` and call `_take_labels`.

    Attributes: classes: list of class names by number. note: message about what was changed in the labels, or "".
    """

    needs_pixels = True

    def _take_labels(self, path, shapes):
        """Sets `classes` and `note` from a label file, after comparing the number of classes with the network's.

        Args: path: the file. shapes: dict output name -> shape, a sequence with None for unknown sizes.
        """
        columns = next((shapes[name][-1] for name in COLUMNS if shapes.get(name) and shapes[name][-1]), None)
        counts = (columns - 1, columns) if columns else ()  # most have a column for the background
        labels = label_maps.from_one(label_maps.read_labels(path))
        self.classes, self.note = label_maps.for_detector(labels, counts, path)

    def _named(self, name, outputs):
        """Returns the list of Detection in the outputs for one photograph.

        Args: name: file name of the photograph, for messages. outputs: dict output name -> array or tensor.
        """
        outputs = {key: np.asarray(outputs[key]) for key in ZOO}
        count = int(outputs["num_detections"].reshape(-1)[0])
        columns = (outputs[key][0][:count] for key in ZOO[:3])
        return raw_detections.named(self.source, self.classes, name, *columns)


class FrozenGraphDetector(_ZooDetector):
    """A frozen graph of TensorFlow 1's object-detection zoo, as the authors' detector: `frozen_inference_graph.pb`.

    Its input is `image_tensor:0`, uint8 [1, H, W, 3]. Source: docs/detectors_encoders.md.

    Args: part: detectors.Part with the paths of the graph and of the class names. settings: not used.
    Raises: cli.UserError if the file is not such a graph, or the labels do not fit its number of classes.
    """

    def __init__(self, part, settings):
        import tensorflow as tf

        shards.compute_with_one_thread()
        self.source = part.source
        graph = tf.compat.v1.GraphDef()
        try:
            with open(part.path, "rb") as file:
                graph.ParseFromString(file.read())
        except Exception as error:  # protobuf's DecodeError is not exported by TensorFlow
            raise cli.UserError(f"{part.path}: not a readable frozen graph ({error})") from error
        missing = [name for name in ("image_tensor", *ZOO) if name not in {node.name for node in graph.node}]
        if missing:
            raise cli.UserError(
                f"{part.path}: the graph has no {', '.join(missing)}; expected a frozen_inference_graph.pb of the "
                f"object-detection zoo, with image_tensor and {', '.join(ZOO)}"
            )
        try:
            whole = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(graph, name=""), [])
            self._run = whole.prune("image_tensor:0", {name: f"{name}:0" for name in ZOO})
        except (ValueError, tf.errors.OpError) as error:
            raise cli.UserError(f"{part.path}: the graph cannot be used ({str(error).splitlines()[0]})") from error
        self._take_labels(part.labels, _static_shapes(whole.graph))

    def detect(self, name, image_HWC):
        """Returns the detections in a photograph, uint8 [H, W, 3], in the network's order: list of Detection.

        Raises: cli.UserError if a number in the output is not finite, or a class has no name.
        """
        import tensorflow as tf

        return self._named(name, self._run(tf.constant(image_HWC[None])))


def _static_shapes(graph):
    """Returns the shapes of the tensors COLUMNS in a graph, if their rank is known: dict name -> list."""
    there = {operation.name: operation.outputs[0].shape for operation in graph.get_operations() if operation.outputs}
    return {name: there[name].as_list() for name in COLUMNS if name in there and there[name].rank}


class SavedModelDetector(_ZooDetector):
    """A SavedModel folder or a handle of TensorFlow Hub, with one of two signatures.

    Open Images: the input is float in 0 to 1, and the network names its classes. Object-detection zoo: the input is
    uint8, and the class names are read from a file.

    Args: part: detectors.Part with the folder or handle and, for the zoo, the path of the class names. settings: not
      used.
    Raises: cli.UserError if the network cannot be loaded or has another signature, or the labels do not fit.
    """

    def __init__(self, part, settings):
        shards.compute_with_one_thread()
        self.source = part.source
        self._model = load_hub(part.path)  # its functions need this reference
        signatures = getattr(self._model, "signatures", {})
        name = next((name for name in ("default", "serving_default") if name in signatures), None)
        if name is None:
            raise cli.UserError(
                f"{part.path}: has the signatures {sorted(signatures)}, expected default or serving_default"
            )
        function = signatures[name]
        outputs, inputs = function.structured_outputs, function.structured_input_signature[1]
        self._named_by_network = set(OPEN_IMAGES) <= set(outputs)
        if len(inputs) != 1 or not (self._named_by_network or set(ZOO) <= set(outputs)):
            raise cli.UserError(
                f"{part.path}: signature {name} takes {sorted(inputs)} and gives {sorted(outputs)}; expected one "
                f"picture, and {', '.join(OPEN_IMAGES)} (Open Images) or {', '.join(ZOO)} (object-detection zoo)"
            )
        ((self._input, spec),) = inputs.items()
        self._run, self._type = function, spec.dtype
        if self._named_by_network:
            self.classes = None
            return
        if part.labels is None:
            raise cli.UserError(f"{part.path}: give its class names by --labels FILE or #labels=FILE")
        self._take_labels(
            part.labels,
            {name: outputs[name].shape.as_list() for name in COLUMNS if name in outputs and outputs[name].shape.rank},
        )

    def detect(self, name, image_HWC):
        """Returns the detections in a photograph, uint8 [H, W, 3]: list of Detection.

        They are sorted by descending score with the Open Images signature, else in the order of the network's output.

        Raises: cli.UserError if a number in the output is not finite, or a class has no name.
        """
        import tensorflow as tf

        if self._named_by_network and self._type.is_floating:
            picture = tf.image.convert_image_dtype(image_HWC, self._type)
        else:
            picture = tf.cast(image_HWC, self._type)
        outputs = self._run(**{self._input: picture[None]})
        return self._open_images(name, outputs) if self._named_by_network else self._named(name, outputs)

    def _open_images(self, name, outputs):
        """Returns the list of Detection in the outputs of a network with the Open Images signature.

        Args: name: file name of the photograph, for messages. outputs: dict output name -> tensor.
        """
        boxes, names, numbers, scores = (outputs[key].numpy() for key in OPEN_IMAGES)
        boxes, names, numbers, scores = boxes.reshape(-1, 4), names.reshape(-1), numbers.reshape(-1), scores.reshape(-1)
        raw_detections.check_finite(self.source, name, boxes, scores)
        raw_detections.check_scores(self.source, name, scores)
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < CLASS_NUMBERS:
            raise cli.UserError(f"{self.source}: class {numbers.max()} in {name}; expected 0 to {CLASS_NUMBERS - 1}")
        found = [
            Detection(int(number), text.decode(), float(score), raw_detections.inside(box), self.source)
            for box, text, number, score in zip(boxes, names, numbers, scores, strict=True)
        ]
        return sorted(found, key=lambda item: -item.score)


def load_hub(path):
    """Returns the SavedModel in a folder or at a handle of TensorFlow Hub (downloads are cached in TFHUB_CACHE_DIR).

    Raises: cli.UserError when tensorflow-hub or the model cannot be loaded.
    """
    from models import checkpoint_files

    try:
        import tensorflow_hub
    except ImportError as error:
        raise cli.UserError(
            f"tensorflow-hub cannot be imported ({error}). Install what requirements.txt pins: "
            'pip install tensorflow-hub==0.16.1 tf-keras==2.21.0 "setuptools<81"'
        ) from error
    try:
        with checkpoint_files.readable(path) if os.path.isdir(path) else contextlib.nullcontext(path) as plain:
            return tensorflow_hub.load(plain)
    except Exception as error:  # from the network, the archive, the file system or TensorFlow
        where = "folder with a SavedModel" if os.path.isdir(path) else "handle that can be reached"
        message = (str(error).splitlines() or [type(error).__name__])[0]
        raise cli.UserError(
            f"{path}: not a {where} ({message}). A model downloaded elsewhere is given as saved_model:FOLDER"
        ) from error
