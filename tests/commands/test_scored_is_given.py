"""caption.py, the page and the HTTP interface give the captions that eval_val.py scored.

Tested for every kind of encoder and every system that captions photographs, with a copy of the run directory, after
the original was removed, and from another working folder.
"""

import json
import os
import shutil

import numpy as np
import pytest

import caption
import config
import eval_val
import serve  # noqa: F401  the page is what serve.py shows
import train
from baselines import r2m, show_attend_tell, show_tell
from baselines.r2m import configuration
from baselines.supervised import settings
from captioning import splits
from evaluation import file_check, scoring
from formats import captions, readers
from initialization import eval_obj2sen, im_caption, obj2sen
from initialization.object_captioner import object_captioner
from models.consensus import kernel_regression
from models.encoders import base
from models.encoders.tflite import TFLiteModel
from tests import given_world, small_networks, tiny_runs

METRICS = ("BLEU", "CIDEr")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return given_world.make(tmp_path_factory.mktemp("given"))


def tensor(path, shape):
    """Returns the number of the first tensor of a network with the given shape."""
    return next(n for n, d in TFLiteModel(path).tensors().items() if list(map(int, d["shape"])) == shape)


def spec_of(kind, folder):
    """Makes the files of an encoder of the given kind in `folder`; returns its name."""
    if kind == "tflite":
        return "tflite:" + small_networks.encoder(folder / "small.tflite")
    if kind == "max":
        path = small_networks.class_logits(folder / "detector.tflite")
        return f"tflite:{path}#{tensor(path, [1, 16, 7])}@max"
    if kind == "compact":
        return "compact:" + given_world.write_encoder(str(folder / "small.npz"))
    if kind == "joined":
        return "+".join(spec_of(member, folder) for member in ("max", "compact", "tflite"))
    if kind == "keras":
        return f"keras:MobileNetV2#{small_networks.mobilenet_weights(folder / 'small.weights.h5')}"
    return "inception_v4:rule"


SLOW = [pytest.param(kind, marks=pytest.mark.slow) for kind in ("keras", "inception_v4")]


@pytest.mark.parametrize("kind", ["tflite", "max", "compact", "joined", *SLOW])
def test_every_encoder_and_the_neighbours_over_it(world, kind, tmp_path, monkeypatch, capsys):
    data = given_world.with_features(world, f"{kind}_{tmp_path.name}", spec_of(kind, tmp_path))
    for folder in (data, given_world.with_expectations(data)):
        job_dir = str(tmp_path / "runs" / os.path.basename(folder))
        run = given_world.untrained_run(folder, job_dir)
        written = evaluated(run, capsys)
        assert len(set(written.values())) >= 2, "captions must differ, or equality would mean nothing"
        stored = stored_log_probs(splits.image_captioner, run, folder)
        same_from_a_copy(run, world, written, stored, tmp_path / os.path.basename(folder), monkeypatch)


SYSTEMS = ["full", "im_caption", "obj2sen", "r2m", "show_tell", "show_attend_tell"]


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_system(world, system, tmp_path, monkeypatch, capsys):
    spec = spec_of("compact", tmp_path) + ("#grid" if system == "show_attend_tell" else "")
    data = given_world.with_features(world, f"{system}_{tmp_path.name}", spec)
    job_dir, pairs = str(tmp_path / "run"), given_world.write_pairs(world)
    told = {"detector": f"annotations:{world.objects}"}
    if system == "full":
        train.main(tiny_runs.full(data, job_dir, max_steps=16, save_checkpoint_steps=16, gen_lr=0.02))
    elif system == "im_caption":
        given_world.stage_run(im_caption, config.ImageCaption, data, job_dir, captions=pairs, lr=0.02)
    elif system == "obj2sen":
        given_world.stage_run(obj2sen, config.ObjectToSentence, data, job_dir, lr=0.02, **told)
    elif system == "r2m":
        given_world.stage_run(r2m, configuration.R2M, data, job_dir, stage="xe", lr=0.02, **told)
    elif system == "show_tell":
        given_world.stage_run(show_tell, settings.ShowTell, data, job_dir, captions=pairs, lr=0.02)
    else:
        sizes = {"cell_dim": 5, "attention_units": 7}
        given_world.stage_run(
            show_attend_tell, settings.ShowAttendTell, data, job_dir, captions=pairs, lr=0.02, **sizes
        )
    written = evaluated(job_dir, capsys, eval_obj2sen if system == "obj2sen" else eval_val)
    assert len(set(written.values())) >= 2, "captions must differ, or equality would mean nothing"
    stored = stored_log_probs(object_captioner if system == "obj2sen" else splits.image_captioner, job_dir, data)
    same_from_a_copy(job_dir, world, written, stored, tmp_path / "elsewhere", monkeypatch)


# --------------------------------------------------------------------------------------------------------------
# The three ways to a caption


def evaluated(job_dir, capsys, program=eval_val):
    """Returns dict name -> caption of the evaluation; asserts its message that the files give the same captions."""
    capsys.readouterr()
    program.main(program.Options(job_dir=job_dir, metrics=METRICS, table=os.path.join(job_dir, "table.json")))
    count = given_world.VAL
    assert f"{count} of {count} captions of caption.py for the files in" in capsys.readouterr().out
    [step] = readers.read_json(os.path.join(job_dir, "val_checkpoints.json"))
    return captions.read_captions(os.path.join(job_dir, f"val_{step}.json"))


def stored_log_probs(opener, job_dir, data):
    """Returns dict name -> log-probability of the caption from the stored vectors or words."""
    options = eval_obj2sen.Options(job_dir=job_dir) if opener is object_captioner else eval_val.Options(job_dir=job_dir)
    names = sorted(splits.references_of(data, "val"))
    captioner, rows = opener(options, scoring.data_dir_of(options))("best", "val", names)
    return {name: found[0].log_prob for name, found in zip(names, captioner.caption_vectors(rows), strict=True)}


def same_from_a_copy(job_dir, world, written, stored, folder, monkeypatch):
    """Asserts that all three ways give the scored captions, from a copy of the run in another working folder."""
    folder.mkdir()
    shutil.copytree(job_dir, folder / "copy")
    shutil.rmtree(job_dir)
    monkeypatch.chdir(folder)
    assert caption.main(caption.Options(paths=tuple(world.val_files), job_dir="copy", output="said.json")) == 0
    with open("said.json") as file:
        said = json.load(file)
    assert {entry["image_id"]: entry["caption"] for entry in said} == written
    for entry in said:
        assert entry["log_prob"] == pytest.approx(stored[entry["image_id"]], abs=1e-3)
    pytest.importorskip("gradio", reason="gradio is not installed: pip install -r requirements-serve.txt")
    from starlette.testclient import TestClient

    from web import page, showing

    shown = [showing.Shown("copy", "best")]
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder))
    app = page.application(shown, [], str(folder))
    client = TestClient(app, base_url="http://127.0.0.1")
    on_page = next(f for f in app.state.page.fns.values() if f.name == "caption")
    for path in world.val_files:
        name = os.path.basename(path)
        with open(path, "rb") as file:
            data = file.read()
        answer = client.post(f"/caption?beam=3&name={name}", content=data).json()
        assert answer["runs"][0]["caption"] == written[name]
        assert answer["runs"][0]["nbest"][0]["log_prob"] == pytest.approx(stored[name], abs=1e-3)
        [uploaded] = client.post("/gradio_api/upload", files={"files": (name, data)}).json()
        fields = on_page.fn(uploaded, 3, 0.3, 0, *(page.DEFAULTS[setting] for setting in page.SLIDERS))
        assert fields[-1][0][0].text == written[name]


# --------------------------------------------------------------------------------------------------------------
# The comparison at the end of an evaluation


def test_the_guard_speaks_when_files_give_other_vectors(world, tmp_path, monkeypatch, capsys):
    """The vectors differ because they are divided by a std near 0, as in a former fault of caption.py."""

    def divide_by_almost_nothing(vectors, mean, deviation):
        return (np.asarray(vectors, np.float32) - mean) / np.maximum(deviation, 1e-6)

    data = given_world.with_expectations(given_world.with_features(world, "guard", spec_of("compact", tmp_path)))
    run = given_world.untrained_run(data, str(tmp_path / "run"))
    monkeypatch.setattr(base, "as_banked", lambda vectors: np.asarray(vectors, np.float32))
    monkeypatch.setattr(kernel_regression, "standardised", divide_by_almost_nothing)
    eval_val.main(eval_val.Options(job_dir=run, metrics=METRICS, table=str(tmp_path / "table.json")))
    said = capsys.readouterr().out
    assert "WARNING: only " in said and f"of {given_world.VAL} captions of caption.py for the files in" in said
    assert float(said.partition("Largest difference of the captioner's input: ")[2].partition(". ")[0]) > 0.01


def test_the_guard_says_why_it_cannot_look(world, tmp_path, capsys):
    data = given_world.with_features(world, "absent", spec_of("compact", tmp_path))
    run = given_world.untrained_run(data, str(tmp_path / "run"))
    options = eval_val.Options(job_dir=run, image_dir=str(tmp_path))
    assert file_check.compare(options, data, "val", 8, {"val_000.jpg": "a dog"}, None) is None
    assert f"not in {tmp_path}" in capsys.readouterr().out
    os.remove(os.path.join(run, "encoder", "small.npz"))
    options = eval_val.Options(job_dir=run)
    assert file_check.compare(options, data, "val", 8, {"val_000.jpg": "a dog"}, None) is None
    assert "NOTE: captions were not compared with those of caption.py: " in capsys.readouterr().out


def test_the_guard_speaks_when_no_file_can_be_read(world, tmp_path, capsys):
    data = given_world.with_features(world, "unreadable", spec_of("compact", tmp_path))
    run = given_world.untrained_run(data, str(tmp_path / "run"))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "val_000.jpg").write_bytes(b"no picture")
    options = eval_val.Options(job_dir=run, image_dir=str(tmp_path / "photos"))
    stored = lambda checkpoint, split, names: (None, np.zeros((1, 4), np.float32))  # noqa: E731
    found = file_check.compare(options, data, "val", 8, {"val_000.jpg": "a dog"}, stored)
    assert (found.equal, found.images) == (0, 1) and "'(no caption)'" in capsys.readouterr().out
