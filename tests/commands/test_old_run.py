"""Old runs, trained by commit 35f5fb9, give the same captions as then, and their commands continue them.

tests/fixtures/old_runs/README.md says how they were made. runs.json has each run's command and the captions that the
programs of that commit gave.
"""

import json
import pathlib
import shlex
import shutil

import numpy as np
import pytest
from PIL import Image

import caption
import cli
from models.standardise import Standardise
from tests import tiny_runs
from tests.scripts import dry_run
from training import checkpoints

FIXTURE = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "old_runs"
RUNS = json.loads((FIXTURE / "runs.json").read_text())
COLOURS = ((200, 60, 60), (60, 200, 60), (60, 60, 200))
DETECTOR = ("--detector=classifier:old_runs/classifier.tflite", "--labels=old_runs/labels.txt")
MORE_FLAGS = {"obj2sen": DETECTOR}  # its runs had no saved detector then


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Makes the working folder of the old commands: old_runs/ and photos/."""
    place = tmp_path_factory.mktemp("old")
    shutil.copytree(FIXTURE, place / "old_runs")
    for data in ("grid", "neighbours"):  # files that they share with data/ are stored once
        shared = shutil.copytree(FIXTURE / "data", place / "shared")
        shutil.copytree(FIXTURE / data, shared, dirs_exist_ok=True)
        shutil.rmtree(place / "old_runs" / data)
        shared.rename(place / "old_runs" / data)
    (place / "photos").mkdir()
    for split, count in (("train", 12), ("val", 6)):
        for i in range(count):
            picture(COLOURS[i % 3], i).save(place / "photos" / f"{split}_{i:02d}.png")
    return place


def picture(colour, i):
    """Draws a plain image with a box, as the training images were drawn."""
    image = Image.new("RGB", (64, 48), tuple((part + 7 * i) % 256 if part > 100 else part for part in colour))
    image.paste((90, 90 + 5 * i, 90), (8, 8, 20 + 2 * i, 30))
    return image


def run(command):
    """Runs an old command in this process, through its own parser."""
    module, arguments = dry_run.split(shlex.split(command))
    main, options_class, *recipes = dry_run.handed_over(module)
    return main(cli.parse(options_class, arguments, *recipes))


@pytest.mark.parametrize("name", RUNS)
def test_captions_are_the_same(folder, name, monkeypatch):
    monkeypatch.chdir(folder)
    wanted = RUNS[name]["captions"]
    flags = [f"--job_dir=old_runs/{name}", f"--output={name}.json", *MORE_FLAGS.get(name, ())]
    paths = [f"photos/{image}" for image in wanted]
    assert caption.main(cli.parse(caption.Options, [*flags, *paths])) == 0
    found = {entry["image_id"]: entry["caption"] for entry in json.loads((folder / f"{name}.json").read_text())}
    assert found == wanted
    assert len(set(wanted.values())) > 1, "the captions depend on the pictures"


@pytest.mark.parametrize("name", RUNS)
def test_its_command_continues_it(folder, name, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    copy = shutil.copytree(f"old_runs/{name}", f"{name}_copy")
    (last,) = checkpoints.steps_in(copy)
    before = tiny_runs.tensors(copy, last)
    run(f"{RUNS[name]['command']} --job_dir={copy} --max_steps={last + 10} --keep_checkpoints=2")
    assert f"continues at step {last}" in capsys.readouterr().err
    after = tiny_runs.tensors(copy, last + 10)
    assert {n: t.shape for n, t in after.items()} == {n: t.shape for n, t in before.items()}
    assert any((after[n] != before[n]).any() for n in after)
    assert tiny_runs.entries(copy)[-1]["step"] == last + 10


def test_variables_have_their_present_names():
    """Standardise/deviation has become Standardise/std, both when variables are read by name and when restored."""
    job_dir = str(FIXTURE / "full")
    arrays = checkpoints.read_variables(job_dir)
    assert "Standardise/deviation" not in arrays and len(set(arrays["Standardise/std"].tolist())) > 1
    (step,) = checkpoints.steps_in(job_dir)
    standardise = Standardise(len(arrays["Standardise/std"]))
    checkpoints.restore(checkpoints.prefix_of(job_dir, step), {"standardise": standardise})
    for name in ("mean", "std"):
        np.testing.assert_array_equal(getattr(standardise, name), arrays[f"Standardise/{name}"])
