"""COCO's integers for file names: from the names, from a data set's file, and errors for names without one."""

import json

import pytest

import cli
from evaluation import export_coco

NAMES = ["COCO_val2014_000000000042.jpg", "000000000007.jpg"]


def export(folder, content, **options):
    (folder / "in.json").write_text(json.dumps(content))
    export_coco.main(export_coco.Options(captions=str(folder / "in.json"), output=str(folder / "out.json"), **options))
    return json.loads((folder / "out.json").read_text())


def test_results(tmp_path):
    found = export(tmp_path, [{"image_id": name, "caption": f"text {i}"} for i, name in enumerate(NAMES)])
    assert found == [{"image_id": 42, "caption": "text 0"}, {"image_id": 7, "caption": "text 1"}]


def test_references(tmp_path):
    content = {
        "images": [{"id": name, "file_name": name} for name in NAMES],
        "annotations": [{"image_id": NAMES[1], "id": 0, "caption": "text"}],
    }
    found = export(tmp_path, content)
    assert found["images"] == [{"id": 42, "file_name": NAMES[0]}, {"id": 7, "file_name": NAMES[1]}]
    assert found["annotations"] == [{"image_id": 7, "id": 0, "caption": "text"}]


def test_integers_of_a_data_set(tmp_path):
    image = {"filename": "dog.jpg", "split": "test", "imgid": 3, "sentences": [{"raw": "one"}]}
    (tmp_path / "dataset_flickr8k.json").write_text(json.dumps({"images": [image]}))
    dataset = f"karpathy:{tmp_path}/dataset_flickr8k.json"
    found = export(tmp_path, [{"image_id": "dog.jpg", "caption": "text"}], dataset=dataset)
    assert found == [{"image_id": 3, "caption": "text"}]


@pytest.mark.parametrize(
    "content, message",
    [
        ([{"image_id": "dog.jpg", "caption": "x"}], "1 of 1 images have no known integer: dog.jpg"),
        ([{"image_id": n, "caption": "x"} for n in ("000000000042.jpg", NAMES[0])], "have the same integer 42"),
        ({"images": []}, "KeyError 'annotations'"),
        ([{"caption": "x"}], "expected"),
    ],
)
def test_what_cannot_be_exported(tmp_path, content, message):
    with pytest.raises(cli.UserError, match=message):
        export(tmp_path, content)
    assert not (tmp_path / "out.json").exists()
