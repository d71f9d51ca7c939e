"""R2M's command: four stages, initialisation from the stage before, resuming, captions without an image, errors."""

import dataclasses
import json
import os
import shutil

import numpy as np
import pytest

import caption
import cli
import eval_val
from baselines import r2m
from baselines.r2m import configuration, traces
from baselines.r2m.captioner import R2MCaptioner
from formats import records
from input_pipeline import ImageSet
from tests import tiny_runs, tiny_world
from training import checkpoints

SMALL = {
    "emb_dim": 8,
    "mem_dim": 8,
    "batch_size": 8,
    "max_steps": 4,
    "steps_per_loop": 2,
    "save_checkpoint_steps": 2,
    "save_summary_steps": 2,
    "unroll": 12,
}


def options(world, job_dir, **changes):
    return configuration.R2M(
        **SMALL | {"data_dir": str(world), "job_dir": str(job_dir), "metrics": ("BLEU", "CIDEr")} | changes
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Returns the tiny world, with annotations of the objects in its photographs."""
    folder = tiny_world.make(str(tmp_path_factory.mktemp("r2m") / "world"), sentences=300)
    images = records.read_images(records.find_files(folder, "image_val"))
    nouns = ImageSet(images, None, None).objects(np.arange(len(images)))["classes"][:, 0]
    with open(os.path.join(folder, "objects.jsonl"), "w") as file:
        for name, noun in zip(images.names, nouns, strict=True):
            objects = [{"name": tiny_world.WORDS[noun].capitalize(), "score": 0.9}] if noun else []
            file.write(json.dumps({"image": name, "objects": objects}) + "\n")
    return folder


@pytest.fixture(scope="module")
def trained(world, tmp_path_factory):
    """Returns the folder of a run of the four stages."""
    folder = tmp_path_factory.mktemp("trained")
    r2m.main(options(world, folder, detector=f"annotations:{world}/objects.jsonl"))
    return folder


# --------------------------------------------------------------------------------------------------------------
# The stages one after the other


def test_each_stage_starts_from_the_best_checkpoint_of_the_one_before(trained):
    networks = {"xe_rec": {"Encoder", "Decoder"}, "tri": {"Encoder", "Decoder", "Reconstructor"}}
    networks["tri_rec"] = networks["tri"] | {"Projection"}
    for before, stage in zip(configuration.IN_A_ROW, configuration.IN_A_ROW[1:], strict=False):
        best = json.loads((trained / before / "b34.json").read_text())[-1][0]
        (prefix, entry), *others = json.loads((trained / stage / "started_from.json").read_text()).items()
        assert not others and prefix == str(trained / before / f"ckpt-{best}")
        assert {name.split("/")[0] for name in entry["variables"]} == networks[stage]
    assert not (trained / "xe" / "started_from.json").exists()


def test_the_table_has_a_row_for_each_stage(trained):
    rows = json.loads((trained / "table.json").read_text())
    assert [row["row"] for row in rows] == ["r2m_xe", "r2m_xe_rec", "r2m_tri", "r2m"]
    assert all(row["split"] == "val" and row["images"] == 20 and row["CIDEr"] is not None for row in rows)


def test_what_is_handed_over_arrives(world, trained, tmp_path):
    """After a step with learning rate 0 the weights are those of the stage before."""
    start = str(trained / "xe_rec" / "ckpt-4")
    r2m.main(options(world, tmp_path / "tri", stage="tri", start_ckpt=start, lr=1e-30, max_steps=1))
    before, after = (checkpoints.read_variables(path) for path in (start, str(tmp_path / "tri")))
    for name, array in before.items():
        np.testing.assert_allclose(after[name], array, atol=1e-7, err_msg=name)


def test_the_same_command_again_finds_everything_done(world, trained, capsys):
    r2m.main(options(world, trained, detector=f"annotations:{world}/objects.jsonl"))
    assert capsys.readouterr().err.count("is complete: step 4 of 4") == 4


@pytest.mark.slow
def test_without_references_the_stages_hand_over_all_the_same(world, tmp_path, capsys):
    other = shutil.copytree(world, tmp_path / "world")
    os.remove(other / "refs_val.json")
    r2m.main(options(other, tmp_path / "run", max_steps=2))
    (entry,) = json.loads((tmp_path / "run" / "xe_rec" / "started_from.json").read_text()).values()
    assert entry["chosen"] == "minimum validation loss"
    assert "no refs_val.json" in capsys.readouterr().out


# --------------------------------------------------------------------------------------------------------------
# The loop's promises


@pytest.mark.parametrize(
    "stage", ["xe", *(pytest.param(name, marks=pytest.mark.slow) for name in configuration.STAGES[1:])]
)
def test_a_stopped_run_with_a_damaged_checkpoint_goes_on_to_the_same_bits(world, tmp_path, capsys, stage):
    r2m.main(options(world, tmp_path / "whole", stage=stage))
    for steps in (2, 4):
        r2m.main(options(world, tmp_path / "parts", stage=stage, max_steps=steps))
    tiny_runs.assert_same_runs(tmp_path / "whole", tmp_path / "parts", 4)
    damaged = tmp_path / "parts" / "ckpt-4.data-00000-of-00001"
    damaged.write_bytes(damaged.read_bytes()[:-20])
    r2m.main(options(world, tmp_path / "parts", stage=stage))
    assert "ckpt-4 is damaged and skipped" in capsys.readouterr().err
    tiny_runs.assert_same_runs(tmp_path / "whole", tmp_path / "parts", 4)


def test_other_settings_are_refused(world, trained):
    with pytest.raises(cli.UserError, match="margin: 0.2 in the run, 0.3 now"):
        r2m.main(options(world, trained / "tri", stage="tri", margin=0.3))


def test_a_source_of_another_kind_is_refused(world, trained, tmp_path):
    given = {"stage": "xe_rec", "start_ckpt": str(trained / "xe")}
    with pytest.raises(cli.UserError, match="num_heads differs: 2 there, expected 4"):
        r2m.main(options(world, tmp_path / "run", num_heads=4, **given))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"num_heads": 3}, "--num_heads 3 does not divide --emb_dim 8"),
        ({"mem_slots": 0}, "--mem_slots 0"),
        ({"stage_lr": (0.1,)}, "--stage_lr: expected 5 numbers above 0"),
        ({"start_ckpt": "run"}, "--stage all starts from fresh weights"),
        ({"stage": "tri", "start_ckpt": "nowhere"}, "--start_ckpt nowhere: neither a run directory nor a checkpoint"),
        ({"detector": "ssd.tflite"}, "class names"),
        ({"data_dir": "none"}, "none/word_counts.txt is missing"),
    ],
)
def test_wrong_settings(world, tmp_path, changes, message):
    with pytest.raises(cli.UserError, match=message):
        r2m.main(options(world, tmp_path / "run", **changes))
    assert not (tmp_path / "run").exists()


def test_a_cluster_runs_the_stages_one_by_one(world, tmp_path, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "{}")
    with pytest.raises(cli.UserError, match="in a cluster run them one by one"):
        r2m.main(options(world, tmp_path / "run"))


def test_settings_of_the_paper():
    """The defaults are the published settings (docs/r2m.md)."""
    paper = configuration.R2M()
    stages = [configuration.of_stage(paper, name) for name in configuration.STAGES]
    found = [(s.max_steps, s.lr, s.batch_size, s.unroll, s.save_checkpoint_steps) for s in stages]
    assert found == [
        (5000, 1e-4, 256, 30, 5000),
        (6000, 1e-4, 256, 40, 100),
        (50, 1e-5, 256, 40, 10),
        (100, 1e-5, 256, 40, 10),
        (10000, 1e-4, 256, 20, 1000),
    ]
    assert configuration.of_stage(stages[2], "tri") == stages[2], "the settings of a stage stay what they are"


# --------------------------------------------------------------------------------------------------------------
# Concept words -> captions


def image_set(classes, scores):
    """Returns one image with the given objects."""
    offsets = np.array([0, len(classes)])
    return ImageSet(
        records.Images(["a.jpg"], np.array(classes), offsets, np.array(scores, np.float32), None), None, None
    )


def test_concepts_in_training_and_in_captions():
    """The authors' program reads the last five classes in training, and the first five in reverse for captions."""
    objects = image_set([11, 12, 13, 14, 15, 16, 17], [0.1, 0.9, 0.2, 0.8, 0.3, 0.7, 0.6])
    told = {order: r2m.concepts_in_training(objects, order)[0][0].tolist() for order in ("class", "score")}
    assert told == {"class": [13, 14, 15, 16, 17], "score": [15, 17, 16, 14, 12]}
    settings = dataclasses.asdict(configuration.of_stage(configuration.R2M(emb_dim=8, mem_dim=8), "tri"))
    vocabulary = type("Words", (), {"size": 20})()
    for order, words in (("class", [15, 14, 13, 12, 11]), ("score", told["score"])):
        captioner = R2MCaptioner(settings | {"concept_order": order}, vocabulary)
        assert captioner.rows_of(objects.images)[0].tolist() == words


def test_eval_val_scores_a_run(world, trained, tmp_path):
    run = shutil.copytree(trained / "xe", tmp_path / "run")
    written = json.loads((run / "val_4.json").read_text())
    os.remove(run / "val_4.json")
    eval_val.main(eval_val.Options(job_dir=str(run), metrics=("BLEU", "CIDEr"), table=str(tmp_path / "table.json")))
    assert json.loads((run / "val_4.json").read_text()) == written


def caption_files(run, folder, names, output, **flags):
    """Returns exit code and captions of files; `annotations:` does not read their content."""
    for name in names:
        (folder / name).write_bytes(b"")
    paths = tuple(str(folder / name) for name in names)
    code = caption.main(caption.Options(paths=paths, job_dir=str(run), checkpoint="4", output=str(output), **flags))
    return code, json.loads(output.read_text())


def test_caption_files_from_a_moved_run(world, trained, tmp_path):
    run = shutil.copytree(trained / "xe_rec", tmp_path / "moved")
    names = [entry["image_id"] for entry in json.loads((run / "val_4.json").read_text())][:6]
    code, found = caption_files(run, tmp_path, names, tmp_path / "out.json")
    wanted = {entry["image_id"]: entry["caption"] for entry in json.loads((run / "val_4.json").read_text())}
    assert code == 0 and {entry["image_id"]: entry["caption"] for entry in found} == {
        name: wanted[name] for name in names
    }


def test_a_photograph_without_detections_is_reported(trained, tmp_path, capsys):
    code, found = caption_files(trained / "xe", tmp_path, ["val_000.jpg", "stranger.jpg"], tmp_path / "out.json")
    assert code == 1 and len(found) == 1
    assert "no caption for" in capsys.readouterr().err


def test_a_run_without_a_detector_says_what_it_needs(world, trained, tmp_path):
    run = shutil.copytree(trained / "xe", tmp_path / "run")
    shutil.rmtree(run / "detector")
    with pytest.raises(cli.UserError, match="no saved detector.*use --detector"):
        caption_files(run, tmp_path, ["val_000.jpg"], tmp_path / "out.json")
    given = {"detector": f"annotations:{world}/objects.jsonl"}
    assert caption_files(run, tmp_path, ["val_000.jpg"], tmp_path / "out.json", **given)[0] == 0


def test_another_detector_is_refused(world, trained, tmp_path):
    run = shutil.copytree(trained / "xe", tmp_path / "run")
    content = json.loads((run / "detector" / "detector.json").read_text())
    content["made_from"] = [{"source": "tflite:ssd.tflite", "sha256": "0" * 64, "labels_sha256": None}]
    (run / "detector" / "detector.json").write_text(json.dumps(content))
    with pytest.raises(cli.UserError, match="not the detector .* expected tflite:ssd.tflite"):
        caption_files(run, tmp_path, ["val_000.jpg"], tmp_path / "out.json")


def test_traces_of_concept_words(trained, tmp_path, capsys):
    run = str(trained / "tri_rec")
    captioner = R2MCaptioner.from_run(run)
    found = traces.trace(captioner, ["dog", "cat"], "greedy")
    steps = len(found.words)
    assert found.memory.shape == (steps, 2, 1, 2) and found.fusion.shape == (steps, 2, 2, 2)
    assert found.input_gate.shape == found.forget_gate.shape == (steps, 1, 8) and found.norm.shape == (steps,)
    np.testing.assert_allclose(found.memory.sum(-1), 1.0, atol=1e-6)
    rows = np.array([captioner.vocabulary.encode(["dog", "cat"])])
    assert found.text == captioner.caption_vectors(rows, "greedy")[0][0].text
    output = str(tmp_path / "traces.png")
    traces.main(traces.Options(paths=("dog, cat", "bird"), job_dir=run, output=output))
    with open(output, "rb") as file:
        assert file.read(8) == b"\x89PNG\r\n\x1a\n"
    assert "dog cat\t" in capsys.readouterr().out
    with pytest.raises(cli.UserError, match="not in the dictionary: unicorn"):
        traces.main(traces.Options(paths=("dog unicorn",), job_dir=run, output=output))
