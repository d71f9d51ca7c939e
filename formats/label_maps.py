"""Reads class names by number from the label files of detectors; the format is recognised by the content.

label maps   item { id: 1 name: "/m/01g317" display_name: "Person" }, of the object-detection API (.pbtxt)
JSON, YAML   a list of names; an object number -> name or name -> number; either of these as the value of a key
             `names`, `classes`, `labels` or `id2label`; COCO's {"categories": [{"id": 1, "name": "person"}]}
tables       OpenImages' `/m/011k07,Tortoise`; columns with a header such as id, name; ImageNet's `n01440764 tench`
lines        one name a line, empty lines between others count; or with the number before or after: `12: stop sign`

Numbers without a class, and those whose name says that there is none (`???`, `n/a`, `background`, a dash), get `???`.
"""

import collections

import cli
from formats import label_lines, label_trees, readers, texts
from formats.label_names import PLACEHOLDER, Labels, is_placeholder

EXPECTED = "class names, one a line, a label map (.pbtxt), JSON, YAML or a table"
COCO_GAPS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)  # numbers from 1 to 90 without a class
SHOWN = 2  # names printed before the last one


def read_labels(path):
    """Returns the class names in a file as `Labels`, a list by class number; unused numbers have the placeholder `???`.

    Label maps and OpenImages' tables number their classes from 1, so their first entry is the placeholder.

    Raises: cli.UserError naming the file, and the line or item that is not a class name.
    """
    text = texts.read(path, EXPECTED)
    try:
        labels = _labels(text, texts.unpacked_name(path).lower())
    except ValueError as error:
        raise readers.unreadable(path, str(error), EXPECTED) from error
    if all(map(is_placeholder, labels)):
        raise readers.unreadable(path, "no class names", EXPECTED)
    return labels


def _labels(text, name):
    """Returns the `Labels` in the text of a file. Raises: ValueError naming the line or item that is wrong.

    Args: name: file name in lower case, without the extension of a compression.
    """
    if label_trees.is_label_map(text) or name.endswith(".pbtxt"):
        return label_trees.of_label_map(text)
    if name.endswith((".json", ".yaml", ".yml")) or label_trees.is_tree(text):
        return label_trees.of_tree(text)
    return label_lines.of_lines(text, is_table=name.endswith((".csv", ".tsv")))


def names_of(labels):
    """Returns the list of the class names in `Labels`, without the placeholders for unused numbers."""
    return [name for name in labels if not is_placeholder(name)]


def describe(labels):
    """Returns a summary of `Labels` for messages, such as "80 classes: person, bicycle, … toothbrush".

    It also counts unused numbers and lists names that occur twice. Of the synonyms of a class it shows only the first.
    """
    names = [name.partition(",")[0].strip()[:40] for name in names_of(labels)]
    shown = ", ".join(names) if len(names) <= SHOWN + 1 else f"{', '.join(names[:SHOWN])}, … {names[-1]}"
    empty = len(labels) - len(names) - (labels[0] == PLACEHOLDER)
    gaps = f"; {empty} number{'s' * (empty > 1)} without a name" if empty else ""
    twice = [name for name, count in collections.Counter(names).items() if count > 1]
    gaps += f"; more than once: {', '.join(twice[:SHOWN])}{', …' * (len(twice) > SHOWN)}" if twice else ""
    return f"{len(names)} class{'es' * (len(names) > 1)}: {shown}{gaps}"


# --------------------------------------------------------------------------------------------------------------
# The numbers of a network


def from_one(labels):
    """Returns `Labels` for a network that numbers its classes from 1: the first name of a plain list becomes class 1.

    `Labels` that begin with a placeholder are returned unchanged.
    """
    return labels if is_placeholder(labels[0]) else labels.shifted()


def for_detector(labels, counts, path):
    """Returns labels that fit a detector; raises an error if their number does not.

    Changed is only one case: COCO's 80 names without numbers get placeholders for the gaps if the network has 90.

    Args:
      labels: `Labels`.
      counts: numbers of classes that are possible for the network, such as (90,); empty if the network does not state
        it.
      path: file of the labels, for messages.

    Returns: (`labels` itself or new Labels, message about what was changed or "").
    Raises: cli.UserError: the names do not fit the number of classes.
    """
    first = 1 if is_placeholder(labels[0]) else 0
    plain_coco = not labels.numbered and _are_coco(labels[first:])
    if plain_coco and not counts:
        raise cli.UserError(
            f"{path}: COCO's 80 names without gaps, and the network does not tell whether it numbers its classes up to "
            "80 or, as the object-detection API does, up to 90. For that give data/coco_labels.txt, else give the "
            "numbers in the file (`0: person`)"
        )
    names = [number for number, name in enumerate(labels[first:], 1) if not is_placeholder(name)]
    fits = names[-1] <= max(counts, default=names[-1]) and (
        labels.numbered or len(labels) - first >= min(counts, default=0)
    )
    if fits:
        return labels, ""
    if plain_coco and 90 in counts:
        order = iter(labels[first:])
        filled = [PLACEHOLDER if number in COCO_GAPS else next(order) for number in range(1, 91)]
        note = f"{path}: COCO's 80 names without gaps; the network numbers them up to 90, so the gaps were put in"
        return Labels([*labels[:first], *filled], numbered=True), note
    raise cli.UserError(
        f"{path}: names for the numbers up to {len(labels) - first} ({describe(labels)}), but the network tells "
        f"{' or '.join(map(str, counts))} classes apart: names would be shifted. Expected a name for each of its "
        "numbers, in their order (??? where a number has no class), or numbers in the file (`12: stop sign`)"
    )


def _are_coco(names):
    """Returns whether a list of names is COCO's 80 classes in order.

    Only some names are compared, because others have several spellings (aeroplane, sofa, tvmonitor).
    """
    known = {0: "person", 2: "car", 14: "bird", 15: "cat", 16: "dog", 17: "horse", 39: "bottle", 79: "toothbrush"}
    return len(names) == 80 and all(names[number].casefold() == name for number, name in known.items())


def for_classifier(labels, columns, path):
    """Returns labels with one entry for each score of a classifier.

    If the numbers differ, a placeholder (the background) is added or removed at the beginning, or placeholders are
    added after numbered labels.

    Args:
      labels: `Labels`.
      columns: number of the classifier's scores.
      path: file of the labels, for messages.

    Returns: (`labels` itself or new Labels, message about what was changed or "").
    Raises: cli.UserError: the names do not fit the number of scores.
    """
    if len(labels) == columns:
        return labels, ""
    if len(labels) == columns + 1 and is_placeholder(labels[0]):
        return Labels(labels[1:], labels.numbered), f"{path}: the first line stands for no class of the network"
    if labels.numbered and len(labels) < columns:
        return Labels([*labels, *[PLACEHOLDER] * (columns - len(labels))], True), ""
    if len(labels) == columns - 1 and not is_placeholder(labels[0]):
        return labels.shifted(), f"{path}: one name less than the network has scores, so its first one is background"
    raise cli.UserError(f"{path}: {describe(labels)}, but the network has {columns} scores; expected a name for each")
