"""Every command refuses files that were not made for each other."""

import json
import os
import shutil

import numpy as np
import pytest

import cli
import config
import eval_test
import eval_val
import train
from evaluation import untrained
from formats import inventory, photograph_hashes, sidecars
from formats.vocabulary import Vocabulary
from initialization import gen_obj2sen_caption, im_caption, predict_caption_embeddings, retrieve_captions
from preprocessing import detect_objects, extract_features, process_images
from tests import given_world, sidecar_edits, tiny_runs
from tests.commands.test_scored_is_given import spec_of


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Returns (world, its data folder with a feature bank, a run on that folder)."""
    folder = tmp_path_factory.mktemp("fit")
    world = given_world.make(folder / "world")
    data = given_world.with_features(world, "whole", spec_of("tflite", folder))
    words = Vocabulary.load(os.path.join(data, "word_counts.txt")).fingerprint()
    edit(data, "sentence.json", vocabulary=words)
    run = given_world.untrained_run(data, str(folder / "run"))
    return world, data, run


@pytest.fixture
def copy(made, tmp_path):
    """Returns (copy of the data folder, the run)."""
    return shutil.copytree(made[1], tmp_path / "data"), made[2]


def edit(folder, name, **fields):
    """Changes fields of a sidecar and its checksum, as if its stage had written them."""
    sidecar_edits.edit(os.path.join(folder, name), **fields)


def readers(data, run, tmp_path):
    """Returns dict name -> function that starts a command that reads the data folder."""
    data = str(data)
    return {
        "train": lambda: train.main(tiny_runs.full(data, tmp_path / "new", max_steps=4)),
        "im_caption": lambda: im_caption.main(config.ImageCaption(data_dir=data, job_dir=str(tmp_path / "new"))),
        "eval_val": lambda: eval_val.main(eval_val.Options(job_dir=run, data_dir=data)),
        "eval_test": lambda: eval_test.main(eval_test.Options(job_dir=run, data_dir=data, split="val")),
        "untrained": lambda: untrained.main(untrained.Options(data_dir=data, table=str(tmp_path / "t.json"))),
        "retrieve": lambda: retrieve_captions.main(retrieve_captions.Options(data_dir=data)),
        "neighbours": lambda: predict_caption_embeddings.main(predict_caption_embeddings.Options(data_dir=data)),
        "gen_obj2sen": lambda: gen_obj2sen_caption.main(gen_obj2sen_caption.Options(job_dir=run, data_dir=data)),
    }


TRAINERS = ("train", "im_caption", "retrieve", "neighbours")


@pytest.mark.parametrize("reader", [*TRAINERS, "untrained", "gen_obj2sen"])
def test_another_dictionary(copy, tmp_path, reader):
    data, run = copy
    with open(data / "word_counts.txt", "a") as file:
        file.write("zebra 1\n")
    with pytest.raises(cli.UserError, match="another dictionary than word_counts.txt.*python -m preprocessing"):
        readers(data, run, tmp_path)[reader]()


@pytest.mark.parametrize("reader", [*TRAINERS, "eval_val", "eval_test"])
def test_features_of_other_photographs(copy, tmp_path, reader):
    data, run = copy
    for split in ("train", "val"):
        edit(data, f"image_{split}.json", photographs="0" * 64)
    with pytest.raises(cli.UserError, match="of other photographs than the records"):
        readers(data, run, tmp_path)[reader]()


@pytest.mark.parametrize("reader", ["eval_val", "eval_test", "untrained"])
def test_other_references_of_the_same_size(copy, tmp_path, reader):
    data, run = copy
    text = (data / "refs_val.json").read_text()
    (data / "refs_val.json").write_text(text.replace("runs", "eats"))
    with pytest.raises(cli.UserError, match="refs_val does not fit"):
        readers(data, run, tmp_path)[reader]()


@pytest.mark.parametrize("reader", ["train", "eval_val"])
def test_names_that_were_swapped_in_the_sidecar_of_the_features(copy, tmp_path, reader):
    data, run = copy
    for split in ("train", "val"):
        path = data / f"features_{split}.json"
        content = json.loads(path.read_text())
        content["names"][0], content["names"][1] = content["names"][1], content["names"][0]
        path.write_text(json.dumps(content))
    with pytest.raises(cli.UserError, match="was changed since it was written"):
        readers(data, run, tmp_path)[reader]()


@pytest.mark.parametrize("reader", ["train", "eval_val", "retrieve"])
def test_verify_compares_contents(copy, tmp_path, reader):
    data, run = copy
    bank = np.load(data / "features_val.npy")
    np.save(data / "features_val.npy", bank[::-1])
    given = {
        "train": lambda: train.main(tiny_runs.full(data, tmp_path / "new", verify=True)),
        "eval_val": lambda: eval_val.main(eval_val.Options(job_dir=run, data_dir=str(data), verify=True)),
        "retrieve": lambda: retrieve_captions.main(retrieve_captions.Options(data_dir=str(data), verify=True)),
    }
    with pytest.raises(cli.UserError, match="features_val.npy is not the file that"):
        given[reader]()


def test_whole_data_fit(copy):
    assert inventory.misfits(str(copy[0])) == []
    inventory.require_fit(str(copy[0]), tuple(inventory.OUTPUTS), verify=True)


def test_only_what_is_asked_about_is_read(copy, monkeypatch):
    """The sidecar of a large feature bank takes longer to read than the rest together."""
    read, read_sidecar = set(), sidecars.read_sidecar
    monkeypatch.setattr(sidecars, "read_sidecar", lambda path: read.add(os.path.basename(path)) or read_sidecar(path))
    inventory.require_fit(str(copy[0]), ("dictionary", "image_train"))
    assert "image_train.json" in read and not {name for name in read if name.startswith(("features", "sentence"))}


# --------------------------------------------------------------------------------------------------------------
# Replaced photographs


def test_a_photograph_of_the_same_size_is_seen(tmp_path):
    names, folder = ["a.jpg", "b.jpg"], tmp_path / "photos"
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(b"12345")
    first = photograph_hashes.hashes_of(folder, names, tmp_path / "data")
    assert photograph_hashes.hashes_of(folder, names, tmp_path / "data") == first
    status = os.stat(folder / "a.jpg")
    (folder / "a.jpg").write_bytes(b"54321")
    os.utime(folder / "a.jpg", ns=(status.st_atime_ns, status.st_mtime_ns + 1000))
    second = photograph_hashes.hashes_of(folder, names, tmp_path / "data")
    assert second["a.jpg"] != first["a.jpg"] and second["b.jpg"] == first["b.jpg"]
    os.utime(folder / "a.jpg", ns=(0, 0))
    third = photograph_hashes.hashes_of(folder, names, tmp_path / "data")
    (folder / "a.jpg").write_bytes(b"99999")
    os.utime(folder / "a.jpg", ns=(0, 0))
    assert photograph_hashes.hashes_of(folder, names, tmp_path / "data") == third, "size and time are the same"
    assert photograph_hashes.hashes_of(folder, names, tmp_path / "data", verify=True)["a.jpg"] != third["a.jpg"]
    (folder / "b.jpg").unlink()
    assert photograph_hashes.hashes_of(folder, names, tmp_path / "data")["b.jpg"] == ""
    assert photograph_hashes.digest(first, names) != photograph_hashes.digest(second, names)


def test_only_what_changed_is_read_again(tmp_path, monkeypatch):
    (tmp_path / "a.jpg").write_bytes(b"12345")
    photograph_hashes.hashes_of(tmp_path, ["a.jpg"], tmp_path / "data")
    monkeypatch.setattr(photograph_hashes, "_hash", lambda path: pytest.fail(f"{path} was read again"))
    photograph_hashes.hashes_of(tmp_path, ["a.jpg"], tmp_path / "data")


def test_the_stages_see_a_replaced_photograph(made, tmp_path):
    world, data, _ = made
    photos, data = shutil.copytree(world.photos, tmp_path / "photos"), shutil.copytree(data, tmp_path / "data")
    shared = {"data_dir": str(data), "image_dir": str(photos), "processes": 1}
    lists = os.path.join(world.folder, "lists")
    stages = {
        "detections": lambda: detect_objects.main(
            detect_objects.Options(detector=f"annotations:{world.objects}", **shared)
        ),
        "image_train": lambda: process_images.main(process_images.Options(dataset=f"jsonl:{lists}", **shared)),
    }
    for stage in stages.values():
        stage()  # complete
    content = (photos / "train_000.jpg").read_bytes()
    (photos / "train_000.jpg").write_bytes((photos / "train_001.jpg").read_bytes()[: len(content)].ljust(len(content)))
    for name, stage in stages.items():
        with pytest.raises(cli.UserError, match=f"{name}.json: the existing output was made with other settings"):
            stage()
    spec = spec_of("tflite", tmp_path)
    edit(data, "image_train.json", photographs="1" * 64)
    with pytest.raises(cli.UserError, match="features_train.json: the existing output was made with other settings"):
        extract_features.main(
            extract_features.Options(data_dir=str(data), encoder=spec, crops=1, processes=1, splits=("train",))
        )
