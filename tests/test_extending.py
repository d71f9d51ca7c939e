"""docs/extending.md: each example file is run by the stage that it extends."""

import dataclasses
import json
import os
import pathlib
import re

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageDraw

import caption
import cli
import config
import extensions
import reward_list
import train
from formats import records
from models import encoders
from preprocessing import detect_objects, process_images
from preprocessing.detection import detectors
from preprocessing.sources import datasets
from tests import photo_world, tiny_runs, tiny_world

ROOT = pathlib.Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "docs" / "examples"


def test_the_page_shows_every_example_and_only_commands_that_exist():
    text = (ROOT / "docs" / "extending.md").read_text()
    named = set(re.findall(r"docs/examples/(\w+\.py)", text))
    assert named == {path.name for path in EXAMPLES.glob("*.py")}
    for name in named:
        assert f"docs/examples/{name}" in (EXAMPLES / name).read_text(), "its docstring contains the command"


# --------------------------------------------------------------------------------------------------------------
# A reward


def test_the_reward_of_repeated_words(tmp_path):
    world = tiny_world.make(str(tmp_path / "world"))
    options = config.FullModel(data_dir=world)
    reward = extensions.load(f"{EXAMPLES}/no_repeats.py", "make")("0.5", options)
    tokens = tf.constant([[2, 3, 8, 3, 3, 1], [3, 4, 5, 2, 2, 1]])  # ids below 13 // 4 = 3 may be repeated
    found = tf.function(reward)(tokens, tf.ones([2, 6]), {})
    assert found.numpy().tolist() == [[0, 0, 0, -0.5, -0.5, 0], [0] * 6]


def test_the_reward_of_a_length():
    reward = extensions.load(f"{EXAMPLES}/caption_length.py", "make")("3", config.FullModel())
    tokens = tf.constant([[2, 3, 8, 1, 0, 0], [3, 4, 5, 2, 2, 1], [1, 0, 0, 0, 0, 0]])
    assert tf.function(reward)(tokens, tf.ones([3, 6]), {}).numpy().tolist() == [0, -1, -1.5]


def test_a_run_with_encoder_and_rewards(tmp_path):
    """Extracts features, trains, captions from the run; the reward is part of the returns and is logged."""
    spec = f"{EXAMPLES}/colour_grid.py:3"
    world = photo_world.make(str(tmp_path / "world"), spec=spec)
    changes = {"max_steps": 8, "eval_images": 0}
    own = (f"{EXAMPLES}/no_repeats.py:2", f"{EXAMPLES}/caption_length.py:2")
    train.main(tiny_runs.full(world, tmp_path / "own", reward=own, **changes))
    train.main(tiny_runs.full(world, tmp_path / "plain", **changes))
    own, plain = tiny_runs.entries(tmp_path / "own"), tiny_runs.entries(tmp_path / "plain")
    curves = {"reward/no_repeats", "reward/caption_length"}
    assert all(own[0][name] < 0 for name in curves) and not curves & plain[0].keys()
    assert own[0]["return/sample"] < plain[0]["return/sample"]

    assert not [name for name in os.listdir(tmp_path / "own" / "encoder") if name.endswith(".py")]
    output = tmp_path / "captions.json"
    paths = (os.path.join(world, "photos", "val_000.jpg"),)
    options = caption.Options(paths=paths, job_dir=str(tmp_path / "own"), output=str(output))
    with pytest.raises(cli.UserError, match=f"never run because a stored file names them.* --encoder {spec}"):
        caption.main(options)
    assert caption.main(dataclasses.replace(options, encoder=spec)) == 0
    assert json.loads(output.read_text())[0]["caption"] is not None
    changed = tmp_path / "colour_grid.py"
    changed.write_text((EXAMPLES / "colour_grid.py").read_text() + "# changed\n")
    for other in (f"{changed}:3", f"{EXAMPLES}/colour_grid.py:4"):
        with pytest.raises(cli.UserError, match="is not the one that the features were made with"):
            caption.main(dataclasses.replace(options, encoder=other))


def test_the_encoders_vectors_are_mean_colours():
    encoder = encoders.load_encoder(f"{EXAMPLES}/colour_grid.py:2")
    picture = np.zeros((50, 70, 3), np.uint8)
    picture[:, 35:] = (255, 0, 51)
    vector = encoder.encode(encoder.crops(picture, 0, 0))[0]
    assert vector.shape == (encoder.dim,) == (12,)
    assert vector.reshape(2, 2, 3)[:, 0] == pytest.approx(0, abs=0.03)
    assert vector.reshape(2, 2, 3)[:, 1] == pytest.approx(np.array([[1, 0, 0.2]] * 2), abs=0.03)
    with pytest.raises(ValueError, match="number of cells along each side"):
        encoders.load_encoder(f"{EXAMPLES}/colour_grid.py:many")


# --------------------------------------------------------------------------------------------------------------
# A detector and a data set, by the stages that use them


@pytest.fixture
def photos(tmp_path):
    """Six pictures of 100 x 50 pixels: grey with a red box at x 30 to 60 and y 20 to 40."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(6):
        image = Image.new("RGB", (100, 50), (120 + i, 120, 120))
        ImageDraw.Draw(image).rectangle((30, 20, 59, 39), fill=(220, 20, 20))
        image.save(folder / f"{i}.png")
    return folder


def test_detector_and_data_set_from_pictures_to_records(tmp_path, photos):
    data = tmp_path / "data"
    tiny_world.make(str(data))
    for path in data.glob("image_*"):
        path.unlink()
    lines = ["image,split,caption", *(f'{i}.png,{"train" if i < 4 else "val"},"a dog, {i}"' for i in range(6))]
    (tmp_path / "pairs.csv").write_text("\n".join([*lines, "5.png,val,another one"]) + "\n")
    dataset = f"{EXAMPLES}/csv_pairs.py:{tmp_path}/pairs.csv"
    common = {"data_dir": str(data), "image_dir": str(photos), "dataset": dataset}
    detect_objects.main(detect_objects.Options(**common, detector=f"{EXAMPLES}/foreground.py:Hot Dog", processes=1))
    process_images.main(process_images.Options(**common, processes=1, overwrite=True))

    images = records.read_images(records.find_files(str(data), "image_train"))
    assert sorted(images.names) == ["0.png", "1.png", "2.png", "3.png"]
    assert images.class_flat.tolist() == [tiny_world.WORDS.index("dog")] * 4, "the last word of the class name"
    references = json.loads((data / "refs_val.json").read_text())["annotations"]
    assert [entry["caption"] for entry in references] == ["a dog, 4", "a dog, 5", "another one"]


def test_the_detectors_box(photos):
    (part,) = detectors.parse(f"{EXAMPLES}/foreground.py:duck")
    assert part.source == "foreground.py:duck" and part.sha256
    with Image.open(photos / "0.png") as image:
        (found,) = detectors.load((part,), 0.1, 3).detect("0.png", np.asarray(image))
    assert found.class_name == "duck" and found.box == pytest.approx((0.4, 0.3, 0.8, 0.6)) and found.score == 1


def test_training_captions_only_where_they_are_asked_for(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("image,split,caption\na.jpg,train,one\nb.jpg,test,two\n")
    spec = f"{EXAMPLES}/csv_pairs.py:{path}"
    assert datasets.load_dataset(spec).captions == {"b.jpg": ["two"]}
    assert datasets.load_dataset(spec, with_train_captions=True).captions == {"a.jpg": ["one"], "b.jpg": ["two"]}


# --------------------------------------------------------------------------------------------------------------
# Errors


def test_files_that_cannot_be_used(tmp_path):
    (tmp_path / "broken.py").write_text("1 / 0\n")
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "twice.csv").write_text("image,split,caption\na.jpg,train,\na.jpg,val,x\n")
    (tmp_path / "wrong.csv").write_text("image,split,caption\na.jpg,somewhere,\n")
    own = f"{EXAMPLES}/csv_pairs.py"
    for spec, message in [
        (f"{tmp_path}/none.py:x", "none.py is not a file"),
        (f"{tmp_path}/broken.py:x", "cannot be used: ZeroDivisionError"),
        (f"{tmp_path}/empty.py:x", "does not define load"),
        (f"{own}:{tmp_path}/twice.csv", "a.jpg is in train and in val"),
        (f"{own}:{tmp_path}/wrong.csv", "line 2 is"),
    ]:
        with pytest.raises(cli.UserError, match=message):
            datasets.load_dataset(spec)
    with pytest.raises(cli.UserError, match="none.py is not a file"):
        detectors.parse(f"{tmp_path}/none.py:x")
    with pytest.raises(cli.UserError, match="does not define Detector"):
        detectors.load(detectors.parse(f"{tmp_path}/empty.py:x"), 0.1, 3)
    with pytest.raises(ValueError, match="does not define Encoder"):
        encoders.load_encoder(f"{tmp_path}/empty.py:x")
    (*_, reward) = reward_list.of(config.FullModel(reward=(f"{tmp_path}/empty.py:1",)))
    with pytest.raises(cli.UserError, match="--reward .*does not define make"):
        reward.make(config.FullModel(), 12)
