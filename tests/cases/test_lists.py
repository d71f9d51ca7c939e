"""Lists of captions and of objects as people have them."""

import json

import pytest

import cli
from formats import records
from preprocessing import detect_objects, train_captions
from preprocessing.sources import datasets
from tests.cases import FIXTURES
from tests.preprocessing.picture_files import jpeg, pixels, write_pictures


def detected(folder, photographs, objects, **options):
    """dict photograph -> dict class -> number of detections, by known objects."""
    detect_objects.main(
        detect_objects.Options(
            data_dir=str(folder),
            image_dir=str(photographs),
            detector=f"annotations:{objects}",
            processes=1,
            **options,
        )
    )
    found = records.each_detections(records.find_files(str(folder), "detections"))
    return {name: sorted(item.class_name for item in items) for name, items in found}


# --------------------------------------------------------------------------------------------------------------
# captions_as_one_string


def test_one_caption_is_a_list_of_one(tmp_path):
    case = FIXTURES / "captions_as_one_string"
    dataset = datasets.load_dataset(f"jsonl:{case}", with_train_captions=True)
    assert dataset.captions == {"2.jpg": ["a dog runs on the beach"], "1.jpg": ["a dog runs on the beach"]}
    train_captions.main(train_captions.Options(data_dir=str(tmp_path), dataset=f"jsonl:{case}"))
    assert (tmp_path / "train_captions.txt").read_text() == "a dog runs on the beach\n"


def test_one_caption_a_line(tmp_path):
    lines = [("a.jpg", "one"), ("b.jpg", "two"), ("a.jpg", "three")]
    (tmp_path / "val.jsonl").write_text("".join(json.dumps({"image": n, "caption": c}) + "\n" for n, c in lines))
    dataset = datasets.load_dataset(f"jsonl:{tmp_path}")
    assert dataset.splits == {"val": ["a.jpg", "b.jpg"]}
    assert dataset.captions == {"a.jpg": ["one", "three"], "b.jpg": ["two"]}


# --------------------------------------------------------------------------------------------------------------
# annotations_one_object_a_line


def test_all_objects_of_an_image_count(tmp_path):
    (tmp_path / "photographs").mkdir()
    (tmp_path / "photographs/test_00000.jpg").write_bytes(jpeg(pixels()))
    objects = FIXTURES / "annotations_one_object_a_line/objects.jsonl"
    found = detected(tmp_path / "data", tmp_path / "photographs", objects)
    assert found == {"test_00000.jpg": ["cat", "dog", "tree"]}


def test_an_object_a_line_without_a_list(tmp_path):
    write_pictures(tmp_path / "photographs", 1)
    objects = [{"image": "pic_0000.jpg", "label": name, "score": 0.5} for name in ("dog", "cat", "dog")]
    (tmp_path / "objects.jsonl").write_text("".join(json.dumps(value) + "\n" for value in objects))
    found = detected(tmp_path / "data", tmp_path / "photographs", tmp_path / "objects.jsonl")
    assert found == {"pic_0000.jpg": ["cat", "dog"]}  # the same object twice is one


@pytest.mark.parametrize(
    "objects, message",
    [
        ({"name": "dog", "box": [0.5, 0, 0.2, 1]}, "ends before it begins"),
        ({"name": "dog", "box": [0, 0.9, 1, 0.2]}, "ends before it begins"),
        ({"name": "dog", "bbox": [10, 20, 30, 40]}, "'bbox': expected boxes in the field `box`"),
        ({"name": "dog", "box": [10, 20, 30, 40]}, r"the box \[10.0"),
        ({"name": "dog", "score": 97}, "the score 97"),
        ({"score": 0.5}, "an object has no name"),
    ],
)
def test_other_objects_are_refused_with_their_line(tmp_path, objects, message):
    write_pictures(tmp_path / "photographs", 1)
    lines = [{"image": "pic_0000.jpg", "objects": []}, {"image": "pic_0000.jpg", "objects": [objects]}]
    (tmp_path / "objects.jsonl").write_text("".join(json.dumps(value) + "\n" for value in lines))
    with pytest.raises(cli.UserError, match=rf"objects\.jsonl: line 2 is .*{message}"):
        detected(tmp_path / "data", tmp_path / "photographs", tmp_path / "objects.jsonl")


# --------------------------------------------------------------------------------------------------------------
# byte_order_mark, Kaggle's tables


def test_a_byte_order_mark_costs_no_caption_and_no_image():
    mark = FIXTURES / "byte_order_mark"
    dataset = datasets.load_dataset(f"flickr8k:{mark}/token")
    assert dataset.captions == {"val_00000.jpg": ["a dog runs on the grass", "the dog is brown"]}
    assert datasets.load_dataset(f"flickr8k:{mark}/list").splits == {"val": ["val_00000.jpg"]}


@pytest.mark.parametrize(
    "name, text",
    [
        ("captions.txt", 'image,caption\na.jpg,"One, two"\na.jpg,Three\nb.jpg,Four\n'),
        ("results.csv", "image_name| comment_number| comment\na.jpg| 0| One, two\na.jpg| 1| Three\nb.jpg| 0| Four\n"),
        ("captions.token.txt", "a.jpg#0\tOne, two\na.jpg#1\tThree\nb.jpg#0\tFour\n"),
    ],
)
def test_flickr_as_kaggle_hands_it_out(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    (tmp_path / "val.txt").write_text("a.jpg\n")
    dataset = datasets.load_dataset(f"flickr30k:{tmp_path}")
    assert dataset.captions == {"a.jpg": ["One, two", "Three"]}


# --------------------------------------------------------------------------------------------------------------
# coco_in_two_folders


def test_photographs_in_the_folders_that_coco_unpacks_into(tmp_path):
    (tmp_path / "coco/val2014").mkdir(parents=True)
    (tmp_path / "coco/train2014").mkdir()
    name = "COCO_val2014_000000000025.jpg"
    (tmp_path / "coco/val2014" / name).write_bytes(jpeg(pixels()))
    (tmp_path / "objects.jsonl").write_text(json.dumps({"image": name, "objects": [{"name": "dog"}]}) + "\n")
    case = FIXTURES / "coco_in_two_folders/dataset_coco.json"
    arguments = tmp_path / "coco", tmp_path / "objects.jsonl"
    assert detected(tmp_path / "data", *arguments, dataset=f"karpathy:{case}") == {name: ["dog"]}
    (tmp_path / "coco/train2014" / name).write_bytes(jpeg(pixels(seed=1)))
    with pytest.raises(cli.UserError, match=f"{name} is there twice, .*train2014.* and .*val2014"):
        detected(tmp_path / "other", *arguments, dataset=f"karpathy:{case}")
    with pytest.raises(cli.UserError, match=r"absent\.json: no such file"):
        datasets.load_dataset("karpathy:absent.json")
