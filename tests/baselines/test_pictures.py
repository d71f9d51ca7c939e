"""caption.py --attention and --embedding_map, and attention against boxes, from a copied run directory."""

import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

import caption
import cli
from baselines import show_attend_tell
from baselines.supervised import settings
from evaluation import attention_boxes
from tests import photo_world
from tests.baselines import conftest


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Returns a copy of a run of Show, Attend and Tell on photographs; its data folder still exists."""
    folder = tmp_path_factory.mktemp("pictures")
    photo_world.write_encoder(str(folder / "encoder.npz"))
    world = photo_world.make(str(folder / "world"), spec=f"compact:{folder}/encoder.npz#grid")
    pairs = conftest.write_pairs(world)
    given = {"data_dir": world, "job_dir": str(folder / "original"), "captions": f"pairs:{pairs}"}
    longer = {"lr": 3e-2, "max_steps": 80, "save_checkpoint_steps": 80}
    show_attend_tell.main(settings.ShowAttendTell(**conftest.SHORT | conftest.ATTENTION | given | longer))
    shutil.copytree(folder / "original", folder / "copy")
    shutil.rmtree(folder / "original")
    os.remove(folder / "encoder.npz")
    return folder / "copy"


def options(run, **changes):
    photos = str(run.parent / "world" / "photos" / "val_000.jpg")
    return caption.Options(paths=(photos,), job_dir=str(run), output=str(run.parent / "out.json"), **changes)


def test_a_picture_of_attention_and_a_map_of_words(run, tmp_path):
    drawn = options(run, attention=str(tmp_path / "drawn"), embedding_map=str(tmp_path / "map.png"), decode="greedy")
    assert caption.main(drawn) == 0
    words = json.loads((run.parent / "out.json").read_text())[0]["caption"].split()
    with Image.open(tmp_path / "drawn" / "val_000.jpg.png") as picture:
        columns = min(5, len(words) + 1)  # the photograph and a panel for each word
        assert picture.width == pytest.approx(2.4 * columns * 110, abs=3)
        assert np.asarray(picture.convert("RGB")).std() > 10
    with Image.open(tmp_path / "map.png") as picture:
        assert picture.width == pytest.approx(9 * 110, abs=3)
    assert sorted(os.listdir(tmp_path)) == ["drawn", "map.png"]


def test_what_cannot_be_drawn_is_said_before_anything_starts(run, tmp_path):
    with pytest.raises(cli.UserError, match="png"):
        caption.check(options(run, embedding_map="map.pdf"))
    other = tmp_path / "run"
    other.mkdir()
    (other / "config.json").write_text('{"stage": "FullModel", "settings": {}, "facts": {}}')
    with pytest.raises(cli.UserError, match="has no attention"):
        caption.check(options(other, attention=str(tmp_path / "drawn")))


def test_weights_against_boxes(run):
    world = run.parent / "world"
    boxes = world / "boxes.jsonl"
    things = [{"name": name, "box": [0.0, 0.0, 0.5, 1.0]} for name in ("Dog", "Cat", "Bird")]
    lines = [json.dumps({"image": f"val_{i:03d}.jpg", "objects": things}) + "\n" for i in range(6)]
    boxes.write_text("".join(lines))
    given = {"job_dir": str(run), "data_dir": str(world), "boxes": str(boxes), "split": "val", "decode": "greedy"}
    attention_boxes.main(attention_boxes.Options(**given))
    found = json.loads((run / "attention_val.json").read_text())
    assert found["area"] == pytest.approx(0.5) and 0 < found["weight"] < 1
    assert found["ratio"] == pytest.approx(found["weight"] / 0.5)
    assert found["objects"] == len(found["words"]) >= 6
    with pytest.raises(cli.UserError, match="line 1"):
        boxes.write_text('{"image": 3}\n')
        attention_boxes.main(attention_boxes.Options(**given))


def test_what_one_caption_says_about_its_boxes():
    weights = np.zeros((3, 16))
    weights[0, 0], weights[1, [0, 5]], weights[2, 15] = 1, 0.5, 1
    boxes = {"dog": [(0, 0, 0.25, 0.25)], "cat": [(0.5, 0.5, 1, 1), (0, 0, 0.25, 0.25)]}
    found = attention_boxes.measure(["a", "dogs", "cat"], weights, boxes, {"dogs": "dog"})
    assert [entry["word"] for entry in found] == ["dogs", "cat"]
    assert (found[0]["weight"], found[0]["area"]) == (0.5, 1 / 16)
    assert (found[1]["weight"], found[1]["area"]) == (1.0, 5 / 16)
    whole = attention_boxes.summary(found)
    assert whole["ratio"] == pytest.approx(1.5 / (6 / 16)) and whole["objects"] == 2
    assert whole["mean_of_ratios"] == pytest.approx((8 + 16 / 5) / 2)
    thin = attention_boxes.measure(["dog"], weights[:1], {"dog": [(0.1, 0.1, 0.12, 0.12)]}, {})[0]
    assert thin["area"] < 0.001 and (thin["cells_weight"], thin["cells_area"]) == (1.0, 1 / 16)
