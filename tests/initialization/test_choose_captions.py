"""choose_captions: the captions of a run's beam that fit predicted caption embeddings best, and training on them."""

import dataclasses
import json
import os

import numpy as np
import pytest

import cli
import config
from captioning.captioner import Captioner
from formats.vocabulary import Vocabulary
from initialization import assign_captions, choose_captions, im_caption, predict_caption_embeddings, pseudo_captions
from models.consensus.consensus_reward import ConsensusReward, NgramProjection
from tests import tiny_runs, tiny_world
from training import checkpoints

DECODE = "beam6,consensus_weight=10000"


@dataclasses.dataclass(frozen=True)
class Made:
    data: str
    run: str


def train(data, job_dir, **changes):
    settings = tiny_runs.SHORT | {"captions": "fit", "eval_images": 0, "lr": 2e-2} | changes
    im_caption.main(config.ImageCaption(data_dir=data, job_dir=str(job_dir), **settings))
    return str(job_dir)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    data, out = tiny_world.make(str(folder / "data"), sentences=90), str(folder / "out")
    predict_caption_embeddings.main(predict_caption_embeddings.Options(data_dir=data, output_dir=out, dim=2))
    assign_captions.main(assign_captions.Options(data_dir=out, mixed=50, most=0.0))
    return Made(out, train(out, folder / "run"))


def options(made, **changes):
    return choose_captions.Options(job_dir=made.run, decode=DECODE, **{"points": 30, "overwrite": True} | changes)


def chosen(made):
    """Returns (points float32 [P, T], list of P word-id arrays) that the stage has written to the run."""
    vocabulary = Vocabulary.load(os.path.join(made.run, "vocabulary.txt"))
    points, found = pseudo_captions.load_points(f"fit:{made.run}/fit_captions.npz", made.data, vocabulary)
    return points.take(np.arange(len(points)), None)["image"], [ids for [ids] in found.captions]


def test_each_caption_fits_best_in_its_beam(made, capsys):
    choose_captions.main(options(made))
    points, captions = chosen(made)
    assert len(points) == 30 and "30 of 170 points" in capsys.readouterr().out
    fit = ConsensusReward(NgramProjection.load(os.path.join(made.data, "phrases.npz")))
    beams = Captioner.from_run(made.run, "best").caption_vectors(points, "beam6")
    fit_of = lambda ids, row: float(fit(np.array([[*ids, 1]], np.int32), points[row : row + 1], 0.5)[0])  # noqa: E731
    others = 0
    for row, (ids, beam) in enumerate(zip(captions, beams, strict=True)):
        assert tuple(ids.tolist()) in {one.words for one in beam}
        assert fit_of(ids, row) == pytest.approx(max(fit_of(one.words, row) for one in beam), abs=1e-6)
        others += tuple(ids.tolist()) != beam[0].words
    assert others  # the most probable caption is not always the one that fits best


def test_the_sample_depends_on_the_seed(made):
    found = {}
    for seed in (1, 2):
        choose_captions.main(options(made, seed=seed))
        found[seed], _ = chosen(made)
    assert not np.array_equal(found[1], found[2])
    choose_captions.main(options(made))
    np.testing.assert_array_equal(chosen(made)[0], found[1])
    choose_captions.main(options(made, points=0))
    assert len(chosen(made)[0]) == 170


def test_a_captioner_is_trained_further_on_them(made, tmp_path):
    choose_captions.main(options(made, points=0))
    path = f"fit:{made.run}/fit_captions.npz"
    run = train(made.data, tmp_path / "distilled", captions=path, imcap_ckpt=made.run)
    with open(os.path.join(run, "started_from.json")) as file:
        [(source, entry)] = json.load(file).items()
    weights = checkpoints.read_variables(source)
    assert set(entry["variables"]) == {name for name in weights if name.startswith("Generator/")}
    with open(os.path.join(run, "metrics.jsonl")) as file:
        first = next(row["loss/sentence"] for row in map(json.loads, file) if "loss/sentence" in row)
    fresh = train(made.data, tmp_path / "fresh", captions=path)
    with open(os.path.join(fresh, "metrics.jsonl")) as file:
        assert first < next(row["loss/sentence"] for row in map(json.loads, file) if "loss/sentence" in row)


def test_the_same_again_is_not_made_again(made, capsys):
    choose_captions.main(options(made))
    before = os.stat(os.path.join(made.run, "fit_captions.npz")).st_mtime_ns
    choose_captions.main(options(made, overwrite=False))
    assert os.stat(os.path.join(made.run, "fit_captions.npz")).st_mtime_ns == before
    with pytest.raises(cli.UserError, match="overwrite"):
        choose_captions.main(options(made, overwrite=False, points=20))


def test_what_cannot_be_is_refused(made, tmp_path):
    for changes in ({"points": -1}, {"batch_size": 0}):
        with pytest.raises(cli.UserError, match="expected|must be"):
            choose_captions.main(options(made, **changes))
    with pytest.raises(cli.UserError, match="expected a decoding with consensus_weight"):
        choose_captions.main(dataclasses.replace(options(made), decode="beam3"))
    with pytest.raises(cli.UserError, match=r"choose_captions --job_dir .*none"):
        train(made.data, tmp_path / "run", captions=f"fit:{tmp_path}/none/fit_captions.npz")
    with pytest.raises(cli.UserError, match="expected one of them"):
        train(made.data, tmp_path / "run", o2s_ckpt=made.run, imcap_ckpt=made.run)
