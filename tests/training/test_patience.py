"""--patience: when a training ends whose ranking on validation rises no more, and how it is continued."""

import json

import pytest

import cli
import config
from tests import tiny_world
from tests.training import toy
from training import checkpoints, patience, rankings


def rank(job_dir, scores):
    """Writes the rankings of a run. Args: scores: dict step -> BLEU-4."""
    shared = {"CIDEr": 1.0, "METEOR": None, "BLEU-3": 0.0, "BLEU-2": 1.0}
    rankings.write_rankings(job_dir, {step: shared | {"BLEU-4": score} for step, score in scores.items()})


class Watch:
    """Evaluation that ranks the checkpoints so far, as `eval_val.py --watch` does. Args: scores: dict step -> score."""

    def __init__(self, job_dir, scores):
        self.job_dir, self.scores = job_dir, scores

    def __call__(self, step):
        rank(self.job_dir, {known: score for known, score in self.scores.items() if known <= step})
        return {}


@pytest.mark.parametrize(
    ("scores", "since"),
    [
        ({10: 1.0}, 0),
        ({10: 1.0, 20: 2.0, 30: 1.5, 40: 1.9}, 2),
        ({10: 1.0, 20: 2.0, 30: 2.0, 100: 2.0}, 2),  # a tie is no rise
        ({10: 3.0, 20: None, 30: 2.0}, 1),  # a checkpoint without a score does not count
        ({10: None}, None),
    ],
)
def test_checkpoints_since_the_best(tmp_path, scores, since):
    rank(tmp_path, scores)
    assert patience.since_best(str(tmp_path)) == since


def test_checkpoints_since_the_least_held_out_loss(tmp_path):
    assert patience.since_best(str(tmp_path)) is None
    (tmp_path / "best.json").write_text(json.dumps({"step": 20, "loss": 1.0}))
    lines = [{"step": 10, "eval/loss": 2.0}, {"step": 20, "eval/loss": 1.0}, {"step": 25, "loss": 1.0}]
    lines += [{"step": 30, "eval/loss": 1.1}, {"step": 40, "eval/loss": 1.0}]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert patience.since_best(str(tmp_path)) == 2
    assert [patience.ends(str(tmp_path), allowed) for allowed in (0, 1, 2, 3)] == [False, True, True, False]
    rank(tmp_path, {10: 1.0, 20: 2.0})  # captions that were scored count before the loss
    assert patience.since_best(str(tmp_path)) == 0


def test_a_training_ends_and_more_patience_continues_it_bit_for_bit(tmp_path, capsys):
    scores = {10: 1.0, 20: 2.0, 30: 1.5, 40: 1.0, 50: 3.0, 60: 1.0}
    watch = Watch(tmp_path / "run", scores)
    settings = toy.options(tmp_path / "run", max_steps=60, patience=2)
    assert toy.train(settings, evaluate=watch).step == 40
    assert "is complete: step 40; the last 2 ranked checkpoints or more are no better" in capsys.readouterr().err
    assert toy.train(settings, evaluate=watch).step == 40, "the same command trains nothing"
    assert checkpoints.steps_in(str(tmp_path / "run")) == [10, 20, 30, 40]
    more = toy.options(tmp_path / "run", max_steps=60, patience=3)
    assert toy.train(more, evaluate=watch).step == 60
    toy.train(toy.options(tmp_path / "unbroken", max_steps=60))
    toy.assert_same(toy.tensors(tmp_path / "run", 60), toy.tensors(tmp_path / "unbroken", 60))


def test_without_a_ranking_it_says_once_what_makes_one(tmp_path, capsys):
    assert toy.train(toy.options(tmp_path, patience=1)).step == 30
    told = capsys.readouterr().err
    assert told.count("NOTE: --patience 1 waits for a ranking") == 1
    assert f"python eval_val.py --job_dir {tmp_path} --watch" in told


def test_a_damaged_ranking_ends_nothing(tmp_path, capsys):
    (tmp_path / "b34.json").write_text("[")
    assert toy.train(toy.options(tmp_path, patience=1)).step == 30
    assert "WARNING: --patience 1 has no effect" in capsys.readouterr().err


def test_values_that_cannot_be_used(tmp_path):
    world = tiny_world.make(str(tmp_path / "world"))
    with pytest.raises(cli.UserError, match="--patience -1: expected a number of checkpoints"):
        config.check_trainer(config.FullModel(data_dir=world, patience=-1))
    with pytest.raises(cli.UserError, match="--patience: the checkpoints of sentence_gan are not ranked"):
        config.check_trainer(config.SentenceGan(data_dir=world, patience=1))
