"""Reads the web page of the PASCAL sentences: its images and their sentences."""

from preprocessing.crawling import html_reader


def captions(text):
    """Returns dict path of an image, as in the page -> list of its sentences."""
    reader = _Reader()
    html_reader.read(text, reader)
    return reader.captions


class _Reader:
    """Reads the page's table: an image, then cells with its sentences."""

    def __init__(self):
        self.captions, self._image, self._cell = {}, None, None

    def start(self, tag, attributes):
        if tag == "img" and (source := attributes.get("src")):
            self._image = source
            self.captions.setdefault(source, [])
        elif tag == "td":
            self.close()
            self._cell = []

    def data(self, text):
        if self._cell is not None:
            self._cell.append(text)

    def end(self, tag):
        if tag in ("td", "tr", "table"):
            self.close()

    def close(self):
        """Ends the open cell, if there is one."""
        text, self._cell = " ".join("".join(self._cell or ()).split()), None
        if text and self._image is not None:
            self.captions[self._image].append(text)
