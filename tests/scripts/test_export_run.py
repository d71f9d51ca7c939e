"""A small copy of a run captions as the run does."""

import json
import os

import pytest

import caption
import cli
import config
import registry
import train
from evaluation.results import archive
from scripts import export_run
from tests import photo_world, tiny_runs


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Returns (data folder, run, its folder in an archive)."""
    folder = tmp_path_factory.mktemp("export")
    data, run = photo_world.make(str(folder / "data")), str(folder / "run")
    train.main(tiny_runs.full(data, run, max_steps=8, eval_images=0))
    row = {"row": "full", "seed": 1, "split": "test", "decode": "beam3", "images": 6, "captions": "captions.json"}
    row |= dict.fromkeys(archive.VERSION, "x") | {"checkpoint_step": 8, "CIDEr": 1.0, "BLEU-4": 2.0, "METEOR": None}
    row |= {"CHAIR-s": 0.125, "CHAIR-i": 0.0625, "unique": 0.5, "class_precision": 0.25, "class_recall": 0.75}
    scores = archive.write_entry(str(folder / "results"), "miniature", row, {}, config={}, environment={}, log=[])
    return data, run, scores


def test_the_copy_captions_alike(trained, tmp_path):
    data, run, scores = trained
    small = str(tmp_path / "small")
    export_run.main(export_run.Options(job_dir=run, output=small, scores=scores))
    said = []
    for number, job_dir in enumerate((run, small)):
        output = tmp_path / f"{number}.json"
        caption.main(caption.Options(job_dir=job_dir, paths=(os.path.join(data, "photos"),), output=str(output)))
        said.append(json.loads(output.read_text()))
    assert len(said[0]) == len(said[1]) >= 6
    pairs = [(one, other) for one, other in zip(*said, strict=True) if one["caption"] == other["caption"]]
    assert len(pairs) >= 0.8 * len(said[0])  # after eight updates some captions are almost equally likely
    for one, other in pairs:
        assert one["log_prob"] == pytest.approx(other["log_prob"], abs=0.02)  # float16
    card = (tmp_path / "small" / "README.md").read_text()
    assert "CIDEr 1.0, BLEU-4 2.0" in card and "METEOR -" in card and "25% are among" in card
    sizes = [os.path.getsize(os.path.join(job_dir, "ckpt-8.data-00000-of-00001")) for job_dir in (run, small)]
    assert sizes[1] < sizes[0] / 4
    written = (tmp_path / "small" / "config.json").read_text()
    assert data not in written and registry.is_stage(json.loads(written), config.FullModel)


def test_scores_of_another_checkpoint_and_existing_folders_are_refused(trained, tmp_path):
    _, run, scores = trained
    with pytest.raises(cli.UserError, match="exists and is not empty"):
        export_run.main(export_run.Options(job_dir=run, output=run, scores=scores))
    path = os.path.join(scores, "scores.json")
    rows = json.loads(open(path).read())
    other = tmp_path / "miniature" / "full" / "seed_1"
    other.mkdir(parents=True)
    (other / "scores.json").write_text(json.dumps([rows[0] | {"checkpoint_step": 4}]))
    (other / "environment.json").write_text("{}")
    with pytest.raises(cli.UserError, match="scores of step 4"):
        export_run.main(export_run.Options(job_dir=run, output=str(tmp_path / "new"), scores=str(other)))
    assert not (tmp_path / "new").exists()
