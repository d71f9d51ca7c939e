"""Writes the labels of a classifier or detector with their hypernyms (more general terms), from WordNet or Open Images.

    python -m nltk.downloader wordnet
    python -m preprocessing.label_hypernyms --synsets imagenet_synsets.txt --output data/imagenet_labels.txt
    python -m preprocessing.label_hypernyms --hierarchy bbox_labels_600_hierarchy.json \
        --descriptions class-descriptions-boxable.csv --labels openimages_labels.txt --output data/openimages_labels.txt

A corpus mentions dogs and mountains, a classifier has labels such as borzoi and alp. A line of the output has the names
of one label, then those of its hypernyms, nearest first: `classifier_words --labels` takes the first name that occurs
in the corpus. Hypernyms of too many labels ("animal", "device") are too general and are left out.

The file --synsets has one line for each label: its WordNet 3.0 synset in ImageNet's notation, such as n02090622. The
files --hierarchy and --descriptions are those that Open Images publishes; --labels has the detector's own class names,
one a line, in its order.
"""

import collections
import dataclasses
import os
import re

import cli
import experiments
from formats import readers, sidecars, texts


@dataclasses.dataclass(frozen=True)
class Options:
    """Settings of label_hypernyms."""

    synsets: str = cli.field("", "file with the synset of each label, one a line: n02090622")
    hierarchy: str = cli.field("", "in place of --synsets: the hierarchy of Open Images, a JSON file")
    descriptions: str = cli.field("", "with --hierarchy: CSV file of Open Images, lines such as /m/01g317,Person")
    labels: str = cli.field(
        "", "with --hierarchy: class names of the detector, one a line; empty: all of --descriptions"
    )
    output: str = cli.field("data/imagenet_labels.txt", "the file to write")
    widest: float = cli.field(0.125, "hypernyms of more than this share of the labels are left out")

    def outputs(self):
        """Returns two tuples of paths, (files, folders): what the command writes; `cli.run` checks that it can."""
        return (self.output,), ()


def hypernyms(synset):
    """Returns the list of all hypernyms (nltk synsets) of an nltk synset, nearest first, without the synset itself."""
    return list(synset.closure(lambda s: s.hypernyms() + s.instance_hypernyms()))


def lines(synsets, widest):
    """Returns a list with one text for each label: its names, then those of its hypernyms, separated by commas.

    Args:
      synsets: list of nltk synsets, one for each label.
      widest: hypernyms of more than this share (0 to 1) of the labels are left out.
    """
    above = narrow([hypernyms(synset) for synset in synsets], widest)
    result = []
    for synset, several in zip(synsets, above, strict=True):
        names = [name.replace("_", " ") for s in [synset, *several] for name in s.lemma_names()]
        result.append(", ".join(dict.fromkeys(names)))
    return result


def narrow(above, widest):
    """Returns the hypernyms of each label without those of more than the share `widest` (0 to 1) of the labels.

    Args: above: list with one list of hypernyms for each label, each hypernym at most once.
    """
    covers = collections.Counter(hypernym for several in above for hypernym in several)
    return [[hypernym for hypernym in several if covers[hypernym] <= widest * len(above)] for several in above]


def ancestors(tree):
    """Returns the ancestors of each class of Open Images: dict class -> list of classes, nearest first.

    A class that stands below several others has the ancestors of all of them, in the order of the file. Parts ("wheel"
    of "car") have no ancestor through the whole.

    Args: tree: dict "LabelName", and "Subcategory" and "Part", lists of such dicts.
    Raises: ValueError for another form.
    """
    found, waiting = {}, [(tree, [])]
    while waiting:
        node, above = waiting.pop(0)
        if not isinstance(node, dict) or not isinstance(node.get("LabelName"), str):
            raise ValueError(f"expected an object with LabelName, found {str(node)[:60]}")
        name = node["LabelName"]
        found[name] = list(dict.fromkeys([*found.get(name, []), *above]))
        waiting += [(child, [name, *above]) for child in node.get("Subcategory", [])]
        waiting += [(part, []) for part in node.get("Part", [])]
    return found


def lines_of_hierarchy(tree, names, labels, widest):
    """Returns (lines, unknown): one text for each label, its name, then those of its ancestors, separated by commas.

    `unknown` is the list of labels that are no class; they have no ancestors. The label "Bat (Animal)" is the class
    "Bat", whose name follows it.

    Args: tree: as for `ancestors`. names: dict class -> name, e.g. "/m/0bt9lr" -> "Dog"; a class without a name, such
      as the root, is left out. labels: list of names, in any case. widest: as for `narrow`.
    Raises: ValueError for another form of the tree.
    """
    of = ancestors(tree)
    class_of = {name.lower(): one for one, name in names.items()}
    plain = [re.sub(r"\s*\(.*\)", "", label) for label in labels]
    classes = [class_of.get(label.lower()) for label in plain]
    above = narrow([[names[one] for one in of.get(name, []) if one in names] for name in classes], widest)
    unknown = [label for label, name in zip(labels, classes, strict=True) if name is None]
    parts = zip(labels, plain, above, strict=True)
    return [", ".join(dict.fromkeys([label, name, *several])) for label, name, several in parts], unknown


def read_hierarchy(options):
    """Returns the lines of --hierarchy, --descriptions and --labels. Args: options: Options.

    Raises: cli.UserError if a file cannot be read or they do not fit together.
    """
    tree = readers.read_json(options.hierarchy, "the hierarchy of Open Images, bbox_labels_600_hierarchy.json", dict)
    rows = [line.strip() for line in texts.read(options.descriptions, "lines such as /m/01g317,Person").splitlines()]
    pairs = [re.fullmatch(r'(/[mg]/\w+)[,;]"?(.+?)"?', row) for row in rows if row]  # both separators are about
    if None in pairs:
        wrong = [row for row in rows if row][pairs.index(None)]
        raise cli.UserError(f"--descriptions {options.descriptions}: {wrong!r}; expected /m/01g317,Person")
    names = {pair[1]: pair[2] for pair in pairs}
    labels = texts.read(options.labels).splitlines() if options.labels else list(names.values())
    try:
        labels = [label.strip() for label in labels if label.strip()]
        found, unknown = lines_of_hierarchy(tree, names, labels, options.widest)
    except ValueError as error:
        raise cli.UserError(f"--hierarchy {options.hierarchy}: {error}") from error
    if unknown:
        print(f"NOTE: {len(unknown)} labels are no class of --descriptions and stand alone: {', '.join(unknown)}")
    return found


def read_synsets(path):
    """Returns the list of the nltk synsets that a file names in ImageNet's notation (n02090622), in its order.

    Raises: cli.UserError for a name that is not a noun synset, or if WordNet is missing.
    """
    from nltk.corpus import wordnet

    numbers = texts.read(path).split()
    found = []
    for number in numbers:
        if not re.fullmatch(r"n\d{8}", number):
            raise cli.UserError(f"--synsets {path}: {number!r} is not a noun synset; expected e.g. n02090622")
        try:
            found.append(wordnet.synset_from_pos_and_offset("n", int(number[1:])))
        except LookupError as error:
            raise cli.UserError("WordNet is missing. Get it with: python -m nltk.downloader wordnet") from error
        if found[-1] is None:
            version = wordnet.get_version()
            raise cli.UserError(f"--synsets {path}: {number} is not in WordNet {version}; expected 3.0")
    return found


def main(options):
    """Writes the file of labels with their hypernyms.

    Raises: cli.UserError if a setting is out of range or --synsets cannot be read.
    """
    if bool(options.hierarchy) == bool(options.synsets) or bool(options.hierarchy) != bool(options.descriptions):
        raise cli.UserError("expected either --synsets FILE, or --hierarchy FILE and --descriptions FILE")
    if not 0 < options.widest <= 1:
        raise cli.UserError(f"--widest {options.widest}: expected a share above 0, at most 1")
    if options.synsets and not os.path.isfile(options.synsets):
        raise cli.UserError(f"--synsets {options.synsets!r}: no such file; expected lines such as n02090622")
    found = read_hierarchy(options) if options.hierarchy else lines(read_synsets(options.synsets), options.widest)
    sidecars.write_whole(options.output, "".join(f"{line}\n" for line in found))
    print(f"{options.output}: {len(found)} labels")


if __name__ == "__main__":
    cli.run(main, Options, experiments.Stage("label_hypernyms"))
