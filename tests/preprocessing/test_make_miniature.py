"""The miniature world: true sentences, kept promises, the same bytes however it was made."""

import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

import cli
from formats import sidecars
from formats.captions import read_references
from preprocessing import make_miniature
from preprocessing.miniature import grammar, noisy_detector, promises, rendering, scenes
from preprocessing.miniature.things import BY_NAME, COLOURS, NAMED_COLOURS, NAMES, THINGS

SMALL = {"train_images": 60, "val_images": 20, "test_images": 20, "sentences": 500, "encoder_images": 0}


def make(folder, **changes):
    make_miniature.main(make_miniature.Options(data_dir=str(folder), **{**SMALL, "processes": 1, **changes}))
    return folder / "raw"


def contents(folder):
    """File name below the folder -> sha256; the sidecar without its command."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            if path.name == "miniature.json":
                data = json.dumps({k: v for k, v in json.loads(data).items() if k != "command"}).encode()
            found[str(path.relative_to(folder))] = hashlib.sha256(data).hexdigest()
    return found


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make(tmp_path_factory.mktemp("world"))


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def drawn_scenes(count, side="pictures", seed=1):
    for index in range(count):
        rng = np.random.default_rng([9, index])
        yield rng, scenes.make_scene(rng, seed, side)


# --------------------------------------------------------------------------------------------------------------
# Things, scenes, sentences


def test_things_are_complete():
    assert len(NAMES) == len(set(NAMES)) >= 24
    for thing in THINGS:
        assert set(thing.places) <= set(scenes.PLACES) and set(thing.colours) <= set(NAMED_COLOURS)
        assert set(thing.alike) <= set(NAMES) - {thing.name}
        assert {colour for colour, _, _ in thing.drawing} <= {"main", "dark", "light", *COLOURS}
        assert grammar.plural(thing.name).isalpha()


def test_drawings_differ():
    """No two classes look alike: their pictures on the same background, in the same colour, differ in many pixels."""
    pictures = []
    for name in NAMES:
        item = scenes.Item(name, "red", "", 0.1, 0.9, 0.8, 0.8, False, 0.0)
        scene = scenes.Scene("desert", "clear", (item,), ())
        picture = rendering.render(np.random.default_rng(0), scene, 32)
        pictures.append(picture.astype(np.float32))
    for i, first in enumerate(pictures):
        for second in pictures[:i]:
            assert np.mean(np.abs(first - second).max(axis=2) > 40) > 0.03


def test_scenes_keep_to_their_pairs():
    """A pair of things that is for pictures alone never meets in text, and the reverse."""
    met = {side: set() for side in ("pictures", "text")}
    for side, pairs in met.items():
        for _, scene in drawn_scenes(300, side):
            names = sorted(scene.combination)
            pairs.update((a, b) for a in names for b in names if a < b)
            assert 1 <= len(scene.items) <= 3
            assert all(scene.place in BY_NAME[name].places for name in names)
    assert all(scenes.pair_side(1, *pair) != "text" for pair in met["pictures"])
    assert all(scenes.pair_side(1, *pair) != "pictures" for pair in met["text"])
    assert met["pictures"] - met["text"] and met["text"] - met["pictures"]


def test_relations_hold_in_the_picture():
    seen = set()
    for _, scene in drawn_scenes(600):
        for i, relation, j in scene.relations:
            seen.add(relation)
            first, second = scene.items[i], scene.items[j]
            centre, other = first.left + first.width / 2, second.left + second.width / 2
            overlap = min(first.left + first.width, second.left + second.width) - max(first.left, second.left)
            if relation in ("left of", "right of"):
                assert (centre < other) == (relation == "left of")
            if relation == "above":
                assert first.foot < second.foot - second.height + 0.05 and overlap > 0
            if relation in ("on", "riding", "in"):
                assert overlap > 0 and second.foot - second.height <= first.foot < second.foot
            if relation == "in front of":
                assert overlap > 0 and first.foot > second.foot and i > j  # painted later
            if relation == "under":
                assert overlap > 0 and first.foot - first.height > second.foot - second.height
    assert seen >= {"left of", "right of", "beside", "above", "on", "under", "in front of", "in", "riding"}


def test_objects_are_in_the_picture():
    for _, scene in drawn_scenes(300):
        for item in scene.items:
            ymin, xmin, ymax, xmax = item.box
            assert (ymax - ymin) * (xmax - xmin) > 0.9 * item.width * item.height


def test_references_are_true():
    """Colours, sizes, counts and objects named in a reference are those of the scene."""
    for rng, scene in drawn_scenes(150):
        for text in grammar.references(rng, scene, 5):
            words = grammar.words_of(text)
            assert grammar.combination_of(text) <= scene.combination
            assert grammar.combination_of(text)
            for word, following in zip(words, words[1:], strict=False):
                if word in NAMED_COLOURS and following in BY_NAME:
                    assert any(item.name == following and item.colour == word for item in scene.items), text
                if word in ("tiny", "huge", "small", "big") and following in BY_NAME:
                    size = "small" if word in ("tiny", "small") else "large"
                    assert any(item.name == following and item.size == size for item in scene.items), text
                if word in ("two", "three"):
                    counts = [sum(item.name == other.name for item in scene.items) for other in scene.items]
                    assert max(counts) == {"two": 2, "three": 3}[word], text


def test_sides_of_text():
    """A sentence has one side whatever its capitals and full stop; both sides are about equally large."""
    assert grammar.side_of("A dog on the grass.") == grammar.side_of("a dog on the grass")
    rng = np.random.default_rng(0)
    sides = [grammar.side_of(grammar.idle(rng)) for _ in range(400)]
    assert 120 < sides.count("text") < 280


def test_combination_of_text():
    assert grammar.combination_of("Two men and a snowman near some buses") == {"man", "snowman", "bus"}
    assert grammar.combination_of("A doghouse and a carpet") == frozenset()


# --------------------------------------------------------------------------------------------------------------
# The detector


def test_detector_noise_is_as_stated():
    total, missed, confused = 0, 0, 0
    right, wrong = [], []
    for rng, scene in drawn_scenes(1500):
        objects, counts = noisy_detector.detect(rng, scene)
        total, missed, confused = total + counts["true"], missed + counts["missed"], confused + counts["confused"]
        assert len(objects) == counts["true"] - counts["missed"] + counts["invented"]
        for found in objects:
            ymin, xmin, ymax, xmax = found["box"]
            assert 0.3 < found["score"] < 1 and 0 <= ymin < ymax <= 1 and 0 <= xmin < xmax <= 1
            (right if found["name"] in scene.combination else wrong).append(found["score"])
    assert 0.20 < missed / total < 0.25
    assert 0.10 < confused / (total - missed) < 0.16
    assert np.mean(right) > np.mean(wrong) + 0.15


# --------------------------------------------------------------------------------------------------------------
# The stage


def test_files_of_the_stage(world):
    for split in ("train", "val", "test"):
        rows = lines(world / f"{split}.jsonl")
        assert len(rows) == SMALL[f"{split}_images"]
        for row in rows:
            assert len(set(row["captions"])) == (0 if split == "train" else 5)
            with Image.open(world / "images" / row["image"]) as image:
                assert image.size == (128, 128) and image.format == "JPEG"
    assert [row["image"] for row in lines(world / "train_pairs.jsonl")] == [
        row["image"] for row in lines(world / "train.jsonl")
    ]
    assert all(len(set(row["captions"])) == 5 for row in lines(world / "train_pairs.jsonl"))
    assert len(lines(world / "detections.jsonl")) == len(os.listdir(world / "images")) == 100
    assert (world / "classes.txt").read_text().lower().split() == list(NAMES)
    descriptions = [row for path in sorted(world.glob("descriptions/*.jsonl")) for row in lines(path)]
    assert len(descriptions) == SMALL["sentences"]
    assert {"category", "page", "description"} == set(descriptions[0])
    assert not (world / ".work").exists()


def test_true_objects(world):
    """The captions name what the truth lists, and its boxes lie in the picture; the detector sees most of them."""
    truth = {row["image"]: row for row in lines(world / "objects.jsonl")}
    for row in [*lines(world / "val.jsonl"), *lines(world / "test.jsonl")]:
        names = {item["name"] for item in truth[row["image"]]["objects"]}
        assert all(grammar.combination_of(text) <= names for text in row["captions"])
    for row in truth.values():
        for item in row["objects"]:
            ymin, xmin, ymax, xmax = item["box"]
            assert 0 <= ymin < ymax <= 1 and 0 <= xmin < xmax <= 1
    pairs = [(found, truth[row["image"]]) for row in lines(world / "detections.jsonl") for found in row["objects"]]
    right = [any(item["name"] == found["name"] for item in true["objects"]) for found, true in pairs]
    assert 0.7 < np.mean(right) < 1


def test_no_corpus_sentence_is_a_caption(world):
    captions = {
        tuple(grammar.words_of(text))
        for name in ("val", "test", "train_pairs")
        for row in lines(world / f"{name}.jsonl")
        for text in row["captions"]
    }
    corpus = {
        tuple(grammar.words_of(row["description"]))
        for path in world.glob("descriptions/*.jsonl")
        for row in lines(path)
    }
    assert captions and corpus and not captions & corpus


def test_figures_of_the_sidecar(world):
    figures = sidecars.read_sidecar(str(world / "miniature.json"))["figures"]
    assert figures["image_combinations_absent_from_text"] >= 0.3
    assert figures["text_combinations_absent_from_images"] >= 0.3
    assert figures["images"] == {"train": 60, "val": 20, "test": 20} and figures["sentences"] == 500


def test_a_broken_promise_is_an_error(world):
    figures = sidecars.read_sidecar(str(world / "miniature.json"))["figures"]
    promises.check(figures, 1, full_size=False)
    with pytest.raises(cli.UserError, match="no corpus sentence equals a caption"):
        promises.check({**figures, "sentences_equal_to_a_caption": 1}, 1, full_size=False)
    with pytest.raises(cli.UserError, match="40 train images of every class"):
        promises.check(figures, 1, full_size=True)


def test_measured_shares_count_combinations():
    row = {"classes": ["cat", "dog"], "captions": ["A cat and a dog."], "noise": {"true": 2, "missed": 1}}
    pictures = {"train": [row, {**row, "classes": ["car", "tree"]}]}
    figures = promises.measure(pictures, ["dogs and a cat", "a bus , a cup", "a ball , a cup", "a cat and a dog"])
    assert figures["image_combinations_absent_from_text"] == 0.5
    assert figures["text_combinations_absent_from_images"] == round(2 / 3, 4)
    assert figures["sentences_equal_to_a_caption"] == 1 and figures["objects_missed"] == 0.5


def test_another_seed_is_another_world(world, tmp_path):
    other = make(tmp_path, seed=2, train_images=3, val_images=2, test_images=2, sentences=5)
    name = "images/val_00000.jpg"
    assert (other / name).read_bytes() != (world / name).read_bytes()


def test_two_processes_give_the_same_bytes(world, tmp_path):
    assert contents(make(tmp_path, processes=2)) == contents(world)


def test_killed_half_way_and_continued(world, tmp_path):
    """A run killed between two shards goes on, does not draw the finished shard again, and ends with the same bytes."""
    flags = [f"--{name}={value}" for name, value in SMALL.items()]
    command = [sys.executable, "-m", "preprocessing.make_miniature", f"--data_dir={tmp_path}", "--processes=1", *flags]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    first = tmp_path / "raw" / ".work" / "train-000000.jsonl"
    deadline = time.monotonic() + 60
    while not first.exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert first.exists() and not (tmp_path / "raw" / "miniature.json").exists()
    before = os.stat(tmp_path / "raw" / "images" / "train_00000.jpg").st_mtime_ns
    (tmp_path / "raw" / "images" / "train_00001.jpg.0123abcd.part").write_bytes(b"half a picture")
    assert contents(make(tmp_path)) == contents(world)
    assert os.stat(tmp_path / "raw" / "images" / "train_00000.jpg").st_mtime_ns == before


def test_complete_other_settings_and_missing_picture(world, tmp_path, capsys):
    raw = make(tmp_path)
    wanted = contents(raw)
    capsys.readouterr()
    make(tmp_path)
    assert "nothing to do" in capsys.readouterr().out
    with pytest.raises(cli.UserError, match="(?s)seed: 1 there, 2 wanted.*--overwrite"):
        make(tmp_path, seed=2)
    os.remove(raw / "images" / "test_00001.jpg")
    make(tmp_path)
    assert contents(raw) == wanted


def test_references_alone(world, tmp_path):
    make(tmp_path, references_only=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["refs_test.json", "refs_val.json"]
    drawn = read_references(tmp_path / "refs_test.json")
    assert drawn == {row["image"]: row["captions"] for row in lines(world / "test.jsonl")}


def test_encoder_of_the_stage(tmp_path):
    from models.encoders import compact

    changes = {"train_images": 2, "val_images": 2, "test_images": 2, "sentences": 5}
    make(tmp_path, **changes, encoder_images=64, encoder_epochs=1)
    encoder = compact.load(str(tmp_path / "encoder" / "compact.npz"))
    assert encoder(np.zeros([1, 64, 64, 3], np.float32)).shape == (1, encoder.dim)
    sidecar = sidecars.read_sidecar(str(tmp_path / "encoder" / "compact.json"))
    assert sidecar["settings"] == {"seed": 1, "encoder_images": 64, "encoder_epochs": 1}


@pytest.mark.parametrize(
    "changes", [{"train_images": 0}, {"references": 0}, {"image_size": 8}, {"sentences": -1}, {"encoder_epochs": 0}]
)
def test_bad_sizes_are_refused(changes, tmp_path):
    with pytest.raises(cli.UserError, match=f"--{next(iter(changes))}"):
        make(tmp_path, **changes)


def test_help_is_fast():
    began = time.monotonic()
    command = [sys.executable, "-m", "preprocessing.make_miniature", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True)
    assert "--train_images" in shown.stdout and time.monotonic() - began < 5


def test_options_are_written_to_the_sidecar(world):
    settings = sidecars.read_sidecar(str(world / "miniature.json"))["settings"]
    fields = {field.name for field in dataclasses.fields(make_miniature.Options)}
    left_out = {"data_dir", "references_only", "overwrite", "processes", "encoder_images", "encoder_epochs"}
    assert set(settings) == fields - left_out
