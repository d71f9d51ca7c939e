"""Runs of both supervised systems: resuming, phases, devices, evaluation, captions from the run directory alone."""

import json
import os

import numpy as np
import pytest

import cli
import eval_val
from baselines import show_attend_tell, show_tell
from captioning.captioner import Captioner
from input_pipeline import FeatureBank
from tests import tiny_runs

STAGES = ["show_tell", "show_attend_tell"]


@pytest.mark.parametrize("stage", ["show_tell", pytest.param("show_attend_tell", marks=pytest.mark.slow)])
def test_a_stopped_run_goes_on_through_both_phases_to_the_same_weights(world, stage):
    settings = {"scst_from": 6, "max_steps": 12}
    whole = world.run(stage, f"{stage}_whole", **settings)
    for steps in (8, 12):
        parts = world.run(stage, f"{stage}_parts", **settings | {"max_steps": steps})
    tiny_runs.assert_same_runs(whole, parts, 12)
    last = tiny_runs.entries(whole)
    assert any("reward/sample" in entry for entry in last) and any("accuracy/sentence" in entry for entry in last)


@pytest.mark.parametrize("stage", STAGES)
def test_it_learns_and_every_command_takes_the_run(world, stage, monkeypatch):
    job_dir = world.run(
        stage, f"{stage}_learned", max_steps=240, save_checkpoint_steps=120, save_summary_steps=60, lr=2e-2
    )
    losses = [entry["loss/sentence"] for entry in tiny_runs.entries(job_dir) if "loss/sentence" in entry]
    assert losses[-1] < 0.6 * losses[0]
    for decode in ("beam2", "greedy"):
        table = str(world.folder / f"{stage}_{decode}.json")
        eval_val.main(eval_val.Options(job_dir=job_dir, decode=decode, metrics=("BLEU", "CIDEr"), table=table))
        with open(table) as file:
            row = json.load(file)[0]
        assert row["images"] == 20 and row["BLEU-1"] > 60 and row["unique"] > 0.1


def test_the_best_caption_of_a_beam_is_at_least_as_probable_as_the_greedy_one(world):
    job_dir = world.run("show_attend_tell", "show_attend_tell_beams", max_steps=40, lr=1e-2)
    bank = FeatureBank(world.data["show_attend_tell"], "val")
    vectors = bank.centre(np.arange(7))
    captioner = Captioner.from_run(job_dir)
    greedy = captioner.caption_vectors(vectors, "greedy", batch=4)
    beams = captioner.caption_vectors(vectors, "beam4", batch=4)
    assert len(greedy) == len(beams) == 7
    for first, several in zip(greedy, beams, strict=True):
        assert several[0].log_prob >= first[0].log_prob - 1e-5
    # beam1 is greedy, with one step less
    single = captioner.caption_vectors(vectors, "beam1", batch=4)
    for first, second in zip(greedy, single, strict=True):
        assert second[0].ids[:7] == first[0].ids[:7]


def test_attention_rows_sum_to_one_and_follow_the_words(world):
    job_dir = world.run("show_attend_tell", "show_attend_tell_weights", max_steps=8)
    vectors = FeatureBank(world.data["show_attend_tell"], "val").centre(np.arange(5))
    captioner = Captioner.from_run(job_dir)
    captions = [found[0].ids for found in captioner.caption_vectors(vectors, "greedy")]
    weights = captioner.attention(vectors, captions)
    for rows, ids in zip(weights, captions, strict=True):
        assert rows.shape == (len(ids), 4)
        np.testing.assert_allclose(rows.sum(1), 1.0, atol=1e-5)
        assert (rows >= 0).all()
    other = captioner.attention(vectors, [(2, 3, 1)] * 5)
    np.testing.assert_allclose(
        other[0][0], weights[0][0], atol=1e-6
    )  # the first word's attention does not depend on any word


def test_a_pooled_run_has_no_attention(world):
    job_dir = world.run("show_tell", "show_tell_short")
    with pytest.raises(cli.UserError, match="has no attention"):
        Captioner.from_run(job_dir).attention(np.zeros((1, 12)), [(1,)])


@pytest.mark.parametrize(
    ("stage", "other", "message"),
    [("show_tell", "show_attend_tell", "pooled vectors"), ("show_attend_tell", "show_tell", "grid of cells")],
)
def test_the_wrong_kind_of_features_is_named(world, stage, other, message):
    with pytest.raises(cli.UserError, match=message):
        world.run(stage, f"{stage}_wrong", data_dir=world.data[other])


@pytest.mark.parametrize("module", [show_tell, show_attend_tell])
def test_wrong_settings_are_errors_before_anything_starts(world, module):
    stage = module.__name__.rpartition(".")[2]
    for changes, message in (
        ({"captions": "obj2sen"}, "pairs:FILE"),
        ({"captions": "pairs:/nowhere.jsonl"}, "train_captions"),
        ({"lr_decay_steps": 5, "lr_halving_epochs": 1.0}, "two schedules"),
        ({"scst_from": -1}, "scst_from"),
    ):
        with pytest.raises(cli.UserError, match=message):
            module.main(world.options(stage, "never", **changes))
    assert not os.path.exists(world.folder / "never")
