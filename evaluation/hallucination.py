"""Scores the objects that captions name: CHAIR, and precision, recall and F1 of detected words and of all other words.

CHAIR (Rohrbach et al. 2018, "Object Hallucination in Image Captioning") measures which named objects are not in the
image: CHAIR-i is their share of all mentions, CHAIR-s the share of captions with at least one. The objects of an image
are taken from one of these sources:

    CHAIR       annotated boxes, and the objects that the references name
    CHAIR-ref   the objects that the references name
    CHAIR-det   detections, and the objects that the references name; favours a captioner that reads this detector

These are three different measures: their columns have different names, and none is used in place of another.
"""

import collections
import dataclasses
import os

import cli
from evaluation.caption_files import CaptionFile
from formats import readers, texts, vocabulary
from formats.languages import unicode_text

COCO_OBJECTS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "data", "coco_objects.txt")
NO_CLASS = "-"  # of expressions that contain a word of a class and name none
CHAIR = tuple(f"{kind}-{level}" for kind in ("CHAIR", "CHAIR-ref", "CHAIR-det") for level in "is")
WORDS = tuple(f"{kind}_{part}" for kind in ("detected", "other") for part in ("precision", "recall", "F1"))


# --------------------------------------------------------------------------------------------------------------
# Which words name an object


@dataclasses.dataclass(frozen=True)
class ObjectNames:
    """The expressions by which captions name object classes.

    Attributes: phrases: dict expression (tuple of words) -> class. The class NO_CLASS marks expressions that contain a
      word of a class but name no object of it ("dog food").
    """

    phrases: dict

    def mentions(self, tokens):
        """Returns the mentions in a caption: list of (class, index of the first word, index after the last one).

        Where several expressions begin at the same word, the longest one counts. Args: tokens: list of words.
        """
        longest = max(map(len, self.phrases), default=0)
        found, begin = [], 0
        while begin < len(tokens):
            for size in range(min(longest, len(tokens) - begin), 0, -1):
                name = self.phrases.get(tuple(tokens[begin : begin + size]))
                if name is not None:
                    if name != NO_CLASS:
                        found.append((name, begin, begin + size))
                    begin += size
                    break
            else:
                begin += 1
        return found

    def classes(self, tokens):
        """Returns the set of classes that a caption names. Args: tokens: list of words."""
        return {name for name, _, _ in self.mentions(tokens)}

    def class_of(self, label):
        """Returns the class (str) that the label of a detection or annotation (str) names; None if it names none.

        The whole label is looked up first, then its last word.
        """
        words = tuple(unicode_text.split(unicode_text.fold(label).replace("_", " ")))
        name = self.phrases.get(words, self.phrases.get(words[-1:]))
        return None if name == NO_CLASS else name


def of_concepts(concepts):
    """Returns ObjectNames whose classes are the concept words, each named by the word, its plural and its synonyms.

    Args: concepts: formats.concepts.Concepts.
    """
    words = {tuple(unicode_text.split(word)): word for word in concepts.words}
    others = {tuple(unicode_text.split(other)): word for other, word in concepts.singular.items()}
    return ObjectNames(words | others | words)


def read_names(path=COCO_OBJECTS):
    """Reads ObjectNames from a file, and adds the plural of each expression.

    Args: path: file with lines `class: word, several words, ...`; the class `-` is NO_CLASS, lines with # are comments.
    Raises: cli.UserError naming the line.
    """
    phrases = {}
    for number, line in readers.text_lines(path):
        if line.startswith("#"):
            continue
        name, colon, others = (part.strip() for part in line.partition(":"))
        if not colon or not name:
            raise cli.UserError(f"{path}: line {number} is {line[:60]!r}; expected `class: word, several words, ...`")
        own = [] if name == NO_CLASS else [name]
        for phrase in [*own, *filter(None, map(str.strip, others.split(",")))]:
            words = tuple(unicode_text.split(phrase.replace("'s", " 's")))  # as the tokenizers split them
            if phrases.setdefault(words, name) != name:
                raise cli.UserError(f"{path}: line {number}: {phrase!r} is a name of {phrases[words]} already")
    last = sorted({words[-1] for words in phrases})
    plural = {word: many for many, word in vocabulary.plurals("inflect", last).items()}
    several = {(*words[:-1], plural[words[-1]]): name for words, name in phrases.items() if words[-1] in plural}
    return ObjectNames(several | phrases)


# --------------------------------------------------------------------------------------------------------------
# What is there


def read_objects(path, threshold=0.5):
    """Reads which objects each image has, by annotation or detection.

    Args:
      path: COCO's instances_*.json, or lines {"image": NAME, "objects": [{"name", "score"}]}.
      threshold: minimum score of a detection, 0 to 1; objects without a score are all read.

    Returns: caption_files.CaptionFile whose `captions` are dict image id -> list of labels, one for each object.
    Raises: cli.UserError naming the file.
    """
    from preprocessing.detection import known_objects

    if _is_coco(path):
        content = readers.read_json(path, "COCO's instances", dict)
        try:
            labels = {category["id"]: category["name"] for category in content["categories"]}
            names = {image["id"]: str(image.get("file_name") or image["id"]) for image in content["images"]}
            found = {name: [] for name in names.values()}
            for entry in content["annotations"]:
                found[names[entry["image_id"]]].append(labels[entry["category_id"]])
        except (KeyError, TypeError, AttributeError) as error:
            raise cli.UserError(f"{path}: {type(error).__name__} {error}; expected COCO's instances") from error
        return CaptionFile(path, "COCO's instances", found, {str(number): name for number, name in names.items()})
    objects = known_objects.read_objects(path)
    found = {image: [name for name, score, _ in items if score >= threshold] for image, items in objects.items()}
    return CaptionFile(path, "objects", found)


def annotated_in(data_dir):
    """Returns the annotated objects of a data folder: dict image name -> list of labels.

    Returns None if the folder has no raw/objects.jsonl; only the drawn miniature world has this file.
    """
    path = os.path.join(data_dir, "raw", "objects.jsonl")
    return read_objects(path).captions if os.path.exists(path) else None


def _is_coco(path):
    """Returns whether a file is in the format of COCO's instances: one JSON object, not one a line."""
    head, _ = texts.head_text(path, 1 << 14)
    try:
        first = readers.parse_json(head.split("\n")[0])
    except ValueError:  # the object has several lines, or is longer
        return head.lstrip().startswith("{")
    return isinstance(first, dict) and "categories" in first


def classes_of_labels(names, labels):
    """Converts the labels of images to classes.

    Args: names: ObjectNames. labels: dict image -> list of labels.
    Returns: (dict image -> set of classes, sorted list of the labels that name no class).
    """
    known = {label: names.class_of(label) for found in labels.values() for label in found}
    classes = {image: {known[label] for label in found if known[label]} for image, found in labels.items()}
    return classes, sorted(label for label, name in known.items() if name is None)


# --------------------------------------------------------------------------------------------------------------
# CHAIR


def chair(tokens, there, names):
    """Returns (CHAIR-i, CHAIR-s) of captions, each a float 0 to 1 or None.

    CHAIR-i is the share of mentions whose object is not in the image; it is None if no caption names an object. CHAIR-s
    is the share of captions with such a mention; it is None without captions.

    Args:
      tokens: dict image -> list of tokens of its caption.
      there: dict image -> set of the classes that are in the image; an image that is not a key has none.
      names: ObjectNames.
    """
    mentions = wrong = captions = 0
    for image, caption in tokens.items():
        found = [name for name, _, _ in names.mentions(caption)]
        absent = sum(name not in there.get(image, ()) for name in found)
        mentions, wrong, captions = mentions + len(found), wrong + absent, captions + (absent > 0)
    return (wrong / mentions if mentions else None), (captions / len(tokens) if tokens else None)


def measure(tokens, references, names, detected=None, annotated=None):
    """Returns CHAIR and the word scores of captions: dict with the keys of CHAIR and WORDS, floats 0 to 1 or None.

    The keys are e.g. "CHAIR-i", "CHAIR-ref-s" and "detected_precision". A value is None if its denominator is 0 or its
    objects are unknown: "CHAIR-i" and "CHAIR-s" need `annotated`, "CHAIR-det-…" and the word scores `detected`.

    Args:
      tokens: dict image -> list of tokens of its caption.
      references: dict image -> list of its references, each a list of tokens.
      names: ObjectNames.
      detected, annotated: dict image -> set of classes, or None if unknown.
    """
    said = {image: set().union(*map(names.classes, texts)) for image, texts in references.items()}
    result = dict.fromkeys((*CHAIR, *WORDS))
    for kind, objects in (("CHAIR", annotated), ("CHAIR-ref", {}), ("CHAIR-det", detected)):
        if objects is not None:
            there = {image: said[image] | objects.get(image, set()) for image in tokens}
            result[f"{kind}-i"], result[f"{kind}-s"] = chair(tokens, there, names)
    if detected is not None:
        result |= word_scores(tokens, references, names, detected)
    return result


# --------------------------------------------------------------------------------------------------------------
# Words


def word_scores(tokens, references, names, detected):
    """Returns precision, recall and F1 of the words of captions against the references: dict with the keys of WORDS.

    There is one set of scores for words that name a detected object ("detected_precision", "detected_recall",
    "detected_F1") and one for all other words ("other_precision", ...), floats 0 to 1. Each caption is
    compared as a bag of words with each of its references, and the counts are summed over all these pairs (Honda et al.
    2021 report these scores). A value is None if its denominator is 0.

    Args:
      tokens: dict image -> list of tokens of its caption.
      references: dict image -> list of its references, each a list of tokens.
      names: ObjectNames. detected: dict image -> set of classes.
    """
    counts = {"detected": collections.Counter(), "other": collections.Counter()}
    for image, caption in tokens.items():
        own = _bags(caption, names, detected.get(image, ()))
        for reference in references[image]:
            theirs = _bags(reference, names, detected.get(image, ()))
            for kind, count in counts.items():
                count["both"] += (own[kind] & theirs[kind]).total()
                count["caption"] += own[kind].total()
                count["reference"] += theirs[kind].total()
    result = {}
    for kind, count in counts.items():
        precision, recall = (count["both"] / count[side] if count[side] else None for side in ("caption", "reference"))
        total = count["caption"] + count["reference"]
        f1 = 2 * count["both"] / total if total else None
        result |= {f"{kind}_precision": precision, f"{kind}_recall": recall, f"{kind}_F1": f1}
    return result


def _bags(tokens, names, detected):
    """Divides the words of a caption into those that name a detected object and all others.

    Args: tokens: list of words. names: ObjectNames. detected: set of the image's detected classes.
    Returns: {"detected": Counter, "other": Counter} of words.
    """
    places = {i for name, begin, end in names.mentions(tokens) if name in detected for i in range(begin, end)}
    bags = {"detected": collections.Counter(), "other": collections.Counter()}
    for i, token in enumerate(tokens):
        bags["detected" if i in places else "other"][token] += 1
    return bags
