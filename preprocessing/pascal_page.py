"""The web page of the PASCAL sentences: which images it shows and what people said about each."""

import html.parser


def captions(text):
    """dict path of an image, as in the page -> list of the sentences beside it.

    Source: other_systems.md 2.4.
    """
    reader = _Reader()
    reader.feed(text)
    reader.close()
    return reader.captions


class _Reader(html.parser.HTMLParser):
    """The page's table: an image, then cells with its sentences."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.captions, self._image, self._cell = {}, None, None

    def handle_starttag(self, tag, attributes):
        if tag == "img" and (source := dict(attributes).get("src")):
            self._image = source
            self.captions.setdefault(source, [])
        elif tag == "td":
            self._end_cell()
            self._cell = ""

    def handle_data(self, data):
        if self._cell is not None:
            self._cell += data

    def handle_endtag(self, tag):
        if tag in ("td", "tr", "table"):
            self._end_cell()

    def _end_cell(self):
        text, self._cell = " ".join((self._cell or "").split()), None
        if text and self._image is not None:
            self.captions[self._image].append(text)
