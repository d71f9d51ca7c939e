"""Inputs in every spelling, each form in one outfit; `python -m tests.variants` takes more (docs/data_formats.md)."""

import pytest

import cli
from tests.variants import Variant
from tests.variants import __main__ as program


@pytest.mark.parametrize("kind", program.KINDS)
def test_nothing_is_silently_wrong(kind, capsys):
    counts = program.run(program.Options(outfits=1, kinds=(kind,)))
    assert "FAULT" not in capsys.readouterr().out
    right, error, refused, fault = (counts[kind][outcome] for outcome in program.OUTCOMES)
    assert fault == 0 and right + error + refused >= 4
    assert right or refused  # a reader that refuses everything is no reader


def test_there_are_more_than_five_hundred():
    options = program.Options()
    assert sum(len(kind(options.outfits, options.seed)) for kind in program.KINDS.values()) > 1000


def fails(error):
    def read(folder):
        raise error

    return read


@pytest.mark.parametrize(
    "read, right, places, outcome",
    [
        (lambda folder: 3, 3, (), program.RIGHT),
        (lambda folder: 3, 4, (), program.FAULT),
        (lambda folder: 3, None, (), program.FAULT),
        (fails(cli.UserError("a.txt: line 2: no")), 3, (), program.ERROR),
        (fails(cli.UserError("a.txt: line 2: no")), None, ("line 2",), program.REFUSED),
        (fails(cli.UserError("a.txt: line 3: no")), None, ("line 2",), program.FAULT),
        (fails(cli.UserError("line 2: no")), None, ("line 2",), program.FAULT),
        (fails(ValueError("a.txt: line 2")), None, ("line 2",), program.FAULT),
    ],
)
def test_what_counts_as_a_fault(tmp_path, read, right, places, outcome):
    variant = Variant("x", {"a.txt": b"x"}, read, right, places)
    assert program.outcome_of(variant, str(tmp_path))[0] == outcome
