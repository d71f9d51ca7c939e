"""Reading HTML of strangers in a time that grows no faster than the page."""

from lxml import etree


def read(text, reader):
    """Tells `reader` of the tags and texts of a page, in their order.

    No tree is built: libxml2 and the HTML parsers that build one need quadratic time for a tag with very many
    attributes, and Python's html.parser for a page of `<!--` or `<![`.

    Args:
      text: the page.
      reader: has start(tag, attributes), with a dict str -> str, end(tag), data(text) and close(). The text between
        two tags comes in one or several pieces, that of a script as it stands there.
    """
    parser = etree.HTMLParser(target=reader)
    parser.feed(text)
    parser.close()
