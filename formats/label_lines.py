"""Reads class names from text files: one name a line, with a class number before or after it, or in a table.

`Labels` (formats/label_names.py) is a list of class names by class number.
"""

import re

from formats import tables
from formats.label_names import PLACEHOLDER, Labels, by_number, by_order, is_placeholder

SHARE = 0.5  # share of the lines that a rule must fit to be chosen; then the other lines are errors
# `12: stop sign`, `12=stop sign`, `12  stop sign`, `12. stop sign`, `[12] stop sign`, `"12": "stop sign",`, `12`
_BEFORE = re.compile(r"""[\[({#"']*\s*(-?\d{1,6})\s*[\])}"']*(?:\s*(?:->|=>|[:=,;|.)>\u2013\u2014-])\s*|\s+|$)(.*)""")
_BEHIND = re.compile(
    r"""(.*?\S)(?:\s*(?:->|=>|[:=,;|])\s*|\s+)[\[("']*(\d{1,6})[\])"']*"""
)  # number after the name: `/a/airfield 0`
_SYNSET = re.compile(r"n\d{8}[\s,;:|]+(.*)")  # ImageNet's, before the name
_OPEN_IMAGES = re.compile(r"/[mgt]/\w+\s*[,;|\t ]\s*(.*)")
_PLACES = re.compile(r"/[a-z]/([a-z].*)")  # names of Places
# What a name cannot contain: brackets and quotes of other formats, `key: value`, comments, control characters.
_STRANGE = re.compile(r"""[{}<>="`\\\x00-\x1f\x7f]|:(?:\s|$|//)|^\[|(?:^|\s)(?://|#|%)""")
_BULLET = re.compile(r"[-*\u2022]\s+(.*)")

NUMBER = ("id", "index", "classid", "classindex", "labelid", "categoryid", "number", "class", "label", "no", "nr")
NAME = ("displayname", "classname", "categoryname", "objectname", "labelname", "name", "label", "class", "title")
NAME += ("category", "classes", "names", "labels", "object")


def of_lines(text, is_table=False):
    """Returns the `Labels` in the text of a file. The form of the lines is recognised by their content.

    Args: is_table: whether the file name says that it is a table (.csv, .tsv).
    Raises: ValueError naming the line that does not have the form of the others.
    """
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1)]
    while lines and not lines[-1][1]:
        lines.pop()
    while lines and not lines[0][1]:
        lines.pop(0)
    full = [line for _, line in lines if line]
    if not full:
        return Labels()
    if len(full) > 1 and full[0][-1] in ",;" and all(line[-1] == full[0][-1] for line in full[:-1]):  # after each name
        lines = [(number, line.rstrip(full[0][-1]).rstrip()) for number, line in lines]
        full, text = [line for _, line in lines if line], "\n".join(line for _, line in lines)
    if _fits(_OPEN_IMAGES, full) and not any(map(_BEFORE.fullmatch, full)):
        return by_order(_stripped(_OPEN_IMAGES, lines, "`/m/011k07,Tortoise`", header=True)).shifted()
    if delimiter := _delimiter(full, is_table):
        return _of_table(text, delimiter)
    for rule in (_SYNSET, _PLACES, _BULLET):
        if _fits(rule, full):
            lines = _stripped(rule, lines, f"a line like {full[-1][:40]!r}")
            full = [line for _, line in lines if line]
    if _fits(_BEFORE, full):
        return _numbered(lines, _BEFORE, 1, 2)
    if len(full) > 1 and all(map(_BEHIND.fullmatch, full)):
        if not _counts_up(full):
            raise ValueError(f"line {lines[0][0]} is {full[0][:80]!r}; the numbers after the names do not count up")
        return _numbered(lines, _BEHIND, 2, 1)
    return _plain(lines, full, is_table)


def _fits(rule, lines):
    """Returns whether a regular expression matches at least the share SHARE of the lines.

    If so, the file has this form, and a line that does not match is an error.

    Args: rule: compiled regular expression. lines: list of str.
    """
    return sum(bool(rule.fullmatch(line)) for line in lines) >= SHARE * len(lines)


def _place(number):
    """Returns the place of a line for a message: "line N". Args: number: line number from 1."""
    return f"line {number}"


def _stripped(rule, lines, expected, header=False):
    """Returns the lines reduced to the first group of a regular expression, e.g. without class ids or bullets.

    Args:
      rule: compiled regular expression for a whole line.
      lines: list of (line number, text).
      expected: form of a correct line, for the message of the error.
      header: whether the first line may be the header of a table, which is left out.

    Returns: list of (line number, text); with `header` list of (class name, place such as "line 3").
    Raises: ValueError for a line that the expression does not match.
    """
    found = []
    for number, line in lines:
        match = rule.fullmatch(line)
        if line and not match:
            if header and not found and tables.column(re.split("[,;|\t]", line), NAME) is not None:
                continue
            raise ValueError(f"line {number} is {line[:80]!r}, expected {expected}")
        found.append((number, match[1].strip() if match else ""))
    return [(_name(text, _place(number)), _place(number)) for number, text in found] if header else found


def _name(text, place):
    """Returns a class name without the comma after it and the quotes around it, or the placeholder for "no class".

    Args: place: place of the name in the file, such as "line 3", for the message of the error.
    Raises: ValueError if the text is not a class name.
    """
    name = text.removesuffix(",").strip()
    if len(name) > 1 and name[0] == name[-1] and name[0] in "\"'":
        name = name[1:-1].strip()
    if any(map(str.isalpha, name)) and is_placeholder(
        name
    ):  # <none>, #N/A; signs without letters may belong to other formats
        return PLACEHOLDER
    if _STRANGE.search(name):
        raise ValueError(f"{place} is {text[:80]!r}, which is not a class name")
    return name or PLACEHOLDER


def _numbered(lines, rule, number_group, name_group):
    """Returns the `Labels` of lines with a class number each.

    Args:
      lines: list of (line number, text).
      rule: compiled regular expression for a line; number_group and name_group are the groups of its number and name.

    Raises: ValueError for a line without a number, a wrong number or name, or a number with two names.
    """
    pairs = []
    for number, line in lines:
        match = rule.fullmatch(line)
        if line and not match:
            raise ValueError(f"line {number} is {line[:80]!r}, which has no number, unlike the other lines")
        if match:
            place = _place(number)
            pairs.append((int(match[number_group]), _name(match[name_group], place), place))
    return by_number(pairs)


def _counts_up(lines):
    """Returns whether the numbers after the names are class numbers, not parts of names such as Boeing 707.

    They are if all differ, start with 0 or 1, and are consecutive or almost so. Args: lines: texts that match
    `_BEHIND`.
    """
    numbers = [int(_BEHIND.fullmatch(line)[2]) for line in lines]
    ordered = sorted(set(numbers))
    if len(ordered) < len(numbers) or ordered[0] > 1:
        return False
    dense = ordered[-1] - ordered[0] == len(ordered) - 1
    return dense or (ordered == numbers and ordered[-1] < 2 * len(numbers) + 10)


def _plain(lines, full, is_table):
    """Returns the `Labels` of lines with one name each, numbered in their order.

    Args:
      lines: list of (line number, text). full: texts of the lines that are not empty.
      is_table: whether the first line may be the header of a table with one column.

    Raises: ValueError for a line that is not a class name, or a single line with several names.
    """
    if len(full) == 1 and re.search(r"[,;|\t]", full[0].rstrip(",;")):
        raise ValueError(f"{_place(lines[0][0])} is {full[0][:80]!r}: several names in one line")
    begin = 1 if is_table and len(full) > 1 and tables.word_of(full[0]) in NAME else 0  # the header of one column
    return by_order([(_name(line, _place(number)), _place(number)) for number, line in lines[begin:]])


# --------------------------------------------------------------------------------------------------------------
# Tables


_NUMBER_CELL = re.compile(r"""[\[(#"']*(-?\d{1,6})[\])"']*""")


def _delimiter(lines, is_table):
    """Returns the delimiter of a table, found by its header or equal numbers of cells in all lines; else None.

    Args: lines: list of texts. is_table: whether the file name says that it is a table.
    """
    if delimiter := tables.delimiter_of(lines, NAME):
        header = lines[0].split(delimiter)
        known = sum(tables.word_of(cell) in NAME + NUMBER for cell in header)
        if known > 1 or (known and len(lines) > 1 and any(map(str.isdigit, lines[1].split(delimiter)))):
            return delimiter
    found = tables.common_delimiter(lines)
    return found if found and (is_table or found in ";\t|") else None


def _of_table(text, delimiter):
    """Returns the `Labels` of a table; the columns of names and numbers are found by the header and by their content.

    Raises: ValueError if a row has not as many cells as the header, or no column contains names.
    """
    rows = tables.rows(text, delimiter)
    header = rows[0][1]
    if not _is_header(header):
        header = None
    for number, cells in rows[1:]:
        if len(cells) != len(rows[0][1]):
            raise ValueError(f"line {number}: {tables.width_fault(cells, rows[0][1], delimiter)}")
    body = rows[1:] if header else rows
    if not body:
        return Labels()
    columns = [[cells[i] for _, cells in body] for i in range(len(rows[0][1]))]
    kinds = [_kind(column) for column in columns]
    places = [_place(number) for number, _ in body]
    name = _name_column(header, kinds)
    if name is None:
        raise ValueError(f"line {rows[0][0]} has the columns {rows[0][1]}, and none is called name, label or class")
    names = [cell or PLACEHOLDER for cell in columns[name]]
    if (number := _number_column(header, kinds)) is not None:
        numbers = [int(_NUMBER_CELL.fullmatch(cell)[1]) for cell in columns[number]]
        return by_number(list(zip(numbers, names, places, strict=True)))
    labels = by_order(list(zip(names, places, strict=True)))
    return labels.shifted() if "open images" in kinds else labels


def _is_header(cells):
    """Returns whether the cells of a first row are a header: one is a word of NAME, and none is a number."""
    words = [tables.word_of(cell) for cell in cells]
    return any(word in NAME for word in words) and not any(word.isdigit() for word in words)


def _kind(cells):
    """Returns the kind of a column of cells: "number", "open images" (ids /m/…), "synset" (n12345678) or "text"."""
    if all(map(_NUMBER_CELL.fullmatch, cells)):
        return "number"
    if all(re.fullmatch(r"/[mgt]/\w+", cell) for cell in cells):
        return "open images"
    return "synset" if all(re.fullmatch(r"n\d{8}", cell) for cell in cells) else "text"


def _number_column(header, kinds):
    """Returns the index of the column of class numbers; None if there is none.

    With a header, a column of numbers is used only if its header word says that they are class numbers, not e.g.
    counts.

    Args: header: list of cells, or None. kinds: list of the columns' kinds, from `_kind`.
    """
    numbers = [i for i, kind in enumerate(kinds) if kind == "number"]
    if not header:
        return numbers[0] if numbers else None
    words = {i: tables.word_of(header[i]) for i in numbers}
    return next((i for word in (*NUMBER, "") for i in numbers if words[i] == word), None)


def _name_column(header, kinds):
    """Returns the index of the column of class names; None if it cannot be determined.

    With a header it is the text column with one of the words NAME. Without a header it is the only text column; of
    several text columns the first, unless the first column of the table is text too.

    Args: header: list of cells, or None. kinds: list of the columns' kinds, from `_kind`.
    """
    texts = [i for i, kind in enumerate(kinds) if kind == "text"]
    if not header:
        return texts[0] if len(texts) == 1 or (texts and texts[0] != 0) else None
    words = [tables.word_of(cell) if i in texts else "" for i, cell in enumerate(header)]
    return next((words.index(word) for word in NAME if word in words), None)
