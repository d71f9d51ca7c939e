"""caption.py and what people point it at: large folders, folders inside, paths that are not there, names in Latin-1."""

import json
import os
import re
import shutil
import subprocess
import sys
import time

import pytest

import caption
import cli
from tests import given_world, tiny_runs

LARGE = 20_000
SECONDS = 2.0  # until the list of so many files is ready


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(run, photographs)."""
    folder = tmp_path_factory.mktemp("folders")
    world = given_world.make(folder)
    spec = f"compact:{given_world.write_encoder(str(folder / 'small.npz'))}"
    return given_world.untrained_run(
        given_world.with_features(world, "features", spec), str(folder / "run")
    ), world.val_files


@pytest.fixture
def nested(run, tmp_path):
    """photos/a.jpg, photos/2019/b.jpg, photos/2019/june/c.jpg, photos/2020/a.jpg, a link back, a link to nowhere."""
    folder = tmp_path / "photos"
    for name, source in zip(("a.jpg", "2019/b.jpg", "2019/june/c.jpg", "2020/a.jpg"), run[1], strict=False):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, folder / name)
    (folder / ".thumbnails").mkdir()
    (folder / "2019" / "again").symlink_to(folder)
    return folder


def said(run, *paths, **flags):
    """(exit code, image ids, what was said on standard error)."""
    output = os.path.join(os.path.dirname(run[0]), "said.json")
    code = caption.main(caption.Options(job_dir=run[0], paths=tuple(map(str, paths)), output=output, **flags))
    with open(output) as file:
        return code, [entry["image_id"] for entry in json.load(file)]


def test_folders_inside_are_named(run, nested, capsys):
    code, names = said(run, nested)
    lines = capsys.readouterr().err.splitlines()
    assert (code, names) == (0, ["a.jpg"]) and lines[0] == "1 files to caption"
    assert lines[1] == f"NOTE: {nested}: left out: 2019 (a folder), 2020 (a folder); --recursive takes the folders"


def test_folders_inside_are_taken(run, nested, capsys):
    code, names = said(run, nested, recursive=True)
    lines = capsys.readouterr().err.splitlines()
    assert (code, lines[0]) == (0, "4 files to caption")
    assert names == ["b.jpg", "c.jpg", f"{nested}/2020/a.jpg", f"{nested}/a.jpg"]
    assert lines[1] == f"NOTE: {nested}: left out: 2019/again (a folder that was seen before)"


def test_a_path_that_is_not_there_does_not_stop_the_others(run, nested, capsys):
    (nested / "gone.jpg").symlink_to("nowhere.jpg")
    code, names = said(run, "none.jpg", nested, "x" * 300, "a\0b", run[1][0])
    errors = capsys.readouterr().err
    assert code == 1 and names == ["a.jpg", os.path.basename(run[1][0])]
    assert errors.startswith("2 files to caption\n") and "2 of 6 images captioned" in errors
    for line in (
        "no caption for none.jpg: no such file or folder",
        f"no caption for {nested}/gone.jpg: a link to nowhere.jpg, which is not there",
        f"no caption for {'x' * 300}: File name too long",
        "no caption for a\0b: ",
    ):
        assert line in errors, line


def test_nothing_at_all_is_an_error(run, tmp_path):
    for paths, message in [
        (("none.jpg",), "none.jpg: no such file or folder"),
        (("none.jpg", "gone/"), "none.jpg: no such file or folder; gone/: no such file or folder"),
        ((str(tmp_path),), f"{tmp_path}: contains no file"),
    ]:
        with pytest.raises(cli.UserError, match=re.escape(message)):
            said(run, *paths)
    (tmp_path / "inside").mkdir()
    with pytest.raises(cli.UserError, match=r"left out: inside \(a folder\); --recursive takes the folders"):
        said(run, tmp_path)


def test_the_same_file_twice_is_captioned_once(run, nested):
    assert said(run, nested / "a.jpg", nested, nested) == (0, ["a.jpg"])


def test_a_folder_that_may_not_be_read(run, nested, monkeypatch, capsys):
    listed = os.scandir

    def forbidden(path):
        if path == str(nested):
            raise PermissionError(13, "Permission denied", path)
        return listed(path)

    monkeypatch.setattr(caption.folders.os, "scandir", forbidden)
    code, names = said(run, nested, run[1][0])
    assert code == 1 and names == [os.path.basename(run[1][0])]
    assert f"no caption for {nested}: Permission denied" in capsys.readouterr().err


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    folder = tmp_path_factory.mktemp("large")
    for i in range(LARGE):
        (folder / f"COCO_train2014_{i:012d}.jpg").touch()
    return folder


def test_twenty_thousand_files_are_listed_at_once(run, large):
    best = float("inf")
    for _ in range(3):  # the machine may be busy
        start = time.process_time()
        found = caption.files_of([str(large)])
        best = min(best, time.process_time() - start)
    assert len(found.files) == LARGE and found.files[7][1] == "COCO_train2014_000000000007.jpg"
    assert best < SECONDS / 4


def test_the_first_line_says_how_many(run, large):
    """It is there before TensorFlow is loaded."""
    command = [sys.executable, "caption.py", "--job_dir", run[0], str(large)]
    start = time.monotonic()
    process = subprocess.Popen(command, cwd=tiny_runs.ROOT, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr.readline() == f"{LARGE} files to caption\n"
        seconds = time.monotonic() - start
    finally:
        process.kill()
        process.communicate()
    assert seconds < 10 * SECONDS, "the interpreter's own start included, on a busy machine"


def test_names_in_latin_1(run, tmp_path):
    """A text file holds the bytes of the names, as `xargs` wants them; JSON what a reader turns into the name again."""
    name = os.fsdecode(b"caf\xe9.jpg")
    shutil.copy(run[1][0], tmp_path / name)
    shutil.copy(run[1][1], tmp_path / "\N{GRINNING FACE} ä [1] *#+?.jpg")
    for ending in ("txt", "jsonl"):
        output = tmp_path.parent / f"{tmp_path.name}.{ending}"
        assert caption.main(caption.Options(job_dir=run[0], paths=(str(tmp_path),), output=str(output))) == 0
        lines = output.read_bytes().splitlines()
        if ending == "txt":
            assert lines[0].startswith(b"caf\xe9.jpg\t") and "😀 ä [1] *#+?.jpg\t".encode() in lines[1]
        else:
            assert sorted(json.loads(line)["image_id"] for line in lines) == sorted(os.listdir(tmp_path))
