"""Reads tables with commas, semicolons, tabs or pipes as delimiters; the words of the header identify the columns."""

import csv
import io
import re

DELIMITERS = (",", ";", "\t", "|")
_SEPARATOR = re.compile(r"sep=.\s*")  # Excel's first line
LARGEST_CELL = 1 << 20  # characters; a longer cell comes from a quote that was never closed

# Header words of a column; if several columns have one of them, the earlier word is taken.
CAPTION = ("caption", "captions", "rawcaption", "imagecaption", "captiontext", "description", "sentence", "sentences")
CAPTION += ("text", "comment", "comments", "raw", "alttext", "alt", "title")
IMAGE = ("image", "imagename", "imagefile", "imagefilename", "filename", "file", "img", "imgname", "photo", "picture")
IMAGE += ("imagepath", "filepath", "path", "imageid", "imgid", "name", "id")


def word_of(cell):
    """Returns a header cell in lower case, without blanks and punctuation: "Image_Name" -> "imagename"."""
    return re.sub(r"[\W_]", "", cell.casefold())


def columns(header, words):
    """Returns the list of the indices of all columns with one header word: the first of `words` that the header has.

    A number at the end of a header cell is ignored, so image, caption_1, caption_2 has two columns of "caption". The
    list is empty if the header has none of the words.

    Args: header: cells of the header. words: tuple of words as `word_of` returns them, the preferred ones first.
    """
    found = [re.sub(r"\d+$", "", word_of(cell)) for cell in header]
    chosen = next((word for word in words if word in found), None)
    return [i for i, word in enumerate(found) if word == chosen]


def column(header, words):
    """Returns the index of the first column whose header is the most preferred word that occurs; None if none occurs.

    Args: header: cells of the header. words: tuple of words as `word_of` returns them, the preferred ones first.
    """
    return next(iter(columns(header, words)), None)


def delimiter_of(lines, words):
    """Returns the first of DELIMITERS that splits the first line into a header with one of `words`; None if none does.

    Blank lines and Excel's line `sep=;` before the header are skipped.

    Args: lines: first lines of the text. words: tuple of words as `word_of` returns them.
    """
    first = next((line for line in lines if line.strip() and not _SEPARATOR.fullmatch(line)), "")
    for delimiter in DELIMITERS:
        cells = first.split(delimiter)
        if len(cells) > 1 and all(len(cell) <= 40 for cell in cells) and column(cells, words) is not None:
            return delimiter
    return None


def is_table(lines, delimiter):
    """Returns whether at least half of the lines after the header have as many cells as the header, or more.

    If not, the lines are sentences, and the supposed header is one too.

    Args: lines: list of str, the header first. delimiter: one of DELIMITERS.
    """
    try:
        found = [cells for cells in csv.reader(lines, delimiter=delimiter, skipinitialspace=True) if cells]
    except csv.Error:
        return False
    return sum(len(cells) >= len(found[0]) for cells in found[1:]) >= 0.5 * len(found[1:])


def common_delimiter(lines):
    """Returns the delimiter that splits all lines into the same number (two or more) of cells; None if none does."""
    for delimiter in DELIMITERS:
        try:
            widths = {len(cells) for cells in csv.reader(lines, delimiter=delimiter, skipinitialspace=True) if cells}
        except csv.Error:
            continue
        if len(widths) == 1 and widths != {1}:
            return delimiter
    return None


def rows(text, delimiter):
    """Returns the rows of a table, the header first: list of (number of the row's first line, list of stripped cells).

    A cell in double quotes may contain delimiters, line ends, and doubled double quotes. With tabs or pipes as
    delimiters, quotes that do not fit this rule are ordinary characters. Empty lines are left out, and so are empty
    cells after the last column of the header.

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
    """Does the work of `rows` with one rule for quotes. Args: quoting: csv.QUOTE_MINIMAL or csv.QUOTE_NONE."""
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
        raise ValueError(f"line {begin}: not a row of a table ({error})") from error
    return found


def width_fault(cells, header, delimiter):
    """Returns an error message for a row that has not as many cells as the header; "" if it has.

    Args: cells: of the row. header: cells of the header. delimiter: one of DELIMITERS.
    """
    if len(cells) == len(header):
        return ""
    name = {"\t": "a tab", "|": "a pipe"}.get(delimiter, f"{delimiter!r}")
    return (
        f"{len(cells)} cells, expected {len(header)} ({', '.join(header)})"[:200]
        + f"; a text that contains {name} must be in double quotes"
    )
