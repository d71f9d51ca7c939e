"""eval_val.py and eval_test.py: rankings, scoring again only what has changed, provenance of the scores."""

import json
import re
import shutil

import pytest

import cli
import eval_test
import eval_val
import train
from captioning.captioner import Captioner
from captioning.splits import references_of, split_vectors
from evaluation import metrics, validation
from evaluation.results import archive
from formats import captions
from tests import sidecar_edits, tiny_runs, tiny_world
from training import rankings

QUICK = ("BLEU", "ROUGE-L", "CIDEr")  # METEOR takes seconds to start
FILES = ("b34.json", "cider.json", "meteor.json", "b4.json", "b3.json", "b2.json")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Trains a run with three checkpoints, beside its data."""
    folder = tmp_path_factory.mktemp("evaluation")
    world = tiny_world.make(str(folder / "world"))
    train.main(tiny_runs.full(world, folder / "run"))
    return folder


@pytest.fixture(scope="module")
def scored(trained):
    """Returns the run's folder, scored on validation."""
    eval_val.main(eval_val.Options(job_dir=str(trained / "run"), metrics=QUICK))
    return trained / "run"


@pytest.fixture
def run(scored, tmp_path):
    """Returns a copy of the scored run beside its data."""
    shutil.copytree(scored.parent / "world", tmp_path / "world")
    return shutil.copytree(scored, tmp_path / "run")


def evaluate(run, **flags):
    """Runs eval_val.py with quick metrics on a copy of the data."""
    options = {"job_dir": str(run), "data_dir": str(run.parent / "world"), "metrics": QUICK} | flags
    eval_val.main(eval_val.Options(**options))


def read(path):
    return json.loads(path.read_text())


# --------------------------------------------------------------------------------------------------------------
# Validation


def test_every_checkpoint_is_captioned_and_ranked(scored):
    names = sorted(references_of(str(scored.parent / "world"), "val"))
    for step in (8, 16, 24):
        assert sorted(entry["image_id"] for entry in read(scored / f"val_{step}.json")) == names
    for name in FILES:
        assert sorted(entry[0] for entry in read(scored / name)) == ["16", "24", "8"]
    sums = [entry[3] + entry[4] for entry in read(scored / "b34.json")]
    assert sums == sorted(sums) and rankings.best_step(str(scored)) == int(read(scored / "b34.json")[-1][0])


def test_the_numbers_are_those_of_the_captions(scored):
    found = captions.read_captions(str(scored / "val_16.json"))
    values = metrics.score(found, references_of(str(scored.parent / "world"), "val"), QUICK).values
    assert read(scored / "val_checkpoints.json")["16"]["values"] == values
    captioner = Captioner.from_run(str(scored), 16)
    names = sorted(found)
    vectors = split_vectors(str(scored), "newest", str(scored.parent / "world"), "val", names)
    assert captioner.captions_of(names, vectors) == found


def test_the_row_says_where_it_comes_from(scored):
    [row] = read(scored.parent / "table.json")
    best = rankings.best_step(str(scored))
    assert (row["row"], row["corpus"], row["split"], row["decode"], row["seed"]) == ("run", "world", "val", "beam3", 1)
    assert row["images"] == 20 and row["references"] == 40 and row["tokenizer"]
    assert row["checkpoint"].endswith(f"ckpt-{best}") and row["selection"] == rankings.SELECTED_BY and row["command"]
    assert row["METEOR"] is None and row["reasons"]["METEOR"] == metrics.NOT_ASKED
    assert 0 < row["unique"] <= 1 and 0 <= row["class_recall"] <= 1 and 0 <= row["class_precision"] <= 1
    assert row["minutes"] > 0 and len(row["CIDEr_95"]) == 2


def test_what_was_scored_is_not_scored_again(run, capsys):
    before = {path.name: path.stat().st_mtime_ns for path in run.glob("val_*.json")}
    evaluate(run)
    assert {path.name: path.stat().st_mtime_ns for path in run.glob("val_*.json")} == before
    assert "step 8:" not in capsys.readouterr().out
    evaluate(run, overwrite=True)
    assert capsys.readouterr().out.count("unique") > 3
    assert all(path.stat().st_mtime_ns > before[path.name] for path in run.glob("val_*.json"))


def test_only_what_is_missing_is_captioned(run, capsys):
    (run / "val_16.json").unlink()
    evaluate(run)
    printed = capsys.readouterr().out
    assert "step 16:" in printed and "step 8:" not in printed and (run / "val_16.json").exists()


class Training:
    """Takes the place of time.sleep while a run is watched: at each call the next checkpoint of a run appears."""

    def __init__(self, run, tmp_path):
        self.run, self.kept, self.steps = run, tmp_path / "kept", [16, 24]
        self.kept.mkdir()
        for step in self.steps:
            for path in run.glob(f"ckpt-{step}.*"):
                path.rename(self.kept / path.name)

    def __call__(self, seconds):
        if not self.steps:
            raise KeyboardInterrupt
        step = self.steps.pop(0)
        for path in sorted(self.kept.glob(f"ckpt-{step}.*"), reverse=True):
            path.rename(self.run / path.name)


def test_watched_checkpoints_are_scored_as_they_appear(run, scored, tmp_path, monkeypatch, capsys):
    """One pass for each checkpoint; it ends with the last step, and the files are those of one pass over all."""
    expected = {name: read(scored / name) for name in ("b34.json", "val_16.json", "val_checkpoints.json")}
    for path in [*run.glob("val_*.json"), run / "b34.json"]:
        path.unlink()
    monkeypatch.setattr(validation.time, "sleep", Training(run, tmp_path))
    evaluate(run, watch=True)
    printed = capsys.readouterr().out
    assert printed.count("best by BLEU-3 + BLEU-4: step") == 3
    assert [printed.count(f"step {step}: BLEU-1") for step in (8, 16, 24)] == [1, 1, 1]
    assert printed.endswith("the training is complete, all checkpoints are scored\n")
    assert {name: read(run / name) for name in expected} == expected


def test_a_watch_ends_by_ctrl_c_and_goes_on(run, tmp_path, monkeypatch, capsys):
    (run / "val_16.json").unlink()
    training = Training(run, tmp_path)
    training.steps = []
    monkeypatch.setattr(validation.time, "sleep", training)
    evaluate(run, watch=True)  # of a run that is at step 8 of 24
    assert capsys.readouterr().out.endswith("no longer watched; the same command continues\n")
    training.steps = [16, 24]
    evaluate(run, watch=True)
    printed = capsys.readouterr().out
    assert "step 16: BLEU-1" in printed and "step 8: BLEU-1" not in printed and "is complete" in printed


def test_a_watch_ends_with_a_training_that_ran_out_of_patience(run):
    content = read(run / "config.json")
    content["settings"] |= {"max_steps": 1000, "patience": 1}
    (run / "config.json").write_text(json.dumps(content))
    others = {"CIDEr": 1.0, "METEOR": None, "BLEU-3": 1.0, "BLEU-2": 1.0}
    scores = {8: 2.0, 16: 1.0, 24: 1.5}
    rankings.write_rankings(run, {step: others | {"BLEU-4": score} for step, score in scores.items()})
    assert validation.is_complete(str(run))
    content["settings"]["patience"] = 3
    (run / "config.json").write_text(json.dumps(content))
    assert not validation.is_complete(str(run))


def test_a_watch_of_given_steps_is_an_error(run):
    with pytest.raises(cli.UserError, match="omit --steps, or --watch"):
        evaluate(run, watch=True, steps=("8",))


def test_another_decoding_is_scored_on_its_own(run, capsys):
    before = (run / "val_8.json").read_text()
    evaluate(run, decode="greedy")
    assert "step 8:" in capsys.readouterr().out
    assert (run / "greedy" / "val_8.json").exists() and (run / "greedy" / "b34.json").exists()
    assert (run / "val_8.json").read_text() == before
    assert [row["decode"] for row in read(run.parent / "table.json")] == ["greedy"]


def test_another_normalisation_is_another_decoding(run, capsys):
    before = (run / "b34.json").read_text()
    evaluate(run, length_normalization=1.0, steps=("8",))
    assert "step 8:" in capsys.readouterr().out
    name = "beam3,length_normalization=1"
    assert [entry[0] for entry in read(run / name / "b34.json")] == ["8"] and (run / "b34.json").read_text() == before
    assert [row["decode"] for row in read(run.parent / "table.json")] == [name]


def test_samples_are_scored_and_reported(run):
    world = run.parent / "world"
    flags = dict(job_dir=str(run), data_dir=str(world), split="val", metrics=QUICK, checkpoint="8")
    eval_test.main(eval_test.Options(**flags, samples=3, temperature=1.5, no_repeat_ngram=2, report=True))
    name = "sample3,temperature=1.5,no_repeat_ngram=2"
    [row] = read(run.parent / "table.json")
    assert row["decode"] == name and 0 < row["self-CIDEr"] <= 1 and 0 <= row["mBLEU-4"] < 100
    several, best = read(run / f"val_{name}_samples.json"), read(run / f"val_{name}.json")
    assert {one["image_id"]: one["caption"] for one in best} == {image: texts[0] for image, texts in several.items()}
    assert {len(texts) for texts in several.values()} == {3}
    captioner, names = Captioner.from_run(str(run), 8), sorted(several)
    vectors = split_vectors(str(run), "newest", str(world), "val", names)
    assert captioner.several_captions_of(names, vectors, name) == several, "the seed reproduces them"
    shown = (run / "report.html").read_text()
    assert "Diversity of the samples" in shown and name in shown and f"{row['self-CIDEr']:.3f}" in shown
    added = archive.captions_name(name)
    assert re.fullmatch(archive.CAPTIONS, added)


def test_other_metrics_score_the_same_captions_again(run, capsys):
    before = (run / "val_8.json").stat().st_mtime_ns
    evaluate(run, metrics=("BLEU", "CIDEr"))
    assert "step 8:" in capsys.readouterr().out
    assert (run / "val_8.json").stat().st_mtime_ns == before
    assert read(run / "val_checkpoints.json")["8"]["values"]["ROUGE-L"] is None


def test_other_references_score_the_same_captions_again(run):
    path = run.parent / "world" / "refs_val.json"
    content, before = read(path), read(run / "val_checkpoints.json")["8"]["values"]
    for annotation in content["annotations"]:
        annotation["caption"] = "something else entirely"
    path.write_text(json.dumps(content))
    written = (run / "val_8.json").stat().st_mtime_ns
    evaluate(run)
    assert (run / "val_8.json").stat().st_mtime_ns == written
    assert read(run / "val_checkpoints.json")["8"]["values"]["CIDEr"] < before["CIDEr"]


def test_a_replaced_checkpoint_is_captioned_again(run, capsys):
    for ending in ("index", "data-00000-of-00001", "json"):
        shutil.copy(run / f"ckpt-24.{ending}", run / f"ckpt-8.{ending}")
    evaluate(run)
    printed = capsys.readouterr().out
    assert "step 8:" in printed and "step 24:" not in printed
    assert (run / "val_8.json").read_text() == (run / "val_24.json").read_text()


def test_several_devices_caption_alike(run):
    before = (run / "val_24.json").read_text()
    flags = [f"--job_dir={run}", f"--data_dir={run.parent}/world", "--metrics=BLEU", "--steps=24", "--overwrite"]
    code, errors = tiny_runs.finish(
        tiny_runs.start(["-m", "tests.logical_cpus", "2", "eval_val", *flags, "--devices=CPU:0,CPU:1"])
    )
    assert code == 0, errors
    assert (run / "val_24.json").read_text() == before


# --------------------------------------------------------------------------------------------------------------
# Test


def test_the_best_checkpoint_is_tested(run):
    world = run.parent / "world"
    for kind in ("refs_{}.json", "image_{}.tfrec", "image_{}.json", "features_{}.npy", "features_{}.json"):
        text = (world / kind.format("val")).read_bytes()
        (world / kind.format("test")).write_bytes(
            text.replace(b"_val.", b"_test.") if kind.endswith("json") and "refs" not in kind else text
        )
    for stem in ("image_test", "features_test"):
        sidecar_edits.rewrite(world / f"{stem}.json", read(world / f"{stem}.json"))
    eval_test.main(eval_test.Options(job_dir=str(run), data_dir=str(world), metrics=QUICK))
    best = rankings.best_step(str(run))
    assert captions.read_captions(str(run / "test.json")) == captions.read_captions(str(run / f"val_{best}.json"))
    found = read(run / "test_scores.json")
    assert found["split"] == "test" and found["checkpoint"].endswith(f"ckpt-{best}")
    assert found["selection"] == rankings.SELECTED_BY and found["data_dir"] == str(world)
    assert found["CIDEr"] == pytest.approx(read(run / "val_checkpoints.json")[str(best)]["values"]["CIDEr"], abs=1e-3)
    assert {"images", "references", "tokenizer", "versions", "reasons", "caveats"} <= found.keys()


@pytest.mark.parametrize("checkpoint", ["16", "newest", "path"])
def test_a_checkpoint_of_ones_own_choice(run, checkpoint):
    step = 16 if checkpoint == "16" else 24
    given = str(run / "ckpt-24") if checkpoint == "path" else checkpoint
    options = eval_test.Options(
        job_dir=str(run), data_dir=str(run.parent / "world"), checkpoint=given, split="val", metrics=("BLEU",)
    )
    eval_test.main(options)
    assert captions.read_captions(str(run / "val.json")) == captions.read_captions(str(run / f"val_{step}.json"))
    assert read(run / "val_scores.json")["selection"] == f"--checkpoint {given}"
    evaluate(run)  # keeps its own scores elsewhere
    assert len(read(run / "b34.json")) == 3


def test_two_runs_of_one_name_have_two_rows(run, tmp_path):
    table = str(tmp_path / "all.json")
    for name in ("e1", "e2", "e1"):
        shutil.copytree(run, tmp_path / name / "full", dirs_exist_ok=True)
        evaluate(tmp_path / name / "full", data_dir=str(run.parent / "world"), table=table)
    assert [row["run"] for row in read(tmp_path / "all.json")] == ["e1/full", "e2/full"]


def test_other_metrics_of_the_same_captions_are_added(run):
    shared = {"job_dir": str(run), "data_dir": str(run.parent / "world"), "split": "val"}
    for asked in ("CIDEr", "BLEU"):
        eval_test.main(eval_test.Options(**shared, metrics=(asked,)))
    for found in (read(run / "val_scores.json"), read(run.parent / "table.json")[-1]):
        assert found["CIDEr"] > 0 and found["BLEU-1"] > 0 and found["reasons"].keys() >= {"METEOR", "ROUGE-L"}


# --------------------------------------------------------------------------------------------------------------
# Errors


def test_what_is_missing_is_named(run, tmp_path):
    world = run.parent / "world"
    quick = {"job_dir": str(run), "data_dir": str(world), "metrics": QUICK}
    with pytest.raises(cli.UserError, match="neither image_test.tfrec nor"):
        eval_test.main(eval_test.Options(**quick))
    with pytest.raises(cli.UserError, match="no such metric: CIDER"):
        eval_val.main(eval_val.Options(**quick | {"metrics": ("CIDER",)}))
    (run / "b34.json").unlink()
    with pytest.raises(cli.UserError, match="b34.json: no such file; expected .* eval_val.py"):
        eval_test.main(eval_test.Options(**quick, split="val"))
    for path in run.glob("ckpt-*"):
        path.unlink()
    with pytest.raises(cli.UserError, match="has no checkpoint yet"):
        eval_val.main(eval_val.Options(**quick))


def test_another_encoder_than_the_runs_is_refused(run):
    path = run.parent / "world" / "features_val.json"
    content = read(path)
    content["encoder"]["image_size"] = 9
    sidecar_edits.rewrite(path, content)
    with pytest.raises(cli.UserError, match="comes from another encoder than the run .*image_size is 9"):
        evaluate(run, overwrite=True)


def test_a_damaged_checkpoint_is_named(run):
    with open(run / "ckpt-16.data-00000-of-00001", "r+b") as file:
        file.truncate(50)
    with pytest.raises(cli.UserError, match="ckpt-16: cannot be read"):
        evaluate(run, overwrite=True)
