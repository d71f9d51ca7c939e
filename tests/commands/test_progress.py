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
    known = capsys.readouterr().err
    assert list(slowly(iter(range(8)), every=0.1)) == list(range(8))
    unknown = capsys.readouterr().err
    for line in known.splitlines():
        assert line.startswith("work: ") and " of 8, " in line and line.endswith(" left") and "it/s" in line
    assert known and unknown and not {"of", "left"} & set(unknown.split()) and "\r" not in known + unknown
    assert threading.active_count() == threads


def test_nothing_is_said_of_quick_work(capsys):
    assert list(cli.progress(range(1000), "work")) == list(range(1000))
    assert capsys.readouterr().err == ""


def test_a_bar_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert list(cli.progress(range(3), "work")) == [0, 1, 2]
    said = capsys.readouterr().err
    assert "work: 100%" in said and "3/3" in said and "\r" in said
