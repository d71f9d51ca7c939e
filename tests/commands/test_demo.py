"""The demo script on a tiny world: all commands, up to the printed table."""

import json
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROWS = {"random", "constant", "retrieval", "con2sen", "feat2sen", "scratch", "full", "supervised_ceiling"}
STAGES = [
    "preprocessing.make_miniature",
    "preprocessing.extract_descriptions",
    "preprocessing.process_descriptions",
    "preprocessing.detect_objects",
    "preprocessing.process_images",
    "preprocessing.extract_features",
    "evaluation.untrained",
    "initialization.retrieve_captions",
    *("initialization.im_caption", "caption.py", "eval_val.py", "eval_test.py", "evaluation.report"),  # feat2sen
    *("train.py", "eval_val.py", "eval_test.py", "evaluation.report"),  # full
    *("initialization.obj2sen", "initialization.eval_obj2sen", "initialization.eval_obj2sen"),
    *("initialization.im_caption", "eval_val.py", "eval_test.py", "evaluation.report"),  # supervised_ceiling
    *("train.py", "eval_val.py", "eval_test.py", "evaluation.report"),  # scratch
    "evaluation.results",
    "evaluation.table",
]


def run_demo(data, runs, *flags):
    command = ["bash", "scripts/demo.sh", "--smoke", "--data_dir", str(data), "--runs", str(runs), *flags]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Runs the smoke demo once; returns (data folder, runs folder, finished process)."""
    if not (ROOT / ".venv").exists():
        pytest.skip("the demo script would make a .venv of its own; run the tests by scripts/test.sh")
    folder = tmp_path_factory.mktemp("demo")
    process = run_demo(folder / "data", folder / "runs")
    assert process.returncode == 0, process.stdout[-3000:] + process.stderr[-3000:]
    return folder / "data", folder / "runs", process


def test_every_stage_ran_in_order(demo):
    commands = [line.split()[1:] for line in demo[2].stdout.splitlines() if line.startswith("$ ")]
    ran = [words[words.index("-m") + 1] if "-m" in words else words[1] for words in commands]
    assert ran == STAGES


def test_the_table_has_its_rows(demo):
    _, runs, process = demo
    rows = {row["row"]: row for row in json.loads((runs / "table.json").read_text()) if row["split"] == "test"}
    assert set(rows) == ROWS
    for row in rows.values():
        assert row["images"] == 60 and row["CIDEr"] is not None and 0 < row["unique"] <= 1
        assert row["command"] and row["tokenizer"]
    assert rows["constant"]["unique"] == pytest.approx(1 / 60, abs=1e-4)
    assert "retrieval" in process.stdout.split("== the table")[1]
    assert "supervised_ceiling" in (runs / "report.html").read_text()
    first = process.stdout.split("== first captions after ")
    assert first[0].count("test_0000") >= 8 and "== done after " in first[1]


@pytest.mark.slow
def test_the_demo_run_again_does_nothing_twice(demo):
    data, runs, _ = demo
    before = {path: path.stat().st_mtime_ns for path in data.rglob("*") if path.is_file()}
    checkpoints = sorted(path.name for path in (runs / "scratch").glob("ckpt-*"))
    process = run_demo(data, runs)
    assert process.returncode == 0, process.stderr[-3000:]
    assert {path: path.stat().st_mtime_ns for path in data.rglob("*") if path.is_file()} == before
    assert sorted(path.name for path in (runs / "scratch").glob("ckpt-*")) == checkpoints
    assert "is complete: step 40 of 40" in process.stderr


@pytest.mark.slow
def test_the_papers_chain_starts_from_the_captions_of_obj2sen(demo):
    data, runs, _ = demo
    process = run_demo(data, runs, "--only", "chain,chain_adv")
    assert process.returncode == 0, process.stderr[-3000:]
    rows = {row["row"] for row in json.loads((runs / "table.json").read_text()) if row["split"] == "test"}
    assert {"con2sen", "chain_start", "chain_adv", "chain"} <= rows
    settings = json.loads((runs / "chain_start" / "config.json").read_text())["settings"]
    assert settings["captions"] == "obj2sen" and (data / "obj2sen_captions.json").exists()
    started = json.loads((runs / "chain" / "started_from.json").read_text())
    assert "chain_start" in json.dumps(started)


def test_a_copied_run_directory_captions_photographs(demo, tmp_path):
    data, runs, _ = demo
    copy = tmp_path / "copied"
    subprocess.run(["cp", "-r", runs / "scratch", copy], check=True)
    images = tmp_path / "images"
    images.mkdir()
    for path in sorted((data / "raw" / "images").glob("test_*.jpg"))[:3]:
        (images / path.name).write_bytes(path.read_bytes())
    output = tmp_path / "captions.json"
    process = subprocess.run(
        [ROOT / ".venv/bin/python", "caption.py", "--job_dir", copy, "--output", output, images],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert process.returncode == 0, process.stderr[-3000:]
    entries = json.loads(output.read_text())
    assert [entry["image_id"] for entry in entries] == sorted(path.name for path in images.iterdir())
    assert all(set(entry) >= {"image_id", "caption", "log_prob"} for entry in entries)
