"""Label files as people have them. The right value is that of `coco_labels.txt` on the same photographs."""

import json
import os
import pathlib

import pytest

import cli
from formats import label_maps, vocabulary
from preprocessing import detect_objects, process_descriptions
from tests.cases import FIXTURES
from tests.preprocessing.detection import detection_networks
from tests.preprocessing.picture_files import write_pictures

REAL = pathlib.Path(os.environ.get("UIC_REALDATA", "../shared/realdata")).resolve()
PHOTOGRAPHS = (
    "1001773457_577c3a7d70",
    "1003163366_44323f5815",
    "1007129816_e794419615",
    "1009434119_febe49276a",
)
FILES = {
    "labels_first_line_is_another_placeholder": (
        "unlabeled.txt",
        "background_underscores.txt",
        "Background.txt",
        "BG.txt",
        "bom.txt",
    ),
    "labels_of_another_format_as_lines": ("labelmap.txt", "dict.json", "data.yaml"),
    "labels_with_numbers": ("equals.txt", "spaces.txt", "colon.txt"),
}
PATHS = [FIXTURES / case / name for case, names in FILES.items() for name in names]
# Numbers of COCO from 1: the last three lie behind gaps in them.
PERSON, BENCH, DOG, TOOTHBRUSH = 1, 15, 18, 90


def coco_labels(folder):
    """The file that the detector comes with: `???`, then a line for each of the 90 numbers."""
    names = iter(label_maps.read_labels("data/coco_names.txt"))
    lines = ["???" if number in label_maps.COCO_GAPS else next(names) for number in range(1, 91)]
    (folder / "coco_labels.txt").write_text("\n".join(["???", *lines]) + "\n")
    return folder / "coco_labels.txt"


def detections(folder, detector, labels, photographs, **options):
    """dict class name -> how often detect_objects finds it."""
    detect_objects.main(
        detect_objects.Options(
            data_dir=str(folder),
            image_dir=str(photographs),
            detector=str(detector),
            labels=str(labels),
            processes=1,
            **options,
        )
    )
    (member,) = json.loads((folder / "detections.json").read_text())["detectors"]
    return member["detections"]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """(drawn detector, drawn photographs, right value of the detections)."""
    folder = tmp_path_factory.mktemp("labels")
    classes = [number - 1 for number in (DOG, BENCH, TOOTHBRUSH)]
    order = ("boxes", "classes", "scores", "count")
    detection_networks.tflite(folder / "ssd.tflite", order, classes, (0.9, 0.8, 0.7), 3.0)
    write_pictures(folder / "photographs", 2)
    right = detections(folder / "right", folder / "ssd.tflite", coco_labels(folder), folder / "photographs")
    assert right == {"dog": 2, "bench": 2, "toothbrush": 2}
    return folder / "ssd.tflite", folder / "photographs", right


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_every_label_file_names_what_coco_labels_names(drawn, tmp_path, path, capsys):
    detector, photographs, right = drawn
    assert detections(tmp_path / "data", detector, path, photographs) == right
    said = capsys.readouterr().out
    assert f"{path}: 80 classes: person, bicycle, … toothbrush" in said
    assert "most frequent at score 0.3 and above: bench 2, dog 2, toothbrush 2" in said


@pytest.mark.skipif(not REAL.is_dir(), reason="UIC_REALDATA names no folder")
@pytest.mark.parametrize("path", [*PATHS, pathlib.Path("data/coco_names.txt")], ids=lambda path: path.name)
def test_eleven_people_six_dogs_and_a_bench(tmp_path, path, capsys):
    """Also by the 80 names without gaps, which the numbers of this detector are recognised from."""
    (tmp_path / "photographs").mkdir()
    for name in PHOTOGRAPHS:
        (tmp_path / f"photographs/{name}.jpg").symlink_to(REAL / f"flickr8k/images/{name}.jpg")
    detector = REAL / "models/coco_ssd_mobilenet_v1_quant.tflite"
    found = detections(tmp_path / "data", detector, path, tmp_path / "photographs", score_threshold=0.4)
    assert found == {"person": 11, "dog": 6, "bench": 1}
    said = capsys.readouterr().out
    assert "most frequent at score 0.3 and above: person 11, dog 6, bench 1" in said
    assert ("COCO's 80 names without gaps" in said) == (path.name == "coco_names.txt")


# --------------------------------------------------------------------------------------------------------------
# label_map_items_lost


@pytest.mark.parametrize(
    "name, names",
    [
        ("keypoints", ["person", "dog"]),
        ("apostrophe", ["person", "dog", "cat"]),
        ("colon", ["person", "dog"]),
        ("brace_in_comment", ["person", "dog", "cat"]),
    ],
)
def test_no_item_of_a_label_map_is_lost(name, names):
    assert label_maps.read_labels(str(FIXTURES / f"label_map_items_lost/{name}.pbtxt")) == ["???", *names]


def test_an_item_that_is_not_closed_is_an_error():
    with pytest.raises(cli.UserError, match=r"unclosed\.pbtxt: not a label map \(line 9"):
        label_maps.read_labels(str(FIXTURES / "label_map_items_lost/unclosed.pbtxt"))


# --------------------------------------------------------------------------------------------------------------
# classes_with_parentheses, byte_order_mark


def process(folder, class_names, sentences):
    (folder / "sentences.txt").write_text("".join(f"{sentence}\n" for sentence in sentences))
    process_descriptions.main(
        process_descriptions.Options(
            data_dir=str(folder), new_dict=True, min_word_count=1, class_names=str(class_names), processes=1
        )
    )
    return json.loads((folder / "concepts.json").read_text())


def test_what_stands_in_brackets_is_no_concept_word(tmp_path, capsys):
    sentences = ["a bat sleeps in the tree", "the face of a man", "a squash on the table"]
    concepts = process(tmp_path, FIXTURES / "classes_with_parentheses/classes.txt", sentences)
    assert sorted(concepts) == ["bat", "face", "squash", "tench"]
    said = capsys.readouterr().out
    assert "4 classes: Squash (Plant), Bat (Animal), … Human face; 1 number without a name" in said
    assert "NOTE: 1 of 4 concept words occur in no sentence: tench" in said


def test_a_byte_order_mark_is_no_part_of_a_class(tmp_path, capsys):
    path = FIXTURES / "byte_order_mark/classes.txt"
    assert vocabulary.load_class_names(str(path)) == ["dog", "cat"]
    assert sorted(process(tmp_path, path, ["a dog sleeps", "a cat runs"])) == ["cat", "dog"]
    assert "occur in no sentence" not in capsys.readouterr().out


# --------------------------------------------------------------------------------------------------------------
# tflite_outputs_in_another_order

BOXES = {"classes": (16, 0, 0), "scores": (0.9, 0.8, 0.0)}
ORDERS = {
    "tf2": ("scores", "boxes", "count", "classes"),
    "tf2 reversed": ("count", "scores", "classes", "boxes"),
    "swapped": ("boxes", "scores", "classes", "count"),
    "swapped reversed": ("classes", "boxes", "count", "scores"),
    "usual": ("boxes", "classes", "scores", "count"),
}


@pytest.mark.parametrize("order", ORDERS)
def test_outputs_in_another_order(tmp_path, order):
    detector = detection_networks.tflite(tmp_path / "ssd.tflite", ORDERS[order], **BOXES)
    names = write_pictures(tmp_path / "photographs", 4)
    found = detections(tmp_path / "data", detector, coco_labels(tmp_path), tmp_path / "photographs")
    assert found == {"person": len(names), "cat": len(names)}
