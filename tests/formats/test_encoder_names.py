"""Names of encoders are taken apart and put together in one place."""

import pytest

from formats import encoder_names
from models.encoders import kinds


@pytest.mark.parametrize(
    "name, expected",
    [
        ("inception_v4:a/model.ckpt", ("inception_v4", "a/model.ckpt", "", "")),
        ("tflite:a.tflite", ("tflite", "a.tflite", "", "")),
        ("tflite:a.tflite#171@max", ("tflite", "a.tflite", "", "171@max")),
        ("compact:a.npz#grid", ("compact", "a.npz", "", "grid")),
        ("keras:VGG19", ("keras", "", "VGG19", "")),
        ("keras:VGG19#w.h5", ("keras", "w.h5", "VGG19", "")),
        ("keras:VGG19#w.h5#grid", ("keras", "w.h5", "VGG19", "grid")),
        ("keras:VGG19#grid", ("keras", "", "VGG19", "grid")),
        ("resnet152:imagenet#grid", ("resnet152", "imagenet", "ResNet152", "grid")),
        ("caption_embeddings:a#b.npz", ("caption_embeddings", "a#b.npz", "", "")),
        ("mine.py:4#5", ("mine.py", "mine.py", "", "")),
    ],
)
def test_the_parts_of_a_name(name, expected):
    found = encoder_names.parse(name)
    assert (found.kind, found.file, found.network, found.part) == expected
    assert found.is_code == name.startswith("mine.py")
    if found.file and not found.is_code:
        assert found.at(found.file) == name
        assert encoder_names.parse(found.at("else/where")) == found._replace(
            file="else/where", argument=found.at("else/where").partition(":")[2]
        )


def test_an_old_kind_is_read_as_the_present_one():
    assert encoder_names.parse("neighbours:a#b.npz") == encoder_names.parse("caption_embeddings:a#b.npz")


def test_joined_names_are_split_before_a_kind_only():
    parts = ["compact:a+b.npz", "own.py:3", "keras:VGG16#w.h5#grid", "neighbours:n.npz"]
    assert encoder_names.split("+".join(parts)) == parts
    assert encoder_names.split("tflite:x+y.tflite#3") == ["tflite:x+y.tflite#3"]


@pytest.mark.parametrize("name", ["compact:a.npz", "own.py:3", "compact:a.npz+tflite:b.tflite#3", "vgg16:imagenet"])
def test_names_that_can_be_run(name):
    assert encoder_names.is_name(name)


@pytest.mark.parametrize("name", ["", "compact", "compact:", "own.py:", "gs://bucket/v4.ckpt", "compact:a+own.py:"])
def test_what_is_no_name(name):
    assert not encoder_names.is_name(name)


def test_every_kind_is_there():
    assert kinds.KINDS.keys() == encoder_names.KINDS.keys()


def test_joined_names_of_files_that_are_there(tmp_path):
    for name in ("a.tflite", "b.npz", "a+b.npz"):
        (tmp_path / name).write_bytes(b"")
    for names in (["tflite:a.tflite#9@max", "compact:b.npz"], ["tflite:a.tflite#3", "compact:a+b.npz#grid"]):
        parts = [name.replace(":", f":{tmp_path}/") for name in names]
        assert encoder_names.split("+".join(parts)) == parts
