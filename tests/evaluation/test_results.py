"""The archive of results: what is added, what tables say, and what checks find."""

import json
import os
import pathlib
import shutil
import types

import pytest

import caption
import cli
from evaluation import metrics, table
from evaluation.report import run_facts, sections
from evaluation.results import __main__ as command
from evaluation.results import add, archive, check, tables
from formats import captions

ROOT = pathlib.Path(__file__).resolve().parents[2]
NOUNS = ("dog", "cat", "boat", "tree", "car", "kite")
FAST = ("BLEU", "CIDEr")


def make_run(folder, seed, row="full", wrong=0, decode="beam3"):
    """Makes a scored run without training; returns its folder. Args: wrong: images with the caption of another one."""
    data, run = folder / "data", folder / "runs" / f"{row}{seed}"
    os.makedirs(data, exist_ok=True)
    os.makedirs(run, exist_ok=True)
    references = {f"{noun}.jpg": [f"a {noun} on the grass", f"the {noun} is brown"] for noun in NOUNS}
    pairs = [(name, text) for name, texts in references.items() for text in texts]
    content = {"images": [{"id": name} for name in references]}
    content["annotations"] = [{"image_id": name, "id": i, "caption": text} for i, (name, text) in enumerate(pairs)]
    for split in ("val", "test"):
        (data / f"refs_{split}.json").write_text(json.dumps(content))
    settings = {"recipe": f"miniature/{row}", "data_dir": str(data), "job_dir": str(run), "seed": seed}
    (run / "config.json").write_text(json.dumps({"stage": "FullModel", "settings": settings, "facts": {}}))
    (run / "metrics.jsonl").write_text("".join(f'{{"step": {step}, "loss": 1.0}}\n' for step in range(500)))
    said = NOUNS[wrong:] + NOUNS[:wrong]
    found = {f"{noun}.jpg": f"a {other} on the grass" for noun, other in zip(NOUNS, said, strict=True)}
    for split, step in (("val", 20), ("test", 20)):
        name = "test.json" if split == "test" else "val_20.json"
        captions.write_captions(run / name, found.items())
        made = table.make_row(
            row, metrics.score(found, references, FAST), corpus="drawn", split=split, decode=decode, seed=seed,
            minutes=1.5, checkpoint=f"{run}/ckpt-{step}", command=f"python eval_test.py --job_dir {run}",
            scored=table.digest_of_scored(found, references),
        )  # fmt: skip
        table.merge_row(folder / "runs" / "table.json", made, run)
    return run


@pytest.fixture
def added(tmp_path):
    """An archive with two seeds of one row; returns (folder of everything, folder of the archive)."""
    for seed, wrong in ((1, 0), (2, 1)):
        add.add(str(make_run(tmp_path, seed, wrong=wrong)), str(tmp_path / "results"))
    return tmp_path, tmp_path / "results"


def test_what_a_run_leaves(added):
    folder, root = added
    entries = archive.read(root)
    assert [(one.experiment, one.row, one.seed) for one in entries] == [
        ("miniature", "full", 1),
        ("miniature", "full", 2),
    ]
    (row,) = entries[0].rows  # of the scored splits only the test
    assert row["split"] == "test" and row["checkpoint_step"] == 20 and row["references"] == 12
    assert captions.read_captions(entries[0].file("captions.json"))["dog.jpg"] == "a dog on the grass"
    steps = [json.loads(line)["step"] for line in open(entries[0].file("metrics.jsonl"))]
    assert len(steps) == archive.LOG_LINES and (steps[0], steps[-1]) == (0, 499) and steps == sorted(set(steps))
    assert entries[0].environment["commit"] and entries[0].environment["packages"]["tensorflow"]
    written = "".join(path.read_text() for path in root.rglob("*.json"))
    assert str(folder) not in written and "full1" in written


def test_a_row_that_is_added_again_keeps_its_date(added, monkeypatch):
    folder, root = added
    monkeypatch.setattr(add, "environment", lambda row: {"date": "another day"})
    path = root / "miniature" / "full" / "seed_1" / "environment.json"
    before = path.read_text()
    add.add(str(folder / "runs" / "table.json"), str(root))
    assert path.read_text() == before
    add.add(str(make_run(folder, 1, wrong=3)), str(root))  # scored again, with other captions
    assert json.loads(path.read_text()) == {"date": "another day"}


def test_a_table_and_a_folder_give_the_same(added, tmp_path):
    _, root = added
    add.add(str(tmp_path / "runs" / "table.json"), str(tmp_path / "of_table"))
    add.add(str(root), str(tmp_path / "copied"))
    for name in ("of_table", "copied"):
        for one, other in zip(archive.read(tmp_path / name), archive.read(root), strict=True):
            assert one.rows == other.rows


def test_images_without_references_are_left_out(tmp_path):
    """Such images are captioned but not scored."""
    run = make_run(tmp_path, 1)
    read = captions.read_captions(run / "test.json")
    captions.write_captions(run / "test.json", [*read.items(), ("another.jpg", "a dog")])
    (folder,) = add.add(str(run), str(tmp_path / "results"))
    assert captions.read_captions(os.path.join(folder, "captions.json")) == read


def test_captions_that_were_not_scored_are_refused(tmp_path):
    run = make_run(tmp_path, 1)
    captions.write_captions(run / "test.json", [(f"{noun}.jpg", "a dog") for noun in NOUNS])
    with pytest.raises(cli.UserError, match="no file has the captions of row full"):
        add.add(str(run), str(tmp_path / "results"))
    assert archive.read(tmp_path / "results") == []
    with pytest.raises(cli.UserError, match="neither a run directory, a table, nor a folder"):
        add.add(str(tmp_path / "data"), str(tmp_path / "results"))


def test_scores_are_computed_again(added, capsys):
    folder, root = added
    options = command.Options(
        check_submission=str(root), experiment="miniature", data_dir=str(folder / "data"), metrics=FAST
    )
    command.main(options)
    assert "2 rows scored again are equal, 0 differ" in capsys.readouterr().out
    path = root / "miniature" / "full" / "seed_2" / "scores.json"
    rows = json.loads(path.read_text())
    true = rows[0]["CIDEr"]
    path.write_text(json.dumps([rows[0] | {"CIDEr": true + 1}]))
    with pytest.raises(cli.UserError, match="1 faults"):
        command.main(options)
    assert f"CIDEr {true:.4f}, {true + 1:.4f} in the archive" in capsys.readouterr().err
    path.write_text(json.dumps([rows[0] | {"tokenizer": "another"}]))
    command.main(options)
    assert "another in the archive" in capsys.readouterr().out
    path.write_text(json.dumps(rows))
    captions.write_captions(path.parent / "captions.json", [(f"{noun}.jpg", "a dog") for noun in NOUNS])
    with pytest.raises(cli.UserError):
        command.main(options)
    assert "its captions are not those that were scored" in capsys.readouterr().err


def test_a_captions_file_elsewhere_is_refused(added):
    _, root = added
    path = root / "miniature" / "full" / "seed_1" / "scores.json"
    rows = json.loads(path.read_text())
    path.write_text(json.dumps([rows[0] | {"captions": "../../../../data/refs_test.json"}]))
    with pytest.raises(cli.UserError, match="captions in "):
        archive.read(root)


def test_tables(added):
    folder, root = added
    spec = tables.Table("scripts/demo.sh --seeds 2", "miniature", "test", columns=("CIDEr", "unique"))
    entries = archive.read(root)
    first, second = (entry.rows[0]["CIDEr"] for entry in entries)
    mean, deviation = (first + second) / 2, abs(first - second) / 2**0.5
    text = tables.markdown(entries, spec)
    assert f"| full | {mean:.1f} ± {deviation:.1f} | 1.000 ± 0.000 |" in text
    assert text.startswith("`scripts/demo.sh --seeds 2`: 6 test images, 12 references, beam3, seeds 1, 2;")
    add.add(str(make_run(folder, 1, row="scratch", wrong=2)), str(root))
    assert "| scratch (seed 1) |" in tables.markdown(archive.read(root), spec)
    path = root / "miniature" / "scratch" / "seed_1" / "scores.json"
    rows = json.loads(path.read_text())
    path.write_text(json.dumps([rows[0] | {"tokenizer": "another"}]))
    with pytest.raises(cli.UserError, match="not scored alike"):
        tables.markdown(archive.read(root), spec)


def test_pages_follow_the_archive(added, monkeypatch):
    folder, root = added
    monkeypatch.setitem(tables.TABLES, "one", tables.Table("make it", "miniature", "test", columns=("CIDEr",)))
    site = folder / "site"
    os.makedirs(site / "docs")
    os.makedirs(site / "configs")
    shutil.copy(ROOT / "configs" / "miniature.py", site / "configs")
    (site / "README.md").write_text("before\n<!-- results: one -->\n<!-- end of results -->\nafter\n")
    entries = archive.read(root)
    assert len(check.stale_pages(entries, site)) == 2
    assert len(tables.write(entries, site)) == 2
    text = (site / "README.md").read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "| full |" in text
    assert "Expected:  CIDEr / unique on test images" in (site / "configs" / "miniature.py").read_text()
    assert check.stale_pages(entries, site) == [] and tables.write(entries, site) == []
    (site / "README.md").write_text(text.replace("| full |", "| better |"))
    assert [os.path.basename(path) for path in check.stale_pages(entries, site)] == ["README.md"]
    with pytest.raises(cli.UserError, match="no table two"):
        tables.with_tables(text.replace("results: one", "results: two"), entries, "README.md")


def test_sentences_of_a_corpus_are_kept_as_numbers(tmp_path):
    sentences = ["a dog runs", "a cat sits", "a dog runs"]
    numbers = archive.as_sentence_numbers({"1.jpg": "a cat sits", "2.jpg": "a dog runs"}, sentences, "digest")
    assert numbers == {"corpus_sha256": "digest", "sentences": {"1.jpg": 1, "2.jpg": 0}}
    path = tmp_path / "captions.json"
    path.write_text(json.dumps(numbers))
    found = archive.read_captions(path, lambda digest: sentences if digest == "digest" else None)
    assert found == {"1.jpg": "a cat sits", "2.jpg": "a dog runs"}
    assert archive.read_captions(path, lambda digest: None) is None


def test_the_first_caption_of_the_readme(capsys):
    """The trained runs of the archive are small and caption right after installation."""
    models = ROOT / archive.ROOT / archive.MODELS
    for folder in models.iterdir():
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        assert size < 3e6 and "| licence |" in (folder / "README.md").read_text()
    picture = str(ROOT / "docs" / "images" / "drawn.jpg")
    caption.main(caption.Options(job_dir=str(models / "miniature_full"), paths=(picture,)))
    said = capsys.readouterr().out.strip().partition("\t")[2]
    assert f'("{said}")' in " ".join((ROOT / "README.md").read_text().split())


def test_the_report_shows_archived_runs(added):
    _, root = added
    folder = str(root / "miniature" / "full" / "seed_2")
    archived = run_facts.archived_curves([folder])
    assert list(archived) == ["miniature/full, seed 2"]
    assert len(archived["miniature/full, seed 2"]["loss"][0]) == archive.LOG_LINES
    rows = run_facts.table_rows([], (), [folder])
    assert rows[0]["row"] == "miniature/full, seed 2" and rows[0]["CIDEr"] == archive.read(root)[1].rows[0]["CIDEr"]
    own = types.SimpleNamespace(name="own", series={"loss": ([0, 499], [2.0, 1.5])})
    (alone,), (both,) = (sections.training([own], references) for references in ({}, archived))
    assert alone["name"] == both["name"] == "loss" and alone["picture"] != both["picture"]
    with pytest.raises(cli.UserError, match="no scores.json"):
        run_facts.archived_curves([str(root)])


def test_the_repository_is_up_to_date():
    """Every table of README and docs equals the archive, and its captions of drawn pictures give their scores."""
    entries = archive.read(ROOT / archive.ROOT)
    assert check.stale_pages(entries, ROOT) == []
    drawn = [entry for entry in entries if entry.experiment == "miniature"]
    equal, differences, unchecked = check.rescore(drawn, check.References(), FAST)
    assert differences == [] and unchecked == []
    assert equal == sum(len(entry.rows) for entry in drawn)


def test_copied_runs_keep_their_environment_until_their_rows_change(added):
    folder, root = added
    other = folder / "other"
    add.add(str(root), str(other))
    path = other / "miniature" / "full" / "seed_1" / "environment.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"date": "2001-01-01"}))
    add.add(str(root), str(other))
    assert json.loads(path.read_text())["date"] == "2001-01-01"
    add.add(str(make_run(folder, 1, wrong=3)), str(root))
    add.add(str(root), str(other))
    assert json.loads(path.read_text())["date"] != "2001-01-01"


def test_references_of_photographs_are_read_from_their_data_set(tmp_path, monkeypatch):
    folder = tmp_path / "flickr8k"
    (folder / "images").mkdir(parents=True)
    for split, names in (("train", ("a.jpg", "b.jpg")), ("dev", ("c.jpg", "d.jpg"))):
        (folder / f"{split}.txt").write_text("\n".join(names))
    lines = [f"{name}.jpg#{i}\tA {name} {i} .\n" for name in "abcd" for i in (0, 1)]
    (folder / "captions.token.txt").write_text("".join(lines))
    monkeypatch.setenv("UIC_REALDATA", str(tmp_path))
    found, reason = check.References().of("flickr8k_coco", "val")
    assert not reason and found == {f"{name}.jpg": [f"A {name} 0 .", f"A {name} 1 ."] for name in "cd"}
    monkeypatch.delenv("UIC_REALDATA")
    assert check.References().of("flickr8k_coco", "val")[0] is None


def test_data_of_an_experiment_without_recipes(tmp_path):
    """They are those of its runs' recipes; an experiment of configs/ has its own, whatever its runs say."""
    (tmp_path / "config.json").write_text(json.dumps({"settings": {"recipe": "flickr8k_coco/show_tell"}}))
    for experiment, expected in (("flickr8k_supervised", "flickr8k_coco"), ("miniature", "miniature")):
        assert check.data_of(archive.Entry(str(tmp_path), experiment, "show_tell", 1, [], {})) == expected
    assert check.data_of(archive.Entry(str(tmp_path / "none"), "own", "row", None, [], {})) == "own"
