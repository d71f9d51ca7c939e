"""Parses untrusted HTML in time that is linear in its length."""

from lxml import etree


def read(text, reader):
    """Parses an HTML page and calls the methods of `reader` for its tags and texts, in order.

    No tree is built: libxml2 and other parsers that build one need quadratic time for a tag with very many attributes,
    and Python's html.parser does for a page of `<!--` or `<![`.

    Args:
      text: the page.
      reader: object with the methods start(tag, attributes), where attributes is a dict str -> str, end(tag),
        data(text) and close(), which is called once, at the end of the page. The text between two tags is passed in one
        or several calls of `data`, the text of a script unchanged.
    """
    parser = etree.HTMLParser(target=reader)
    parser.feed(text)
    parser.close()
