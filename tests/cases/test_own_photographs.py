"""README's block "Your own photographs and sentences", as it stands there, and what a new user does after it."""

import json
import re
import shutil

import pytest

from formats import captions
from tests.cases import own_photographs
from training import rankings

pytestmark = pytest.mark.slow
IMAGES = (
    "python -m preprocessing.process_images --data_dir data/mine --image_dir mine/photos --dataset jsonl:mine/lists "
    "--score_threshold 0.4"
)
EVAL_VAL = "python eval_val.py --job_dir runs/mine/full --metrics BLEU,CIDEr"


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """(folder, what the block printed): 30, 20 and 10 photographs, captions for half of val and test."""
    folder = tmp_path_factory.mktemp("own")
    own_photographs.make(folder)
    return folder, own_photographs.run(folder, own_photographs.block())


@pytest.fixture
def folder(done, tmp_path):
    """A copy of the folder in which the block was run."""
    return shutil.copytree(done[0], tmp_path / "own", symlinks=True)


def advised(process):
    """The command that an error advises: all behind the last colon, on its last line."""
    assert process.returncode == 1 and "Traceback" not in process.stderr, process.stdout + process.stderr
    [command] = re.findall(r"(python (?:-m )?[\w.]+ .*?)(?:`| writes it|$)", process.stderr.splitlines()[-1])
    return command


def read(path):
    return json.loads(path.read_text())


def test_the_block_ends_with_captions_and_scores(done):
    folder, process = done
    found = read(folder / "captions.json")
    assert len(found) == 60 and all(entry["caption"] for entry in found)
    rows = {row["split"]: row for row in read(folder / "runs" / "mine" / "table.json")}
    assert rows["val"]["images"] == 10 and rows["test"]["images"] == 5
    assert all(row["CIDEr"] is not None and row["METEOR"] is not None for row in rows.values())
    assert (folder / "runs" / "mine" / "full" / "report.html").stat().st_size > 10_000
    assert "60 of 60 images captioned" in process.stderr


def test_the_block_says_what_is_scored_and_what_is_not(done):
    _, process = done
    for line in (
        "NOTE: val: 10 of 20 images have captions; eval_val.py scores only these",
        "NOTE: test: 5 of 10 images have captions; eval_test.py scores only these",
        "NOTE: 10 images of val have captions: with fewer than 200 the choice among checkpoints means little",
        "val: 10 of 20 images have captions and are scored",
        "WARNING: 10 validation images: with fewer than 200",
        "test: 5 of 10 images have captions and are scored",
    ):
        assert line in process.stdout, line
    assert process.stdout.index("NOTE: val: 10 of 20") < process.stdout.index("image_val.json: 20 images")


def test_all_test_images_are_captioned_and_half_of_them_scored(done):
    run = done[0] / "runs" / "mine" / "full"
    assert len(captions.read_captions(str(run / "test.json"))) == 10
    assert len(captions.read_captions(str(run / f"val_{rankings.best_step(str(run))}.json"))) == 10
    assert read(run / "test_scores.json")["images"] == 5


def test_after_a_change_of_references_the_errors_name_the_commands(folder):
    own_photographs.write_lists(folder, lambda split, number: split == "val")
    refused = own_photographs.run(folder, IMAGES, check=False)
    assert (
        refused.returncode == 1
        and "other settings or inputs.\n  dataset: " in refused.stderr
        and "--overwrite" in refused.stderr
    )
    assert len(refused.stderr.splitlines()) < 6
    own_photographs.run(folder, f"{IMAGES} --overwrite")
    refused = own_photographs.run(folder, EVAL_VAL, check=False)
    assert "refs_val does not fit the other files: data/mine, which it comes from" in refused.stderr
    command = advised(refused)
    assert "predict_caption_embeddings --data_dir data/mine --output_dir data/mine_predicted --threshold 0.3" in command
    own_photographs.run(folder, command)
    scored = own_photographs.run(folder, EVAL_VAL)
    assert "step 4:" in scored.stdout and "images have captions" not in scored.stdout  # all have some
    assert [row["images"] for row in read(folder / "runs" / "mine" / "table.json") if row["split"] == "val"] == [20]


def test_without_any_captions_all_goes_on(folder):
    own_photographs.write_lists(folder, lambda split, number: False)
    made = own_photographs.run(folder, f"{IMAGES} --overwrite")
    assert "NOTE: no image of val has a caption: no checkpoint will be scored or chosen" in made.stdout
    assert "NOTE: no image of test has a caption: eval_test.py captions them and scores nothing" in made.stdout
    own_photographs.run(folder, advised(own_photographs.run(folder, EVAL_VAL, check=False)))
    for path in (folder / "runs" / "mine" / "full").glob("*.json"):
        if path.name.startswith(("val_", "test", "b", "c", "m")) and path.name != "config.json":
            path.unlink()
    said = own_photographs.run(folder, EVAL_VAL)
    assert said.stdout.splitlines() == [
        "data/mine_predicted: no image of val has a caption, so nothing is scored and no checkpoint is chosen; "
        "caption.py takes the newest one"
    ]
    said = own_photographs.run(folder, "python eval_test.py --job_dir runs/mine/full")
    assert "runs/mine/full/test.json: 10 captions; no image of test has one to score them against" in said.stdout
    assert len(captions.read_captions(str(folder / "runs" / "mine" / "full" / "test.json"))) == 10
    own_photographs.run(folder, "python caption.py --job_dir runs/mine/full mine/photos/val_00.jpg --output one.json")
    assert len(read(folder / "one.json")) == 1


def test_commands_that_errors_advise_lead_on(folder):
    greedy = "python eval_test.py --job_dir runs/mine/full --decode greedy --metrics BLEU"
    command = advised(own_photographs.run(folder, greedy, check=False))
    assert command == "python eval_val.py --job_dir runs/mine/full --decode greedy"
    own_photographs.run(folder, f"{command} --metrics BLEU")
    own_photographs.run(folder, greedy)
    (folder / "data" / "mine" / "features_val.npy").unlink()
    again = "python -m initialization.predict_caption_embeddings --data_dir data/mine --output_dir data/mine_predicted"
    command = advised(own_photographs.run(folder, f"{again} --threshold 0.3 --max_sentence_length 18", check=False))
    assert "extract_features --data_dir data/mine --encoder tflite:mine/features.tflite --crops 4" in command
    own_photographs.run(folder, command)
    (folder / "data" / "mine" / "image_val.tfrec").unlink()
    command = advised(own_photographs.run(folder, "python -m evaluation.untrained --data_dir data/mine", check=False))
    own_photographs.run(folder, command)
    assert (folder / "data" / "mine" / "image_val.tfrec").exists()
    own_photographs.run(folder, "python -m scripts.doctor --data_dir data/mine --nodevices")


def test_a_run_is_scored_from_elsewhere(folder):
    (folder / "elsewhere").mkdir()
    run = f"cd elsewhere; PYTHONPATH=.. python ../eval_val.py --job_dir {folder}/runs/mine/full --metrics BLEU"
    assert "best by BLEU-3 + BLEU-4" in own_photographs.run(folder, run).stdout


def test_a_photograph_that_is_listed_and_absent_is_called_absent(folder):
    (folder / "mine" / "photos" / "train_03.jpg").unlink()
    detect = (
        "python -m preprocessing.detect_objects --data_dir data/new --image_dir mine/photos --detector mine/ssd.tflite"
    )
    own_photographs.run(folder, f"{detect} --labels mine/classes.txt; cp data/mine/word_counts.* data/new")
    images = IMAGES.replace("data/mine", "data/new")
    refused = own_photographs.run(folder, images, check=False)
    assert refused.returncode == 1 and "no detections" not in refused.stderr
    assert "1 of 60 images (1.7%) cannot be used, the first is train_03.jpg" in refused.stderr
    assert "o such file" in refused.stderr
    accepted = re.search(r"--max_failures [\d.]+", refused.stderr)[0]
    assert "29 images" in own_photographs.run(folder, f"{images} {accepted}").stdout
