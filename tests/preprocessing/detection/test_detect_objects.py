"""detect_objects: what is stored, what is reported, when nothing is done."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

import cli
from formats import images, records
from preprocessing import detect_objects
from preprocessing.sharding import shards
from tests import small_networks
from tests.preprocessing.picture_files import write_odd_files, write_pictures


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("networks")
    small_networks.detector(folder / "ssd.tflite")
    (folder / "labels.txt").write_text("???\nperson\nbicycle\ncar\n")
    return folder


@pytest.fixture
def options(tmp_path, networks):
    write_pictures(tmp_path / "photographs", 12)
    return detect_objects.Options(
        data_dir=str(tmp_path / "data"),
        image_dir=str(tmp_path / "photographs"),
        detector=str(networks / "ssd.tflite"),
        labels=str(networks / "labels.txt"),
        shards=3,
        processes=1,
    )


def run(options, **changes):
    return detect_objects.main(dataclasses.replace(options, **changes))


def found(options):
    return dict(records.each_detections(records.find_files(options.data_dir, "detections")))


def sidecar(options):
    with open(f"{options.data_dir}/detections.json") as file:
        return json.load(file)


def test_detections_follow_the_pictures(options, tmp_path):
    run(options)
    detections = found(options)
    assert sorted(detections) == images.image_names(options.image_dir)
    for name, items in detections.items():
        red = images.read_image(tmp_path / "photographs" / name)[..., 0].mean() / 255
        assert [item.class_name for item in items] == ["person", "car"]
        assert abs(items[0].score - red) < 0.02 and items[1].score == 0.5


def test_shards_and_order_depend_on_the_names_alone(options):
    run(options)
    for i, path in enumerate(records.find_files(options.data_dir, "detections")):
        names = [name for name, _ in records.each_detections([path])]
        assert names == sorted(names) and {shards.shard_of(name, 3) for name in names} == {i}


def test_sidecar(options, networks):
    run(options)
    about = sidecar(options)
    assert about["count"] == 12 == sum(entry["count"] for entry in about["files"])
    assert about["detectors"] == [
        {
            "source": "tflite:ssd.tflite",
            "first_class_id": 0,
            "class_names": ["???", "person", "bicycle", "car"],
            "detections": {"person": 12, "car": 12},
        }
    ]
    assert about["unreadable"] == [] and len(about["made_from"]["detectors"][0]["sha256"]) == 64


def test_score_threshold(options):
    run(options, score_threshold=0.5)
    classes = {name: [item.class_name for item in items] for name, items in found(options).items()}
    assert all("car" in names for names in classes.values())
    scores = [item.score for items in found(options).values() for item in items]
    assert min(scores) == 0.5 and len(scores) < 24


def test_unreadable_images_are_named_and_counted(options, tmp_path, capsys):
    broken = write_odd_files(tmp_path / "photographs")
    with pytest.raises(cli.UserError, match=r"3 of 17 images \(17.6%\) cannot be used, the first is empty.jpg"):
        run(options)
    assert not (tmp_path / "data/detections.json").exists()
    run(options, max_failures=0.2)
    printed = capsys.readouterr().out
    assert all(f"{name}: " in printed for name in broken) and "unfinished work" in printed
    assert [entry["name"] for entry in sidecar(options)["unreadable"]] == broken
    assert {entry["name"]: entry["reason"] for entry in sidecar(options)["unreadable"]}["empty.jpg"] == "empty file"
    assert set(found(options)) == set(images.image_names(options.image_dir)) - set(broken)


def test_only_the_images_of_a_dataset(options, tmp_path):
    (tmp_path / "train.jsonl").write_text('{"image": "pic_0003.jpg"}\n')
    (tmp_path / "val.jsonl").write_text('{"image": "pic_0001.jpg"}\n')
    run(options, dataset=f"jsonl:{tmp_path}")
    assert sorted(found(options)) == ["pic_0001.jpg", "pic_0003.jpg"]


def test_annotations_need_no_pictures(options, tmp_path):
    known = [{"image": "pic_0000.jpg", "objects": [{"name": "kite", "score": 0.7}]}, {"image": "x.jpg", "objects": []}]
    (tmp_path / "known.jsonl").write_text("".join(json.dumps(line) + "\n" for line in known))
    (tmp_path / "train.jsonl").write_text('{"image": "pic_0000.jpg"}\n{"image": "x.jpg"}\n')
    run(options, detector=f"annotations:{tmp_path}/known.jsonl", dataset=f"jsonl:{tmp_path}")
    assert [item.class_name for item in found(options)["pic_0000.jpg"]] == ["kite"]
    assert found(options)["x.jpg"] == []


def test_complete_output_is_left_alone(options, tmp_path, capsys):
    run(options)
    path = tmp_path / "data/detections-00001-of-00003.tfrec"
    before = path.stat().st_mtime_ns
    run(options)
    assert "nothing to do" in capsys.readouterr().out and path.stat().st_mtime_ns == before
    with pytest.raises(cli.UserError, match="(?s)score_threshold: 0.0 there, 0.4 wanted.*--overwrite"):
        run(options, score_threshold=0.4)
    run(options, score_threshold=0.4, overwrite=True)
    assert sidecar(options)["settings"]["score_threshold"] == 0.4


def test_another_division_replaces_the_old_files(options, tmp_path):
    run(options)
    run(options, shards=1, overwrite=True)
    assert [path.name for path in (tmp_path / "data").glob("*.tfrec")] == ["detections.tfrec"]
    assert len(found(options)) == 12


def test_damaged_output_is_made_again(options, tmp_path, capsys):
    run(options)
    path = tmp_path / "data/detections-00001-of-00003.tfrec"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    run(options)
    assert "making it again" in capsys.readouterr().out and path.read_bytes() == whole


def test_unknown_files_are_not_replaced(options, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/detections.tfrec").write_text("mine")
    with pytest.raises(cli.UserError, match="this stage did not make it"):
        run(options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_dir": "/nowhere"}, "--image_dir"),
        ({"detector": ""}, "--detector"),
        ({"labels": None}, "--labels"),
        ({"score_threshold": 1.5}, "--score_threshold"),
        ({"max_failures": np.nan}, "--max_failures"),
        ({"shards": -1}, "--shards"),
    ],
)
def test_wrong_settings(options, changes, message):
    with pytest.raises(cli.UserError, match=message):
        run(options, **changes)


def test_flags_are_checked_without_tensorflow(tmp_path):
    """--help and a wrong value answer without TensorFlow, for all three image stages."""
    program = (
        "import runpy, sys\n"
        "try:\n    runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)\n"
        "except SystemExit as end:\n    assert 'tensorflow' not in sys.modules\n    sys.exit(end.code)\n"
    )
    for stage in ("detect_objects", "process_images", "extract_features"):
        for flags, code in ((["--help"], 1), (["--image_dir", "/nowhere"], 1)):
            command = [sys.executable, "-c", program, f"preprocessing.{stage}", *flags]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
            assert done.returncode == code, done.stderr
            assert "--data_dir" in done.stdout if flags == ["--help"] else "ERROR: --" in done.stderr
