"""Reads the web page of the PASCAL sentences: its images and their sentences."""

from preprocessing.crawling import html_reader


def captions(text):
    """Returns the captions in the HTML of the page: dict `src` attribute of an image -> list of its sentences.

    Args: text: content of the page.
    """
    reader = _Reader()
    html_reader.read(text, reader)
    return reader.captions


class _Reader:
    """Target of `html_reader.read`: collects the sentences in the table cells that follow an image.

    Attributes: captions: dict path of an image -> list of sentences.
    """

    def __init__(self):
        self.captions, self._image, self._cell = {}, None, None

    def start(self, tag, attributes):
        """Begins an image or a table cell, if the start tag is that of one. Args: attributes: dict str -> str."""
        if tag == "img" and (source := attributes.get("src")):
            self._image = source
            self.captions.setdefault(source, [])
        elif tag == "td":
            self.close()
            self._cell = []

    def data(self, text):
        """Adds text between tags to the cell that is open, if there is one."""
        if self._cell is not None:
            self._cell.append(text)

    def end(self, tag):
        """Ends the open cell at the end of the cell, row or table."""
        if tag in ("td", "tr", "table"):
            self.close()

    def close(self):
        """Ends the open cell, if there is one: its text is a sentence of the last image."""
        text, self._cell = " ".join("".join(self._cell or ()).split()), None
        if text and self._image is not None:
            self.captions[self._image].append(text)
