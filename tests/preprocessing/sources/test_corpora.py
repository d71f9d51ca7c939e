"""Every format of a corpus: recognised by its content, read, and its bad entries named."""

import json
import os
import pathlib

import pytest

import cli
from preprocessing.sharding import shards
from preprocessing.sources import corpora, corpus_files

DUMP = {"1": [{"description": "one", "keywords": None}, {"name": "x"}], "2": [{"description": "two"}], "3": []}
COCO = {
    "info": {"year": 2014},
    "images": [{"id": 7, "file_name": "COCO_val2014_000000000007.jpg"}],
    "annotations": [{"image_id": 7, "id": 1, "caption": "one"}, {"image_id": 7, "id": 2, "caption": "two"}],
}
KARPATHY = {
    "dataset": "coco",
    "images": [
        {"filename": "a.jpg", "split": "train", "sentences": [{"raw": "one", "tokens": ["one"]}]},
        {"filename": "b.jpg", "split": "test", "sentences": [{"raw": "two", "tokens": ["two"]}]},
    ],
}
# file name -> (content, format, texts)
FILES = {
    "plain.txt": ("one\ntwo\r\n", "text", ["one", "two"]),
    "tabs.txt": ("one\tand\na\tb\tc\n", "text", ["one\tand", "a\tb\tc"]),
    "empty.txt": ("", "text", []),
    "lines.jsonl": ('{"description": "one"}\n\n{"page": 1}\n', "jsonl", ["one", None]),
    "captions.jsonl": ('{"image": "a.jpg", "captions": ["one", "two"]}\n', "jsonl", ["one", "two"]),
    "other_keys.jsonl": (
        '{"caption": "one"}\n{"text": "two"}\n{"sentence": "three"}\n',
        "jsonl",
        ["one", "two", "three"],
    ),
    "json_lines.txt": ('{"description": "one"}\n{"description": "two"}\n', "jsonl", ["one", "two"]),
    "gcc.tsv": ("one\thttp://h/1.jpg\ntwo\thttps://h/2.jpg?a=b\n", "gcc", ["one", "two"]),
    "captions.token.txt": ("a.jpg#0\tone\na.jpg#1\ttwo .\n", "flickr", ["one", "two ."]),
    "results.token": ("a.jpg#0\tone\n", "flickr", ["one"]),
    "0000.json": (json.dumps(DUMP), "crawl", ["one", None, "two"]),
    "captions_val2014.json": (json.dumps(COCO), "coco", ["one", "two"]),
    "dataset_coco.json": (json.dumps(KARPATHY), "karpathy", ["one", "two"]),
}


def corpora_of(text):
    return corpus_files.corpora_of(text)[0]


def read(path, format):
    """(texts, BadEntries) of a whole file."""
    bad = corpora.BadEntries()
    return list(corpora.read(shards.Piece(str(path), 0, os.path.getsize(path)), format, bad)), bad


@pytest.mark.parametrize("name", FILES)
def test_formats_are_recognised_and_read(tmp_path, name):
    content, format, texts = FILES[name]
    path = tmp_path / name
    path.write_bytes(content.encode())
    assert corpora_of(str(path)) == [corpus_files.CorpusFile(str(path), format, given=False)]
    found, bad = read(path, format)
    assert found == texts and bad.count == 0


def test_a_folder_of_everything(tmp_path):
    for name, (content, _, _) in FILES.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "notes.md").write_text("not read")
    (tmp_path / ".hidden.txt").write_text("not read")
    sidecar = {"schema": 1, "files": [], "settings": {}, "made_from": {}}
    (tmp_path / "lines.json").write_text(json.dumps(sidecar))  # beside lines.jsonl
    found = corpora_of(str(tmp_path))
    assert {os.path.basename(file.path): file.format for file in found} == {n: f for n, (_, f, _) in FILES.items()}
    assert found == sorted(found)


def test_a_dump_beside_lines_of_the_same_name_is_no_sidecar(tmp_path):
    (tmp_path / "a.txt").write_text("one\n")
    (tmp_path / "a.json").write_text(json.dumps(DUMP))
    assert [file.format for file in corpora_of(str(tmp_path))] == ["crawl", "text"]


def test_a_format_that_is_given_is_not_questioned(tmp_path, monkeypatch):
    (tmp_path / "a.tsv").write_text("one\thttp://h/1.jpg\n")
    (tmp_path / "b:c.txt").write_text("x\n")
    found = corpora_of(f"text:{tmp_path}/a.tsv, {tmp_path}/b:c.txt")
    assert [(file.format, file.given) for file in found] == [("text", True), ("text", False)]
    assert read(tmp_path / "a.tsv", "text")[0] == ["one\thttp://h/1.jpg"]
    monkeypatch.chdir(tmp_path)
    assert corpora_of("b:c.txt")[0].path == "b:c.txt"  # no format, a file of that name


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.bin", b"\x80\x04\x95", "a.bin: the format is not recognised, it begins with"),
        ("a.txt", b"\x00\x01\x02", "the format is not recognised"),
        ("a.tsv", b"one\ttwo\tthree\n", "Name it: FORMAT:"),
        ("a.json", b'{"images": [{"file_name": "x"}]}', "the format is not recognised; expected a crawl dump"),
        ("a.json", b'"text"', "the format is not recognised"),
        ("a.json", b'{"description": "x"}\n{"description": "y"}', r"Extra data.*then give jsonl:.*a\.json"),
        ("a.json", b"\xff\xfe", r"a\.json: not a JSON file \(Expecting value"),
    ],
)
def test_unknown_formats(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(cli.UserError, match=message):
        corpora_of(str(tmp_path / name))


def test_wrong_format_names(tmp_path):
    (tmp_path / "a.txt").write_text("x\n")
    with pytest.raises(cli.UserError, match="there is no format 'csv'; expected one of text, jsonl, gcc"):
        corpora_of(f"csv:{tmp_path}/a.txt")
    with pytest.raises(cli.UserError, match="no such file or folder"):
        corpora_of(f"text:{tmp_path}/none.txt")


@pytest.mark.parametrize(
    "format, content, fault",
    [
        ("jsonl", b'{"captions": ["one", 3]}', "line 2: the description is not a text but '3'"),
        ("jsonl", b'["one"]', "line 2: expected an object"),
        ("gcc", b"no tab", "line 2: expected caption<TAB>URL, found 'no tab'"),
        ("gcc", b"one\ttwo\thttp://h/1", "line 2: expected caption<TAB>URL"),
        ("flickr", b"a.jpg\tone", "line 2: expected NAME#k<TAB>caption"),
        ("text", b"\xff", "line 2: byte 0xff at position 0 is not UTF-8"),
    ],
)
def test_bad_lines_are_named(tmp_path, format, content, fault):
    good = {"jsonl": b'{"caption": "good"}', "gcc": b"good\thttp://h", "flickr": b"a.jpg#0\tgood", "text": b"good"}[
        format
    ]
    (tmp_path / "a").write_bytes(b"\n".join([good, content, good]))
    found, bad = read(tmp_path / "a", format)
    assert found == ["good", "good"] and bad.count == 1 and fault in bad.named[0]


@pytest.mark.parametrize(
    "format, value, fault",
    [
        ("crawl", {"4": [{"description": 3}]}, "page 4, object 1: the description is not a text"),
        ("coco", {"annotations": [{"caption": "x"}, 3]}, "annotation 2: expected an object"),
        ("karpathy", {"images": [{"sentences": [{"raw": 1}]}]}, "image 1, sentence 1: the description is not a text"),
        ("karpathy", {"images": [{"sentences": []}, 7]}, "image 2: expected an object"),
    ],
)
def test_bad_objects_are_named(tmp_path, format, value, fault):
    (tmp_path / "a.json").write_text(json.dumps(value))
    _, bad = read(tmp_path / "a.json", format)
    assert bad.count == 1 and fault in bad.named[0]


@pytest.mark.parametrize("format", corpora.JSON_FORMATS)
def test_a_json_file_of_another_format(tmp_path, format):
    (tmp_path / "a.json").write_text('["x"]')
    with pytest.raises(cli.UserError, match="expected .*is it another kind of file"):
        read(tmp_path / "a.json", format)


def test_a_large_dump_is_recognised_by_its_head(tmp_path, monkeypatch):
    (tmp_path / "0000.json").write_text(json.dumps(DUMP))
    monkeypatch.setattr(corpus_files, "_load", None)
    assert corpus_files.recognise(str(tmp_path / "0000.json")) == "crawl"


REAL = pathlib.Path(os.environ.get("UIC_REALDATA", "../shared/realdata"))
REAL_FILES = {
    "corpora/Validation_GCC-1.1.0-Validation.tsv": ("gcc", 15_833),
    "flickr8k/captions.token.txt": ("flickr", 35_000),
    "coco/annotations/captions_train2017.json": ("coco", 400),
    "corpora/coco_val2017_sentences.txt": ("text", 25_014),
}


@pytest.mark.parametrize("name", REAL_FILES)
@pytest.mark.skipif(not REAL.is_dir(), reason="UIC_REALDATA names no folder")
def test_real_files(name):
    format, count = REAL_FILES[name]
    assert corpus_files.recognise(str(REAL / name)) == format
    found, bad = read(REAL / name, format)
    assert bad.count == 0 and len(found) == count and all(found)
