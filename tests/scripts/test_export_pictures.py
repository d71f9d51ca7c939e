"""Captioners that are exported with their encoder say of a picture what caption.py says."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import cli
from captioning import photographs
from models import encoders
from models.consensus import kernel_regression
from models.standardise import standardised
from scripts import export
from tests import small_networks, tiny_runs
from tests.cases import turned
from tests.models.encoders.test_encoders import stand_in
from tests.scripts import exported_runs

WORDS = ["a", "dog", "cat", "on", "the", "grass", "."]
# Encoders that are a file of their own, by the function that writes it: (its name, the format of the export).
NETWORKS = {
    "encoder": ("tflite:{file}", "saved_model"),
    "class_logits": ("tflite:{file}#{tensor}@max", "tflite"),
    "quantised_encoder": ("tflite:{file}", "tflite"),
    "scenes": ("scene:{file}", "saved_model"),
}


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Pictures: drawn ones, and one as a phone stores it, on its side."""
    folder = str(tmp_path_factory.mktemp("pictures"))
    found = [*exported_runs.pictures(folder, 6, 96), os.path.join(folder, "turned.jpg"), os.path.join(folder, "a.png")]
    with Image.open(found[0]) as image:
        pixels = np.asarray(image)[:60]
    with open(found[-2], "wb") as file:
        file.write(turned.file_bytes(pixels, 6, "JPEG"))
    Image.fromarray(pixels).save(found[-1])
    return found


def exported(run, folder, capsys=None, **flags):
    """Exports a run with its encoder. Returns the folder; what is printed ends with the program in it."""
    export.main(export.Options(job_dir=run, output=str(folder), with_encoder=True, **flags))
    program = open(os.path.join(folder, export.EXAMPLE)).read()
    assert len(program.splitlines()) <= 15
    if capsys is not None:
        assert capsys.readouterr().out.endswith(program)
    return str(folder)


def files(paths):
    return tf.stack([tf.io.read_file(path) for path in paths])


def upright(paths):
    """Pictures without the one on its side: a network of TensorFlow Lite is given pixels that are upright."""
    return [path for path in paths if not path.endswith("turned.jpg")]


def texts(found):
    return [several[0].text for several in found]


# --------------------------------------------------------------------------------------------------------------
# Encoders that TensorFlow computes


def test_a_trained_run(paths, tmp_path, capsys):
    folder = exported(exported_runs.TRAINED, tmp_path / "saved", capsys)
    loaded = tf.saved_model.load(folder)
    found, expected = loaded.caption_files(files(paths)), exported_runs.captions(exported_runs.TRAINED, paths, "beam3")
    assert [text.decode() for text in found["caption"].numpy()] == texts(expected) and len(set(texts(expected))) > 3
    assert found["log_probs"].numpy()[:, 0] == pytest.approx([several[0].log_prob for several in expected], abs=1e-3)
    assert set(loaded.signatures) == {"serving_default", "caption_files", "caption_vectors"}


def test_a_trained_run_as_tensorflow_lite(paths, tmp_path, capsys):
    folder = exported(exported_runs.TRAINED, tmp_path / "lite", capsys, format="tflite")
    expected = texts(exported_runs.captions(exported_runs.TRAINED, upright(paths), "greedy"))
    lines = [f"{path}\t{text}" for path, text in zip(upright(paths), expected, strict=True)]
    assert run_here(folder, upright(paths), capsys) == lines


def test_exif_orientation_as_asked(paths, tmp_path):
    loaded = tf.saved_model.load(exported(exported_runs.TRAINED, tmp_path / "saved", exif=False))
    captioner, source = photographs.open_run(exported_runs.TRAINED, "best", exif=False)
    expected = captioner.caption_vectors(source.rows([source.prepared(path) for path in paths[-2:]]), "beam3")
    found = loaded.caption_files(files(paths[-2:]))
    assert found["log_probs"].numpy()[:, 0] == pytest.approx([several[0].log_prob for several in expected], abs=1e-3)
    assert abs(expected[0][0].log_prob - expected[1][0].log_prob) > 1e-2  # on its side it is another picture


def test_a_network_of_keras(paths, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.applications.resnet, "ResNet152", stand_in)
    run = exported_runs.make(str(tmp_path / "run"), "resnet152:imagenet", WORDS, paths)
    loaded = tf.saved_model.load(exported(run, tmp_path / "saved"))
    expected = exported_runs.captions(run, paths, "beam3")
    assert [text.decode() for text in loaded.caption_files(files(paths))["caption"].numpy()] == texts(expected)


@pytest.mark.slow
def test_grids_of_cells(paths, tmp_path):
    run = str(tiny_runs.ROOT / "results" / "models" / "miniature_show_attend_tell")
    loaded = tf.saved_model.load(exported(run, tmp_path / "saved"))
    expected = texts(exported_runs.captions(run, paths, "beam3"))
    assert [text.decode() for text in loaded.caption_files(files(paths))["caption"].numpy()] == expected


# --------------------------------------------------------------------------------------------------------------
# Encoders that are a network of TensorFlow Lite


@pytest.mark.parametrize("network", NETWORKS)
def test_an_encoder_beside(network, paths, tmp_path, capsys):
    file, (spec, form) = getattr(small_networks, network)(tmp_path / "small.tflite"), NETWORKS[network]
    tensor = tf.lite.Interpreter(file).get_output_details()[0]["index"]
    run = exported_runs.make(str(tmp_path / "run"), spec.format(file=file, tensor=tensor), WORDS, paths)
    folder = exported(run, tmp_path / form, capsys, format=form)
    shown = paths if form == "saved_model" else upright(paths)
    expected = texts(exported_runs.captions(run, shown, "beam3" if form == "saved_model" else "greedy"))
    assert len(set(expected)) > 1
    assert run_here(folder, shown, capsys) == [f"{path}\t{text}" for path, text in zip(shown, expected, strict=True)]


def run_here(folder, paths, capsys):
    """The lines that the folder's program prints, run in this process because TensorFlow takes seconds to start."""
    capsys.readouterr()
    program, before, sys.argv = os.path.join(folder, export.EXAMPLE), sys.argv, ["", *paths]
    try:
        exec(compile(open(program).read(), program, "exec"), {"__file__": program})
    finally:
        sys.argv = before
    return capsys.readouterr().out.splitlines()


def test_predicted_caption_embeddings(paths, tmp_path, capsys):
    base = encoders.load_encoder(f"tflite:{small_networks.encoder(tmp_path / 'small.tflite')}")
    source, rng = photographs.EncodedPhotographs(base), np.random.default_rng(0)
    vectors = source.rows([source.prepared(path) for path in paths])
    mean, std = vectors.mean(0), vectors.std(0)
    std[1] = 0.0  # a constant dimension
    units = kernel_regression.unit_vectors(standardised(vectors[:4], mean, std))
    weights = rng.normal(size=(4, 5)).astype(np.float32)
    kernel_regression.KnownImages(units, weights, mean, std, 2.0, base.describe()).save(str(tmp_path / "known.npz"))
    run = exported_runs.make(str(tmp_path / "run"), f"caption_embeddings:{tmp_path / 'known.npz'}", WORDS, paths)
    folder, expected = exported(run, tmp_path / "saved"), texts(exported_runs.captions(run, paths, "beam3"))
    assert run_here(folder, paths, capsys) == [f"{path}\t{text}" for path, text in zip(paths, expected, strict=True)]
    assert len(set(expected)) > 1


def test_unspaced_scripts_and_encoders_that_cannot_be_exported(paths, tmp_path, capsys):
    file = small_networks.encoder(tmp_path / "small.tflite")
    words = ["\u4e2d\u6587", "\u5b57", "\u0e44", "dog", "\u56fe", "cat"]
    run = exported_runs.make(str(tmp_path / "run"), f"tflite:{file}", words, paths, "reference")
    folder, shown = exported(run, tmp_path / "lite", capsys, format="tflite"), upright(paths)
    expected = texts(exported_runs.captions(run, shown, "greedy"))
    assert any("\u56fe\u56fe" in text for text in expected), expected  # two words without a blank between them
    assert run_here(folder, shown, capsys) == [f"{p}\t{t}" for p, t in zip(shown, expected, strict=True)]
    joined = exported_runs.make(str(tmp_path / "joined"), f"tflite:{file}+tflite:{file}", WORDS, paths)
    with pytest.raises(cli.UserError, match="cannot be exported; expected one encoder of the kinds inception_v4"):
        export.main(export.Options(job_dir=joined, output=str(tmp_path / "new"), with_encoder=True))


# --------------------------------------------------------------------------------------------------------------
# The commands themselves, on a hundred pictures


@pytest.mark.slow
@pytest.mark.parametrize(("form", "decode"), [("saved_model", "beam3"), ("tflite", "greedy")])
@pytest.mark.parametrize("run", ["miniature_full", "miniature_show_attend_tell"])
def test_a_hundred_pictures(run, form, decode, tmp_path):
    run = str(tiny_runs.ROOT / "results" / "models" / run)
    paths = exported_runs.pictures(str(tmp_path), 100)
    flags = [f"--job_dir={run}", f"--format={form}", "--with_encoder", f"--output={tmp_path / 'out'}"]
    subprocess.run([sys.executable, "-m", "scripts.export", *flags], cwd=tiny_runs.ROOT, check=True)
    command = [sys.executable, "caption.py", f"--job_dir={run}", f"--decode={decode}", *paths]
    done = subprocess.run(command, cwd=tiny_runs.ROOT, check=True, capture_output=True, text=True)
    expected = [line.partition("\t")[2] for line in done.stdout.splitlines()]
    found = [line.partition("\t")[2] for line in exported_runs.run_example(str(tmp_path / "out"), *paths)]
    assert len(found) == 100 and found == expected and len(set(found)) > 20


@pytest.mark.slow
@pytest.mark.parametrize(  # keras as TensorFlow Lite: 3 of 100 captions differ, with random weights
    ("kind", "form", "decode"),
    [("inception_v4", "saved_model", "beam3"), ("inception_v4", "tflite", "greedy"), ("keras", "saved_model", "beam3")],
)
def test_a_hundred_pictures_through_a_large_network(kind, form, decode, tmp_path):
    spec = "inception_v4:rule"
    if kind == "keras":
        spec = f"keras:MobileNetV2#{small_networks.mobilenet_weights(tmp_path / 'small.weights.h5')}"
    paths = exported_runs.pictures(str(tmp_path), 100)
    run = exported_runs.make(str(tmp_path / "run"), spec, WORDS, paths)
    folder = exported(run, tmp_path / form, format=form)
    expected = texts(exported_runs.captions(run, paths, decode))
    wanted = [f"{path}\t{text}" for path, text in zip(paths, expected, strict=True)]
    assert exported_runs.run_example(folder, *paths) == wanted
    assert len(set(expected)) > 5
