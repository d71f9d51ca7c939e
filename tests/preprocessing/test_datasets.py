"""Lists of images and captions: both kinds, and what is wrong with broken ones."""

import json

import pytest

import config
from preprocessing import datasets


def write_jsonl(folder, split, entries):
    folder.mkdir(exist_ok=True)
    lines = [json.dumps({"image": name, "captions": captions}) for name, captions in entries]
    (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n")


@pytest.fixture
def flickr(tmp_path):
    (tmp_path / "train.txt").write_text("b.jpg\na.jpg\n")
    (tmp_path / "dev.txt").write_text("c.jpg")
    captions = [
        ("a", 0, "An a ."),
        ("a", 1, "Another a"),
        ("b", 0, "B"),
        ("c", 0, "C one"),
        ("c", 1, "C two "),
        ("x", 0, "X"),
    ]
    (tmp_path / "captions.token.txt").write_text("".join(f"{n}.jpg#{k}\t{text}\n" for n, k, text in captions))
    return tmp_path


def test_jsonl(tmp_path):
    write_jsonl(tmp_path, "train", [("b.jpg", ["secret"]), ("a.jpg", [])])
    write_jsonl(tmp_path, "val", [("c.jpg", ["One.", "Two."])])
    dataset = datasets.load_dataset(f"jsonl:{tmp_path}")
    assert dataset.splits == {"train": ["b.jpg", "a.jpg"], "val": ["c.jpg"]}
    assert dataset.captions == {"c.jpg": ["One.", "Two."]}
    with_train = datasets.load_dataset(f"jsonl:{tmp_path}", with_train_captions=True)
    assert with_train.captions == {"b.jpg": ["secret"], "c.jpg": ["One.", "Two."]}


def test_flickr8k(flickr):
    dataset = datasets.load_dataset(f"flickr8k:{flickr}")
    assert dataset.splits == {"train": ["b.jpg", "a.jpg"], "val": ["c.jpg"]}
    assert dataset.captions == {"c.jpg": ["C one", "C two"]}
    with_train = datasets.load_dataset(f"flickr8k:{flickr}", with_train_captions=True)
    assert with_train.captions["a.jpg"] == ["An a .", "Another a"] and "x.jpg" not in with_train.captions
    (flickr / "test.txt").write_text("x.jpg\n")
    assert datasets.load_dataset(f"flickr8k:{flickr}").captions["x.jpg"] == ["X"]


def test_name_in_two_splits(tmp_path):
    write_jsonl(tmp_path, "train", [("a.jpg", []), ("b.jpg", [])])
    write_jsonl(tmp_path, "test", [("b.jpg", ["B"])])
    with pytest.raises(config.UserError, match="b.jpg is in train and in test"):
        datasets.load_dataset(f"jsonl:{tmp_path}")


def test_name_twice(flickr):
    (flickr / "dev.txt").write_text("c.jpg\nc.jpg\n")
    with pytest.raises(config.UserError, match="c.jpg is twice in val"):
        datasets.load_dataset(f"flickr8k:{flickr}")


@pytest.mark.parametrize(
    "line", ["not json", '{"captions": []}', '{"image": 3}', '{"image": "a", "captions": [1]}', '["a"]', '"a"']
)
def test_broken_jsonl_line_is_named(tmp_path, line):
    write_jsonl(tmp_path, "train", [("a.jpg", [])])
    with open(tmp_path / "train.jsonl", "a") as file:
        file.write("\n" + line + "\n")
    with pytest.raises(config.UserError, match=r"train\.jsonl: line 3"):
        datasets.load_dataset(f"jsonl:{tmp_path}")


def test_broken_caption_line_is_named(flickr):
    with open(flickr / "captions.token.txt", "a") as file:
        file.write("c.jpg no tab\n")
    with pytest.raises(config.UserError, match=r"captions\.token\.txt: line 7"):
        datasets.load_dataset(f"flickr8k:{flickr}")


@pytest.mark.parametrize("spec", ["", "jsonl", "jsonl:", "csv:.", "jsonl:/nowhere"])
def test_bad_specs(spec):
    with pytest.raises(config.UserError, match="--dataset"):
        datasets.load_dataset(spec)


def test_folder_without_lists(tmp_path):
    with pytest.raises(config.UserError, match="no list of any split"):
        datasets.load_dataset(f"jsonl:{tmp_path}")


def test_text_that_is_not_utf8(tmp_path):
    (tmp_path / "train.jsonl").write_bytes(b"\xff\xfe\n")
    with pytest.raises(config.UserError, match="not UTF-8"):
        datasets.load_dataset(f"jsonl:{tmp_path}")
