"""TensorFlow Lite detectors with their outputs in any order, told by operation, name, shape and values."""

import itertools
import os
import pathlib

import numpy as np
import pytest

import cli
from preprocessing.detection import detectors
from tests.preprocessing.detection import detection_networks

PICTURE = np.zeros((64, 64, 3), np.uint8)
ORDERS = [order for order in itertools.permutations(("boxes", "classes", "scores", "count"))][::5]
REAL = pathlib.Path(os.environ.get("UIC_REALDATA", "../shared/realdata"))


@pytest.fixture
def labels(tmp_path):
    (tmp_path / "labels.txt").write_text("\n".join(f"{number}: thing {number}x" for number in range(20)))
    return str(tmp_path / "labels.txt")


def detect(path, labels):
    detector = detectors.load(detectors.parse(path, labels), 0.1, 3)
    return [(item.class_name, round(item.score, 4)) for item in detector.detect("a.jpg", PICTURE)]


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_outputs_in_any_order(tmp_path, labels, order, named):
    path = detection_networks.tflite(tmp_path / "a.tflite", order, named=named)
    assert detect(path, labels) == [("thing 16x", 0.9), ("thing 0x", 0.8)]


def test_names_decide_where_values_do_not(tmp_path, labels):
    """Class 1 with score 0, then class 0 with score 1, or the other way round: only a name tells."""
    values = {"classes": (1, 0, 0), "scores": (1.0, 0.0, 0.0)}
    order = ("count", "scores", "classes", "boxes")
    path = detection_networks.tflite(tmp_path / "a.tflite", order, named=True, **values)
    assert detect(path, labels) == [("thing 1x", 1.0), ("thing 0x", 0.0)]
    values = {"classes": (1, 1, 0), "scores": (0.0, 1.0, 0.0)}
    path = detection_networks.tflite(tmp_path / "b.tflite", order, **values)
    with pytest.raises(
        cli.UserError, match=r"b\.tflite: .*are the scores cannot be determined from their values; expected"
    ):
        detect(path, labels)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"scores": (16.0, 0.5, 0.0), "classes": (3.5, 1, 1)}, "neither of its outputs"),
        ({"count": 7.0}, "reports 7 detections, expected an integer from 0 to 3"),
        ({"count": -1.0}, "reports -1 detections"),
        ({"shapes": {"boxes": [1, 12]}}, "its outputs have the shapes"),
        ({"shapes": {"count": [1, 1, 1]}}, "its outputs have the shapes"),
    ],
)
def test_other_outputs_are_refused(tmp_path, labels, changes, message):
    path = detection_networks.tflite(tmp_path / "a.tflite", ("boxes", "classes", "scores", "count"), **changes)
    with pytest.raises(cli.UserError, match=message):
        detect(path, labels)


def test_scores_outside_of_0_to_1_are_refused_whatever_the_names_say(tmp_path, labels):
    order = ("boxes", "classes", "scores", "count")
    path = detection_networks.tflite(tmp_path / "a.tflite", order, named=True, scores=(16.0, 0.0, 0.0))
    with pytest.raises(cli.UserError, match=r"the scores of a\.jpg are from 0 to 16, expected 0 to 1"):
        detect(path, labels)
    path = detection_networks.tflite(tmp_path / "b.tflite", order, named=True, classes=(16.5, 0, 0))
    with pytest.raises(cli.UserError, match=r"class 16\.5 was found in a\.jpg, expected an integer"):
        detect(path, labels)


@pytest.mark.skipif(not REAL.is_dir(), reason="UIC_REALDATA names no folder")
def test_the_operation_at_the_end_of_a_real_detector(tmp_path):
    path = REAL / "models/coco_ssd_mobilenet_v1_quant.tflite"
    detector = detectors.load(detectors.parse(str(path), "data/coco_names.txt"), 0.1, 3)
    assert len(detector.members[0].classes) == 90 and "80 names without gaps" in detector.members[0].note
    (tmp_path / "short.txt").write_text("person\ndog\n")
    with pytest.raises(cli.UserError, match="the network tells 90 classes apart"):
        detectors.load(detectors.parse(str(path), str(tmp_path / "short.txt")), 0.1, 3)
