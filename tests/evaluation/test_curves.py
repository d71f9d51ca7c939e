"""Curves and alarms: series from metrics.jsonl, and the faults that raise an alarm."""

import json
import pathlib
import re

import pytest

from evaluation.report import curves

ROOT = pathlib.Path(__file__).resolve().parents[2]


def write(folder, lines, end="\n"):
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "metrics.jsonl").write_text(text.removesuffix("\n") + end)
    return curves.read_metrics(str(folder))


def test_series_by_name(tmp_path):
    found = write(tmp_path, [{"step": 10, "a": 1, "text": "x"}, {"step": 20, "b": 2.5}, {"step": 30, "a": 3.0}])
    assert found == {"a": ([10, 30], [1.0, 3.0]), "b": ([20], [2.5])}
    assert curves.read_metrics(str(tmp_path / "none")) == {}


def test_the_line_that_is_being_written_is_left_out(tmp_path):
    assert write(tmp_path, [{"step": 10, "a": 1}, {"step": 20, "a": 2}], end="") == {"a": ([10], [1.0])}


def test_a_broken_line_is_named_and_the_others_are_used(tmp_path, capsys):
    (tmp_path / "metrics.jsonl").write_bytes(b'{"step": 1, "a": 1}\nnonsense \xff\n{"step": 3, "a": 3}\n')
    assert curves.read_metrics(str(tmp_path)) == {"a": ([1, 3], [1.0, 3.0])}
    assert "metrics.jsonl: 1 damaged lines left out (line 2)" in capsys.readouterr().err


HEALTHY = {
    "eval/unique": ([1, 2, 3], [0.02, 0.4, 0.03]),  # low once, and once again later
    "length/sample": ([1, 2], [10.0, 8.0]),
    "length/greedy": ([1, 2], [10.0, 4.0]),
    "eval/longest_run": ([1, 2], [9, 3]),
}


def test_a_healthy_run_has_no_alarm():
    assert curves.alarms(HEALTHY) == []
    assert curves.alarms({}) == []
    assert curves.alarms(HEALTHY, {i: f"caption {i % 7}" for i in range(100)}) == []


@pytest.mark.parametrize(
    "changed, sentence",
    [
        ({"eval/unique": ([1, 2, 3], [0.5, 0.04, 0.01])}, "twice in a row, first at step 3, last at step 3"),
        ({"length/sample": ([1, 2], [10.0, 4.9])}, "from 10.0 to 4.9, from 10.0 to 4.0"),
        ({"eval/longest_run": ([1, 2], [1, 4])}, "repeats a word 4 times"),
        ({"loss/sentence": ([1, 2], [1.0, float("nan")])}, "not finite in: loss/sentence"),
    ],
)
def test_alarms_of_curves(changed, sentence):
    (found,) = curves.alarms(HEALTHY | changed)
    assert sentence in found


def test_alarms_of_captions():
    one_for_all = curves.alarms({}, {i: "a dog" for i in range(100)})
    assert "only 1 of the 100" in one_for_all[0] and "100% of the scored images" in one_for_all[1]
    assert (
        "3 of the 9 scored captions are empty"
        in curves.alarms({}, {i: str(max(0, i - 2)) * (i > 2) for i in range(9)})[-1]
    )


def test_the_curves_of_the_manual_are_among_them():
    """docs/metrics.md shows the most important curves with the sentences of the report."""
    section = (
        (ROOT / "docs" / "metrics.md").read_text().split("| curve | what it should look like |")[1].split("\n\n")[0]
    )
    rows = re.findall(r"^\| (`.+`) \| (.+) \|$", section, re.MULTILINE)
    assert len(rows) >= 5
    for names, sentence in rows:
        for name in re.findall(r"`([^`]+)`", names):
            assert curves.CURVES[name] == sentence


def test_drawings_are_pictures():
    plain = curves.drawing({"a": ([1, 2], [1.0, 2.0])}, legend=False)
    hostile = curves.drawing({"$\\frac{$": ([1], [1.0]), "_x": ([1, 2], [0.0, float("nan")])})
    assert plain.startswith(b"\x89PNG") and hostile.startswith(b"\x89PNG") and plain != hostile
