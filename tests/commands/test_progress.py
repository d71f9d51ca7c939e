"""Progress: a bar on a terminal, lines elsewhere, nothing for work that is quickly done."""

import threading
import time

import cli


def slowly(items, **how):
    for item in cli.progress(items, "work", **how):
        time.sleep(0.03)
        yield item


def test_lines_where_there_is_no_terminal(capsys):
    threads = threading.active_count()
    assert list(slowly(range(8), every=0.1)) == list(range(8))
    assert list(slowly(iter(range(8)), every=0.1)) == list(range(8))
    known, unknown = capsys.readouterr().err.split("work: 8")[:2]
    first = known.splitlines()[0]
    assert first.startswith("work: ") and " of 8, " in first and first.endswith(" left") and "it/s" in first
    assert " of " not in unknown.splitlines()[-1] and "\r" not in known + unknown
    assert threading.active_count() == threads


def test_nothing_is_said_of_quick_work(capsys):
    assert list(cli.progress(range(1000), "work")) == list(range(1000))
    assert capsys.readouterr().err == ""


def test_a_bar_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert list(cli.progress(range(3), "work")) == [0, 1, 2]
    said = capsys.readouterr().err
    assert "work: 100%" in said and "3/3" in said and "\r" in said
