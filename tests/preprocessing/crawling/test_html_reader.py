"""Pages of strangers are read in linear time, and nothing behind the rubbish is lost."""

import pytest

from preprocessing.crawling import crawl_sources
from preprocessing.sources import pascal_page
from tests.time_limit import time_limit

SIZE = 2 << 20  # bytes of rubbish; html.parser or a parser that builds a tree takes minutes for some of it
RUBBISH = ("<!--", "<![", "<?", "</", "<", "<a ", "<div>", "<b><p>", "&", "&#x", "\0", "<table><td>", "<!DOCTYPE ")


def pages():
    for piece in RUBBISH:
        yield pytest.param(piece * (SIZE // len(piece)) + "-->]]>\">'>", id=repr(piece))
    yield pytest.param("<a " + " ".join(f"b{i}=1" for i in range(SIZE // 9)) + ">", id="attributes")


@pytest.mark.parametrize("rubbish", list(pages()))
def test_rubbish(rubbish):
    records = '<script type="application/ld+json">[{"@type": "ImageObject", "description": "ü &amp; ü"}]</script>'
    with time_limit(5):
        found = crawl_sources.HtmlSource().parse(f'{rubbish}{records}<i data-max="3">'.encode())
    assert found == crawl_sources.Page(["ü &amp; ü"], 3)
    with time_limit(5):
        sentences = pascal_page.captions(f"{rubbish}<table><tr><td><img src='a.jpg'><td>one &amp;<b>two</b> <td>three")
    assert sentences == {"a.jpg": ["one &two", "three"]}


def test_very_long_texts():
    text = "x &amp; " * 300_000
    with time_limit(5):
        assert pascal_page.captions(f"<img src=a><td>{text}") == {"a": [text.replace("&amp;", "&").strip()]}


def test_empty_pages():
    assert pascal_page.captions("") == {} and pascal_page.captions("\0 ") == {}
