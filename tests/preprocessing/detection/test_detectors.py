"""Detectors: networks made on the spot whose answers follow from the picture, and known objects."""

import json
import os
import pathlib

import numpy as np
import pytest

import cli
from formats import images
from formats.records import Detection
from preprocessing.detection import detector_networks, detectors
from tests import small_networks

REALDATA = pathlib.Path(os.environ.get("UIC_REALDATA", pathlib.Path(__file__).resolve().parents[4] / "shared/realdata"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("detectors")
    small_networks.detector(folder / "ssd.tflite")
    small_networks.classifier(folder / "colours.tflite")
    (folder / "labels.txt").write_text("???\nperson\nbicycle\ncar\n")
    (folder / "colours.txt").write_text("background\nred, crimson\ngreen\nblue\n")
    return folder


def coloured(red, green, blue, size=8):
    return np.full((size, size, 3), [red, green, blue], np.uint8)


def load(spec, labels=None, threshold=0.15, top=2):
    return detectors.load(detectors.parse(spec, labels), threshold, top)


def test_ssd(folder):
    detector = load(f"{folder}/ssd.tflite", f"{folder}/labels.txt")
    found = detector.detect("a.jpg", coloured(204, 0, 0, size=20))
    assert [(item.class_id, item.class_name) for item in found] == [(1, "person"), (3, "car")]
    np.testing.assert_allclose([item.score for item in found], [0.8, 0.5], atol=1e-6)
    np.testing.assert_allclose(found[0].box, [0, 0, 0.8, 1], atol=1e-6)  # 1.2 is cut at the border
    assert found[1].box == (0.25, 0.25, 0.75, 0.75) and found[1].source == "tflite:ssd.tflite"


def test_labels_without_placeholder_begin_with_class_0(folder, tmp_path):
    (tmp_path / "labels.txt").write_text("person\nbicycle\ncar\n")
    found = load(f"tflite:{folder}/ssd.tflite#labels={tmp_path}/labels.txt").detect("a", coloured(0, 0, 0))
    assert [(item.class_id, item.class_name) for item in found] == [(0, "person"), (2, "car")]


def test_placeholder_classes_are_left_out(folder, tmp_path):
    (tmp_path / "labels.txt").write_text("???\nperson\nbicycle\n\nbus\n")
    found = load(f"{folder}/ssd.tflite", f"{tmp_path}/labels.txt").detect("a", coloured(9, 9, 9))
    assert [item.class_name for item in found] == ["person"]


def test_too_few_labels(folder, tmp_path):
    (tmp_path / "labels.txt").write_text("???\nperson\n")
    with pytest.raises(cli.UserError, match="class 2 was found in a.jpg, but there are only 2 labels"):
        load(f"{folder}/ssd.tflite", f"{tmp_path}/labels.txt").detect("a.jpg", coloured(9, 9, 9))


def test_classifier(folder):
    detector = load(f"classifier:{folder}/colours.tflite#labels={folder}/colours.txt")
    found = detector.detect("a.jpg", coloured(51, 204, 25))
    assert [(item.class_id, item.class_name, item.box) for item in found] == [
        (2, "green", (0, 0, 1, 1)),
        (1, "red", (0, 0, 1, 1)),
    ]
    np.testing.assert_allclose([item.score for item in found], [0.8, 0.2], atol=1e-6)
    assert {item.source for item in found} == {"classifier:colours.tflite"}
    assert detector.detect("a.jpg", coloured(25, 20, 10)) == []  # the background alone is likelier than anything


def test_classifier_threshold_and_top(folder):
    spec = f"classifier:{folder}/colours.tflite#labels={folder}/colours.txt"
    image = coloured(51, 204, 102)
    assert [d.class_name for d in load(spec, threshold=0.3, top=3).detect("a", image)] == ["green", "blue"]
    assert [d.class_name for d in load(spec, threshold=0.0, top=1).detect("a", image)] == ["green"]


def test_logits_become_probabilities():
    logits = np.array([2.0, 0.0, -1.0], np.float32)
    expected = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(detector_networks._probabilities(logits), expected, rtol=1e-6)
    scores = np.array([0.2, 0.9, 0.0], np.float32)
    np.testing.assert_array_equal(detector_networks._probabilities(scores), scores)


def write_annotations(path, entries):
    path.write_text("".join(json.dumps({"image": name, "objects": objects}) + "\n" for name, objects in entries))
    return f"annotations:{path}"


def test_annotations(tmp_path):
    objects = [{"name": "cat", "score": 0.4, "box": [0, 0.1, 0.5, 1]}, {"name": "ant", "score": 0.9}]
    detector = load(write_annotations(tmp_path / "known.jsonl", [("a.jpg", objects), ("b.jpg", [])]))
    assert not detector.needs_pixels
    assert detector.detect("a.jpg") == [
        Detection(0, "ant", 0.9, (0.0, 0.0, 1.0, 1.0), "annotations:known.jsonl"),
        Detection(1, "cat", 0.4, (0.0, 0.1, 0.5, 1.0), "annotations:known.jsonl"),
    ]
    assert detector.detect("b.jpg") == []
    with pytest.raises(images.ImageError, match=r"c.jpg: has no line in .*known\.jsonl"):
        detector.detect("c.jpg")


@pytest.mark.parametrize(
    "item",
    [
        {"score": 0.5},
        {"name": "cat", "score": 1.5},
        {"name": "cat", "score": float("nan")},
        {"name": " ", "score": 0.5},
        {"name": "cat", "box": [0, 0, 1]},
        {"name": "cat", "box": [0, 0, 1, 2]},
        "cat",
    ],
)
def test_broken_annotation_is_named(tmp_path, item):
    spec = write_annotations(tmp_path / "known.jsonl", [("a.jpg", []), ("b.jpg", [item])])
    with pytest.raises(cli.UserError, match=r"known\.jsonl: line 2"):
        load(spec)


def test_several_are_joined_with_their_sources(folder, tmp_path):
    known = write_annotations(tmp_path / "known.jsonl", [("a.jpg", [{"name": "kite", "score": 0.7}])])
    spec = f"{folder}/ssd.tflite+classifier:{folder}/colours.tflite#labels={folder}/colours.txt+{known}"
    detector = load(spec, f"{folder}/labels.txt")
    found = detector.detect("a.jpg", coloured(204, 0, 0))
    assert [(item.class_id, item.class_name, item.source.split(":")[0]) for item in found] == [
        (1, "person", "tflite"),
        (3, "car", "tflite"),
        (4 + 1, "red", "classifier"),
        (4 + 4, "kite", "annotations"),
    ]
    assert [(part["first_class_id"], len(part["class_names"])) for part in detector.describe()] == [
        (0, 4),
        (4, 4),
        (8, 1),
    ]


def test_wrong_specifications(folder, tmp_path):
    cases = {
        "": "--detector",
        "ssd.pb": "expected FILE.tflite",
        "net:thing": "expected FILE.tflite",
        "hub:thing": "expected hub:PUBLISHER/NAME/VERSION",
        f"hub:{folder}": "folders: saved_model:FOLDER",
        f"{folder}/ssd.tflite": "--labels",
        f"{folder}/absent.tflite#labels={folder}/labels.txt": "absent.tflite is not a file",
        f"tflite:{folder}/ssd.tflite#labels={folder}/absent.txt": "absent.txt is not a file",
        f"annotations:{folder}/absent.jsonl": "absent.jsonl is not a file",
    }
    for spec, message in cases.items():
        with pytest.raises(cli.UserError, match=message):
            detectors.parse(spec)


def test_networks_of_another_kind_are_refused(folder):
    with pytest.raises(cli.UserError, match="classifier:FILE"):
        load(f"{folder}/colours.tflite", f"{folder}/labels.txt")
    with pytest.raises(cli.UserError, match="3 classes: .*but the network has 12 scores"):
        load(f"classifier:{folder}/ssd.tflite", f"{folder}/labels.txt")


def test_cut_short_network_is_refused(folder, tmp_path):
    cut = tmp_path / "cut.tflite"
    cut.write_bytes((folder / "ssd.tflite").read_bytes()[:1500])
    with pytest.raises(cli.UserError, match="cut.tflite: not a readable"):
        load(str(cut), f"{folder}/labels.txt")


def test_real_networks_see_a_person():
    models = REALDATA / "models"
    if not models.exists():
        pytest.skip(f"{models} is not here (set UIC_REALDATA)")
    spec = (
        f"{models}/coco_ssd_mobilenet_v1_quant.tflite"
        f"+classifier:{models}/tf2_mobilenet_v2_1.0_224_ptq.tflite#labels={models}/imagenet_labels.txt"
    )
    detector = load(spec, f"{models}/coco_labels.txt")
    captions = (REALDATA / "flickr8k/captions.token.txt").read_text().splitlines()
    dogs = sorted({line.split("#")[0] for line in captions if " dog " in line.split("\t")[1]})[:20]
    found = [detector.detect(name, images.read_image(REALDATA / "flickr8k/images" / name)) for name in dogs]
    sure = [any(item.class_name == "dog" and item.score > 0.4 for item in detections) for detections in found]
    assert sum(sure) >= 14
    assert any(item.source.startswith("classifier") for detections in found for item in detections)
