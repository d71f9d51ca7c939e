"""Photographs that are links that lead nowhere, and photographs whose names are not UTF-8."""

import json
import os

import pytest

import caption
import cli
from preprocessing import detect_objects, process_images
from tests import given_world, photo_world, tiny_world
from tests.preprocessing.picture_files import jpeg, pixels

LATIN1 = b"caf\xe9.jpg"  # as unzip of an archive made on Windows leaves it


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that captions photographs, without training."""
    folder = tmp_path_factory.mktemp("photographs")
    data = photo_world.make(str(folder / "data"))
    return given_world.untrained_run(data, str(folder / "run"))


@pytest.fixture
def photographs(tmp_path):
    (tmp_path / "photographs").mkdir()
    (tmp_path / "photographs/test_00000.jpg").write_bytes(jpeg(pixels()))
    return tmp_path / "photographs"


def detect(folder, photographs, names, **options):
    lines = "".join(json.dumps({"image": name, "objects": [{"name": "dog"}]}) + "\n" for name in names)
    (folder / "objects.jsonl").write_text(lines)
    detect_objects.main(
        detect_objects.Options(
            data_dir=str(folder / "data"),
            image_dir=str(photographs),
            detector=f"annotations:{folder / 'objects.jsonl'}+{folder / 'looks.py'}:",
            labels=None,
            processes=1,
            **options,
        )
    )
    return json.loads((folder / "data/detections.json").read_text())


@pytest.fixture
def looks(tmp_path):
    """A detector that looks at the pixels, so that a photograph must be there."""
    (tmp_path / "looks.py").write_text(
        "class Detector:\n"
        "    needs_pixels, classes, source = True, ['thing'], 'looks'\n"
        "    def __init__(self, part, settings):\n        pass\n"
        "    def detect(self, name, image_HWC):\n        return []\n"
    )


# --------------------------------------------------------------------------------------------------------------
# dangling_links


@pytest.mark.parametrize(
    "target, reason", [("/nowhere/lost.jpg", "No such file"), ("lost.jpg", "Too many levels of symbolic links")]
)
def test_a_link_that_leads_nowhere_is_named(tmp_path, photographs, looks, capsys, target, reason):
    (photographs / "lost.jpg").symlink_to(target)
    with pytest.raises(cli.UserError, match=r"1 of 2 images .50.0%. cannot be used, the first is lost\.jpg"):
        detect(tmp_path, photographs, ["test_00000.jpg", "lost.jpg"])
    sidecar = detect(tmp_path, photographs, ["test_00000.jpg", "lost.jpg"], max_failures=0.5)
    (unreadable,) = sidecar["unreadable"]
    assert unreadable["name"] == "lost.jpg" and reason in unreadable["reason"]
    assert f"lost.jpg: cannot be read ({reason}" in capsys.readouterr().out


def test_caption_names_a_link_that_leads_nowhere(run, tmp_path, photographs, capsys):
    (photographs / "lost.jpg").symlink_to("/nowhere/lost.jpg")
    options = caption.Options(paths=(str(photographs),), job_dir=run, output=str(tmp_path / "captions.json"))
    assert caption.main(options) == 1
    assert [entry["image_id"] for entry in json.loads((tmp_path / "captions.json").read_text())] == ["test_00000.jpg"]
    said = "".join(capsys.readouterr())
    assert "lost.jpg: a link to /nowhere/lost.jpg, which is not there" in said and "1 of 2 images captioned" in said


def test_what_a_folder_of_photographs_holds_beside_them_is_said(tmp_path, photographs, looks, capsys):
    (photographs / "more").mkdir()
    (photographs / ".hidden.jpg").write_bytes(jpeg(pixels()))
    os.mkfifo(photographs / "pipe")
    detect(tmp_path, photographs, ["test_00000.jpg"])
    expected = "left out: .hidden.jpg (hidden), more (a folder), pipe (no file but a device or pipe)"
    assert expected in capsys.readouterr().out


# --------------------------------------------------------------------------------------------------------------
# latin1_file_name


def test_a_name_that_is_not_utf8_is_captioned(run, tmp_path, photographs):
    path = os.path.join(os.fsencode(photographs), LATIN1)
    with open(path, "wb") as file:
        file.write(jpeg(pixels(seed=1)))
    for output in ("captions.txt", "captions.json"):
        options = caption.Options(paths=(str(photographs),), job_dir=run, output=str(tmp_path / output))
        assert caption.main(options) == 0
    assert os.fsdecode(LATIN1) == "caf\udce9.jpg"
    names = [entry["image_id"] for entry in json.loads((tmp_path / "captions.json").read_text())]
    assert names == ["caf\udce9.jpg", "test_00000.jpg"]
    lines = (tmp_path / "captions.txt").read_bytes().splitlines()
    assert len(lines) == 2 and lines[0].startswith(LATIN1)


def test_a_name_that_is_not_utf8_is_detected(tmp_path, photographs, looks):
    with open(os.path.join(os.fsencode(photographs), LATIN1), "wb") as file:
        file.write(jpeg(pixels(seed=1)))
    sidecar = detect(tmp_path, photographs, ["caf\udce9.jpg", "test_00000.jpg"])
    assert sidecar["count"] == 2 and sidecar["detectors"][0]["detections"] == {"dog": 2}
    tiny_world.make(str(tmp_path / "words"), images=2)
    (tmp_path / "words/word_counts.txt").rename(tmp_path / "data/word_counts.txt")
    (tmp_path / "val.jsonl").write_text(json.dumps({"image": "caf\udce9.jpg", "captions": ["a dog"]}) + "\n")
    options = {"data_dir": str(tmp_path / "data"), "image_dir": str(photographs), "processes": 1}
    process_images.main(process_images.Options(dataset=f"jsonl:{tmp_path}", **options))
    assert json.loads((tmp_path / "data/refs_val.json").read_text())["images"][0]["id"] == "caf\udce9.jpg"
