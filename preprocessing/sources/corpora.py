"""Reads sentence corpora in several formats.

    text     one text a line
    jsonl    one JSON object a line with "description", "caption", "text" or "sentence" (a text), or "captions" (a list)
    gcc      Conceptual Captions: caption<TAB>URL
    flickr   captions of Flickr8k or Flickr30k: NAME#k<TAB>caption
    table    columns between commas, semicolons, tabs or pipes under a header with "caption", "comment", "sentence", …
    crawl    the authors' crawl dumps NNNN.json: {page: [{"description": text, ...}, ...]}
    coco     COCO's official captions: {"annotations": [{"caption": text, ...}, ...]}
    karpathy Karpathy's lists: {"images": [{"sentences": [{"raw": text, ...}, ...], ...}, ...]}

A file is given as PATH, and its format is recognised by its content (corpus_files.py), or as FORMAT:PATH.
Source: Feng et al. 2019, section 4.1, for the descriptions; Conceptual Captions, COCO and Flickr as published.
"""

import functools
import json

import cli
from formats import readers, tables, texts
from preprocessing.sharding import shards

TEXT_KEYS = ("description", "caption", "text", "sentence")
BAD_KEPT = 20  # bad entries of a piece that are reported; all are counted


class BadEntry(Exception):
    """Raised for a line or object of a corpus that does not fit its format."""


class BadEntries:
    """Counts the entries (lines, objects) of a corpus that do not fit its format, and keeps messages on the first ones.

    Attributes: count: int. named: list of messages "FILE: PLACE: FAULT", at most BAD_KEPT.
    """

    def __init__(self):
        self.count, self.named = 0, []

    def add(self, place, fault):
        """Counts a bad entry, and keeps a message on it if it is one of the first BAD_KEPT.

        Args:
          place: function without arguments that returns "FILE: PLACE"; called only for a message that is kept, because
            finding a line's number reads the file.
          fault: what is wrong with the entry, a text or an exception.
        """
        self.count += 1
        if len(self.named) < BAD_KEPT:
            self.named.append(f"{place()}: {fault}")


# --------------------------------------------------------------------------------------------------------------
# One line or one object -> its texts


def _text_line(line):
    """Returns the list of the texts in a line of plain text: the line itself."""
    return [line]


def _jsonl_line(line):
    """Returns the list of the texts in a line of JSON, [None] for an object without a text; [] for an empty line.

    Raises: BadEntry.
    """
    if not line.strip():
        return []
    try:
        value = readers.parse_json(line)
    except ValueError as error:
        raise BadEntry(f"{getattr(error, 'msg', error)}") from error
    if not isinstance(value, dict):
        return _object_texts(value, TEXT_KEYS)
    known = [key for key in ("captions", *TEXT_KEYS) if key in value]
    place = tables.column(value, tables.CAPTION) if not known else None
    found = value[known[0]] if known else None if place is None else list(value.values())[place]
    return _checked(found if isinstance(found, list) else [found], value)


def _object_texts(value, keys):
    """Returns a list of one text, the value of the first of `keys` that a JSON object has; [None] if it has none.

    Raises: BadEntry if the value is not an object, or its text is not a string.
    """
    if not isinstance(value, dict):
        raise BadEntry(f'expected an object with "{keys[0]}", found {str(value)[:80]!r}')
    return _checked([next((value[key] for key in keys if key in value), None)], value)


def _checked(found, value):
    """Returns the list `found` unchanged; `value` is not used.

    Raises: BadEntry if an element of `found` is neither a string nor None.
    """
    if not all(text is None or isinstance(text, str) for text in found):
        wrong = next(text for text in found if text is not None and not isinstance(text, str))
        raise BadEntry(f"the description is not a text but {str(wrong)[:80]!r}")
    return found


def gcc_line(line):
    """Returns [caption] for a line (str) caption<TAB>URL. Raises: BadEntry for another line."""
    caption, tab, url = line.partition("\t")
    if not tab or "\t" in url or "://" not in url:
        raise BadEntry(f"expected caption<TAB>URL, found {line[:80]!r}")
    return [caption]


def flickr_line(line):
    """Returns (file name, caption) for a line (str) NAME#k<TAB>caption. Raises: BadEntry for another line."""
    key, tab, text = line.partition("\t")
    name, mark, index = key.rpartition("#")
    if not tab or not mark or not name or not index.strip().isdigit():
        raise BadEntry(f"expected NAME#k<TAB>caption, found {line[:80]!r}")
    return name, text.strip()


# --------------------------------------------------------------------------------------------------------------
# One JSON file -> its objects, each with its place in the file


def _crawl_objects(value):
    """Yields (place in the file as text, JSON object, tuple of the keys of its text) for a crawl dump."""
    for page, objects in value.items():
        for number, item in enumerate(objects, 1):
            yield f"page {page}, object {number}", item, ("description",)


def _coco_objects(value):
    """Yields (place in the file as text, JSON object, tuple of the keys of its text) for COCO captions."""
    for number, item in enumerate(value["annotations"], 1):
        yield f"annotation {number}", item, ("caption",)


def _karpathy_objects(value):
    """Yields (place in the file as text, JSON object, tuple of the keys of its text) for a Karpathy list."""
    for number, image in enumerate(value["images"], 1):
        sentences = image.get("sentences") if isinstance(image, dict) else None
        if not isinstance(sentences, list):
            yield f"image {number}", image, ("sentences",)  # reported as a bad entry by the reader
            continue
        for k, sentence in enumerate(sentences, 1):
            yield f"image {number}, sentence {k}", sentence, ("raw",)


def _has_objects(value, key, inner):
    """Returns whether value[key] of a JSON value is a list whose first element is an object with the key `inner`."""
    entries = value.get(key) if isinstance(value, dict) else None
    return isinstance(entries, list) and bool(entries) and isinstance(entries[0], dict) and inner in entries[0]


def _is_crawl(value):
    """Returns whether a JSON value is a crawl dump, an object of lists."""
    return isinstance(value, dict) and all(isinstance(page, list) for page in value.values()) and "images" not in value


LINE_FORMATS = {
    "text": _text_line,
    "jsonl": _jsonl_line,
    "gcc": gcc_line,
    "flickr": lambda line: [flickr_line(line)[1]],
}
# format -> (whether a value is of this format, its objects, what is expected)
JSON_FORMATS = {
    "coco": (lambda value: _has_objects(value, "annotations", "caption"), _coco_objects, '{"annotations": [...]}'),
    "karpathy": (lambda value: _has_objects(value, "images", "sentences"), _karpathy_objects, '{"images": [...]}'),
    "crawl": (_is_crawl, _crawl_objects, "a crawl dump {page: [objects]}"),
}
FORMATS = (*LINE_FORMATS, "table", *JSON_FORMATS)


def is_whole(format):
    """Returns whether a file of a format must be read as a whole, so that it cannot be split into pieces between lines.

    Args: format: one of FORMATS.
    """
    return format not in LINE_FORMATS


# --------------------------------------------------------------------------------------------------------------
# Reading


def read(piece, format, bad):
    """Yields the texts (str) in a piece of a corpus, and None for each JSON object or table cell without a text.

    Args:
      piece: shards.Piece, a range of lines of a file in UTF-8; the whole file if `is_whole(format)`.
      format: one of FORMATS.
      bad: BadEntries, to which entries that cannot be read are added.

    Raises: cli.UserError when the file is not of this format, or cannot be read at all.
    """
    if format == "table":
        yield from _table_texts(piece, bad)
    elif is_whole(format):
        yield from _json_texts(piece, format, bad)
    else:
        yield from _line_texts(piece, LINE_FORMATS[format], bad)


def _line_texts(piece, parse, bad):
    """Yields the texts of a piece with one entry a line.

    Args: parse: function of a line (str) that returns the list of its texts. bad: BadEntries, is changed.
    """
    for index, line in enumerate(shards.lines_of(piece)):
        try:
            found = parse(line.decode())
        except UnicodeDecodeError as error:
            fault = f"{texts.bad_byte(error)} is not UTF-8; name the encoding by --encoding, such as cp1252"
            bad.add(functools.partial(_line_place, piece, index), fault)
            continue
        except BadEntry as error:
            bad.add(functools.partial(_line_place, piece, index), error)
            continue
        yield from found


def _line_place(piece, index):
    """Returns "FILE: line N" for line `index` (from 0) of a Piece."""
    return f"{piece.shown}: line {shards.line_number(piece, index)}"


def _json_texts(piece, format, bad):
    """Yields the texts in a JSON file, None for an object without one.

    Raises: cli.UserError if it has another format.
    """
    fits, objects, expected = JSON_FORMATS[format]
    value = readers.read_json(piece.path)
    if not fits(value):
        raise cli.UserError(f"{piece.shown}: expected {expected}; is it another kind of file?")
    for place, item, keys in objects(value):
        try:
            found = _object_texts(item, keys)
        except BadEntry as error:
            bad.add(lambda place=place: f"{piece.shown}: {place}", error)
            continue
        yield from found


def _table_texts(piece, bad):
    """Yields the texts in the caption columns of a table, None for an empty cell. Raises: cli.UserError."""
    text = texts.read(piece.path)
    delimiter = tables.delimiter_of(text[: 1 << 16].split("\n"), tables.CAPTION) or "\t"  # one column
    try:
        rows = tables.rows(text, delimiter)
    except ValueError as error:
        raise cli.UserError(f"{piece.shown}: {error}") from error
    header = rows[0][1] if rows else []
    places = tables.columns(header, tables.CAPTION)
    if not places:
        raise cli.UserError(
            f"{piece.shown}: a table with the columns {', '.join(header)[:200]!r}; expected one called caption, "
            "comment, sentence, description or text: name it so in the first line"
        )
    for number, cells in rows[1:]:
        if fault := tables.width_fault(cells, header, delimiter):
            bad.add(lambda number=number: f"{piece.shown}: line {number}", fault)
        else:
            for place in places:
                yield from _cell_texts(cells[place])


def _cell_texts(cell):
    """Returns the texts in a cell: a list of one, those of a JSON list (Flickr30k's `raw`), or [None] if empty."""
    if cell.startswith("[") and cell.endswith("]"):
        try:
            found = json.loads(cell)
        except (ValueError, RecursionError):
            return [cell]
        if isinstance(found, list) and all(isinstance(text, str) for text in found):
            return found
    return [cell or None]
