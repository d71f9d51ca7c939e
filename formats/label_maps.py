"""Class names by number, from the files that detectors come with.

*.pbtxt   label map of the object-detection zoo: item { id: 1 name: "/m/01g317" display_name: "Person" }
*.csv     OpenImages' class descriptions, `/m/011k07,Tortoise` a line; classes are numbered from 1 in this order
others    one name a line; an empty line between others counts, like the placeholder `???`
"""

import csv
import re

import cli
from formats import readers

PLACEHOLDERS = ("???", "background")  # stand for no class
LARGEST_ID = 100_000  # a label map with larger numbers is no label map
_ITEM = re.compile(r"""item\s*\{((?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^{}"'])*)\}""")
_FIELD = re.compile(r"""\b(id|name|display_name)\s*:\s*(?:(\d+)|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')""")


def read_labels(path):
    """The class names of a file: list by number; numbers without a class have the placeholder `???`.

    Label maps and OpenImages' tables number their classes from 1, so their first entry is the placeholder.

    Raises: cli.UserError naming the file, and the line or item that is none.
    """
    if path.endswith(".pbtxt"):
        labels = _label_map(path)
    elif path.endswith(".csv"):
        labels = [PLACEHOLDERS[0], *_table(path)]
    else:
        labels = []
        for number, line in readers.text_lines(path):
            if number > LARGEST_ID:
                raise cli.UserError(f"{path}: more than {LARGEST_ID} lines, expected class names, one a line")
            labels += [PLACEHOLDERS[0]] * (number - 1 - len(labels)) + [line.strip()]
    if not any(label not in PLACEHOLDERS for label in labels):
        raise cli.UserError(f"{path}: no class names, expected one a line, a label map (.pbtxt) or OpenImages' .csv")
    return labels


def from_one(labels):
    """The same list for a network that numbers its classes from 1: line 1 of a plain list becomes class 1."""
    return labels if labels[0] in PLACEHOLDERS else [PLACEHOLDERS[0], *labels]


def _label_map(path):
    names = {}
    text = "\n".join(re.sub(r"^\s*#.*", "", line) for _, line in readers.text_lines(path))
    for item in _ITEM.findall(text):
        fields = {key: number or double or single for key, number, double, single in _FIELD.findall(item)}
        name = fields.get("display_name") or fields.get("name")
        if not name or not re.fullmatch("[0-9]{1,9}", fields.get("id", "")) or int(fields["id"]) > LARGEST_ID:
            raise cli.UserError(
                f"{path}: an item is {' '.join(item.split())[:80]!r}, expected id: NUMBER and display_name (or name)"
            )
        if names.setdefault(int(fields["id"]), name) != name:
            raise cli.UserError(f"{path}: class {fields['id']} stands twice, {names[int(fields['id'])]!r}, {name!r}")
    names = {number: re.sub(r"\\(.)", r"\1", name).strip() for number, name in names.items()}
    return [names.get(number, PLACEHOLDERS[0]) for number in range(max(names, default=-1) + 1)]


def _table(path):
    names = []
    for number, line in readers.text_lines(path):
        try:
            row = next(csv.reader([line]))
        except csv.Error as error:
            raise cli.UserError(f"{path}: line {number} is no line of a table ({error})") from error
        if number == 1 and row[0] == "LabelName":  # the heading of OpenImages' later releases
            continue
        if len(row) != 2 or not row[1].strip():
            raise cli.UserError(f"{path}: line {number} is {line[:80]!r}, expected `/m/011k07,Tortoise`")
        names.append(row[1].strip())
    return names
