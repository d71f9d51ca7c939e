"""What every initialization stage promises: validation, the best checkpoint, resuming, hand-over of variables."""

import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

import cli
import config
import train
from formats import records
from input_pipeline import SentenceSet
from tests import tiny_world
from training import checkpoints


def read_json(*path):
    with open(os.path.join(*path)) as file:
        return json.load(file)


def metrics(job_dir):
    with open(os.path.join(job_dir, "metrics.jsonl")) as file:
        return [json.loads(line) for line in file]


# --------------------------------------------------------------------------------------------------------------
# Validation


def test_the_first_fiftieth_is_held_out(trained):
    sentences = records.read_sentences(records.find_files(trained.data, "sentence"))
    corpus, held_out = SentenceSet.load_split(trained.data)
    np.testing.assert_array_equal(held_out.rows, np.arange(len(sentences) // 50))
    np.testing.assert_array_equal(corpus.rows, np.arange(len(sentences) // 50, len(sentences)))


@pytest.mark.parametrize("stage", ["obj2sen", "sentence_ae"])
def test_validation_and_the_best_step(trained, stage):
    job_dir = getattr(trained, stage)
    lines = [line for line in metrics(job_dir) if "eval/loss" in line]
    assert [line["step"] for line in lines] == [4, 8]
    for line in lines:
        assert 0 <= line["eval/accuracy"] <= 1
        assert line["eval/perplexity"] == pytest.approx(np.exp(line["eval/loss"]))
    least = min(lines, key=lambda line: line["eval/loss"])
    assert read_json(job_dir, "best.json")["step"] == least["step"]
    step = least["step"]
    assert checkpoints.choose(job_dir) == (checkpoints.prefix_of(job_dir, step), step, "minimum validation loss")


def test_a_ranking_goes_before_the_loss_and_a_missing_checkpoint_is_named(trained, tmp_path):
    job_dir = shutil.copytree(trained.obj2sen, tmp_path / "run")
    (job_dir / "b34.json").write_text('[["8", 0.1, 0.1, 0.1, 0.1, 0.1], ["4", 0.2, 0.1, 0.2, 0.1, 0.1]]')
    assert checkpoints.choose(str(job_dir)) == (str(job_dir / "ckpt-4"), 4, "best by BLEU-3 + BLEU-4")
    (job_dir / "b34.json").write_text('[["4", null, null, null, null, null]]')
    assert checkpoints.choose(str(job_dir)).why == "minimum validation loss"
    (job_dir / "best.json").write_text('{"step": 400, "loss": 1.0}')
    with pytest.raises(cli.UserError, match="ckpt-400 .minimum validation loss.*steps 4, 8"):
        checkpoints.choose(str(job_dir))
    (job_dir / "best.json").unlink()
    assert checkpoints.choose(str(job_dir)) == (str(job_dir / "ckpt-8"), 8, "newest")
    for which in ("4", 4, str(job_dir / "ckpt-4"), str(job_dir / "ckpt-4.index")):
        assert checkpoints.choose(str(job_dir), which).prefix == str(job_dir / "ckpt-4")
    assert checkpoints.choose(str(job_dir / "ckpt-4")) == (str(job_dir / "ckpt-4"), None, "as given")
    with pytest.raises(cli.UserError, match="ckpt-6 .as given"):
        checkpoints.choose(str(job_dir), 6)
    with pytest.raises(cli.UserError, match="b34.json: no such file; expected .* eval_val.py"):
        checkpoints.choose(str(job_dir), "best", str(job_dir / "greedy"))


@pytest.mark.parametrize(
    "stage",
    [
        "obj2sen",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("sentence_ae", "sentence_gan", "im_caption")),
    ],
)
def test_a_stopped_run_goes_on_to_the_same_weights(trained, stage):
    whole = getattr(trained, stage)
    settings = {
        "sentence_gan": {"sae_ckpt": trained.sentence_ae, "max_caption_length": 6},
        "im_caption": {"o2s_ckpt": trained.obj2sen},
    }.get(stage, {})
    for steps in (4, 8):
        parts = trained.run(stage, f"{stage}_in_two_parts", max_steps=steps, **settings)
    first, second = (tf.train.load_checkpoint(checkpoints.prefix_of(run, 8)) for run in (whole, parts))
    for key in first.get_variable_to_shape_map():
        if not key.startswith("_"):
            np.testing.assert_array_equal(first.get_tensor(key), second.get_tensor(key), key)
    assert metrics(whole) == metrics(parts)


# --------------------------------------------------------------------------------------------------------------
# Hand-over


def started_from(job_dir):
    return {
        os.path.dirname(prefix): entry["variables"] for prefix, entry in read_json(job_dir, "started_from.json").items()
    }


GENERATOR_TEXT = [
    "Generator/basic_lstm_cell/bias",
    "Generator/basic_lstm_cell/kernel",
    "Generator/embedding",
    "Generator/softmax_b",
]
PROJECTION = ["Generator/fully_connected/biases", "Generator/fully_connected/weights"]
READER = [
    "Discriminator/embedding",
    "Discriminator/rnn/basic_lstm_cell/bias",
    "Discriminator/rnn/basic_lstm_cell/kernel",
]
HEAD = ["Discriminator/fc/biases", "Discriminator/fc/weights"]


FULL = {
    "emb_dim": 8,
    "mem_dim": 8,
    "batch_size": 8,
    "max_steps": 1,
    "gen_lr": 0.0,
    "dis_lr": 0.0,
    "max_caption_length": 6,
    "eval_images": 0,
}


def test_which_variables_are_handed_over(trained):
    """The projection, and the heads where they are new, stay fresh."""
    assert started_from(trained.im_caption) == {trained.obj2sen: GENERATOR_TEXT}
    assert started_from(trained.sentence_gan) == {trained.sentence_ae: sorted(READER + GENERATOR_TEXT)}


def test_the_full_model_starts_from_both_and_its_recon_is_fresh(trained):
    """With a learning rate of zero, step 1 still holds what was handed over."""
    runs = {}
    for name, given in (("fresh", {}), ("given", {"imcap_ckpt": trained.im_caption, "sae_ckpt": trained.sentence_gan})):
        job_dir = str(trained.folder / f"full_{name}")
        train.main(config.FullModel(**FULL, data_dir=trained.data, job_dir=job_dir, **given))
        runs[name] = checkpoints.read_variables(job_dir)
    assert started_from(str(trained.folder / "full_given")) == {
        trained.im_caption: sorted(GENERATOR_TEXT + PROJECTION),
        trained.sentence_gan: sorted(READER + HEAD),
    }
    captioner, gan = (
        checkpoints.read_variables(checkpoints.choose(path).prefix)
        for path in (trained.im_caption, trained.sentence_gan)
    )
    for name, array in runs["given"].items():
        expected = captioner if name.startswith("Generator/") else gan if name in READER + HEAD else runs["fresh"]
        np.testing.assert_array_equal(array, expected[name], name)
    assert not np.array_equal(runs["given"]["Discriminator/fc/weights"], runs["fresh"]["Discriminator/fc/weights"])
    assert "Discriminator/recon/weights" in runs["given"]


@pytest.fixture(scope="session")
def other_world(tmp_path_factory):
    """A data folder with as many words, but another order."""
    folder = tiny_world.make(str(tmp_path_factory.mktemp("other") / "data"))
    path = os.path.join(folder, "word_counts.txt")
    with open(path) as file:
        lines = file.readlines()
    with open(path, "w") as file:
        file.writelines(lines[:2] + lines[:1:-1])
    with open(os.path.join(folder, "pairs.jsonl"), "w") as file:
        file.write('{"image": "train_001.jpg", "captions": ["a dog runs on the grass"]}\n')
    return folder


def test_another_dictionary_is_refused(trained, other_world):
    pairs = f"pairs:{other_world}/pairs.jsonl"
    with pytest.raises(cli.UserError, match="vocabulary differs.*train it on the data of this run"):
        trained.run("im_caption", "wrong_words", data_dir=other_world, captions=pairs, o2s_ckpt=trained.obj2sen)


def test_another_dictionary_is_refused_by_the_text_gan(trained, other_world):
    with pytest.raises(cli.UserError, match="vocabulary differs"):
        trained.run("sentence_gan", "wrong_words_gan", data_dir=other_world, sae_ckpt=trained.sentence_ae)


def test_other_sizes_are_refused(trained):
    with pytest.raises(cli.UserError, match=r"Generator/embedding has shape \(14, 8\), expected \(14, 6\)"):
        trained.run("sentence_gan", "wrong_size", emb_dim=6, mem_dim=6, sae_ckpt=trained.sentence_ae)


def test_another_scale_of_the_feature_is_refused(trained):
    with pytest.raises(cli.UserError, match="feature_scale differs: 1.0 there, expected 3.0.*--feature_scale 1.0"):
        trained.run("im_caption", "wrong_scale", feature_scale=3.0, o2s_ckpt=trained.obj2sen)


def test_a_missing_checkpoint_is_refused_before_anything_starts(trained):
    with pytest.raises(cli.UserError, match="--sae_ckpt nowhere: neither a run directory nor a checkpoint"):
        trained.run("sentence_gan", "no_source", sae_ckpt="nowhere")
    assert not os.path.exists(trained.folder / "no_source")


def test_a_run_without_images_cannot_start_a_captioner(trained):
    with pytest.raises(cli.UserError, match="has no variable Generator/fully_connected"):
        train.main(
            config.FullModel(
                **FULL, data_dir=trained.data, job_dir=str(trained.folder / "no_projection"), imcap_ckpt=trained.obj2sen
            )
        )
