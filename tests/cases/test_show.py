"""`python -m preprocessing.show FILE`: every kind of file that the stages write, as text, or a clear error."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

import cli
from formats import records, sidecars
from preprocessing import show
from tests import tiny_runs, tiny_world


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A data folder with an output of every kind, and what evaluations write."""
    folder = tmp_path_factory.mktemp("show") / "data"
    tiny_world.make(folder, images=6, sentences=9)
    box = [0.25, 0.5, 0.75, 1.0]
    found = [("a.jpg", ["Dog", "Cat"], [0.9, 0.5]), (os.fsdecode(b"caf\xe9.jpg"), [], [])]
    examples = [
        records.detection_example(name, range(len(names)), names, scores, [box] * len(names), ["d"] * len(names))
        for name, names, scores in found
    ]
    tiny_world.write(str(folder), "detections", examples)
    captions = [records.caption_example([2, 3, 6], "a.jpg"), records.caption_example([2, 4, 7], "b.jpg")]
    tiny_world.write(str(folder), "retrieved_captions", captions)
    tiny_world.write(str(folder), "obj2sen_captions", [records.caption_example([2, 3])])
    ids = np.asarray([2, 3, 6, 2, 4], np.int32)
    np.savez(folder / "fit_captions.npz", vectors=np.ones((2, 3), np.float32), words=ids, offsets=np.asarray([0, 3, 5]))
    content = {
        "b34.json": [["8", 0.1, None, 0.2, 0.3, 0.4], ["16", 0.2, None, 0.3, 0.4, 0.5]],
        "captions.json": [{"image_id": "a.jpg", "caption": "a dog"}, {"image_id": "b.jpg", "caption": "a cat"}],
        "table.json": [{"row": "full", "corpus": "c", "CIDEr": 12.5, "METEOR": None}],
        "refs_test.json": {
            "images": [{"id": "a.jpg"}, {"id": "b.jpg"}],
            "annotations": [{"image_id": "a.jpg", "caption": "x"}],
        },
    }
    for name, value in content.items():
        (folder / name).write_text(json.dumps(value))
    (folder / "metrics.jsonl").write_text('{"step": 4, "loss": 1.5}\n{"step": 8, "loss": 1.25}\n')
    (folder / "val.jsonl").write_text(
        '{"image": "a.jpg", "captions": ["x", "y"]}\n{"image": "b.jpg", "captions": []}\n'
    )
    (folder / "sentences.txt").write_text("a dog runs\na cat sleeps\n")
    return folder


def lines(path, rows=5, name=""):
    return list(show.lines_of(str(path), rows, name))


WANTED = [  # file, heading, a row
    ("sentence.tfrec", "9 records in one file: sentences with their concept words", r" on the grass </S> ["),
    ("image_train.tfrec", "6 records in one file: photographs with their objects", "train_001.jpg: "),
    ("detections.tfrec", "2 records in one file", "a.jpg: Dog 0.90 [0.25, 0.50, 0.75, 1.00]; Cat 0.50"),
    ("detections.tfrec", "what detectors found", "caf\udce9.jpg: no detections"),
    ("retrieved_captions.tfrec", "2 records in one file: generated captions", "a.jpg: a dog runs"),
    ("obj2sen_captions.tfrec", "1 records in one file: generated captions", "  a dog"),
    ("features_train.npy", "float16 [6, 3, 12], images x crops x numbers, by tflite:none.tflite", "train_000.jpg: "),
    ("features_train.json", "count: 6", "train_000.jpg: "),
    ("image_val.json", "3 records in one file: photographs with their objects", "val_000.jpg: "),
    ("fit_captions.npz", "vectors float32 [2, 3], words int32 [5], offsets int64 [3]", "point 1: a cat"),
    ("refs_val.json", "6 captions of 3 images, for scoring", " runs on the grass | "),
    ("refs_test.json", "1 captions of 2 images, for scoring", "b.jpg: no caption"),
    ("captions.json", "a list of 2", "a.jpg: a dog"),
    ("b34.json", "a ranking of 2 checkpoints, the best first", "16: CIDEr 0.2000, METEOR None, BLEU-4 0.3000"),
    ("table.json", "a table of 1 rows", "full: corpus c, CIDEr 12.5"),
    ("concepts.json", "an object of 3 fields", 'cat: ["Cat"]'),
    ("word_counts.txt", "a dictionary of 14 words", "3: dog 97"),
    ("sentences.txt", "text", "a cat sleeps"),
    ("metrics.jsonl", "JSON lines", '{"step": 8, "loss": 1.25}'),
    ("val.jsonl", "JSON lines", 'a.jpg: captions ["x", "y"]'),
]  # fmt: skip


@pytest.mark.parametrize("name, heading, row", WANTED)
def test_every_kind_of_file(made, name, heading, row):
    head, *rows = lines(made / name)
    assert head.startswith(f"{made / name}: ") and heading in head
    assert any(row in text for text in rows), rows


def test_rows_are_counted(made):
    assert len(lines(made / "image_train.tfrec", 2)) == 4 and "--rows 0" in lines(made / "image_train.tfrec", 2)[-1]
    assert len(lines(made / "image_train.tfrec", 0)) == 7 and len(lines(made / "image_train.tfrec", 6)) == 7


@pytest.mark.parametrize(
    "name", ["image_train.tfrec", "image_train.json", "features_train.npy", "features_train.json", "refs_train.json"]
)
def test_one_photograph(made, name):
    found = lines(made / name, 5, "train_004.jpg")
    assert len(found) == 2 and "train_004.jpg: " in found[1]
    with pytest.raises(cli.UserError, match=r"no row of train_4; it has train_00.\.jpg"):
        lines(made / name, 5, "train_4")


@pytest.mark.parametrize(
    "name", ["sentence.tfrec", "word_counts.txt", "fit_captions.npz", "b34.json", "obj2sen_captions.tfrec"]
)
def test_what_is_not_about_photographs(made, name):
    with pytest.raises(cli.UserError, match="its rows do not belong to photographs"):
        lines(made / name, 5, "a.jpg")


def test_shards_are_shown_together_by_their_sidecar(made, tmp_path):
    folder = shutil.copytree(made, tmp_path / "data")
    shutil.move(folder / "detections.tfrec", folder / "detections-00000-of-00002.tfrec")
    example = records.detection_example("z.jpg", [], [], [], [], [])
    records.write_records(str(folder / "detections-00001-of-00002.tfrec"), [example])
    paths = [str(folder / f"detections-0000{i}-of-00002.tfrec") for i in (0, 1)]
    about = {"count": 3, "settings": {"score_threshold": 0.1}, "made_from": {}}
    sidecars.write_sidecar(str(folder / "detections.json"), files=paths, **about)
    found = lines(folder / "detections.json")
    assert "3 records in 2 files" in found[0] and 'settings: {"score_threshold": 0.1}' in found[0]
    assert "z.jpg: no detections" in found[-1] and "z.jpg" in lines(paths[1])[1]
    (folder / "detections-00001-of-00002.tfrec").unlink()
    assert "DAMAGED" in lines(folder / "detections.json")[0]


def test_words_of_another_dictionary_stay_numbers(made, tmp_path):
    folder = shutil.copytree(made, tmp_path / "data")
    about = json.loads((folder / "sentence.json").read_text())
    files = [str(folder / "sentence.tfrec")]
    sidecars.write_sidecar(
        str(folder / "sentence.json"), files=files, count=9, settings={}, made_from={"vocabulary": "x"}
    )
    head, first, *_ = lines(folder / "sentence.tfrec")
    assert about and "another dictionary" in head and first.split()[0] == "0"
    (folder / "word_counts.txt").unlink()
    assert "word_counts.txt does not exist" in lines(folder / "image_train.tfrec")[0]


def test_the_variables_of_a_checkpoint(tmp_path):
    import tensorflow as tf

    prefix = tf.train.Checkpoint(weights=tf.Variable(tf.zeros([2, 3]))).write(str(tmp_path / "ckpt-8"))
    for path in (prefix, f"{prefix}.index", f"{prefix}.data-00000-of-00001"):
        head, *rows = lines(path)
        assert "a checkpoint: 2 variables, 7 numbers" in head and any("float32 [2, 3]" in row for row in rows)
    (tmp_path / "ckpt-8.index").write_bytes(b"no table")
    with pytest.raises(cli.UserError, match="ckpt-8: not a readable checkpoint"):
        lines(prefix)


def test_long_lines_are_cut_unless_all_is_asked_for(tmp_path):
    (tmp_path / "a.txt").write_text("word " * 500)
    assert len(lines(tmp_path / "a.txt")[1]) == show.WIDTH and len(lines(tmp_path / "a.txt", 0)[1]) > 2000


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("none.json", None, "none.json: No such file"),
        ("empty.tfrec", b"", "it contains no records"),
        ("empty.txt", b"", "an empty file"),
        ("a.tfrec", b"no records at all, but text", "a.tfrec"),
        ("a.json", b'{"a": ', "a.json: not a JSON file"),
        ("a.npy", b"\x93NUMPY\x01\x00", "a.npy: not a readable .npy file"),
        ("a.npz", b"PK\x03\x04", "a.npz: not a readable .npz file"),
        ("a.jpg", b"\xff\xd8\xff\xe0\x00\x10JFIF\x00", "an unknown kind of file"),
        ("a.jsonl", b'{"a": 1}\n{', "line 2"),
        ("word_counts.txt", b"a dog", "line 1 is"),
    ],
)
def test_what_cannot_be_shown_is_a_clear_error(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(cli.UserError, match=message) as caught:
        lines(tmp_path / name)
    assert name in str(caught.value)


def test_a_folder_names_its_files(made, tmp_path):
    with pytest.raises(cli.UserError, match="a folder; name a file in it: b34.json, captions.json"):
        lines(made)
    for step in (8, 16):
        (tmp_path / f"ckpt-{step}.index").touch()
    with pytest.raises(cli.UserError, match="a folder; name a file in it: ckpt-16, "):  # the newest, not the last name
        lines(tmp_path)


def test_damaged_files_of_every_kind_are_errors_that_name_them(made, tmp_path):
    rng = np.random.default_rng(2)
    for path in sorted(made.iterdir()):
        good = path.read_bytes()
        for number in range(25):
            data = bytearray(good)
            for _ in range(int(rng.integers(1, 8))):
                data[int(rng.integers(len(data)))] = int(rng.integers(256))
            copy = tmp_path / path.name
            copy.write_bytes(bytes(data[: int(rng.integers(1, len(data)))] if number % 3 == 0 else data))
            try:
                lines(copy, 0)
            except cli.UserError as error:
                assert str(tmp_path) in str(error), (path.name, error)


def test_the_command(made):
    command = [sys.executable, "-m", "preprocessing.show"]
    done = subprocess.run(
        [*command, str(made / "detections.tfrec"), "--rows", "1"], cwd=tiny_runs.ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0 and "a.jpg: Dog 0.90" in done.stdout, done.stderr
    for arguments, message in [
        ([], "no file given: python -m preprocessing.show FILE"),
        (["x.json"], "ERROR: x.json: No such file"),
        (["--rows=-1", "x"], "--rows -1"),
    ]:
        done = subprocess.run([*command, *arguments], cwd=tiny_runs.ROOT, capture_output=True, text=True)
        assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr
