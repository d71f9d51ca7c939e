"""HTML pages: every text is escaped, a missing value is an error."""

import html.parser

import jinja2
import pytest

from evaluation.report import html_pages

EVIL = "<script>alert('1')</script>&\"<"


class Reader(html.parser.HTMLParser):
    """Collects elements, texts and attributes."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self.attributes = [], [], []
        self.feed(text)

    def handle_starttag(self, name, attributes):
        self.elements.append(name)
        self.attributes += attributes

    def handle_data(self, data):
        self.texts.append(data)


def test_a_table():
    table = html_pages.macros("evaluation/report/tables.html").table
    read = Reader(table([["row", "score"], [EVIL, 1]], left=[0], classes=["own"]))
    assert read.elements == ["div", "table", "thead", "tr", "th", "th", "tbody", "tr", "td", "td"]
    assert read.texts == ["row", "score", EVIL, "1"]
    left = [("class", "left"), ("dir", "auto")]  # a text in Arabic begins at its right
    assert read.attributes == [("class", "wide"), ("class", "left"), ("class", "own"), *left]


def test_texts_and_attributes_of_a_card_come_out_as_they_went_in():
    said = [{"who": EVIL, "score": 41.6, "caption": EVIL}, {"who": "b", "score": None, "caption": ""}]
    card = html_pages.macros("evaluation/report/cards.html").card
    read = Reader(card({"name": EVIL, "picture": html_pages.data_url(b"\x89PNG", "png"), "said": said}))
    texts = [text.strip() for text in read.texts if text.strip()]
    assert texts == [EVIL, "CIDEr 42", EVIL, "b", "(empty)"]
    assert read.elements == ["figure", "img", "figcaption", "span", "span", "span", "span", "span"]
    assert read.attributes.count(("dir", "auto")) == 2
    assert read.attributes[:3] == [("src", "data:image/png;base64,iVBORw=="), ("alt", EVIL), ("title", EVIL)]
    alone = Reader(card({"name": EVIL, "picture": None, "said": []}))
    assert alone.elements == ["figure", "p", "figcaption"] and EVIL in alone.texts


def test_a_value_that_is_missing_is_an_error():
    with pytest.raises(jinja2.UndefinedError, match="heading"):
        html_pages.render("evaluation/report/report.html")
