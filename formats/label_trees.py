"""Reads class names from label maps of the object-detection API, and from JSON and YAML.

`Labels` (formats/label_names.py) is a list of class names by class number.
"""

import functools
import re

from formats import readers
from formats.label_names import PLACEHOLDER, by_number, by_order

NAMES = ("names", "classes", "labels", "class_names", "classnames", "label_names", "categories", "id2label", "label2id")
NAMES += ("label_map", "labelmap", "class_to_idx", "idx_to_class", "id_to_name", "thing_classes", "objects")
COUNTS = ("nc", "num_classes", "number_of_classes")  # keys for the number of names
NUMBER = ("id", "index", "class_id", "label_id", "category_id", "number", "idx", "trainid")
NAME = ("display_name", "name", "class_name", "category_name", "label_name", "label", "class", "title", "category")

# --------------------------------------------------------------------------------------------------------------
# Label maps: StringIntLabelMap of the object-detection API in protobuf's text form


def is_label_map(text):
    """Returns whether a text begins like a label map, whatever its file name."""
    return bool(re.match(r"(?:\s|#.*\n)*item\s*:?\s*[{<]", text))


@functools.cache
def _message():
    """Returns the protobuf class of a label map, defined here because the object-detection API is not installed."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds = {"text": 9, "int": 5, "message": 11, "enum": 14}
    file = descriptor_pb2.FileDescriptorProto(name="unsupervised_captioning/label_map.proto", package="label_map")
    frequency = file.enum_type.add(name="Frequency")
    for number, name in enumerate(("UNSPECIFIED", "FREQUENT", "COMMON", "RARE")):
        frequency.value.add(name=name, number=number)
    fields = {
        "Keypoint": [("id", 1, "int", 1), ("label", 2, "text", 1)],
        "Item": [
            ("name", 1, "text", 1),
            ("id", 2, "int", 1),
            ("display_name", 3, "text", 1),
            ("keypoints", 4, "Keypoint", 3),
            ("ancestor_ids", 5, "int", 3),
            ("descendant_ids", 6, "int", 3),
            ("frequency", 7, "Frequency", 1),
            ("instance_count", 8, "int", 1),
        ],
        "Map": [("item", 1, "Item", 3)],
    }
    for message, entries in fields.items():
        described = file.message_type.add(name=message)
        for name, number, kind, label in entries:
            field = described.field.add(name=name, number=number, label=label)
            if kind in kinds:
                field.type = kinds[kind]
            else:
                field.type = kinds["enum" if kind == "Frequency" else "message"]
                field.type_name = f".label_map.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("label_map.Map"))


def of_label_map(text):
    """Returns the `Labels` in the text of a label map. Raises: ValueError naming the line or the item."""
    from google.protobuf import text_format

    try:
        found = text_format.Parse(text, _message()())
    except (text_format.ParseError, UnicodeError, RecursionError) as error:
        place = f"line {error.GetLine()}: " if getattr(error, "GetLine", lambda: None)() else ""
        reason = re.sub(r"^\d+:\d+ : |label_map\.", "", str(error))
        raise ValueError(f"not a label map ({place}{reason[:200]})") from error
    pairs = []
    for place, item in enumerate(found.item, 1):
        name = item.display_name or item.name
        if not name.strip() or not item.HasField("id"):
            shown = " ".join(text_format.MessageToString(item, as_one_line=True).split())[:80]
            raise ValueError(f"item {place} is {shown!r}, expected id: NUMBER and display_name (or name)")
        pairs.append((item.id, name, f"item {place}"))
    return by_number(pairs)


# --------------------------------------------------------------------------------------------------------------
# JSON and YAML


def is_tree(text):
    """Returns whether a text looks like JSON or YAML, and not like a plain list of names.

    It does if its first characters are typical of JSON or YAML, or if a line begins with a key of NAMES such as
    `names:`.
    """
    begins = re.match(r"\s*(?:\{|\[(?!\s*\d+\s*\]))", text)  # `[0] person` is a line with a number
    key = rf"^['\"]?(?:{'|'.join(NAMES)})['\"]?\s*:(?:\s|$)"
    return bool(
        begins or re.match(r"\s*---\s*\n\s*(?:- |\w+\s*:)", text) or re.search(key, text, re.MULTILINE | re.IGNORECASE)
    )


def of_tree(text):
    """Returns the `Labels` in a JSON or YAML text. Raises: ValueError naming the entry or the line."""
    return _of_value(_parsed(text))


class _Text(str):
    """A text in a YAML file. Attributes: line: its line number from 1, None if unknown."""

    line = None


def _parsed(text):
    """Returns the value of a JSON, JSON lines or YAML text. Raises: ValueError with the faults of all attempts."""
    try:
        return readers.parse_json(text, unique=True)
    except ValueError as error:
        fault = f"not JSON: {error}"
    lines = [line for line in text.split("\n") if line.strip()]
    if len(lines) > 1 and all(line.lstrip().startswith("{") and line.rstrip().endswith("}") for line in lines):
        return [readers.parse_json(line, unique=True) for line in lines]
    return _parsed_yaml(text, fault)


def _parsed_yaml(text, fault):
    """Returns the value of a YAML text; its texts are `_Text`.

    Args: fault: why the text is not JSON, for the message. Raises: ValueError.
    """
    import yaml

    try:
        node = yaml.compose(text, Loader=yaml.BaseLoader)
        return None if node is None else _value_of(node, {})
    except RecursionError as error:
        raise ValueError(f"{fault}; not YAML: nested too deeply") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}: " if mark else ""
        raise ValueError(f"{fault}; not YAML: {place}{getattr(error, 'problem', None) or error}"[:300]) from error


def _value_of(node, known):
    """Returns the value of a YAML node: dict, list or `_Text`.

    Args: known: dict id of a node -> its value; a node that an alias repeats gets the same object.
    Raises: ValueError for a key that is not a text, or occurs twice.
    """
    import yaml

    if id(node) in known:
        return known[id(node)]
    if isinstance(node, yaml.ScalarNode):
        value = known[id(node)] = _Text(node.value)
        value.line = node.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        value = known[id(node)] = []
        value += [_value_of(item, known) for item in node.value]
    else:
        value = known[id(node)] = {}
        for key, item in node.value:
            key = _value_of(key, known)
            if not isinstance(key, str) or key in value:
                raise ValueError(f"line {node.start_mark.line + 1}: {str(key)[:80]!r} is not a key, or occurs twice")
            value[key] = _value_of(item, known)
    return value


def _place(value, default):
    """Returns "line N" for a text with a line number, else `default`."""
    return f"line {value.line}" if getattr(value, "line", None) else default


def _number(value):
    """Returns an integer that is given as an int or as its decimal text; None for any other value."""
    if isinstance(value, str) and re.fullmatch(r"\s*-?\d{1,9}\s*", value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _name(value, place):
    """Returns the class name in an entry: a text, a list [synset, name], or an object with a key of NAME.

    Args: place: place of the entry in the file, for the message. Raises: ValueError for another value.
    """
    if value is None:
        return PLACEHOLDER
    if isinstance(value, str):
        return str(value)
    if isinstance(value, list) and value and all(isinstance(part, str) for part in value):
        return str(value[-1])  # ImageNet's ["n01440764", "tench"]
    found = _field(value, NAME) if isinstance(value, dict) else None
    if isinstance(found, str):
        return str(found)
    raise ValueError(f"{place} is {str(value)[:80]!r}, which is not a class name")


def _field(entry, keys):
    """Returns the value of the first of some keys that an object has, ignoring case; None without any of them."""
    lower = {str(key).casefold().replace("-", "_").replace(" ", "_"): value for key, value in entry.items()}
    return next((lower[key] for key in keys if key in lower), None)


def _of_value(value):
    """Returns the `Labels` in a JSON or YAML value. Raises: ValueError naming the entry that is wrong."""
    if isinstance(value, dict):
        return _of_object(value)
    if not isinstance(value, list):
        raise ValueError(f"found {str(value)[:80]!r}, expected a list or an object of names")
    if value and all(isinstance(entry, dict) for entry in value):
        return _of_records(value)
    if value and all(isinstance(entry, list) and len(entry) == 2 and _number(entry[0]) is not None for entry in value):
        return by_number([(_number(entry[0]), _name(entry[1], "entry"), f"entry {entry}") for entry in value])
    places = [(entry, _place(entry, f"entry {i}")) for i, entry in enumerate(value, 1)]
    return by_order([(_name(entry, place), place) for entry, place in places])


def _of_records(entries):
    """Returns the `Labels` in a list of objects with a name and an optional number, such as COCO's categories.

    Raises: ValueError, also if only some of the objects have a number.
    """
    places = [f"entry {i}" for i in range(1, len(entries) + 1)]
    names = [_name(entry, place) for entry, place in zip(entries, places, strict=True)]
    numbers = [_number(_field(entry, NUMBER)) for entry in entries]
    if all(number is None for number in numbers):
        return by_order(list(zip(names, places, strict=True)))
    if None in numbers:
        place = numbers.index(None)
        raise ValueError(f"{places[place]} is {str(entries[place])[:80]!r}, it has no number, unlike the others")
    return by_number(list(zip(numbers, names, places, strict=True)))


def _of_object(value):
    """Returns the `Labels` in an object: names by number, numbers by name, or either under a key of NAMES.

    Raises: ValueError for other keys or values, or a number of names that differs from the stated one.
    """
    inner = {key: part for key, part in value.items() if str(key).casefold() in NAMES}
    inner = {key: part for key, part in inner.items() if isinstance(part, dict | list)}
    if inner:
        labels = _of_value(next(iter(inner.values())))
        count = _number(_field(value, COUNTS))
        if count is not None and count != len(labels):
            raise ValueError(f"it states {count} classes but has {len(labels)} names")
        return labels
    if value and all(_number(key) is not None for key in value):
        places = {key: _place(key, f"entry {key}") for key in value}
        return by_number([(_number(key), _name(part, places[key]), places[key]) for key, part in value.items()])
    if value and all(_number(part) is not None for part in value.values()):
        return by_number([(_number(part), str(key), _place(key, f"entry {key}")) for key, part in value.items()])
    strange = next((key for key in value if _number(key) is None), "nothing")
    raise ValueError(
        f"{_place(strange, 'an object')} has {str(strange)[:80]!r}, expected numbers and names, or a list under one of "
        f"{', '.join(NAMES[:5])}"
    )
