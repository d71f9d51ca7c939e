"""The doctor on an empty folder, on a complete small world, and on damaged and mismatched outputs."""

import dataclasses
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import cli
import experiments
from formats import inventory, sidecars
from scripts import doctor
from tests import sidecar_edits, tiny_world

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def world(tmp_path):
    tiny_world.make(tmp_path / "data", images=12, sentences=20)
    return tmp_path / "data"


def examine(folder, **changes):
    """Runs the doctor; returns (exit code, report as dict first word -> line, with the whole text)."""
    options = doctor.Options(data_dir=str(folder), job_dir=str(folder / "run"), devices=False)
    return doctor.main(dataclasses.replace(options, **changes))


def report(capsys):
    text = capsys.readouterr().out
    return {line.split()[0]: " ".join(line.split()[1:]) for line in text.splitlines() if line.split()}, text


def test_empty_folder(tmp_path, capsys):
    assert examine(tmp_path / "none") == 1
    lines, text = report(capsys)
    assert "no such folder" in text and lines["sentence"] == "missing"
    made = [line.split()[2] for line in text.splitlines() if line.strip().startswith("python -m")]
    assert made == [
        f"preprocessing.{stage}"
        for stage in (
            "extract_descriptions",
            "process_descriptions",
            "detect_objects",
            "process_images",
            "extract_features",
        )
    ]
    assert f"--data_dir {tmp_path}/none" in text and "image_train, image_val, refs_val" in text


def test_whole_world(world, capsys):
    assert examine(world) == 0
    lines, text = report(capsys)
    assert lines["sentence"] == "there 20" and lines["features_train"] == "there 12"
    assert lines["dictionary"].startswith("unchecked 13, no sidecar")
    assert lines["detections"] == lines["sentences"] == "absent not needed here"
    assert "all that is needed is there" in text and "python -m preprocessing" not in text


def test_what_recipes_need(world, capsys):
    assert examine(world, recipe="miniature/con2sen") == 0
    assert examine(world, recipe="miniature/feat2sen") == 1
    assert "python -m initialization.retrieve_captions" in capsys.readouterr().out
    assert examine(world, recipe="miniature/sentence_gan") == 1
    assert "--sae_ckpt runs/sentence_ae: not there" in capsys.readouterr().out
    with pytest.raises(cli.UserError, match="--recipe none: no such experiment .*expected one of .*coco_shutterstock"):
        examine(world, recipe="none")


def test_what_recipes_of_expected_vectors_need(world, capsys):
    assert examine(world, recipe="flickr8k_coco/full") == 1
    text = capsys.readouterr().out
    assert f"initialization.predict_caption_embeddings --data_dir {world} --output_dir {world}_neighbours" in text
    assert f"is trained on the folder that predict_caption_embeddings makes: --data_dir {world}_neighbours" in text
    (world / "neighbours.npz").write_bytes(b"known images")
    assert examine(world, recipe="flickr8k_coco/full") == 1
    assert report(capsys)[0]["neighbours"] == "DAMAGED phrases.npz is missing"
    (world / "phrases.npz").write_bytes(b"phrases")
    files = [str(world / name) for name in ("neighbours.npz", "phrases.npz")]
    sidecars.write_sidecar(str(world / "neighbours.json"), files=files, count=12, settings={}, made_from={})
    assert examine(world, recipe="flickr8k_coco/full") == 0
    assert report(capsys)[0]["neighbours"] == "there 12"
    assert examine(world, recipe="flickr8k_coco/feat2sen") == 1
    assert f"python -m initialization.assign_captions --data_dir {world}" in capsys.readouterr().out
    flip(world / "features_train.npy")
    assert examine(world) == 1
    text = capsys.readouterr().out
    assert f"--output_dir {world}" in text and "extract_features" not in text


def test_every_recipe_is_known_to_need_something():
    rows = [(name, row) for name in experiments.names() for row in experiments.load(name).ROWS.values()]
    for name, settings in rows:
        training, scoring = doctor.needed(settings)
        assert training and set(training + scoring) <= set(inventory.OUTPUTS), name
    assert len(rows) > 20


def test_paper_recipes_are_judged_by_the_estimate_of_the_paper(world, capsys, monkeypatch):
    monkeypatch.setattr(doctor.uic_cost, "memory", lambda: 4.0)
    assert examine(world, recipe="coco_shutterstock/full") == 1
    assert "TOO LITTLE memory 4.0 GB, about 6.0 GB needed" in " ".join(capsys.readouterr().out.split())


def test_a_full_disk(world, capsys, monkeypatch):
    monkeypatch.setattr(doctor.uic_cost, "free_disk", lambda path: (0.01, 1))
    assert examine(world) == 1
    assert "TOO LITTLE" in capsys.readouterr().out


@pytest.mark.parametrize(
    "version, mended",
    [
        ((3, 11, 13), False),
        ((3, 11, 14), True),
        ((3, 12, 11), False),
        ((3, 12, 12), True),
        ((3, 13, 5), False),
        ((3, 13, 6), True),
        ((3, 14, 0), True),
    ],
)
def test_pythons_whose_tarfile_can_hang(version, mended):
    number = ".".join(map(str, version))
    found, line = doctor.python(version)
    assert found is mended and line.startswith(f"Python    {number}")
    assert ("its tarfile can hang on a damaged archive (CVE-2025-8194), install 3." in line) is not mended


def test_the_python_is_reported(world, capsys):
    assert examine(world) == 0
    mended, line = doctor.python(tuple(sys.version_info[:3]))
    assert f"  {'ok' if mended else 'WARNING':12}{line}\n" in capsys.readouterr().out


def test_without_validation_data(world, capsys):
    for path in [*world.glob("*_val*")]:
        os.remove(path)
    assert examine(world) == 0
    assert "without image_val, refs_val, features_val a run is trained" in capsys.readouterr().out


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-3])


@pytest.mark.parametrize("damage", [cut, flip])
@pytest.mark.parametrize("name", ["sentence.tfrec", "features_train.npy", "image_val.tfrec"])
def test_damaged_outputs(world, capsys, name, damage):
    damage(world / name)
    assert examine(world) == 1
    lines, text = report(capsys)
    assert lines[name.partition(".")[0]].startswith("DAMAGED")
    stage = {"sentence": "process_descriptions", "features_train": "extract_features"}.get(
        name.partition(".")[0], "process_images"
    )
    assert f"preprocessing.{stage} --data_dir {world}" in text and "--overwrite" in text
    assert examine(world, checksums=False) == (1 if damage is cut else 0)


def test_counts_that_disagree(world, capsys):
    for name, change in (("sentence", {"count": 21}), ("features_val", {"names": ["a.jpg"]})):
        sidecar_edits.edit(world / f"{name}.json", **change)
    assert examine(world) == 1
    lines, _ = report(capsys)
    assert lines["sentence"] == "DAMAGED 20 are there, sentence.json states 21"
    assert lines["features_val"].endswith("features_val.json has 1 names")


def test_files_that_are_gone(world, capsys):
    os.remove(world / "features_train.npy")
    assert examine(world) == 1
    assert "features_train.json is there, its files are not" in capsys.readouterr().out


def test_a_missing_shard(world, capsys):
    os.rename(world / "sentence.tfrec", world / "sentence-00000-of-00002.tfrec")
    os.remove(world / "sentence.json")
    assert examine(world) == 1
    assert "1 of 2 shards are missing, the first is sentence-00001-of-00002.tfrec" in capsys.readouterr().out


def test_released_files_without_sidecars(world, capsys):
    os.remove(world / "sentence.json")
    assert examine(world) == 0
    assert f"no sidecar (python -m preprocessing.records --index {world}/sentence.tfrec" in capsys.readouterr().out
    cut(world / "sentence.tfrec")
    assert examine(world) == 1
    assert "record 19 extends beyond the end of the file" in capsys.readouterr().out


def test_a_broken_sidecar(world, capsys):
    (world / "image_train.json").write_text("{")
    assert examine(world) == 1
    assert "not a JSON file" in capsys.readouterr().out


def test_references(world, capsys):
    (world / "refs_val.json").write_text('{"annotations": 3}')
    assert examine(world) == 1
    assert "not captions in COCO's format" in capsys.readouterr().out


def test_outputs_that_do_not_fit(world, capsys):
    sidecar_edits.edit(world / "image_train.json", vocabulary="another")
    tiny_world.write_features(world, "val", ["a.jpg"], np.zeros((1, 2, 12)))
    assert examine(world) == 1
    lines, _ = report(capsys)
    assert lines["image_train"].endswith("another dictionary than word_counts.txt")
    assert lines["features_val"] == "DOES NOT FIT 1 images, the records hold 6"


def test_unfinished_work(tmp_path, capsys):
    (tmp_path / ".detect_objects").mkdir()
    assert examine(tmp_path) == 1
    assert report(capsys)[0]["detections"] == "unfinished the same command continues it"


def test_exit_codes_of_the_command(world, tmp_path):
    for folder, code in ((world, 0), (tmp_path / "none", 1)):
        command = [sys.executable, "-m", "scripts.doctor", f"--data_dir={folder}", "--nodevices"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert done.returncode == code and "machine:" in done.stdout, done.stderr


def test_counts_need_no_sidecar(world):
    output = inventory.OUTPUTS["sentence"]
    os.remove(world / "sentence.json")
    assert inventory.check(str(world), output).count == 20
    (world / "word_counts.txt").write_text("<S> 3\n</S> 3\nlast 1")
    assert inventory.check(str(world), inventory.OUTPUTS["dictionary"]).count == 3
    assert sidecars.damaged_file(str(world / "image_train.json"), checksums=True) == ""
