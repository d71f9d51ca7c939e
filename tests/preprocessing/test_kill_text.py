"""The text stages, killed half-way and run again, end with the bytes of an undisturbed run."""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

from tests.stage_outputs import contents

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXTRACT = ["-m", "preprocessing.extract_descriptions", "--input", "{folder}/raw", "--shards", "16"]
PROCESS = ["-m", "preprocessing.process_descriptions", "--new_dict", "--min_word_count", "20", "--shards", "16"]
DESCRIPTIONS = 40_000

# stage -> (command, the files of its second pass in the work folder, its work folder, the last file it writes)
STAGES = {
    "extract": (EXTRACT, "sentences-?????", ".extract_descriptions", "sentences.json"),
    "process": (PROCESS, "sentence-?????", ".process_descriptions", "sentence.json"),
}


def start(stage, folder, processes):
    command = [part.format(folder=folder) for part in STAGES[stage][0]]
    command += ["--data_dir", str(folder), "--processes", str(processes)]
    return subprocess.Popen([sys.executable, *command], cwd=ROOT, start_new_session=True)


def kill_half_way(stage, folder, processes, pattern, least):
    """Starts a stage and kills it with all its processes once `least` files of the pattern are in its work folder."""
    work, last = folder / STAGES[stage][2], folder / STAGES[stage][3]
    process = start(stage, folder, processes)
    while process.poll() is None and len(list(work.glob(pattern))) < least:
        time.sleep(0.002)
    assert process.poll() is None, "the stage ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    found = len(list(work.glob(pattern)))
    assert least <= found < 16 and not last.exists(), "partial output must be there, and no complete output"


def finish(stage, folder, processes):
    assert start(stage, folder, processes).wait(600) == 0
    assert not (folder / STAGES[stage][2]).exists()


def digests(folder):
    """`contents` of the folder without what it was made from."""
    return {path: digest for path, digest in contents(folder).items() if not path.startswith("raw/")}


def write_descriptions(folder):
    """40,000 descriptions of 8 to 40 words, some of them twice, in two files of two formats."""
    (folder / "raw").mkdir(parents=True)
    rng = random.Random(1)
    words = ["dog", "dogs", "cat", "buses", "people", "the", "a", "on", "with", "café", "it's"]
    words += [f"word{i}" for i in range(200)]
    texts = [" ".join(rng.choices(words, k=rng.randint(8, 40))) + "." for _ in range(DESCRIPTIONS)]
    texts[::1000] = texts[1::1000]
    half = DESCRIPTIONS // 2
    (folder / "raw" / "a.txt").write_text("\n".join(texts[:half]))
    lines = [json.dumps({"description": text}) for text in texts[half:]]
    (folder / "raw" / "b.jsonl").write_text("\n".join(lines))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A folder in which both stages ran to their end, with one process; the digests of all files."""
    folder = tmp_path_factory.mktemp("undisturbed")
    write_descriptions(folder)
    finish("extract", folder, 1)
    after_extract = digests(folder)
    finish("process", folder, 1)
    return {"extract": after_extract, "process": digests(folder)}


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_killed_and_run_again(undisturbed, tmp_path, processes):
    write_descriptions(tmp_path)
    for stage, outputs in (("extract", 2), ("process", 2 + 16 + 5)):
        kill_half_way(stage, tmp_path, processes, "dealt-?????", 2)
        kill_half_way(stage, tmp_path, processes, STAGES[stage][1], 3)
        finish(stage, tmp_path, processes)
        assert digests(tmp_path) == undisturbed[stage]
        assert len(undisturbed[stage]) == outputs
