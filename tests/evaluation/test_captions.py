import json

import pytest

from cli import UserError
from formats import captions


def test_sanitise_turns_every_line_end_into_a_space():
    text = " a\rb\r\nc\u2028d\u2029e\x85f\x0bg\x0ch\ti\xa0j  k\n"
    assert captions.sanitise(text) == "a b c d e f g h i j k"
    assert captions.sanitise("") == captions.sanitise(" \r\n ") == ""


def test_sanitise_keeps_unicode_and_replaces_lone_surrogates():
    assert captions.sanitise("café 犬 😀") == "café 犬 😀"
    assert captions.sanitise("a \ud800 dog") == "a ? dog"


def test_captions_round_trip(tmp_path):
    path = tmp_path / "new" / "captions.json"
    captions.write_captions(path, [("b.jpg", "a dog"), ("a.jpg", "two\rcats"), ("c.jpg", "")])
    assert captions.read_captions(path) == {"b.jpg": "a dog", "a.jpg": "two cats", "c.jpg": ""}
    assert json.loads(path.read_text())[0] == {"image_id": "b.jpg", "caption": "a dog"}
    assert [item.name for item in path.parent.iterdir()] == ["captions.json"]


def test_duplicates_are_named(tmp_path):
    with pytest.raises(UserError, match=r"b\.jpg"):
        captions.write_captions(tmp_path / "x.json", [("b.jpg", "one"), ("b.jpg", "two")])
    assert not (tmp_path / "x.json").exists()
    (tmp_path / "y.json").write_text(json.dumps([{"image_id": "b.jpg", "caption": "one"}] * 2))
    with pytest.raises(UserError, match=r"b\.jpg"):
        captions.read_captions(tmp_path / "y.json")


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.json"
    captions.write_json(path, [1])
    with pytest.raises(TypeError):
        captions.write_json(path, [object()])
    assert json.loads(path.read_text()) == [1]


@pytest.mark.parametrize(
    "text", ["", "{", '{"image_id": 1}', "[1]", '[{"image_id": 1}]', '[{"image_id": 1, "caption": null}]']
)
def test_broken_caption_files_are_named(tmp_path, text):
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"broken\.json.*expected"):
        captions.read_captions(path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.json: no such file"):
        captions.read_references(tmp_path / "none.json")


def test_references_and_integer_ids(tmp_path):
    path = tmp_path / "refs.json"
    annotations = [{"image_id": 2, "id": 0, "caption": "x"}, {"image_id": 2, "id": 1, "caption": "y"}]
    path.write_text(json.dumps({"images": [{"id": 2, "file_name": "2.jpg"}], "annotations": annotations}))
    assert captions.read_references(path) == {"2": ["x", "y"]}


def test_images_without_references_are_left_out(tmp_path):
    path = tmp_path / "refs.json"
    content = {"images": [{"id": "a.jpg"}, {"id": "b.jpg"}], "annotations": [{"image_id": "a.jpg", "caption": "x"}]}
    path.write_text(json.dumps(content))
    assert captions.read_references(path) == {"a.jpg": ["x"]}
    path.write_text(json.dumps(content | {"annotations": [{"image_id": "a.jpg", "caption": " "}]}))
    with pytest.raises(UserError, match=r"refs\.json: there is no caption in it"):
        captions.read_references(path)


def test_name_some_shortens():
    assert captions.name_some("cab") == "a, b, c"
    assert captions.name_some("gfedcba", limit=2) == "a, b and 5 more"
