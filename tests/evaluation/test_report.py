"""The HTML report of two short runs, with hostile names and captions."""

import base64
import html.parser
import io
import json
import os
import re
import shutil

import pytest
from PIL import Image

import cli
import eval_test
import train
from evaluation import report
from evaluation.report import html_pages, run_facts, sections
from formats import captions, records
from tests import photo_world, tiny_runs, tiny_world
from training import rankings

EVIL = "<script>alert(1)</script>"


class Reader(html.parser.HTMLParser):
    """Collects elements with their attributes, and the text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, name, attributes):
        self.elements.append((name, dict(attributes)))

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Returns (data folder, run, run with a hostile name) with test captions; the images are in the records."""
    folder = tmp_path_factory.mktemp("report")
    data = photo_world.make(str(folder / "data"))
    photos, examples = os.path.join(data, "photos"), []
    for i, name in enumerate(sorted(n for n in os.listdir(photos) if n.startswith("val"))):
        with open(os.path.join(photos, name), "rb") as file:
            examples.append(records.image_example(name, file.read(), [tiny_world.NOUNS[i % 3]], [0.9]))
    tiny_world.write(data, "image_val", examples)
    train.main(tiny_runs.full(data, folder / "runs" / "plain", max_steps=8, eval_images=0))
    run = str(folder / "runs" / "plain")
    eval_test.main(
        eval_test.Options(job_dir=run, checkpoint="newest", split="val", metrics=("BLEU", "CIDEr"), report=True)
    )
    for suffix in ("", "_scores"):
        shutil.move(os.path.join(run, f"val{suffix}.json"), os.path.join(run, f"test{suffix}.json"))
    shutil.copy(os.path.join(data, "refs_val.json"), os.path.join(data, "refs_test.json"))
    for name in ("image_val.json", "image_val.tfrec"):
        shutil.copy(os.path.join(data, name), os.path.join(data, name.replace("val", "test")))
    evil = str(folder / "runs" / "<b>evil")
    shutil.copytree(run, evil)
    said = captions.read_captions(os.path.join(evil, "test.json"))
    captions.write_captions(os.path.join(evil, "test.json"), dict.fromkeys(said, EVIL).items())
    return data, run, evil


@pytest.fixture(scope="module")
def both(world, tmp_path_factory):
    """Returns the HTML of the report on both runs."""
    output = tmp_path_factory.mktemp("out") / "deep" / "report.html"
    report.main(report.Options(paths=world[1:], output=str(output), images=4))
    return output.read_text()


def test_eval_test_writes_it(world):
    text = open(os.path.join(world[1], "report.html")).read()
    assert "Alarms" in text and "Word vectors of plain" in text


def test_nothing_is_loaded_and_nothing_is_run(both):
    read = Reader(both)
    assert not {name for name, _ in read.elements} & {"script", "link", "iframe", "object", "form", "b>evil"}
    for _, attributes in read.elements:
        for name in ("src", "href"):
            assert attributes.get(name, "data:").startswith("data:")
        assert not any(name.startswith("on") for name in attributes)
    assert EVIL in read.text and "<b>evil" in read.text, "shown as text"
    assert re.search(r"url\(|@import", both) is None


def test_its_parts(both, world):
    text = Reader(both).text
    for part in ("Alarms", "Scores", "Diversity", "What captions say", "Training", "Images and captions", "Provenance"):
        assert part in text
    assert "UIC full, Feng 2019 (unverified)" in text and "check them before you quote them" in text
    assert "One caption for many: 100% of the scored images have the caption" in text
    assert "decreases steadily: the generator learns" in text and "seed" in text and "ckpt-8" in text
    sidecar = json.load(open(os.path.join(world[0], "sentence.json")))
    assert sidecar["files"][0]["sha256"][:16] in text


def test_its_pictures_are_whole(both):
    sources = [attributes["src"] for name, attributes in Reader(both).elements if name == "img"]
    kinds = [source.partition(";")[0] for source in sources]
    assert kinds.count("data:image/jpeg") >= 4 and kinds.count("data:image/png") >= 10
    for source in sources:
        with Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) as image:
            image.load()


def test_captions_stand_with_their_pictures_sorted_by_score(world):
    plain = run_facts.read_run(world[1])
    order = sections.by_score(plain.cider(), plain.captions)
    values = [plain.cider()[name] for name in order]
    assert values == sorted(values, reverse=True) and len(set(values)) > 1
    best, worst = sections.best_and_worst(plain, 100)
    assert best[0] == order[0] and worst[0] == order[-1] and not set(best) & set(worst)
    small = run_facts.thumbnails(plain.data_dir, "test", order)
    read = Reader(html_pages.macros("evaluation/report/cards.html").card(sections.card(order[0], [plain], small)))
    assert plain.captions[order[0]] in read.text and f"CIDEr {values[0]:.0f}" in read.text
    assert read.elements[1][1]["title"] == order[0]


def test_it_says_how_the_checkpoint_was_chosen(world, tmp_path):
    """By what eval_test.py noted, or by eval_val.py if only that was run."""
    lines = lambda run: dict(map(tuple, sections.provenance([run_facts.read_run(str(run))])[0]["lines"]))  # noqa: E731
    assert lines(world[1])["chosen by"] == "--checkpoint newest"
    run = shutil.copytree(world[1], tmp_path / "run")
    (run / "test.json").rename(run / "val_8.json")
    (run / "test_scores.json").unlink()
    rankings.write_rankings(str(run), {8: dict.fromkeys(("CIDEr", "METEOR", "BLEU-4", "BLEU-3", "BLEU-2"), 1.0)})
    assert lines(run)["chosen by"] == rankings.SELECTED_BY
    (run / "b34.json").unlink()
    assert lines(run)["chosen by"] == "-"


def test_a_run_without_captions_or_pictures(world, tmp_path):
    """The report has curves and settings, and names what is missing."""
    bare = shutil.copytree(world[1], tmp_path / "bare", ignore=shutil.ignore_patterns("test*", "val*", "ckpt*"))
    report.main(report.Options(paths=(str(bare),)))
    text = Reader((bare / "report.html").read_text()).text
    assert "no captions yet: python eval_val.py" in text and "Training" in text
    assert "The run has no checkpoint" in text and "Images and captions" not in text


def test_wrong_arguments(world, tmp_path):
    for options, message in [
        (report.Options(), "no run given"),
        (report.Options(paths=(str(tmp_path),)), "not a run directory"),
        (report.Options(paths=(world[1],), images=0), "--images must be at least 1"),
        (report.Options(paths=(world[1],), table=("none.json",)), "none.json: no such file"),
    ]:
        with pytest.raises(cli.UserError, match=message):
            report.main(options)
