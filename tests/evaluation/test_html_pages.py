"""HTML pages: every text is escaped, nothing is loaded."""

import html.parser

from evaluation.report.html_pages import image, joined, page, table, tag

EVIL = "<script>alert('1')</script>&\"<"


class Reader(html.parser.HTMLParser):
    """Counts elements and keeps texts and attributes."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self.attributes = [], [], []
        self.feed(text)

    def handle_starttag(self, name, attributes):
        self.elements.append(name)
        self.attributes += attributes

    def handle_data(self, data):
        self.texts.append(data)


def test_texts_and_attributes_come_out_as_they_went_in():
    read = Reader(tag("p", EVIL, tag("b", EVIL), title=EVIL, class_="x", hidden=None))
    assert read.elements == ["p", "b"] and read.texts == [EVIL, EVIL]
    assert read.attributes == [("title", EVIL), ("class", "x")]


def test_joined_keeps_markup_and_escapes_texts():
    assert joined([tag("i", "a"), None, "<", 3]) == "<i>a</i>&lt;3"


def test_a_table():
    read = Reader(table([["row", "score"], ["<b>", 1]], left=[0], classes=["own"]))
    assert read.elements == ["div", "table", "thead", "tr", "th", "th", "tbody", "tr", "td", "td"]
    assert read.texts == ["row", "score", "<b>", "1"]
    assert read.attributes == [("class", "wide"), ("class", "left"), ("class", "own"), ("class", "left")]


def test_a_page_holds_its_pictures_and_forbids_the_rest():
    text = page(EVIL, "p { color: red; }", image(b"\x89PNG", "png", EVIL))
    read = Reader(text)
    assert "script" not in read.elements and ("src", "data:image/png;base64,iVBORw==") in read.attributes
    assert any(name == "content" and "default-src 'none'" in value for name, value in read.attributes)
    assert read.texts.count(EVIL) == 1
