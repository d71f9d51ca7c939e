"""YOLO detectors in TensorFlow Lite, without post-processing inside: `yolo:FILE.tflite`.

The output is [1, 4 + C, N], or the same transposed: for each of N anchors the box (centre x, centre y, width, height,
as shares of the side or in pixels) and the scores of C classes in 0 to 1. Boxes of one class that overlap are reduced
to the best one by TensorFlow's non-maximum suppression. The interface is described in detectors.py.

A network with a large input (640 pixels) wastes most of it on small photographs. With `--tiles 3`, 3 x 3 photographs
are put into one picture and detected in one pass; a box belongs to the photograph in which its centre lies.
"""

import numpy as np

import cli
from formats import label_maps
from formats.label_names import is_placeholder
from formats.records import Detection
from preprocessing.detection import detector_networks, raw_detections

LOWEST = 0.05  # detections below this score are not read
OVERLAP = 0.5  # intersection over union above which the box with the lower score is removed
MOST = 100  # detections of a photograph
MARGIN = 1.5  # coordinates above this are pixels


class YoloDetector:
    """A YOLO network in TensorFlow Lite; see the module docstring.

    Args: part: detectors.Part with the paths of the network and of the class names.
      settings: dict with "tiles", the number of photographs in a row and in a column of the picture that the network
        reads; 1 for one photograph at a time.
    Raises: cli.UserError if the file is not such a network, or the labels do not fit its number of classes.
    """

    needs_pixels = True

    def __init__(self, part, settings):
        from models.encoders.tflite import TFLiteModel

        self.source, self._tiles = part.source, settings["tiles"]
        self.group = self._tiles**2  # photographs of one pass
        self._model = detector_networks.load(lambda path: TFLiteModel(path, pixels="0 to 1"), part.path)
        shape = [int(side) for side in self._model.outputs[0]["shape"]]
        if len(self._model.outputs) != 1 or len(shape) != 3 or shape[0] != 1 or min(shape[1:]) < 5:
            shapes = [list(map(int, details["shape"])) for details in self._model.outputs]
            raise cli.UserError(f"{part.path}: its outputs have the shapes {shapes}, expected one [1, 4 + classes, N]")
        self._anchors_last = shape[1] < shape[2]  # there are many more anchors than classes
        labels = label_maps.read_labels(part.labels)
        self.classes, self.note = label_maps.for_detector(labels, (min(shape[1:]) - 4,), part.labels)

    def detect(self, name, image_HWC):
        """Returns the detections in a photograph, uint8 [H, W, 3], by descending score: list of Detection."""
        return self.detect_group([name], [image_HWC])[0]

    def detect_group(self, names, images):
        """Returns the detections of up to `group` photographs: list with one list of Detection for each.

        Args: names: file names. images: list of uint8 [H, W, 3].
        Raises: cli.UserError if a number in the output is not finite, or a score is outside 0 to 1.
        """
        side, tiles = self._model.image_size, self._tiles
        tile = side // tiles
        picture = np.zeros((side, side, 3), np.uint8)
        for place, image_HWC in enumerate(images):
            top, left = tile * (place // tiles), tile * (place % tiles)
            picture[top : top + tile, left : left + tile] = detector_networks.resized(image_HWC, tile)
        self._model.run(picture)
        values = self._model.read(self._model.outputs[0])
        boxes_N4, scores_NC = np.split(values.T if self._anchors_last else values, [4], axis=1)
        raw_detections.check_finite(self.source, names[0], boxes_N4, scores_NC)
        raw_detections.check_scores(
            self.source, names[0], scores_NC.reshape(-1)[[scores_NC.argmin(), scores_NC.argmax()]]
        )
        if boxes_N4.max(initial=0.0) > MARGIN:
            boxes_N4 = boxes_N4 / side
        scale = side / tile
        column_N, row_N = (np.clip(boxes_N4[:, axis] * scale, 0, tiles - 1e-6).astype(int) for axis in (0, 1))
        found = []
        for place in range(len(images)):
            row, column = divmod(place, tiles)
            mine = (row_N == row) & (column_N == column) & (scores_NC.max(1) >= LOWEST)
            corner = np.array([column, row, 0, 0], np.float32)
            found.append(self._detections(boxes_N4[mine] * scale - corner, scores_NC[mine]))
        return found

    def _detections(self, boxes_N4, scores_NC):
        """Returns the detections of one photograph after non-maximum suppression: list of Detection, best first.

        Args: boxes_N4: float32, centre x, centre y, width and height as shares of the photograph. scores_NC: float32.
        """
        import tensorflow as tf

        if not len(boxes_N4):
            return []
        centre, half = boxes_N4[:, 1::-1], boxes_N4[:, :1:-1] / 2  # y before x
        corners_N4 = np.concatenate([centre - half, centre + half], 1)
        boxes, scores, classes, count = (
            array.numpy()[0]
            for array in tf.image.combined_non_max_suppression(
                corners_N4[None, :, None], scores_NC[None], MOST, MOST, OVERLAP, LOWEST, clip_boxes=False
            )
        )
        return [
            Detection(number, self.classes[number], float(score), raw_detections.inside(box), self.source)
            for box, score, number in zip(
                boxes[:count], scores[:count], classes[:count].astype(int).tolist(), strict=True
            )
            if not is_placeholder(self.classes[number])
        ]
