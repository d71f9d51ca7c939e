"""The reproduction script on a tiny world: every stage by its own command, and what it asks for at the start."""

import json
import pathlib
import re
import subprocess

import pytest

import cli
from evaluation.published import published_rows
from scripts import uic_cost

ROOT = pathlib.Path(__file__).resolve().parents[2]
STAGES = [
    *("preprocessing.make_miniature", "preprocessing.extract_descriptions", "preprocessing.process_descriptions"),
    *("preprocessing.detect_objects", "preprocessing.process_images", "preprocessing.extract_features"),
    "evaluation.untrained",
    *("initialization.obj2sen", "initialization.eval_obj2sen", "initialization.eval_obj2sen"),
    *("initialization.gen_obj2sen_caption", "initialization.im_caption", "eval_val.py", "eval_test.py"),
    *("initialization.sentence_ae", "initialization.sentence_gan"),
    *("train.py", "eval_val.py", "eval_test.py"),
    *("train.py", "eval_val.py", "eval_test.py"),
    *("evaluation.results", "evaluation.table"),
]


@pytest.mark.slow
def test_the_smoke_run_goes_through_every_stage(tmp_path):
    if not (ROOT / ".venv").exists():
        pytest.skip("the script would make a .venv of its own; run the tests by scripts/test.sh")
    data, runs = tmp_path / "data", tmp_path / "runs"
    command = ["bash", "scripts/reproduce_uic.sh", "--smoke", "--data_dir", data, "--runs", runs]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1500)
    assert process.returncode == 0, process.stdout[-3000:] + process.stderr[-3000:]
    commands = [line.split()[1:] for line in process.stdout.splitlines() if line.startswith("$ ")]
    ran = [words[words.index("-m") + 1] if "-m" in words else words[1] for words in commands]
    assert ran == STAGES
    rows = [row for row in json.loads((runs / "table.json").read_text()) if row["split"] == "test"]
    names = ["random", "constant", "retrieval", "con2sen", "feat2sen", "full", "scratch"]
    assert [row["row"] for row in rows] == names and all(row["images"] == 60 for row in rows)
    table = process.stdout.split("== the table")[1]
    assert all(name in table for name in names) and published_rows()[0]["row"] in table
    started = json.loads((runs / "full" / "started_from.json").read_text())
    best = json.loads((runs / "feat2sen" / "b34.json").read_text())[-1][0]
    assert f"{runs}/feat2sen/ckpt-{best}" in started
    assert any(re.search(r"/sentence_gan/ckpt-\d+$", prefix) for prefix in started)


def test_hours_are_the_arithmetic_of_the_specification():
    """512 images at 24.58 GFLOP: 12.6 TFLOP, 64 ms at 40 % of an H200's TF32."""
    assert uic_cost.hours(512 * uic_cost.TRUNK, uic_cost.DEVICES["H200"]) * 3600 == pytest.approx(0.064, abs=0.001)
    assert uic_cost.hours(1.0, 1e12, steps=450) == pytest.approx(450 * 0.008 / 3600)
    for images in ("bank", "records"):
        *stages, (_, total) = uic_cost.table(images)
        assert total == pytest.approx([sum(column) for column in zip(*(times for _, times in stages), strict=True)])
    assert uic_cost.table("records")[-1][1] > uic_cost.table("bank")[-1][1]


def test_too_little_room_is_said_before_anything_starts(monkeypatch, tmp_path, capsys):
    options = uic_cost.Options(data_dir=str(tmp_path / "a" / "b"), runs=str(tmp_path / "runs"))
    monkeypatch.setattr(uic_cost, "free_disk", lambda path: (40.0, 1))
    with pytest.raises(cli.UserError, match="40.0 GB of disk are free, about 50.7 GB are needed.*--unchecked"):
        uic_cost.main(options)
    assert "full model from scratch" in capsys.readouterr().out
    monkeypatch.setattr(uic_cost, "free_disk", lambda path: (400.0, 1))
    monkeypatch.setattr(uic_cost.os, "sysconf", lambda name: 1024)
    with pytest.raises(cli.UserError, match="about 6 GB are needed"):
        uic_cost.main(options)
