"""Reads untrusted HTML in linear time."""

from lxml import etree


def read(text, reader):
    """Calls `reader` for the tags and texts of a page, in order.

    It builds no tree: libxml2 and other HTML parsers that build one need quadratic time for a tag with very many
    attributes, and Python's html.parser for a page of `<!--` or `<![`.

    Args:
      text: the page.
      reader: has start(tag, attributes), with a dict str -> str, end(tag), data(text) and close(). The text between
        two tags is passed in one or several pieces, that of a script unchanged.
    """
    parser = etree.HTMLParser(target=reader)
    parser.feed(text)
    parser.close()
