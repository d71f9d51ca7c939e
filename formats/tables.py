"""Tables as people have them: columns between commas, semicolons, tabs or pipes, known by the words of their header."""

import csv
import io
import re

DELIMITERS = (",", ";", "\t", "|")
_SEPARATOR = re.compile(r"sep=.\s*")  # Excel's first line
LARGEST_CELL = 1 << 20  # characters; a longer one is a quote that was never closed

# What the header calls a column; the earlier word wins where several columns have one of them.
CAPTION = ("caption", "captions", "rawcaption", "imagecaption", "captiontext", "description", "sentence", "sentences")
CAPTION += ("text", "comment", "comments", "raw", "alttext", "alt", "title")
IMAGE = ("image", "imagename", "imagefile", "imagefilename", "filename", "file", "img", "imgname", "photo", "picture")
IMAGE += ("imagepath", "filepath", "path", "imageid", "imgid", "name", "id")


def word_of(cell):
    """A cell of a header without case, blanks and punctuation: "Image_Name" -> "imagename"."""
    return re.sub(r"[\W_]", "", cell.casefold())


def columns(header, words):
    """The indices of the columns that a header calls by one of `words`, the earliest word first, or by it and a number.

    image, caption_1, caption_2 has two columns of captions.
    """
    found = [re.sub(r"\d+$", "", word_of(cell)) for cell in header]
    chosen = next((word for word in words if word in found), None)
    return [i for i, word in enumerate(found) if word == chosen]


def column(header, words):
    """The index of the first of these columns; None without one."""
    return next(iter(columns(header, words)), None)


def delimiter_of(lines, words):
    """The delimiter of a table whose first line is a header with one of `words`; None if it is none.

    Args: lines: the first lines. words: tuple of words as `word_of` writes them.
    """
    first = next((line for line in lines if line.strip() and not _SEPARATOR.fullmatch(line)), "")
    for delimiter in DELIMITERS:
        cells = first.split(delimiter)
        if len(cells) > 1 and all(len(cell) <= 40 for cell in cells) and column(cells, words) is not None:
            return delimiter
    return None


def is_table(lines, delimiter):
    """Whether most lines have at least as many cells as the header; where they have fewer it is a sentence as well."""
    try:
        found = [cells for cells in csv.reader(lines, delimiter=delimiter, skipinitialspace=True) if cells]
    except csv.Error:
        return False
    return sum(len(cells) >= len(found[0]) for cells in found[1:]) >= 0.5 * len(found[1:])


def common_delimiter(lines):
    """The delimiter that splits all lines into the same number of cells, at least two; None if there is none."""
    for delimiter in DELIMITERS:
        try:
            widths = {len(cells) for cells in csv.reader(lines, delimiter=delimiter, skipinitialspace=True) if cells}
        except csv.Error:
            continue
        if len(widths) == 1 and widths != {1}:
            return delimiter
    return None


def rows(text, delimiter):
    """The rows of a table, its header among them: list of (number of the first line, cells without blanks around).

    A cell between double quotes may hold delimiters and line ends, and double quotes that stand twice. Where tabs or
    pipes stand between the cells, quotes are letters like others if they do not fit that rule. Empty lines are left
    out, and empty cells behind the last column of the header.

    Raises: ValueError naming the line.
    """
    try:
        found = _rows(text, delimiter, csv.QUOTE_MINIMAL)
        if delimiter in ",;" or all(len(cells) == len(found[0][1]) for _, cells in found):
            return found
    except ValueError:
        if delimiter in ",;":
            raise
    return _rows(text, delimiter, csv.QUOTE_NONE)


def _rows(text, delimiter, quoting):
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, strict=True, skipinitialspace=True
    )
    csv.field_size_limit(LARGEST_CELL)
    found, begin = [], 1
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            while found and len(cells) > len(found[0][1]) and not cells[-1]:
                cells.pop()
            if any(cells) and not (begin == 1 and _SEPARATOR.fullmatch(delimiter.join(cells) or "")):
                found.append((begin, cells))
            begin = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"line {begin}: no row of a table ({error})") from error
    return found


def width_fault(cells, header, delimiter):
    """What is wrong with a row that has not as many cells as the header; "" if it has."""
    if len(cells) == len(header):
        return ""
    name = {"\t": "a tab", "|": "a pipe"}.get(delimiter, f"{delimiter!r}")
    return (
        f"{len(cells)} cells, expected {len(header)} ({', '.join(header)})"[:200]
        + f"; a text with {name} in it stands between double quotes"
    )
