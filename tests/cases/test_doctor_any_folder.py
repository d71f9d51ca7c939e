"""The doctor never ends in a traceback, whatever lies in the folder: it says DAMAGED, with the file's name."""

import json
import os
import shutil
import signal

import numpy as np
import pytest

import cli
from formats import inventory, made_by, sidecars
from preprocessing import detect_objects
from scripts import doctor
from tests import tiny_world


def examine(folder, capsys, **changes):
    """(exit code, what it prints)."""
    options = doctor.Options(data_dir=str(folder), job_dir=str(folder / "run"), devices=False, **changes)
    code = doctor.main(options)
    return code, capsys.readouterr().out


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A whole folder with every kind of output, each with its sidecar."""
    folder = tmp_path_factory.mktemp("good") / "data"
    tiny_world.make(folder, images=8, sentences=10)
    (folder / "sentences.txt").write_text("a dog runs\n" * 5)
    for name in ("sentences.txt", "word_counts.txt"):
        count = len((folder / name).read_text().splitlines())
        stem = str(folder / name).removesuffix(".txt")
        sidecars.write_sidecar(f"{stem}.json", files=[f"{stem}.txt"], count=count, settings={}, made_from={})
    for stem in ("detections", "retrieved_captions"):
        shutil.copy(folder / "image_train.tfrec", folder / f"{stem}.tfrec")
        about = {"files": [str(folder / f"{stem}.tfrec")], "count": 8, "settings": {}, "made_from": {}}
        sidecars.write_sidecar(str(folder / f"{stem}.json"), **about)
    return folder


@pytest.fixture
def folder(good, tmp_path):
    return shutil.copytree(good, tmp_path / "data")


@pytest.fixture(autouse=True)
def no_waiting():
    """A pipe that nobody writes to must not be waited for."""

    class Waits(BaseException):
        """No error of the system, which would be taken for damage."""

    def stop(*_):
        raise Waits

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(300)
    yield
    signal.alarm(0)


def test_the_good_folder_is_good(folder, capsys):
    code, text = examine(folder, capsys)
    assert code == 0 and "DAMAGED" not in text and "all that is needed is there" in text


# --------------------------------------------------------------------------------------------------------------
# The cases


def test_a_list_in_the_place_of_a_sidecar(tmp_path, capsys):
    entry = {"image_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5, "category_id": 1}
    (tmp_path / "detections.json").write_text(json.dumps([entry]))
    content = {"schema": 1, "count": 1, "files": [], "settings": {}, "made_from": {"detections": ["x"]}}
    (tmp_path / "image_train.json").write_text(json.dumps(content))
    code, text = examine(tmp_path, capsys)
    assert code == 1 and "DAMAGED       detections.json is there" in text and "DAMAGED       image_train.json" in text


def test_the_stage_refuses_a_list_in_the_place_of_a_sidecar(tmp_path):
    (tmp_path / "detections.json").write_text("[]")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"")
    (tmp_path / "objects.jsonl").write_text('{"image": "a.jpg", "objects": []}\n')
    shared = {"data_dir": str(tmp_path), "image_dir": str(tmp_path / "photos")}
    with pytest.raises(cli.UserError, match=r"detections\.json: found a list, expected an object"):
        detect_objects.main(detect_objects.Options(detector=f"annotations:{tmp_path}/objects.jsonl", **shared))


@pytest.mark.parametrize(
    "content, message",
    [
        ("café 3\n".encode("latin-1"), "word_counts.txt"),
        (b"<S> 1\n</S> 1\na 5\ndog\n", "word_counts.txt: line 4 is 'dog', expected `word count`"),
        (b"\xff\xfe\x00", "word_counts.txt"),
        (b"", "word_counts.txt"),
    ],
)
def test_a_dictionary_that_is_none(tmp_path, capsys, content, message):
    (tmp_path / "word_counts.txt").write_bytes(content)
    code, text = examine(tmp_path, capsys)
    [line] = [line for line in text.splitlines() if line.split()[:1] == ["dictionary"]]
    assert code == 1 and "DAMAGED" in line and message in line


def test_a_sidecar_without_sizes(tmp_path, capsys):
    (tmp_path / "sentences.txt").write_text("a dog\n")
    content = {"schema": 1, "count": 1, "files": [{"name": "sentences.txt"}], "settings": {}, "made_from": {}}
    (tmp_path / "sentences.json").write_text(json.dumps(content))
    code, text = examine(tmp_path, capsys)
    assert code == 1 and "DAMAGED" in text and "sentences.json: files: bytes is missing" in text


# --------------------------------------------------------------------------------------------------------------
# Everything else


KINDS = ("folder", "full folder", "link to nowhere", "link to itself", "pipe", "empty", "noise", "zeros", "no rights")


def replace(path, kind, rng):
    """Puts something else in the place of a file."""
    if os.path.lexists(path):
        os.remove(path)
    if kind in ("folder", "full folder"):
        os.mkdir(path)
        if kind == "full folder":
            (path / "a").write_text("a")
    elif kind.startswith("link"):
        path.symlink_to("nowhere" if kind == "link to nowhere" else path.name)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.write_bytes({"empty": b"", "zeros": bytes(4096)}.get(kind, rng.bytes(3000)))
        if kind == "no rights":
            path.chmod(0)


FILES = sorted(
    {name for output in made_by.OUTPUTS.values() for name in (*output.files, output.described_by)}
    | {f"{name}.tfrec" for name, output in made_by.OUTPUTS.items() if not output.files}
)


@pytest.mark.parametrize("kind", KINDS)
def test_anything_in_the_place_of_any_file(folder, capsys, kind):
    rng = np.random.default_rng(3)
    for name in FILES:
        there = (folder / name).exists()
        copy = folder.parent / "copy"
        shutil.copytree(folder, copy)
        replace(copy / name, kind, rng)
        code, text = examine(copy, capsys)
        assert "cannot be checked" not in text and "cannot check whether" not in text, (name, text)
        assert code == 1 or not there, (name, text)
        assert "DAMAGED" in text or "DOES NOT FIT" in text, (name, text)
        shutil.rmtree(copy)


def values(rng):
    """Values of every kind, at random."""
    things = [None, True, 0, -1, 3, 10**30, 1.5, float("nan"), "", "x", "../x", [], {}, [[]], [None], [{}]]
    things += [{"name": "x"}, ["x", 3], {"sha256": []}, {"images": []}, [{"name": "../../etc/passwd", "bytes": 1}]]
    return things[int(rng.integers(len(things)))]


def change(value, rng, depth=0):
    """The value with one place in it changed at random."""
    if isinstance(value, dict) and value and (depth == 0 or rng.random() < 0.6):
        name = list(value)[int(rng.integers(len(value)))]
        if rng.random() < 0.15:
            return {key: item for key, item in value.items() if key != name}
        return value | {name: change(value[name], rng, depth + 1)}
    if isinstance(value, list) and value and rng.random() < 0.6:
        place = int(rng.integers(len(value)))
        return [*value[:place], change(value[place], rng, depth + 1), *value[place + 1 :]]
    return values(rng)


def test_sidecars_with_any_values(folder, capsys):
    """Of each sidecar many variants, under a right checksum, so that the values themselves are looked at."""
    rng = np.random.default_rng(5)
    for path in sorted(folder.glob("*.json")):
        good = json.loads(path.read_text())
        for _ in range(60):
            changed = {key: value for key, value in good.items() if key != "checksum"}
            for _ in range(int(rng.integers(1, 4))):
                changed = change(changed, rng)
            if isinstance(changed, dict) and "files" in changed:
                changed["checksum"] = sidecars.checksum_of(changed)
            path.write_text(json.dumps(changed))
            _, text = examine(folder, capsys)
            assert "cannot be checked" not in text and "cannot check whether" not in text, (path.name, changed, text)
            try:
                inventory.require_fit(str(folder), tuple(inventory.OUTPUTS), verify=True)
            except cli.UserError:
                pass
        path.write_text(json.dumps(good))


def test_fields_that_older_sidecars_have_not(folder, capsys):
    """References and made_from of other kinds than objects, which no writer of ours leaves."""
    for name, field, value in [
        *(("image_val", "references", value) for value in ("x", 3, [], ["x"], {"name": "refs_val.json"})),
        *(("features_train", "made_from", value) for value in ({"images": []}, {"images": {"photographs": []}})),
        *(("image_train", "made_from", value) for value in ({"detections": 3}, {"vocabulary": []})),
        ("retrieved_captions", "made_from", {"sentence": {}, "image_train": 3}),
        ("sentence", "made_from", {"sentences": {}}),
    ]:
        path = folder / f"{name}.json"
        good = path.read_text()
        content = {key: part for key, part in json.loads(good).items() if key != "checksum"} | {field: value}
        path.write_text(json.dumps(content | {"checksum": sidecars.checksum_of(content)}))
        _, text = examine(folder, capsys)
        assert "cannot be checked" not in text and "cannot check whether" not in text, (name, value, text)
        path.write_text(good)


def test_a_fault_of_the_doctor_itself_is_damage_too(folder, capsys, monkeypatch):
    monkeypatch.setattr(inventory, "check", lambda *_: 1 / 0)
    monkeypatch.setattr(inventory, "misfits", lambda *_: {}["x"])
    code, text = examine(folder, capsys)
    assert code == 1 and "DAMAGED       dictionary cannot be checked (ZeroDivisionError" in text
    assert "cannot check whether the outputs fit together (KeyError" in text


@pytest.mark.parametrize("kind", ["file", "link to nowhere", "pipe", "empty folder"])
def test_anything_in_the_place_of_the_folder(tmp_path, capsys, kind):
    place = tmp_path / "data"
    if kind == "empty folder":
        place.mkdir()
    else:
        replace(place, "noise" if kind == "file" else kind, np.random.default_rng(0))
    code, text = examine(place, capsys)
    assert code == 1 and "to be made, in this order" in text
    if kind in ("file", "pipe"):
        assert "no such folder: a file is there" in text


def test_names_that_are_not_utf8(folder, capsys):
    (folder / os.fsdecode(b"caf\xe9.json")).write_text("{}")
    (folder / os.fsdecode(b"image_train-\xe9.tfrec")).write_text("")
    assert examine(folder, capsys)[0] == 0


# --------------------------------------------------------------------------------------------------------------
# Without --data_dir


def test_without_a_folder_all_of_data_are_looked_at(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(doctor, "DATA", str(tmp_path / "all"))
    for name in ("one", "two"):
        shutil.copytree(folder, tmp_path / "all" / name)
    (tmp_path / "all" / "lists").mkdir()
    (tmp_path / "all" / "names.txt").write_text("a\n")
    options = doctor.Options(job_dir=str(tmp_path / "run"), devices=False)
    assert doctor.main(options) == 0
    text = capsys.readouterr().out
    assert f"{tmp_path}/all/one, for the full model:" in text and f"{tmp_path}/all/two, for the full model:" in text
    assert "lists" not in text and text.count("Java") == 1
    (tmp_path / "all" / "two" / "features_train.npy").write_bytes(b"")
    assert doctor.main(options) == 1
    text = capsys.readouterr().out
    assert f"{tmp_path}/all/one: all that is needed is there" in text
    assert f"{tmp_path}/all/two: something is missing or damaged" in text
    shutil.rmtree(tmp_path / "all" / "one")
    shutil.rmtree(tmp_path / "all" / "two")
    assert doctor.main(options) == 1
    assert "all/default, for the full model:" in capsys.readouterr().out
