"""--train_encoder: checkpoints hold the trained blocks, scores and captions use those of the same checkpoint."""

import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

import caption
import cli
import config
import eval_val
import train
from captioning import photographs, splits
from captioning.run_content import encoder_of_run
from formats import captions
from initialization import im_caption
from input_pipeline import FeatureBank
from models.encoders.in_step import trained_in
from scripts import export
from tests import given_world, tiny_runs
from training import checkpoints, setup

STEPS = (2, 4)
SETTINGS = {"images": "records", "train_encoder": 2, "encoder_lr": 0.01, "standardise": False, "eval_images": 4}
SHORT = {"max_steps": STEPS[-1], "save_checkpoint_steps": 2, "save_summary_steps": 2, "emb_dim": 16, "mem_dim": 16}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return given_world.make(tmp_path_factory.mktemp("given"))


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    return "compact:" + given_world.write_encoder(str(tmp_path_factory.mktemp("encoder") / "small.npz"))


@pytest.fixture(scope="module")
def data(world, spec):
    """A data folder that has a feature bank, too, of the encoder before training."""
    return given_world.with_features(world, "banked", spec)


def run_im_caption(world, data, spec, job_dir, **changes):
    settings = {"captions": given_world.write_pairs(world), "inc_ckpt": spec} | SETTINGS | SHORT | changes
    return given_world.stage_run(im_caption, config.ImageCaption, data, str(job_dir), **settings)


@pytest.fixture(scope="module")
def run(world, data, spec, tmp_path_factory):
    return run_im_caption(world, data, spec, tmp_path_factory.mktemp("whole") / "run")


def log_probs(captioner, vectors):
    return np.array([found[0].log_prob for found in captioner.caption_vectors(vectors)])


def test_scores_and_captions_use_the_encoder_of_the_checkpoint(world, data, run, tmp_path, capsys):
    eval_val.main(eval_val.Options(job_dir=run, metrics=("BLEU",), table=str(tmp_path / "table.json")))
    count = given_world.VAL
    assert f"{count} of {count} captions of caption.py for the files in" in capsys.readouterr().out
    names = sorted(splits.references_of(data, "val"))
    bank = FeatureBank(data, "val").centre(np.arange(count))
    open_run, seen = splits.image_captioner(eval_val.Options(job_dir=run), data), [bank]
    shutil.copytree(run, tmp_path / "copy")
    for step in STEPS:
        captioner, vectors = open_run(checkpoints.prefix_of(run, step), "val", names)
        output = str(tmp_path / f"said_{step}.json")
        given = {"paths": tuple(world.val_files), "job_dir": str(tmp_path / "copy"), "output": output}
        assert caption.main(caption.Options(checkpoint=str(step), **given)) == 0
        with open(output) as file:
            said = {entry["image_id"]: entry for entry in json.load(file)}
        scored = captions.read_captions(os.path.join(run, f"val_{step}.json"))
        assert {name: entry["caption"] for name, entry in said.items()} == scored
        found = np.array([said[name]["log_prob"] for name in names])
        np.testing.assert_allclose(found, log_probs(captioner, vectors), atol=1e-4)
        for other in seen:  # the weights of another checkpoint, or of the file, would be noticed
            assert np.abs(vectors - other).max() > 0.01
            assert np.abs(log_probs(captioner, other) - found).max() > 1e-3
        seen.append(vectors)


def test_a_run_continues_bit_for_bit(world, data, spec, run, tmp_path):
    parts = run_im_caption(world, data, spec, tmp_path / "parts", max_steps=2)
    run_im_caption(world, data, spec, parts)
    tiny_runs.assert_same_runs(run, parts, STEPS[-1])
    assert {"gradient_norm/image_encoder", "eval/unique"} <= set().union(*tiny_runs.entries(run))


def test_a_checkpoint_has_the_trained_blocks_alone(spec, run):
    trained = trained_in(checkpoints.read_variables(run))
    assert sorted(trained) == ["bias_3", "bias_4", "kernel_3", "kernel_4"]
    with np.load(spec.partition(":")[2]) as file:
        for block in encoder_of_run(run, "newest").blocks():
            for name, array in block.items():
                assert np.array_equal(array, trained.get(name, file[name]))
                assert np.array_equal(array, file[name]) == (name not in trained)


def test_the_full_model_starts_from_the_encoder_of_its_initialization(world, data, spec, run, tmp_path, capsys):
    settings = {"imcap_ckpt": run, "inc_ckpt": spec, **SETTINGS, **SHORT, "eval_images": 0, "max_steps": 2}
    with pytest.raises(cli.UserError, match="cannot initialise from .*: the last blocks of its image encoder"):
        train.main(tiny_runs.full(data, tmp_path / "one", **settings | {"train_encoder": 1}))
    job_dir = str(tmp_path / "full")
    train.main(tiny_runs.full(data, job_dir, **settings | {"train_encoder": 3, "encoder_lr": 0.0}))
    assert "4 weights of the image encoder" in capsys.readouterr().err
    before, after = (trained_in(checkpoints.read_variables(folder)) for folder in (run, job_dir))
    assert len(after) == 6
    for name, array in before.items():  # a rate of 0 keeps them
        assert np.array_equal(array, after[name])


def test_predicted_caption_embeddings_are_no_vectors_of_the_encoder(tmp_path):
    (tmp_path / "phrases.npz").touch()
    options = config.FullModel(data_dir=str(tmp_path), images="records", inc_ckpt="compact:none.npz", train_encoder=1)
    with pytest.raises(cli.UserError, match="--train_encoder 1: .* has predicted caption embeddings"):
        setup.training_images(options)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"train_encoder": -1}, "--train_encoder -1: expected a number of blocks"),
        ({"images": "bank"}, "not with a feature bank: use --images records"),
        ({"images": "auto", "inc_ckpt": None}, "not with a feature bank: use --images records"),
        ({"encoder_lr": -1.0}, "--encoder_lr -1.0: expected a positive number"),
        ({"w_anchor": 1.0, "imcap_ckpt": "runs/im"}, "--w_anchor keeps the captioner near its initialization"),
        ({"reward": ("consensus",)}, "--reward consensus.* expected --images bank"),
        ({"train_encoder": 6}, "--train_encoder 6: compact:.* has 5 blocks"),
        ({"inc_ckpt": "#grid"}, "--inc_ckpt .*#grid: expected inception_v4, compact or keras"),
        ({"inc_ckpt": "inception_v4:rule"}, "--train_encoder 2: inception_v4:rule cannot be trained"),
        ({"standardise": True}, "--standardise needs the statistics of a feature bank"),
    ],
)
def test_what_cannot_be_trained_is_refused(world, spec, settings, message, tmp_path):
    if settings.get("inc_ckpt") == "#grid":
        settings = settings | {"inc_ckpt": spec + "#grid"}
    if "imcap_ckpt" in settings:
        settings = settings | {"imcap_ckpt": world.data}
    with pytest.raises(cli.UserError, match=message):
        train.main(tiny_runs.full(world.data, tmp_path / "run", **{"inc_ckpt": spec} | SETTINGS | SHORT | settings))


def test_the_export_has_the_trained_encoder(world, run, tmp_path, capsys):
    with pytest.raises(cli.UserError, match="expected --with_encoder"):
        export.main(export.Options(job_dir=run, output=str(tmp_path / "alone")))
    folder = str(tmp_path / "exported")
    export.main(export.Options(job_dir=run, checkpoint=str(STEPS[-1]), output=folder, with_encoder=True))
    pictures = [open(path, "rb").read() for path in world.val_files]
    loaded = tf.saved_model.load(folder)
    found = loaded.caption_files(tf.constant(pictures))
    captioner, source = photographs.open_run(run, STEPS[-1])
    expected = captioner.caption_vectors(source.rows([source.prepared(path) for path in world.val_files]))
    assert found["log_probs"].numpy()[:, 0] == pytest.approx([several[0].log_prob for several in expected], abs=1e-4)
    _, fixed = photographs.open_run(run, STEPS[0])  # the encoder of another checkpoint would be noticed
    other = captioner.caption_vectors(fixed.rows([fixed.prepared(path) for path in world.val_files]))
    assert max(abs(a[0].log_prob - b[0].log_prob) for a, b in zip(expected, other, strict=True)) > 1e-3
