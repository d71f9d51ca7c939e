"""Stored files never run programs: each text in each stored file is replaced by names of programs, one by one."""

import copy
import http.server
import json
import os
import shutil
import threading

import numpy as np
import pytest

import caption
import cli
import config
import eval_val
import train
from captioning import photographs
from extensions import StoredCodeError
from initialization import obj2sen
from models.encoders import kinds, registry
from tests import given_world, tiny_runs
from tests.commands.test_scored_is_given import spec_of

PROGRAM = """
import pathlib
pathlib.Path({sentinel!r}).touch()
from models.encoders import WholeImageEncoder as Encoder
class Detector: pass
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return given_world.make(tmp_path_factory.mktemp("trust"))


@pytest.fixture(scope="module")
def data(world, tmp_path_factory):
    """Returns data folders: one with vectors of two joined encoders, one with predicted caption embeddings."""
    folder = tmp_path_factory.mktemp("encoders")
    compact, tflite = spec_of("compact", folder), spec_of("tflite", folder)
    plain = given_world.with_features(world, "joined", f"{compact}+{tflite}")
    return plain, given_world.with_expectations(plain)


@pytest.fixture
def traps(tmp_path):
    """Returns (specs that name programs, function that returns those that were run or downloaded)."""
    sentinel = tmp_path / "ran"
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(sentinel=str(sentinel)))
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}/model/1"
    model = tmp_path / "model"
    model.mkdir()
    (model / "saved_model.pb").write_bytes(b"not read")
    (tmp_path / "graph.pb").write_bytes(b"not read")
    specs = [f"{program}:1", f"hub:{address}", f"saved_model:{model}", f"frozen:{tmp_path}/graph.pb#labels={program}"]
    specs += [f"tflite:{program}+{program}:1", f"compact:x.npz+{program}:1", str(program), address]
    yield specs, lambda: [*asked, *(["executed"] if sentinel.exists() else [])]
    server.shutdown()


def texts_in(value, path=()):
    """Returns the positions of all texts inside a JSON value: tuples of keys and indices."""
    if isinstance(value, str):
        yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield from texts_in(inner, (*path, key))


def changed(value, path, text):
    """Returns a copy of a JSON value with another text at a position."""
    value = copy.deepcopy(value)
    inner = value
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = text
    return value


def expect_no_program(action, ran):
    """Runs a function, which may raise a user's error; asserts that no program was run."""
    try:
        action()
    except (cli.UserError, ValueError, KeyError):
        pass
    assert ran() == []


# --------------------------------------------------------------------------------------------------------------
# Every field


@pytest.mark.parametrize("kind", [0, 1])
def test_no_field_of_a_saved_encoder_runs_anything(data, kind, tmp_path, traps):
    specs, ran = traps
    run = given_world.untrained_run(data[kind], str(tmp_path / "run"))
    path = os.path.join(run, "encoder", "encoder.json")
    with open(path) as file:
        content = json.load(file)
    places = list(texts_in(content))
    assert len(places) >= 20
    for place in places:
        for spec in specs:
            with open(path, "w") as file:
                json.dump(changed(content, place, spec), file)
            expect_no_program(lambda: registry.load_encoder_from(os.path.join(run, "encoder")), ran)


def test_no_field_of_the_base_inside_neighbours_npz_runs_anything(data, tmp_path, traps):
    specs, ran = traps
    with np.load(os.path.join(data[1], "neighbours.npz")) as found:
        arrays = dict(found)
    base, path = json.loads(str(arrays["base"])), str(tmp_path / "neighbours.npz")
    for place in texts_in(base):
        for spec in specs:
            np.savez(path, **arrays | {"base": np.array(json.dumps(changed(base, place, spec)))})
            expect_no_program(lambda: registry.load_encoder(f"caption_embeddings:{path}"), ran)


def test_no_field_of_a_saved_detector_runs_anything(world, tmp_path, traps):
    specs, ran = traps
    run = told_run(world, tmp_path)
    path = os.path.join(run, "detector", "detector.json")
    with open(path) as file:
        content = json.load(file)
    assert content["detector"] == "annotations:{RUN}/objects.jsonl"
    for place in texts_in(content):
        for spec in specs:
            with open(path, "w") as file:
                json.dump(changed(content, place, spec), file)
            expect_no_program(lambda: photographs.open_run(run, "best"), ran)


def test_no_field_of_a_feature_sidecar_or_config_runs_anything(data, world, tmp_path, traps):
    """Trainers copy the description in the sidecar of the features; the evaluation reads it and the run's config."""
    specs, ran = traps
    run = given_world.untrained_run(data[1], str(tmp_path / "run"))
    for name, action in (
        (os.path.join(data[1], "features_train.json"), lambda: kept(data[1], tmp_path / "kept")),
        (os.path.join(data[1], "features_val.json"), lambda: runs_of(run, data[1])),
        (os.path.join(run, "config.json"), lambda: photographs.open_run(run, 8)),
    ):
        with open(name) as file:
            content = json.load(file)
        try:
            for place in texts_in(content):
                if "names" in place:  # of photographs
                    continue
                for spec in specs[:4]:
                    with open(name, "w") as file:
                        json.dump(changed(content, place, spec), file)
                    expect_no_program(action, ran)
        finally:
            with open(name, "w") as file:
                json.dump(content, file)


def kept(folder, job_dir):
    """Saves the encoder of a feature sidecar with a run, as a trainer does."""
    shutil.rmtree(job_dir, ignore_errors=True)
    given_world.untrained_run(folder, str(job_dir))


def runs_of(run, folder):
    """Reads the files of a run, as an evaluation does."""
    from captioning import splits

    splits.split_vectors(run, "newest", folder, "val", ["val_000.jpg"])


def told_run(world, tmp_path):
    """Makes a run of obj2sen with new weights, whose saved detector is a file of known objects."""
    options = {"max_steps": 4, "save_checkpoint_steps": 4, "steps_per_loop": 4, "save_summary_steps": 4}
    given_world.stage_run(
        obj2sen,
        config.ObjectToSentence,
        world.data,
        str(tmp_path / "told"),
        detector=f"annotations:{world.objects}",
        **options,
    )
    return str(tmp_path / "told")


# --------------------------------------------------------------------------------------------------------------
# The advice in the error


def test_a_program_is_run_when_the_command_line_names_it(world, tmp_path, capsys):
    """Tested with an encoder in a Python file: alone, joined with another one, and as base of caption embeddings."""
    own = str(tiny_runs.ROOT / "docs" / "examples" / "colour_grid.py") + ":2"
    photo = world.val_files[0]
    joined = spec_of("compact", tmp_path) + "+" + own
    own_data = given_world.with_features(world, "own", joined)
    for data in (own_data, given_world.with_expectations(own_data)):
        run = given_world.untrained_run(data, str(tmp_path / os.path.basename(data)))
        assert not [name for name in os.listdir(os.path.join(run, "encoder")) if name.endswith(".py")]
        with pytest.raises(cli.UserError, match="never run because a stored file names them") as refused:
            caption.main(caption.Options(paths=(photo,), job_dir=run))
        named = str(refused.value).rpartition("--encoder ")[2]
        assert named.endswith(own) and caption.main(caption.Options(paths=(photo,), job_dir=run, encoder=named)) == 0
        eval_val.main(eval_val.Options(job_dir=run, metrics=("BLEU",), table=str(tmp_path / "table.json")))
        assert "NOTE: captions were not compared" in capsys.readouterr().out
        eval_val.main(
            eval_val.Options(job_dir=run, metrics=("BLEU",), encoder=named, table=str(tmp_path / "table.json"))
        )
        assert f"{given_world.VAL} of {given_world.VAL} captions of caption.py" in capsys.readouterr().out
        with pytest.raises(cli.UserError, match="is not the one|was made for vectors of"):
            other = named.replace("colour_grid.py:2", "colour_grid.py:3")
            caption.main(caption.Options(paths=(photo,), job_dir=run, encoder=other))


def test_training_never_loads_the_encoder_of_a_feature_bank(world, data, tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "load_encoder", None)
    monkeypatch.setattr(kinds, "load_data_encoder", None)
    train.main(tiny_runs.full(data[1], tmp_path / "run", max_steps=4, eval_images=0))
    saved_files = sorted(os.listdir(tmp_path / "run" / "encoder"))
    assert saved_files == ["encoder.json", "neighbours.npz", "small.npz", "small.tflite"]


def test_the_error_names_the_whole_command():
    error = str(StoredCodeError("runs/x/encoder", "mine.py:4", "--encoder", "mine.py:4; rm -rf x"))
    assert "runs/x/encoder names mine.py:4" in error and error.endswith("--encoder 'mine.py:4; rm -rf x'")


def test_a_detector_outside_of_the_run_must_be_the_one_it_learned_with(world, tmp_path):
    run = told_run(world, tmp_path)
    path = os.path.join(run, "detector", "detector.json")
    with open(path) as file:
        content = json.load(file)
    content["detector"] = f"annotations:{world.objects}"
    with open(path, "w") as file:
        json.dump(content, file)
    photographs.open_run(run, 4)  # the same file
    other = tmp_path / "other.jsonl"
    other.write_text('{"image": "val_000.jpg", "objects": []}\n')
    for made_from in (content["made_from"], []):
        with open(path, "w") as file:
            json.dump(content | {"detector": f"annotations:{other}", "made_from": made_from}, file)
        with pytest.raises(cli.UserError, match="outside of the run"):
            photographs.open_run(run, 4)
    assert photographs.open_run(run, 4, detector=f"annotations:{world.objects}")
