"""YOLO detectors and scene classifiers: networks made on the spot whose answers follow from the picture."""

import numpy as np
import pytest

import cli
from formats import records
from models import encoders
from preprocessing import detect_objects
from preprocessing.detection import concept_objects, detectors
from tests import small_networks


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("yolo")
    small_networks.yolo(folder / "yolo.tflite")
    small_networks.yolo(folder / "pixels.tflite", in_pixels=True)
    small_networks.yolo(folder / "transposed.tflite", transposed=True)
    small_networks.scenes(folder / "scenes.tflite")
    (folder / "labels.txt").write_text("Red\nGreen\nBlue\n")
    (folder / "places.txt").write_text("/r/red_hall 0\n/g/green_hall 1\n/b/blue_hall 2\n")
    return folder


def load(spec, labels, tiles=1, threshold=0.1, top=3):
    return detectors.load(detectors.parse(spec, labels), threshold, top, tiles)


def spots(*cells, size=8):
    """A black picture in which cells (row, column) of a 4 x 4 grid have a colour."""
    image = np.zeros((size, size, 3), np.uint8)
    for row, column, colour in cells:
        image[row * size // 4 : (row + 1) * size // 4, column * size // 4 : (column + 1) * size // 4] = colour
    return image


@pytest.mark.parametrize("name", ["yolo", "pixels", "transposed"])
def test_boxes_of_a_yolo_network(folder, name):
    detector = load(f"yolo:{folder}/{name}.tflite", f"{folder}/labels.txt")
    found = detector.detect("a.jpg", spots((1, 1, (204, 0, 0)), (3, 0, (0, 0, 102))))
    assert [(item.class_id, item.class_name) for item in found] == [(0, "Red"), (2, "Blue")]
    np.testing.assert_allclose([item.score for item in found], [0.8, 0.4], atol=1e-6)
    np.testing.assert_allclose(found[0].box, [0.125, 0.125, 0.625, 0.625], atol=1e-6)
    np.testing.assert_allclose(found[1].box, [0.625, 0, 1, 0.375], atol=1e-6)  # cut at the borders
    assert found[0].source == f"yolo:{name}.tflite"


def test_overlapping_boxes_of_a_class_are_one_detection(folder):
    # Boxes of half a side, a quarter apart, have an intersection over union of 1/3 and stay; of one class at one
    # place there is only one. With boxes as large as the picture the neighbours overlap by 0.6.
    near = spots((1, 1, (200, 0, 0)), (1, 2, (100, 0, 0)))
    assert len(load(f"yolo:{folder}/yolo.tflite", f"{folder}/labels.txt").detect("a", near)) == 2
    from preprocessing.detection import yolo

    detector = load(f"yolo:{folder}/yolo.tflite", f"{folder}/labels.txt").members[0]
    boxes = np.array([[0.4, 0.4, 0.8, 0.8], [0.5, 0.4, 0.8, 0.8], [0.4, 0.4, 0.8, 0.8]], np.float32)
    scores = np.array([[0.6, 0, 0], [0.9, 0, 0], [0, 0.3, yolo.LOWEST / 2]], np.float32)
    assert [(item.class_name, round(item.score, 3)) for item in detector._detections(boxes, scores)] == [
        ("Red", 0.9),
        ("Green", 0.3),
    ]


def test_tiles_detect_each_photograph_as_alone(folder):
    detector = load(f"yolo:{folder}/yolo.tflite", f"{folder}/labels.txt", tiles=2)
    assert detector.group == 4
    red, blue = np.full((4, 4, 3), (255, 0, 0), np.uint8), np.full((6, 6, 3), (0, 0, 51), np.uint8)
    black = np.zeros((4, 4, 3), np.uint8)
    first, second, third = detector.detect_together(["a", "b", "c"], [red, black, blue])
    assert {item.class_name for item in first[0]} == {"Red"} and second[0] == []
    assert {item.class_name for item in third[0]} == {"Blue"} and third[0][0].score == pytest.approx(0.2)
    # The boxes have half a side of the picture, so a whole side of a photograph.
    np.testing.assert_allclose(first[0][0].box, [0, 0, 0.75, 0.75], atol=1e-6)
    assert detector.detect("a", None, first) == first[0]


def test_detect_objects_in_tiles_equals_one_by_one_where_the_photographs_do_not_touch(folder, tmp_path):
    from PIL import Image

    (tmp_path / "photographs").mkdir()
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255)]
    for i, colour in enumerate(colours):
        Image.new("RGB", (8, 8), colour).save(tmp_path / "photographs" / f"{i}.png")
    found = {}
    for tiles in (1, 2):
        options = detect_objects.Options(
            data_dir=str(tmp_path / f"data{tiles}"),
            image_dir=str(tmp_path / "photographs"),
            detector=f"yolo:{folder}/yolo.tflite",
            labels=f"{folder}/labels.txt",
            tiles=tiles,
            processes=1,
        )
        detect_objects.main(options)
        paths = records.find_files(options.data_dir, "detections")
        found[tiles] = {
            name: {item.class_name: round(item.score, 5) for item in items}
            for name, items in records.each_detections(paths)
        }
    assert found[1] == found[2]
    assert found[1]["3.png"] == {"Red": 1.0, "Green": 1.0}


def test_tiles_out_of_range(folder, tmp_path):
    options = detect_objects.Options(image_dir=str(tmp_path), detector=f"yolo:{folder}/yolo.tflite", tiles=0)
    with pytest.raises(cli.UserError, match="--tiles 0: expected 1 to 8"):
        detect_objects.main(options)


def test_other_networks_and_labels_are_refused(folder, tmp_path):
    with pytest.raises(cli.UserError, match=r"expected one \[1, 4 \+ classes, N\]"):
        load(f"yolo:{folder}/scenes.tflite", f"{folder}/labels.txt")
    (tmp_path / "two.txt").write_text("Red\nGreen\n")
    with pytest.raises(cli.UserError, match="two.txt"):
        load(f"yolo:{folder}/yolo.tflite", f"{tmp_path}/two.txt")


def test_scenes_read_pixels_of_0_to_255(folder):
    picture = np.full((8, 8, 3), (51, 0, 204), np.uint8)
    found = load(f"scene:{folder}/scenes.tflite", f"{folder}/places.txt").detect("a", picture)
    assert [(item.class_name, round(item.score, 4)) for item in found] == [("blue_hall", 0.8), ("red_hall", 0.2)]
    assert all(map(concept_objects.is_classification, found))
    encoder = encoders.load_encoder(f"scene:{folder}/scenes.tflite")
    vectors = encoder.encode(encoder.crops(picture, 0, 1))
    np.testing.assert_allclose(vectors, [[0.2, 0, 0.8]], atol=1e-3)  # float16, as a feature bank stores them
    wrong = encoders.load_encoder(f"tflite:{folder}/scenes.tflite")
    assert encoders.identity(wrong.describe()) != encoders.identity(encoder.describe())
