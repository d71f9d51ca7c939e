"""Captions and references in every format are matched by image; the command scores and compares them."""

import dataclasses
import json
import subprocess
import sys

import pytest

from cli import UserError
from evaluation import caption_files, score

NAMES = [f"COCO_val2014_{number:012d}.jpg" for number in (42, 7, 100, 9)]
SAID = {name: f"a dog number {i} runs" for i, name in enumerate(NAMES)}
TRUE = {name: [f"a dog number {i} runs", f"the dog number {i} sleeps"] for i, name in enumerate(NAMES)}
NUMBERS = {name: int(name[13:25]) for name in NAMES}
QUICK = ("BLEU", "CIDEr")


def coco(domains=()):
    images = [{"id": NUMBERS[name], "file_name": name} for name in NAMES]
    for image, domain in zip(images, domains, strict=False):
        image["domain"] = domain
    annotations = [{"image_id": NUMBERS[name], "caption": text} for name in NAMES for text in TRUE[name]]
    return {"images": images, "annotations": annotations}


def karpathy():
    images = [
        {
            "filename": name,
            "cocoid": NUMBERS[name],
            "split": "test",
            "sentences": [{"raw": text} for text in TRUE[name]],
        }
        for name in NAMES
    ]
    return {"images": [*images, {"filename": "other.jpg", "split": "restval", "sentences": [{"raw": "a"}]}]}


REFERENCES = {
    "coco.json": json.dumps(coco()),
    "karpathy.json": json.dumps(karpathy()),
    "flickr.token": "".join(f"{name}#{k}\t{text}\n" for name in NAMES for k, text in enumerate(TRUE[name])),
    "table.csv": "image,caption\n" + "".join(f"{name},{text}\n" for name in NAMES for text in TRUE[name]),
    "lines.jsonl": "".join(json.dumps({"image": name, "captions": TRUE[name]}) + "\n" for name in NAMES),
    "narratives.jsonl": "".join(
        json.dumps({"dataset_id": "x", "image_id": str(NUMBERS[name]), "annotator_id": 1, "caption": text}) + "\n"
        for name in NAMES
        for text in TRUE[name]
    ),
    "object.json": json.dumps(TRUE, indent=1),
}
CAPTIONS = {
    "names.json": json.dumps([{"image_id": name, "caption": text} for name, text in SAID.items()]),
    "integers.json": json.dumps(
        [{"image_id": NUMBERS[name], "caption": text} for name, text in SAID.items()], indent=1
    ),
    "stems.jsonl": "".join(
        json.dumps({"image": f"x/{n[:-4]}", "caption": t}) + "\n" for n, t in reversed(SAID.items())
    ),
    "of_2017.json": json.dumps({name[13:]: text for name, text in SAID.items()}),
    "lines.txt": "".join(f"{text}\n" for text in SAID.values()),
    "flickr.token": "".join(f"{name}#0\t{text}\n" for name, text in SAID.items()),
}


def write(path, text):
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("references", REFERENCES)
@pytest.mark.parametrize("captions", CAPTIONS)
def test_every_pair_of_formats(tmp_path, captions, references):
    true = caption_files.read(write(tmp_path / f"r_{references}", REFERENCES[references]), "test")
    assert list(true.captions.values()) == list(TRUE.values())
    found = caption_files.read(write(tmp_path / f"c_{captions}", CAPTIONS[captions]))
    matched = caption_files.match(found, true)
    assert not matched.missing and not matched.unknown
    assert [matched.captions[name] for name in true.captions] == list(SAID.values())


def test_missing_unknown_and_double(tmp_path):
    true = caption_files.read(write(tmp_path / "r.json", REFERENCES["coco.json"]))
    entries = [{"image_id": 42, "caption": "a"}, {"image_id": "9.jpg", "caption": "b"}, {"image_id": 5, "caption": "c"}]
    matched = caption_files.match(caption_files.read(write(tmp_path / "c.json", json.dumps(entries))), true)
    assert matched == caption_files.Matched({NAMES[0]: "a", NAMES[3]: "b"}, [NAMES[1], NAMES[2]], ["5"])
    entries.append({"image_id": NAMES[0], "caption": "again, under another name"})
    with pytest.raises(UserError, match="1 images have more than one caption: COCO_val2014_000000000042.jpg"):
        caption_files.match(caption_files.read(write(tmp_path / "c.json", json.dumps(entries))), true)
    with pytest.raises(UserError, match="none of its 1 images is in .*: x.jpg; the references have"):
        caption_files.match(caption_files.read(write(tmp_path / "c.json", '{"x.jpg": "a"}')), true)
    with pytest.raises(UserError, match="3 lines, but .* has 4 images"):
        caption_files.match(caption_files.read(write(tmp_path / "c.txt", "a\nb\nc\n")), true)


def test_a_name_that_fits_two_images_is_unknown():
    names = caption_files.Names(
        caption_files.CaptionFile("r", "x", {"a/1.jpg": ["a"], "b/1.jpg": ["b"], "2.png": ["c"]})
    )
    assert [names.find(name) for name in ("1.jpg", "1", "a/1.jpg", "c/2", "002", "x")] == [
        *(None, None, "a/1.jpg"),
        *("2.png", "2.png", None),
    ]


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "the file is empty"),
        ("[1]", "entry 1 is '1'; expected"),
        ('[{"image_id": 1, "caption": 3}]', "entry 1"),
        ('{"annotations": [{"image_id": 1}]}', "KeyError 'caption'; expected COCO's captions"),
        ("{", "not a JSON file"),
        ('{"image": "a", "caption": "b"}\n{"image": 3.5}\n', "line 2"),
    ],
)
def test_damaged_files(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        caption_files.read(write(tmp_path / "c.json", text))


def options(tmp_path, *captions, **changes):
    paths = tuple(write(tmp_path / name, CAPTIONS.get(name) or text) for name, text in captions)
    references = write(tmp_path / "refs.json", REFERENCES["coco.json"])
    return dataclasses.replace(score.Options(paths, references, metrics=QUICK, resamples=100), **changes)


def test_command(tmp_path):
    asked = options(tmp_path, ("names.json", ""), ("worse.json", json.dumps({name: "a cat" for name in NAMES})))
    write(tmp_path / "dets.jsonl", json.dumps({"image": NAMES[0], "objects": [{"name": "dog", "score": 0.9}]}) + "\n")
    write(tmp_path / "corpus.txt", "A cat.\nThe dog number 1 barks.\n")
    command = [sys.executable, "-m", "evaluation.score", *asked.paths, f"--references={asked.references}"]
    command += ["--metrics=BLEU,CIDEr", f"--detections={tmp_path}/dets.jsonl", f"--corpus={tmp_path}/corpus.txt"]
    command += ["--columns=CHAIR-det-i,in_corpus,common_run", "--latex", "--intervals", "--tokenizer=ptb-python"]
    command += [f"--output={tmp_path}/out.json", f"--per_image={tmp_path}/images.jsonl"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "COCO captions, 4 images, 8 references" in done.stdout and r"\begin{tabular}{lrr" in done.stdout
    assert r"names & 4 & 100.0 [100.0, 100.0] &" in done.stdout and "A names, B worse" in done.stdout
    content = json.loads((tmp_path / "out.json").read_text())
    first, second = content["rows"]
    assert first["BLEU-4"] == pytest.approx(100.0, abs=1e-3) and first["BLEU-4_95"] == pytest.approx(
        [100.0, 100.0], abs=1e-3
    )
    assert (first["CHAIR-det-i"], second["CHAIR-det-i"], second["CHAIR-i"]) == (0.0, 1.0, None)
    assert (first["in_corpus"], second["in_corpus"], second["common_run"]) == (0.0, 1.0, 2.0)
    assert second["lengths"] == {"2": 4} and content["tokenizer"] == "ptb-python"
    assert content["compared_with_first"]["worse"]["CIDEr"]["difference"] > 0
    lines = [json.loads(line) for line in (tmp_path / "images.jsonl").read_text().splitlines()]
    assert len(lines) == 8 and {line["file"] for line in lines} == {"names", "worse"}
    assert lines[0]["BLEU-4"] == pytest.approx(100.0, abs=1e-3) and lines[0]["caption"] == SAID[lines[0]["image"]]


def test_partial(tmp_path, capsys):
    asked = options(tmp_path, ("half.json", json.dumps(dict(list(SAID.items())[:2]))), ("names.json", ""))
    with pytest.raises(UserError, match="half.json: 2 of 4 images have no caption; --partial"):
        score.main(asked)
    score.main(dataclasses.replace(asked, partial=True))
    lines = [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
    assert ["half", "2"] in lines and ["names", "2"] in lines


@pytest.mark.parametrize("frequencies", ["part", "whole"])
def test_domains_of_nocaps(tmp_path, capsys, frequencies):
    folder = tmp_path / "nocaps"
    folder.mkdir()
    content = json.dumps(coco(["in-domain", "in-domain", "out-domain", "out-domain"]))
    content = content.replace("a dog number 2", "a cat number 2")  # so that a word is rare in one part only
    write(folder / "nocaps_val_4500_captions.json", content)
    asked = options(tmp_path, ("integers.json", ""), references=f"nocaps:{folder}", split="val")
    asked = dataclasses.replace(asked, frequencies=frequencies, output=str(tmp_path / "out.json"))
    score.main(asked)
    said = capsys.readouterr().out
    assert f"document frequencies of the references of the {frequencies}" in said
    whole, inside, outside = json.loads((tmp_path / "out.json").read_text())["rows"]
    assert (whole["split"], inside["split"], outside["split"]) == ("val", "val in", "val out")
    assert (whole["images"], inside["images"]) == (4, 2)
    mean = (inside["CIDEr"] + outside["CIDEr"]) / 2
    assert (mean == pytest.approx(whole["CIDEr"], abs=1e-3)) == (frequencies == "whole")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"paths": ()}, "expected captions and references"),
        ({"resamples": 5}, "--resamples 5"),
        ({"columns": ("CHAIR",)}, "--columns CHAIR: no such column; expected some of .*CHAIR-i"),
        ({"latex": True, "markdown": True}, "expected one of them"),
        ({"threshold": 2.0}, "--threshold 2"),
    ],
)
def test_wrong_use(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        score.main(options(tmp_path, ("names.json", ""), **changes))
