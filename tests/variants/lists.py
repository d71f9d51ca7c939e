"""Lists of captions and of objects, and folders: read by the functions that the stages read them with."""

import json
import os

from formats import folders
from preprocessing.detection import detectors
from preprocessing.sources import corpus_files, datasets
from tests.variants import Variant, outfits, shown, written

CAPTIONS = {"a.jpg": ["one dog, running", 'a "big" dog'], "b.jpg": ["caf\u00e9 au lait"]}
ALL = {"splits": {"val": ["a.jpg", "b.jpg"]}, "captions": CAPTIONS}


def load(kind, name=""):
    """A function of a folder: the splits and captions of the data set in it."""

    def read(folder):
        found = datasets.load_dataset(f"{kind}:{os.path.join(folder, name)}")
        return {"splits": found.splits, "captions": found.captions}

    return read


def _jsonl_forms():
    entries = list(CAPTIONS.items())
    one = {name: texts[:1] for name, texts in entries}
    lines = lambda values: "".join(json.dumps(value) + "\n" for value in values)  # noqa: E731
    first = {"splits": ALL["splits"], "captions": one}
    return {
        "list": (lines({"image": n, "captions": t} for n, t in entries), ALL),
        "unescaped": (
            "".join(json.dumps({"image": n, "captions": t}, ensure_ascii=False) + "\n" for n, t in entries),
            ALL,
        ),
        "one text": (lines({"image": n, "captions": t[0]} for n, t in entries), first),
        "caption": (lines({"image": n, "caption": t[0]} for n, t in entries), first),
        "one a line": (lines({"image": n, "caption": text} for n, t in entries for text in t), ALL),
        "file_name": (lines({"file_name": n, "captions": t} for n, t in entries), ALL),
        "filename and sentences": (lines({"filename": n, "sentences": t} for n, t in entries), ALL),
        "raw": (lines({"filename": n, "sentences": [{"raw": x} for x in t]} for n, t in entries), ALL),
        "empty lines": (lines({"image": n, "captions": t} for n, t in entries).replace("\n", "\n\n"), ALL),
        "an array": (json.dumps([{"image": n, "captions": t} for n, t in entries], indent=1), ALL),
    }


def json_lists(count, seed):
    """jsonl:DIR in every form, each in some outfits."""
    found = []
    for k, (name, (text, right)) in enumerate(_jsonl_forms().items()):
        for outfit in outfits(count, seed + k):
            files = {f"val.jsonl{outfit['packing']}": written(text, **outfit)}
            found.append(Variant(f"{name} {shown(outfit)}", files, load("jsonl"), right))
    return found


def flickr_lists(count, seed):
    """flickr8k:DIR: lists and captions as they are handed out, there and on Kaggle."""
    rows = [(name, i, text) for name, texts in CAPTIONS.items() for i, text in enumerate(texts)]
    quoted = lambda text: '"' + text.replace('"', '""') + '"'  # noqa: E731
    captions = {
        "captions.token.txt": "".join(f"{name}#{i}\t{text}\n" for name, i, text in rows),
        "Flickr8k.token.txt": "".join(f"{name}#{i}\t{text} \n" for name, i, text in rows),
        "captions.txt": "image,caption\n" + "".join(f"{name},{quoted(text)}\n" for name, _, text in rows),
        "captions.csv": "image;caption\n" + "".join(f"{name};{quoted(text)}\n" for name, _, text in rows),
        "results.csv": "image_name| comment_number| comment\n" + "".join(f"{n}| {i}| {t}\n" for n, i, t in rows),
    }
    lists = {
        "val.txt": "a.jpg\nb.jpg\n",
        "dev.txt": "a\nb\n",
        "Flickr_8k.devImages.txt": "a.jpg\n\nb.jpg\n",
    }
    found = []
    for k, (name, text) in enumerate(captions.items()):
        for list_name, names in lists.items():
            for outfit in outfits(count, seed + k):
                files = {
                    name + outfit["packing"]: written(text, **outfit),
                    list_name + outfit["packing"]: written(names, **outfit),
                }
                found.append(Variant(f"{name} {list_name} {shown(outfit)}", files, load("flickr8k"), ALL))
    return found


def coco_lists(count, seed):
    """Karpathy's and COCO's files."""
    ids = {name: i for i, name in enumerate(CAPTIONS)}
    karpathy = {
        "images": [
            {
                "filename": n,
                "filepath": "val2014",
                "split": "val",
                "cocoid": ids[n],
                "sentences": [{"raw": x} for x in t],
            }
            for n, t in CAPTIONS.items()
        ]
    }
    coco = {
        "images": [{"id": ids[name], "file_name": name} for name in CAPTIONS],
        "annotations": [{"image_id": ids[name], "caption": text} for name, texts in CAPTIONS.items() for text in texts],
    }
    found = []
    for k, ascii in enumerate((True, False)):
        for outfit in outfits(count, seed + k):
            data = written(json.dumps(karpathy, ensure_ascii=ascii) + "\n", **outfit)
            read = load("karpathy", "dataset.json")
            found.append(Variant(f"karpathy {ascii} {shown(outfit)}", {"dataset.json": data}, read, ALL))
            data = written(json.dumps(coco, ensure_ascii=ascii, indent=1) + "\n", **outfit)
            files = {"captions_val2014.json" + outfit["packing"]: data}
            found.append(Variant(f"coco {ascii} {shown(outfit)}", files, load("coco"), ALL))
    return found


WRONG = {
    "null": (
        "jsonl",
        {"val.jsonl": b'{"image": "a.jpg", "captions": ["x"]}\n{"image": "a.jpg", "captions": [null]}\n'},
        "line 2",
    ),
    "number": ("jsonl", {"val.jsonl": b'{"image": "a.jpg", "captions": [3]}\n'}, "line 1"),
    "number as image": ("jsonl", {"val.jsonl": b'{"image": 3, "captions": ["x"]}\n'}, "line 1"),
    "no image": ("jsonl", {"val.jsonl": b'{"captions": ["x"]}\n'}, "line 1"),
    "no object": ("jsonl", {"val.jsonl": b'{"image": "a.jpg"}\n"b.jpg"\n'}, "line 2"),
    "no JSON": ("jsonl", {"val.jsonl": b'{"image": "a.jpg"}\n{"image": \n'}, "line 2"),
    "twice": ("jsonl", {"val.jsonl": b'{"image": "a.jpg", "captions": ["x"]}\n' * 2}, "a.jpg is twice in val"),
    "latin1": ("jsonl", {"val.jsonl": b'{"image": "a.jpg", "captions": ["caf\xe9"]}\n'}, "line 1"),
    "token": ("flickr8k", {"dev.txt": b"a.jpg\n", "captions.token.txt": b"a.jpg#0\tx\na.jpg x\n"}, "line 2"),
    "latin1 token": ("flickr8k", {"dev.txt": b"a.jpg\n", "captions.token.txt": b"a.jpg#0\tcaf\xe9\n"}, "line 1"),
    "cells": ("flickr8k", {"dev.txt": b"a.jpg\n", "captions.txt": b"image,caption\na.jpg,x, y\n"}, "line 2"),
    "no column": ("flickr8k", {"dev.txt": b"a.jpg\n", "captions.txt": b"size,caption\n3,x\n"}, "line 1"),
    "quote": ("flickr8k", {"dev.txt": b"a.jpg\n", "captions.txt": b'image,caption\na.jpg,"x\n'}, "line 2"),
    "cut": (
        "flickr8k",
        {"dev.txt": b"a.jpg\n", "captions.token.txt": written("a.jpg#0\tx\n" * 99, packing=".gz")[:-9]},
        "packed",
    ),
}


def wrong_lists(count, seed):
    """Damaged lists of captions."""
    return [Variant(name, files, load(kind), None, (place,)) for name, (kind, files, place) in WRONG.items()]


# --------------------------------------------------------------------------------------------------------------
# Known objects

OBJECTS = {"a.jpg": [("dog", 0.9), ("cat", 0.5)], "b.jpg": []}


def known(folder):
    """dict image -> what annotations say about it."""
    name = next(name for name in os.listdir(folder) if name.startswith("objects"))
    detectors.load.cache_clear()
    detector = detectors.load(detectors.parse(f"annotations:{folder}/{name}"), 0.1, 3)
    return {image: [(found.class_name, round(found.score, 6)) for found in detector.detect(image)] for image in OBJECTS}


def annotations(count, seed):
    """Known objects: a list, one object a line, other words, an array; and what is refused."""
    named = [{"name": name, "score": score, "box": [0, 0, 0.5, 1]} for name, score in OBJECTS["a.jpg"]]
    lines = lambda values: "".join(json.dumps(value) + "\n" for value in values)  # noqa: E731
    empty = {"image": "b.jpg", "objects": []}
    forms = {
        "a list": lines([{"image": "a.jpg", "objects": named}, empty]),
        "a list a line": lines([{"image": "a.jpg", "objects": [item]} for item in named] + [empty]),
        "an object a line": lines([{"image": "a.jpg", **item} for item in named] + [empty]),
        "other words": lines(
            [
                {"file_name": "a.jpg", "detections": [{"label": n, "confidence": s} for n, s in OBJECTS["a.jpg"]]},
                {"filename": "b.jpg", "detections": []},
            ]
        ),
        "an array": json.dumps([{"image": "a.jpg", "objects": named}, empty], indent=1),
        "twice": lines([{"image": "a.jpg", "objects": named}, {"image": "a.jpg", "objects": named}, empty]),
    }
    found = []
    for k, (name, text) in enumerate(forms.items()):
        for outfit in outfits(count, seed + k):
            files = {"objects.jsonl" + outfit["packing"]: written(text, **outfit)}
            found.append(Variant(f"{name} {shown(outfit)}", files, known, OBJECTS))
    bad = {
        "box": {"name": "dog", "box": [0.5, 0, 0.1, 1]},
        "pixels": {"name": "dog", "box": [10, 10, 50, 50]},
        "bbox": {"name": "dog", "bbox": [1, 2, 3, 4]},
        "three sides": {"name": "dog", "box": [0, 0, 1]},
        "score": {"name": "dog", "score": 90},
        "no name": {"score": 0.5},
        "text": "dog",
        "infinite": {"name": "dog", "score": float("nan")},
    }
    for name, item in bad.items():
        text = lines([{"image": "b.jpg", "objects": []}, {"image": "a.jpg", "objects": [item]}])
        found.append(Variant(name, {"objects.jsonl": text.encode()}, known, None, ("line 2",)))
    return found


# --------------------------------------------------------------------------------------------------------------
# Folders

TAKEN = ("a.txt", "B.TXT", "c.csv", "d.txt.gz", "e.JSONL", "deep/f.txt", "deep/er/g.tsv.gz", "h.Token", "i.ndjson.xz")
LEFT = {
    ".hidden.txt": "hidden",
    ".git/x.txt": "hidden",
    "notes.md": "not among",
    "README.txt": "describes the other files",
    "LICENSE.txt": "describes the other files",
    "picture.jpg": "not among",
    "deep/Thumbs.db": "not among",
    "archive.zip": "not among",
}


def walks(count, seed):
    """Folders of a corpus: what is taken, and what is left out and named."""
    found = []
    for other in LEFT:
        for taken in TAKEN:

            def read(folder, other=other):
                walked = folders.walk(folder, corpus_files._why_not)
                names = [os.path.relpath(path, folder) for path in walked.files]
                (left,) = [(os.path.relpath(path, folder), why) for path, why in walked.left_out.items()]
                return names, left[0] == other.partition("/x")[0], LEFT[other] in left[1]

            files = {taken: b"x", other: b"x"}
            found.append(Variant(f"{taken} beside {other}", files, read, ([taken], True, True)))
    return found
