"""Texts as ASCII: what is spelled, what is dropped, what keeps words apart."""

import pytest

from preprocessing.sources import ascii_text, text_rules


@pytest.mark.parametrize(
    "text, expected, lost",
    [
        ("plain, text.", "plain, text.", 0),
        ("caf\u00e9 na\u00efve cafe\u0301 \ufb01ne", "cafe naive cafe fine", 0),
        ("fast\u2014and \u2014 over", "fast and  over", 0),  # a blank only where words would be joined
        ("red\u2022blue\u200bgreen", "red blue green", 0),
        ("well\u2011known \u22125", "well-known -5", 0),
        ("1\u00bd cups", "1 1/2 cups", 0),
        ("don\u2019t \u201csay\u201d", "dont say", 3),
        ("gr\u00f6\u00dfer", "groer", 1),
        ("dog\U0001f436cat", "dog cat", 1),
        ("\u72d7\u5728\u8dd1\u3002", "", 3),
        ("a\u2028b\x0cc\x85d", "a\nb\nc\nd", 0),
        ("a\x01b\x00c\td", "a b c\td", 0),
        ("soft\u00adhyphen \u00e9\u200d", "softhyphen e", 0),
    ],
)
def test_to_ascii(text, expected, lost):
    assert ascii_text.to_ascii(text) == (expected, lost)


def test_lines_of_every_end():
    assert text_rules.lines_of("one\ntwo\r\nthree\rfour", "ascii") == ([b"one", b"two", b"three", b"four"], 0)


@pytest.mark.parametrize(
    "text, found",
    [
        ("a &amp; b", True),
        ("<b>x</b>", True),
        ("x<br/>", True),
        ("&#39;", True),
        ("3 < 4 > 2", False),
        ("AT&T; x", False),
    ],
)
def test_html(text, found):
    assert ascii_text.holds_html(text) == found
