"""Reads files that list images with their captions: JSON lines, lines in the format of Flickr8k, and tables."""

import os
import re

import cli
from formats import readers, tables, texts
from preprocessing.sources import corpora

CAPTIONS = ("captions", *tables.CAPTION, "texts", "descriptions", "references", "sents")
IMAGE = tuple(word for word in tables.IMAGE if word not in ("name", "id"))
EXPECTED = '{"image": file name, "captions": [text, ...]}'


def with_extension(name):
    """Returns the file name of an image; `.jpg` is added to a name without extension."""
    return name if os.path.splitext(name)[1] else name + ".jpg"


# --------------------------------------------------------------------------------------------------------------
# JSON


def jsonl_entries(path):
    """Yields (file name, list of texts) for each image in JSON lines {"image": NAME, "captions": [text, ...]}.

    "captions" may be a single text. An image with one text a line may have several lines; it is yielded once, after all
    lines were read.

    Raises: cli.UserError naming the line.
    """
    merged = {}
    for place, value in readers.json_values(path, EXPECTED):
        try:
            name, found = _entry(value)
        except ValueError as error:
            raise cli.UserError(f"{path}: {place} is {str(value)[:80]!r}, {error}expected {EXPECTED}") from error
        if isinstance(found, str):
            merged.setdefault(name, []).append(found)
        else:
            yield name, found
    yield from merged.items()


def _entry(value):
    """Returns (file name, text or list of texts) of a JSON object.

    Args: value: a JSON value. Raises: ValueError; its text says what is wrong with the captions, and is empty if the
      value has another form.
    """
    if not isinstance(value, dict):
        raise ValueError
    image, place = (tables.column(value, words) for words in (IMAGE, CAPTIONS))
    name = list(value.values())[image] if image is not None else None
    found = list(value.values())[place] if place is not None else []
    if not isinstance(name, str):
        raise ValueError
    if isinstance(found, list):  # also of Karpathy's {"raw": text}
        found = [text.get("raw", text.get("caption")) if isinstance(text, dict) else text for text in found]
    if not isinstance(found, str) and not readers.are_texts(found):
        raise ValueError("its captions are not texts; ")
    return name, found


# --------------------------------------------------------------------------------------------------------------
# Flickr's lines, and tables, as on Kaggle


def caption_rows(path):
    """Yields (file name, caption), both str, for each caption in a file.

    The file has lines NAME#k<TAB>caption, or is a table under a header with columns such as image and caption. A row
    with several caption columns is yielded once for each.

    Raises: cli.UserError naming the line.
    """
    head, whole = texts.head_text(path, 1 << 14)
    lines = head.split("\n") if whole else head.split("\n")[:-1]
    delimiter = tables.delimiter_of(lines, tables.CAPTION)
    yield from _table_rows(path, delimiter) if delimiter else _flickr_rows(path)


def _flickr_rows(path):
    """Yields (file name, caption) for lines NAME#k<TAB>caption. Raises: cli.UserError naming the line."""
    for number, line in readers.text_lines(path):
        try:
            yield corpora.flickr_line(line)
        except corpora.BadEntry as error:
            raise cli.UserError(f"{path}: line {number}: {error}, or a table under a header image,caption") from error


def _table_rows(path, delimiter):
    """Yields (file name, caption) for the rows of a table under a header. Raises: cli.UserError naming the line."""
    try:
        rows = tables.rows(texts.read(path), delimiter)
    except ValueError as error:
        raise cli.UserError(f"{path}: {error}") from error
    header = rows[0][1]
    image, places = tables.column(header, tables.IMAGE), tables.columns(header, tables.CAPTION)
    if image is None:
        raise cli.UserError(f"{path}: line 1 has the columns {', '.join(header)}; expected one called image")
    for number, cells in rows[1:]:
        if fault := tables.width_fault(cells, header, delimiter):
            raise cli.UserError(f"{path}: line {number}: {fault}")
        for place in places:
            yield with_extension(re.sub(r"#\d+$", "", cells[image])), cells[place]
