"""Paths of any name, wherever they lie: brackets, marks, blanks, umlauts; runs that were moved; TF1's folders."""

import json
import os
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

import caption
import cli
import config
import eval_test
import eval_val
import train
from captioning import photographs
from captioning.captioner import Captioner
from evaluation import report
from formats import encoder_names, paths
from initialization import im_caption
from models import checkpoint_files, encoders
from models.encoders import inception_v4, registry, saved
from preprocessing import import_features
from preprocessing.detection import detectors
from preprocessing.sources import corpus_files, datasets
from scripts import import_tf1_checkpoint
from tests import given_world, tiny_runs
from tests.parity import golden_files
from training import checkpoints
from training.run_directory import RunDirectory

STRANGE = "we[i]rd *?#1+x@max \\ {RUN} ümläut 😀 c++"
METRICS = ("BLEU", "CIDEr")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Photographs, lists, data and features below a folder of a strange name."""
    folder = tmp_path_factory.mktemp("names") / STRANGE
    folder.mkdir()
    made = given_world.make(folder)
    spec = f"compact:{given_world.write_encoder(str(folder / 'small #2+compact:x.npz'))}"
    return made, given_world.with_features(made, "features", spec)


@pytest.fixture(scope="module")
def run(world):
    """A trained run of the full model beside the data."""
    made, data = world
    job_dir = f"{made.folder}runs/full"
    train.main(tiny_runs.full(data, job_dir, max_steps=4, save_checkpoint_steps=4, eval_images=0))
    return job_dir


def said(job_dir, *files, **flags):
    output = os.path.join(os.path.dirname(job_dir), "said.json")
    options = caption.Options(job_dir=str(job_dir), paths=tuple(map(str, files)), output=output, **flags)
    assert caption.main(options) == 0
    with open(output) as file:
        return [(entry["image_id"], entry["caption"], entry["log_prob"]) for entry in json.load(file)]


# --------------------------------------------------------------------------------------------------------------
# Every command


def test_a_run_goes_on(world, run):
    train.main(tiny_runs.full(world[1], run, max_steps=8, save_checkpoint_steps=4, eval_images=0))
    assert checkpoints.steps_in(run) == [4, 8]


def test_it_is_scored_reported_and_handed_on(world, run, capsys):
    made, data = world
    eval_val.main(eval_val.Options(job_dir=run, metrics=METRICS))
    eval_test.main(eval_test.Options(job_dir=run, split="val", metrics=METRICS, report=True))
    assert "captions of caption.py" in capsys.readouterr().out
    assert {"b34.json", "val.json", "val_scores.json", "report.html"} <= set(os.listdir(run))
    rows = json.loads(pathlib.Path(made.folder, "runs", "table.json").read_text())
    assert [row["split"] for row in rows] == ["val"] * len(rows) and rows
    on = f"{made.folder}runs/on/"  # with a slash at its end
    train.main(tiny_runs.full(data, on, max_steps=4, save_checkpoint_steps=4, eval_images=0, imcap_ckpt=run + "/"))
    assert (pathlib.Path(on) / "started_from.json").exists()
    assert len(said(on, f"{made.photos}/")) == given_world.TRAIN + given_world.VAL


def test_a_run_captions_wherever_it_lies(world, run, tmp_path, monkeypatch):
    made, _ = world
    wanted = said(run, *made.val_files)
    for name in ("[lr=1e-3]", "exp#2", "c++/r2m", "a b/*?", "back\\slash"):
        moved = shutil.copytree(run, tmp_path / name)
        assert said(moved, *made.val_files) == wanted, name
        assert said(str(moved) + "/", *made.val_files) == wanted, name
    (tmp_path / "link").symlink_to(tmp_path / "exp#2")
    monkeypatch.chdir(tmp_path / "c++")
    assert said("r2m", *made.val_files) == said("../link", *made.val_files) == wanted


def test_a_run_that_is_moved_with_its_data_is_whole(tmp_path, monkeypatch):
    """Resumed, scored, reported from another working folder; only the beginning's path may be another one."""
    old, new = tmp_path / "old", tmp_path / "new place"
    made = given_world.make(old / "world")
    spec = f"compact:{given_world.write_encoder(str(old / 'small.npz'))}"
    monkeypatch.chdir(old)
    data = os.path.relpath(given_world.with_features(made, "features", spec), old)
    common = {"save_checkpoint_steps": 4, "eval_images": 0}
    train.main(tiny_runs.full(data, "runs/start", max_steps=4, **common))
    train.main(tiny_runs.full(data, "runs/full", max_steps=4, imcap_ckpt="runs/start", **common))
    monkeypatch.chdir(tmp_path)
    shutil.move(old, new)
    job_dir = str(new / "runs" / "full")
    moved = tiny_runs.full(new / data, job_dir, max_steps=8, imcap_ckpt=str(new / "runs" / "start"), **common)
    train.main(moved)
    assert checkpoints.steps_in(job_dir) == [4, 8]
    with pytest.raises(cli.UserError, match="started with other settings"):
        train.main(tiny_runs.full(new / data, job_dir, max_steps=12, imcap_ckpt=job_dir, **common))
    shutil.move(new, tmp_path / "newer")
    monkeypatch.chdir("/")
    job_dir = f"{tmp_path}/newer/runs/full"
    eval_val.main(eval_val.Options(job_dir=job_dir, metrics=METRICS))
    report.main(report.Options((job_dir,)))
    page = pathlib.Path(job_dir, "report.html").read_text()
    assert "could not be scored" not in page and "data:image/jpeg" in page
    shutil.rmtree(tmp_path / "newer" / "world")
    with pytest.raises(cli.UserError, match="the data folder that .*runs/full was trained on is not there"):
        eval_val.main(eval_val.Options(job_dir=job_dir, metrics=METRICS))


def test_a_moved_run_goes_on_with_its_reward_and_its_captions(world, tmp_path):
    """What their files contain is compared, not where they lie."""
    made, data = world
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    (old / "own.py").write_text(
        "def make(argument, options): return lambda tokens, mask, batch: mask * float(argument)\n"
    )
    shutil.move(given_world.write_pairs(made).removeprefix("pairs:"), old / "pairs.jsonl")
    common = {"save_checkpoint_steps": 2, "eval_images": 0}
    small = {"data_dir": data, "emb_dim": 8, "mem_dim": 8, "batch_size": 4, "steps_per_loop": 2} | common
    for folder, max_steps in ((old, 2), (new, 4)):
        train.main(tiny_runs.full(data, folder / "run", max_steps=max_steps, reward=(f"{folder}/own.py:1",), **common))
        moved = {"job_dir": f"{folder}/pairs", "captions": f"pairs:{folder}/pairs.jsonl", "max_steps": max_steps}
        im_caption.main(config.ImageCaption(**small, **moved))
        if folder is old:
            shutil.move(old, new)
    assert checkpoints.steps_in(str(new / "run")) == checkpoints.steps_in(str(new / "pairs")) == [2, 4]
    lines = (new / "pairs.jsonl").read_text()
    (new / "pairs.jsonl").write_text(lines.replace("runs", "sleeps"))
    with pytest.raises(cli.UserError, match=r"settings\. .*\n  captions: \w+ in the run, \w+ now$"):
        im_caption.main(config.ImageCaption(**small, **moved | {"max_steps": 6}))
    (new / "own.py").write_text("def make(argument, options): return lambda tokens, mask, batch: -mask\n")
    for argument, name in (("1", "rewards"), ("2", "reward")):
        with pytest.raises(cli.UserError, match=f"\n  {name} .*own.py"):
            train.main(tiny_runs.full(data, new / "run", max_steps=6, reward=(f"{new}/own.py:{argument}",), **common))


# --------------------------------------------------------------------------------------------------------------
# Marks in names of encoders, detectors, data sets, lists


@pytest.fixture
def strange(tmp_path):
    folder = tmp_path / STRANGE
    folder.mkdir()
    return folder


def test_names_of_encoders_are_found_again(strange):
    files = [strange / name for name in ("a#1.npz", "b+compact:c.npz", "d@max.npz")]
    for file in files:
        given_world.write_encoder(str(file))
    for file in files:
        for part in ("", "#grid"):
            name = encoder_names.parse(f"compact:{file}{part}")
            assert (name.file, name.part) == (str(file), part[1:]) and name.at("x#2/y") == f"compact:x#2/y{part}"
    spec = "+".join(f"compact:{file}" for file in files)
    assert encoder_names.split(spec) == [f"compact:{file}" for file in files]
    joined = encoders.load_encoder(spec)
    saved.save_encoder(joined.describe(), str(strange / "run#1+x"))
    identity = encoders.identity(joined.describe())
    for file in files:
        file.unlink()
    again = registry.load_encoder_from(str(strange / "run#1+x"))
    assert encoders.identity(again.describe()) == identity == encoders.identity(joined_description(strange))


def joined_description(strange):
    with open(strange / "run#1+x" / "encoder.json") as file:
        return json.load(file)


def test_names_of_files_that_are_not_there(tmp_path):
    for name, file, part in [
        ("tflite:none.tflite#172@max", "none.tflite", "172@max"),
        ("tflite:exp#2/none.tflite", "exp#2/none.tflite", ""),
        ("compact:exp#2/none.npz#grid", "exp#2/none.npz", "grid"),
        ("keras:MobileNetV2", "", ""),
        ("keras:MobileNetV2#grid", "", "grid"),
        ("keras:MobileNetV2#a#1/none.h5#grid", "a#1/none.h5", "grid"),
        ("vgg16:imagenet#grid", "imagenet", "grid"),
        ("neighbours:a#1.npz", "a#1.npz", ""),
    ]:
        found = encoder_names.parse(name)
        assert (found.file, found.part) == (file, part), name
    with pytest.raises(ValueError, match="exp#2/none.npz"):
        encoders.load_encoder("compact:exp#2/none.npz")


def test_an_encoder_of_ones_own_in_a_strange_folder(strange):
    shutil.copy(tiny_runs.ROOT / "docs" / "examples" / "colour_grid.py", strange / "a+grid.py")
    assert encoders.load_encoder(f"{strange}/a+grid.py:2").dim == 12
    both = f"{strange}/a+grid.py:2+{strange}/a+grid.py:1"
    assert encoders.load_encoder(both).dim == 15
    first, second = encoder_names.split(both)
    assert encoder_names.split(f"{first}+a+b+compact:none.npz+{second}") == [f"{first}+a+b", "compact:none.npz", second]


def test_names_of_detectors(strange):
    known, more, labels, program = (strange / name for name in ("a+b.jsonl", "c#labels=x", "l+1.txt", "d+e.py"))
    line = json.dumps({"image": "1.jpg", "objects": [{"name": "Dog", "score": 0.9}]}) + "\n"
    for path in (known, more):
        path.write_text(line)
    labels.write_text("Dog\n")
    shutil.copy(tiny_runs.ROOT / "docs" / "examples" / "foreground.py", program)
    network = strange / "ssd+1.tflite"
    network.write_bytes(b"network")
    parts = detectors.parse(f"annotations:{known}+{network}#labels={labels}+{program}:dog+classifier:{network}", labels)
    assert [(part.kind, part.path) for part in parts] == [
        ("annotations", str(known)),
        ("tflite", str(network)),
        (str(program), "dog"),
        ("classifier", str(network)),
    ]
    assert parts[1].labels == str(labels)
    assert detectors.programs_in(f"annotations:{known}+{program}:dog") == [f"{program}:dog"]
    assert detectors.programs_in(f"annotations:{known}+classifier:{network}#labels={labels}") == []
    with pytest.raises(cli.UserError, match=r"'annotations:no\+ne.jsonl': no\+ne.jsonl is not a file"):
        detectors.parse("annotations:no+ne.jsonl")


@pytest.mark.parametrize("name", ["c++/r2m", "exp#2", STRANGE])
def test_a_run_finds_the_detector_that_it_keeps(tmp_path, name):
    """R2M's detector is named by a text with {RUN} in it."""
    run = tmp_path / name
    (run / "detector").mkdir(parents=True)
    (run / "detector" / "objects+1.jsonl").write_text('{"image": "1.jpg", "objects": []}\n')
    (run / "detector" / "more.jsonl").write_text('{"image": "1.jpg", "objects": []}\n')
    content = {"detector": "annotations:{RUN}/objects+1.jsonl+annotations:{RUN}/more.jsonl", "settings": {}}
    (run / "detector" / "detector.json").write_text(json.dumps(content | {"made_from": []}))
    kept = photographs.read_detector(str(run))
    parts = photographs._stored_parts(str(run), kept)
    assert [part.path for part in parts] == [f"{run}/detector/objects+1.jsonl", f"{run}/detector/more.jsonl"]


def test_names_that_are_not_utf8(tmp_path):
    """TensorFlow writes nothing there: a run is refused before its first step; whatever else fails is one line."""
    name = os.fsdecode(bytes(tmp_path) + b"/caf\xe9")
    with pytest.raises(cli.UserError, match="not UTF-8, TensorFlow writes no checkpoint there; rename it"):
        RunDirectory(tiny_runs.full("data", name), {})
    assert not os.path.exists(name)
    os.mkdir(name)
    prefix = tf.train.Checkpoint(v=tf.Variable(1.0)).write(str(tmp_path / "x"))
    for path in (prefix + ".index", prefix + ".data-00000-of-00001"):
        shutil.move(path, name)
    with checkpoint_files.reader(name + "/x") as reader:
        assert reader.get_tensor("v/.ATTRIBUTES/VARIABLE_VALUE") == 1
    with pytest.raises(UnicodeEncodeError) as caught:
        name.encode()
    assert cli.file_fault(caught.value).endswith("holds the name of a file or folder that is not UTF-8; rename it")


def test_names_of_data_sets_and_lists(strange):
    for name in ("lists#1", "coco#2014"):
        (strange / name).mkdir()
    (strange / "lists#1" / "val.jsonl").write_text('{"image": "1.jpg", "captions": ["a dog"]}\n')
    assert datasets.load_dataset(f"jsonl:{strange}/lists#1/").splits == {"val": ["1.jpg"]}
    content = {"images": [{"id": 1, "file_name": "1.jpg"}], "annotations": [{"image_id": 1, "caption": "a dog"}]}
    for year in (2014, 2017):
        (strange / "coco#2014" / f"captions_val{year}.json").write_text(json.dumps(content))
    assert datasets.load_dataset(f"coco:{strange}/coco#2014#2017").splits == {"val": ["1.jpg"]}
    with pytest.raises(cli.UserError, match="files of 2014 and 2017"):
        datasets.load_dataset(f"coco:{strange}/coco#2014")
    arrays = [strange / "a,b.npy", strange / "c.npy"]
    for i, path in enumerate(arrays):
        np.save(path, np.zeros((1, 3)))
        path.with_suffix(".txt").write_text(f"{i}.jpg\n")
    features, names = (",".join(map(str, group)) for group in (arrays, [path.with_suffix(".txt") for path in arrays]))
    found, _ = import_features.open_files(import_features.Options(features=features, names=names))
    assert [file.path for file in found] == [str(path) for path in arrays]
    corpora = [strange / "one, two.txt", strange / "three.txt"]
    for path in corpora:
        path.write_text("a dog runs on the grass\n" * 5)
    files, _ = corpus_files.corpora_of(f"text:{corpora[0]},{corpora[1]}")
    assert sorted(file.path for file in files) == sorted(map(str, corpora))


def test_the_longest_path_that_is_there_counts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "a#1", "b+c"):
        pathlib.Path(name).write_text("")
    is_part = str.isdigit
    assert paths.cut("a#1", "#", is_part) == ("a#1", "") and paths.cut("a#2", "#", is_part) == ("a", "2")
    assert paths.cut("a#1#2", "#", is_part) == ("a#1", "2") and paths.cut("none#x", "#", is_part) == ("none#x", "")
    assert paths.split("a+b+c+d", "+") == ["a", "b+c", "d"] and paths.split("a,none,", ",") == ["a", "none"]
    kinds = {"begins": lambda rest: rest.startswith("KIND:")}
    assert paths.split("a+b+c+x+KIND:z", "+", **kinds) == ["a", "b+c+x", "KIND:z"]
    assert paths.split("x+y+KIND:z+a", "+", **kinds) == ["x+y", "KIND:z", "a"]


# --------------------------------------------------------------------------------------------------------------
# Checkpoints


@pytest.mark.parametrize("name", ["[a]", "*", "?", "back\\slash", STRANGE, "new\nline"])
def test_checkpoints_are_written_and_read(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    (tmp_path / "a").mkdir()  # what a pattern [a], * or ? would find
    variable = tf.Variable([1.0, 2.0])
    checkpoints.save(str(folder), 3, {"generator": tf.Module()}, {"step": 3})
    prefix = tf.train.Checkpoint(v=variable).write(str(folder / "c[1]"))
    with checkpoint_files.reader(prefix) as reader:
        assert reader.get_tensor("v/.ATTRIBUTES/VARIABLE_VALUE").tolist() == [1, 2]
    other = tf.Variable([0.0, 0.0])
    checkpoints.restore(prefix, {"v": other})
    assert other.numpy().tolist() == [1, 2] and checkpoints.steps_in(str(folder)) == [3]
    assert [os.path.basename(path) for path in checkpoint_files.files(prefix)] == [
        "c[1].data-00000-of-00001",
        "c[1].index",
    ]


def test_a_damaged_checkpoint_is_still_one(tmp_path):
    folder = tmp_path / "[a]"
    folder.mkdir()
    variable = tf.Variable([1.0] * 99)
    prefix = checkpoints.save(str(folder), 3, {"v": variable}, {"step": 3})
    (folder / "ckpt-3.data-00000-of-00001").write_bytes(b"")
    with pytest.raises(cli.UserError, match="cannot be restored"):
        checkpoints.restore(prefix, {"v": variable})


GOLDEN = golden_files.folder() / "checkpoints"


@pytest.fixture
def tf1(tmp_path):
    """A folder of the authors' checkpoint as it comes from another machine."""
    if not (GOLDEN / "full").is_dir():
        pytest.skip(f"{GOLDEN} is not here (set UIC_GOLDEN)")
    return pathlib.Path(shutil.copytree(GOLDEN / "full", tmp_path / "X [1]"))


ELSEWHERE = 'model_checkpoint_path: "/home/other/X/{name}"\nall_model_checkpoint_paths: "/home/other/X/{name}"\n'


@pytest.mark.parametrize("name", ["as it is", "another", None, "damaged"])
def test_a_tf1_folder_of_another_machine(tf1, tmp_path, name):
    """Its file `checkpoint` names a path elsewhere, another checkpoint that was not copied, or is not there."""
    (index,) = tf1.glob("*.index")
    prefix, text = str(index).removesuffix(".index"), {"damaged": "model_checkpoint_path: ["}
    if name:
        stem = index.stem if name == "as it is" else "model.ckpt-99"
        (tf1 / "checkpoint").write_text(text.get(name) or ELSEWHERE.format(name=stem))
    elif (tf1 / "checkpoint").exists():
        (tf1 / "checkpoint").unlink()
    assert checkpoint_files.newest(str(tf1)) == prefix
    assert checkpoints.choose(str(tf1)).prefix == checkpoints.choose(str(tf1) + "/", "newest").prefix == prefix
    arrays = checkpoints.read_variables(str(tf1))
    assert "Generator/embedding" in arrays
    options = import_tf1_checkpoint.Options(
        checkpoint=str(tf1), word_counts=str(GOLDEN / "word_counts.txt"), job_dir=str(tmp_path / "run #1")
    )
    import_tf1_checkpoint.main(options)
    assert Captioner.from_run(options.job_dir).vocabulary.size == len(arrays["Generator/embedding"])


def test_the_newest_of_a_tf1_folder(tmp_path):
    for name in ("model.ckpt-9.index", "model.ckpt-10.index", "other.index", "model.ckpt-11.meta", "checkpoint"):
        (tmp_path / name).write_text("")
    assert checkpoint_files.newest(str(tmp_path)) == f"{tmp_path}/model.ckpt-10"
    (tmp_path / "model.ckpt-11").write_text("one file, of TensorFlow's first format")
    assert checkpoint_files.newest(str(tmp_path)) == f"{tmp_path}/model.ckpt-11"
    (tmp_path / "checkpoint").write_text(ELSEWHERE.format(name="model.ckpt-9"))
    assert checkpoint_files.newest(str(tmp_path)) == f"{tmp_path}/model.ckpt-9"
    (tmp_path / "nothing").mkdir()
    assert checkpoint_files.newest(str(tmp_path / "nothing")) is None
    with pytest.raises(cli.UserError, match="a folder without a checkpoint"):
        checkpoints.choose(str(tmp_path / "nothing"))
    with pytest.raises(ValueError, match="nothing: not a readable checkpoint"):
        inception_v4.load_checkpoint(str(tmp_path / "nothing"))


def test_hand_over_from_such_a_folder(tf1):
    assert im_caption and checkpoints.read_variables(str(tf1)).keys() >= {"Generator/embedding"}
