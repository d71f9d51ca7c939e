"""The image stages, killed half-way and run again, end with the bytes of an undisturbed run."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from formats import vocabulary
from tests import small_networks
from tests.preprocessing.picture_files import write_pictures
from tests.stage_outputs import contents

ROOT = pathlib.Path(__file__).resolve().parents[2]
IMAGES, SHARDS, PARTS = 2248, 64, 32

# stage -> (flags, its work folder, its finished files there, how many those are in the end, the last file it writes)
STAGES = {
    "detect_objects": (
        ["--detector", "{inputs}/ssd.tflite", "--labels", "{inputs}/labels.txt", "--shards", str(SHARDS)],
        ".detect_objects",
        "detections-?????",
        SHARDS,
        "detections.json",
    ),
    "process_images": (
        ["--dataset", "jsonl:{inputs}", "--score_threshold", "0.1", "--shards", str(SHARDS)],
        ".process_images",
        "image_train-?????",
        SHARDS,
        "image_train.json",
    ),
    "extract_features": (
        ["--encoder", "tflite:{inputs}/encoder.tflite", "--crops", "1"],
        ".extract_features_train",
        "features-?????.npy",
        PARTS,
        "features_train.json",
    ),
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Photographs, lists and networks, shared by all runs."""
    folder = tmp_path_factory.mktemp("inputs")
    names = write_pictures(folder / "photographs", IMAGES)
    for split, chosen in (("train", names[200:]), ("val", names[:200])):
        lines = [json.dumps({"image": name, "captions": ["A picture."]}) for name in chosen]
        (folder / f"{split}.jsonl").write_text("\n".join(lines))
    small_networks.detector(folder / "ssd.tflite")
    small_networks.encoder(folder / "encoder.tflite")
    (folder / "labels.txt").write_text("???\nperson\nbicycle\ncar\n")
    return folder


def start(stage, inputs, data_dir, processes):
    flags = [flag.format(inputs=inputs) for flag in STAGES[stage][0]]
    if stage != "extract_features":
        flags += ["--image_dir", str(inputs / "photographs")]
    command = [sys.executable, "-m", f"preprocessing.{stage}", *flags]
    command += ["--data_dir", str(data_dir), "--processes", str(processes)]
    return subprocess.Popen(command, cwd=ROOT, start_new_session=True)


def kill_half_way(stage, inputs, data_dir, processes, least):
    """Starts a stage and kills it with all its processes once `least` finished files are in its work folder."""
    _, folder, pattern, total, last = STAGES[stage]
    work, process = data_dir / folder, start(stage, inputs, data_dir, processes)
    while process.poll() is None and len(list(work.glob(pattern))) < least:
        time.sleep(0.002)
    assert process.poll() is None, "the stage ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    found = len(list(work.glob(pattern)))
    assert least <= found < total and not (data_dir / last).exists(), "partial output, and no complete one, is expected"


def finish(stage, inputs, data_dir, processes):
    assert start(stage, inputs, data_dir, processes).wait(600) == 0
    hidden = {path.name for path in data_dir.glob(".*")}
    assert hidden <= {".photograph_hashes.json"}, "no work folder and no lock may be left"


def new_data_dir(folder):
    words = ["<S>", "</S>", "a", "person", "car"]
    vocabulary.Vocabulary(words).save(str(folder / "word_counts.txt"))
    return folder


@pytest.fixture(scope="module")
def undisturbed(inputs, tmp_path_factory):
    """What the three stages leave when they run to their end with one process: stage -> digests."""
    folder, after = new_data_dir(tmp_path_factory.mktemp("undisturbed")), {}
    for stage in STAGES:
        finish(stage, inputs, folder, 1)
        after[stage] = contents(folder)
    return after


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_killed_and_run_again(inputs, undisturbed, tmp_path, processes):
    data_dir = new_data_dir(tmp_path)
    for stage in STAGES:
        kill_half_way(stage, inputs, data_dir, processes, 3)
        finish(stage, inputs, data_dir, processes)
        assert contents(data_dir) == undisturbed[stage]
    assert len(contents(data_dir)) == 1 + (SHARDS + 1) + (SHARDS + 1) + 3 + 4
