"""Two commands at the same time: one makes an output of a data folder, the other is told; a table loses no row."""

import contextlib
import json
import multiprocessing
import os
import pathlib
import subprocess
import sys

import pytest

import cli
import train
from evaluation import metrics, table
from formats import inventory, writing
from initialization import im_caption, obj2sen, sentence_ae
from tests import project_files, tiny_runs, tiny_world

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPAWN = multiprocessing.get_context("spawn")


def hold(folder, writes, reads, ready, done):
    with writing.working(folder, writes, reads):
        ready.set()
        done.wait()


@contextlib.contextmanager
def held(folder, writes, reads=()):
    """Another process works on outputs of a folder during the block."""
    ready, done = SPAWN.Event(), SPAWN.Event()
    process = SPAWN.Process(target=hold, args=(str(folder), writes, reads, ready, done))
    process.start()
    try:
        assert ready.wait(60)
        yield process
    finally:
        process.kill()
        process.join()


@pytest.fixture(autouse=True)
def no_grace(monkeypatch):
    monkeypatch.setattr(writing, "GRACE", 0.0)


# --------------------------------------------------------------------------------------------------------------
# One lock for an output, by whatever name its folder goes


def test_every_name_of_a_folder_is_the_same_folder(tmp_path, monkeypatch):
    folder = tmp_path / "deep" / "data"
    folder.mkdir(parents=True)
    (tmp_path / "link").symlink_to(folder)
    (tmp_path / "link_to_parent").symlink_to(folder.parent)
    monkeypatch.chdir(tmp_path / "deep")
    names = [f"{folder}/", f"{folder}//", "data", "./data/.", "../deep/data", str(tmp_path / "link")]
    names += [f"{tmp_path}/link/", f"{tmp_path}/link_to_parent/data", f"{tmp_path}/link/../data"]
    with held(folder, ["detections"]) as process:
        for name in names:
            with pytest.raises(cli.UserError, match=f"process {process.pid} on .* works on detections"):
                with writing.working(name, ["detections"]):
                    pass


BOUND = """
import sys
from formats import writing
writing.GRACE = 0.0
with writing.working(sys.argv[1], ["detections"]):
    print("both work")
"""


def test_a_folder_that_is_mounted_twice_is_the_same_folder(tmp_path):
    folder, twin = tmp_path / "data", tmp_path / "twin"
    folder.mkdir()
    twin.mkdir()
    mount = ["unshare", "-rm", "sh", "-c", 'mount --bind "$0" "$1" && exec "$2" -c "$3" "$1"']
    if subprocess.run([*mount[:4], "mount --bind . . "], capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    with held(folder, ["detections"]):
        command = [*mount, folder, twin, sys.executable, BOUND]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "works on detections" in done.stderr and "both work" not in done.stdout


def test_a_folder_of_another_user_can_be_read_by_several(tmp_path, monkeypatch):
    """Their lock file cannot be opened for writing; to read beside them the right to read suffices."""
    opened = os.open

    def refuse(path, flags, *arguments):
        if str(path).endswith(".lock") and flags & os.O_RDWR:
            raise PermissionError(13, "Permission denied", path)
        return opened(path, flags, *arguments)

    with held(tmp_path, [], ["image"]):
        monkeypatch.setattr(writing.os, "open", refuse)
        with writing.working(tmp_path, [], ["image"]):
            pass
        with pytest.raises(PermissionError), writing.working(tmp_path, ["image"]):
            pass


# --------------------------------------------------------------------------------------------------------------
# Trainers and scores read what nobody replaces meanwhile


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return tiny_world.make(str(tmp_path_factory.mktemp("world") / "data"))


@pytest.mark.parametrize("locked", ["image", "sentence", "word_counts", "features_train"])
def test_a_trainer_does_not_begin_while_its_data_are_made(world, tmp_path, locked):
    with held(world, [locked]), pytest.raises(cli.UserError, match=f"works on {locked} in .*data"):
        train.main(tiny_runs.full(world, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("trainer", [train, im_caption, obj2sen, sentence_ae])
def test_every_trainer_keeps_its_data(world, trainer):
    with held(world, ["word_counts"]), pytest.raises(cli.UserError, match="works on word_counts"):
        trainer.main(tiny_runs.full(world, "unused"))


def test_data_that_are_read_are_not_replaced(world):
    with inventory.reading(world):
        for name in ("image", "features_train", "sentence", "word_counts"):
            with pytest.raises(cli.UserError, match=f"works on {name}"), writing.working(world, [name]):
                pass
        with inventory.reading(world, ["image_val", "refs_val"]):
            pass


LOCKING = ("writing.working(", "inventory.reading(", "extract_features.working(", "read_by_trainer", "reads_data")
WITHOUT = {
    "evaluation/report/report.py": "shows what is there when it looks",
    "evaluation/results/__main__.py": "compares a folder with an archive; nothing is made from it",
    "preprocessing/crawl_descriptions.py": "has the lock of its own work folder",
    "scripts/doctor.py": "looks at what is there",
    "scripts/uic_cost.py": "looks at the disk",
}


def test_every_stage_locks_what_it_makes_or_reads():
    """Modules with the flag --data_dir."""
    found = set()
    for name in project_files.listed("*.py"):
        text = (ROOT / name).read_text()
        if "/" in name and not name.startswith(("tests/", "docs/")) and "data_dir: str = " in text:
            found.add(name)
            assert name in WITHOUT or any(lock in text for lock in LOCKING), name
    assert WITHOUT.keys() < found and len(found) > 15


# --------------------------------------------------------------------------------------------------------------
# Tables


def row(name="full", **values):
    return {"row": name, "corpus": "c", "split": "test", "decode": "beam3", "seed": 1, **values}


def add_rows(path, worker, rows):
    for i in range(rows):
        table.merge_row(path, row(f"run{worker}_{i}"))


def test_no_row_is_lost_by_whatever_name_the_table_goes(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "folder").symlink_to("real")
    (tmp_path / "link.json").symlink_to("real/table.json")
    names = ("real/table.json", "folder/table.json", "link.json")
    processes = [SPAWN.Process(target=add_rows, args=(str(tmp_path / name), name, 20)) for name in names]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert len(table.read_table(tmp_path / "real" / "table.json")) == 60
    assert (tmp_path / "link.json").is_symlink() and os.listdir(tmp_path / "real") == ["table.json"]


def test_rows_are_replaced_by_the_same_run_alone(tmp_path, monkeypatch):
    path = tmp_path / "all.json"
    for folder in ("e1", "e2"):
        (tmp_path / folder / "full").mkdir(parents=True)
        table.merge_row(path, row(CIDEr=1.0), tmp_path / folder / "full")
    table.merge_row(path, row(CIDEr=2.0), tmp_path / "e1" / "full")
    monkeypatch.chdir(tmp_path / "e1")
    (tmp_path / "link").symlink_to(tmp_path / "e1")
    for name in ("full", "./full/", "../e1/full", str(tmp_path / "link" / "full")):
        table.merge_row(path, row(CIDEr=3.0), name)
    assert [(entry["run"], entry["CIDEr"]) for entry in json.loads(path.read_text())] == [
        ("e1/full", 3.0),
        ("e2/full", 1.0),
    ]


def test_runs_that_are_moved_with_their_table_keep_their_rows(tmp_path):
    (tmp_path / "old" / "full").mkdir(parents=True)
    table.merge_row(tmp_path / "old" / "table.json", row(CIDEr=1.0), tmp_path / "old" / "full")
    (tmp_path / "old").rename(tmp_path / "new")
    table.merge_row(tmp_path / "new" / "table.json", row(CIDEr=2.0), tmp_path / "new" / "full")
    [entry] = table.read_table(tmp_path / "new" / "table.json")
    assert entry["CIDEr"] == 2.0 and entry["run"] == str(tmp_path / "new" / "full")


def test_older_rows_are_told_apart_by_their_checkpoint(tmp_path):
    path = tmp_path / "table.json"
    older = [row(CIDEr=1.0, checkpoint=str(tmp_path / "e1" / "ckpt-8")), row("random", CIDEr=1.0, checkpoint=None)]
    path.write_text(json.dumps(older))
    table.merge_row(path, row(CIDEr=2.0), tmp_path / "e2")
    table.merge_row(path, row(CIDEr=3.0), tmp_path / "e1")
    table.merge_row(path, row("random", CIDEr=4.0), tmp_path / "data")
    found = {(entry["row"], os.path.basename(entry["run"])): entry["CIDEr"] for entry in table.read_table(path)}
    assert found == {("full", "e1"): 3.0, ("random", "data"): 4.0, ("full", "e2"): 2.0}


def test_runs_of_one_name_are_printed_with_their_folders_and_not_averaged(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [row(CIDEr=value, run=str(tmp_path / name / "full")) for name, value in (("e1", 1.0), ("e2", 2.0))]
    text = table.format_table(rows)
    assert "e1/full" in text and "e2/full" in text and "mean" not in text
    assert "e1/full" not in table.format_table(rows[:1])
    assert "mean of 2" in table.format_table([rows[0], rows[1] | {"seed": 2}])


CAPTIONS = {f"{i}.jpg": "a dog runs" if i % 2 else "two cats" for i in range(60)}
REFERENCES = {name: [f"a dog runs {name}", "the cat sleeps"] for name in CAPTIONS}


def scored(captions, asked):
    scores = metrics.score(captions, REFERENCES, asked)
    digest = table.digest_of_scored(captions, REFERENCES)
    return table.make_row("full", scores, corpus="c", split="test", seed=1, scored=digest)


def test_scores_of_the_same_captions_are_kept(tmp_path):
    path = tmp_path / "table.json"
    table.merge_row(path, scored(CAPTIONS, ("BLEU", "CIDEr")), tmp_path / "run")
    table.merge_row(path, scored(CAPTIONS, ("ROUGE-L", "SPICE")), tmp_path / "run")
    [entry] = table.read_table(path)
    assert None not in (entry["BLEU-4"], entry["CIDEr"], entry["ROUGE-L"]) and len(entry["CIDEr_95"]) == 2
    assert entry["reasons"]["METEOR"] == metrics.NOT_ASKED and "CIDEr" not in entry["reasons"]
    assert entry["SPICE"] is None and entry["reasons"]["SPICE"] != metrics.NOT_ASKED
    others = CAPTIONS | {"1.jpg": "a horse"}
    table.merge_row(path, scored(others, ("ROUGE-L",)), tmp_path / "run")
    [entry] = table.read_table(path)
    assert entry["CIDEr"] is None and entry["reasons"]["CIDEr"] == metrics.NOT_ASKED
