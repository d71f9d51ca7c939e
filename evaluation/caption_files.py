"""Reads captions and references in the usual file formats, and matches their image ids.

    COCO results      [{"image_id": 42, "caption": text}, ...], also with a file name, or a list of captions
    COCO captions     {"images": [{"id", "file_name"}], "annotations": [{"image_id", "caption"}]}, nocaps' as well
    Karpathy          {"images": [{"filename", "split", "sentences": [{"raw"}]}]}
    JSON object       {NAME: text or [text, ...]}
    JSONL             {"image": NAME, "captions": [text, ...]} a line, also "image_id", "caption" (Localized Narratives)
    Flickr            NAME#k<TAB>caption, or a table with columns such as image and caption
    lines             one caption a line, in the order of the references

An image may be named by its file name, with or without folder and extension, or by COCO's integer.
"""

import collections
import dataclasses
import os
import re

import cli
from formats import readers, tables, texts
from formats.captions import name_some
from preprocessing.sources import caption_lists, nocaps
from preprocessing.sources.datasets import COCO_NAME

IMAGE_KEYS = ("image_id", "image", "file_name", "filename", "img_id", "id", "name")
TEXT_KEYS = ("caption", "captions", "text", "texts", "sentence", "sentences", "references", "raw")
FLICKR_LINE = re.compile(r"[^\t]+#\d+\t")


@dataclasses.dataclass(frozen=True)
class CaptionFile:
    """The captions or references in a file.

    Attributes:
      path: the file. kind: name of its format, e.g. "COCO results" or "lines".
      captions: dict image id (str) -> list of texts, in the order of the file; ids of the format "lines" are "1", "2",
        ... An image without a caption is missing, or has an empty list.
      other_names: dict alternative id -> image id: COCO's integers (as str) where images have file names.
      parts: dict image id -> "in", "near" or "out", its domain in nocaps; empty for other data sets.
    """

    path: str
    kind: str
    captions: dict
    other_names: dict = dataclasses.field(default_factory=dict)
    parts: dict = dataclasses.field(default_factory=dict)

    @property
    def ordered(self):
        """Whether the captions have no image ids and are matched by their order."""
        return self.kind == "lines"


# --------------------------------------------------------------------------------------------------------------
# Reading


def read(path, split=""):
    """Reads a file of captions or references in any of the formats listed at the top of this file.

    Args: path: the file. split: for Karpathy's list, the split whose images are kept; empty = all.
    Returns: CaptionFile.
    Raises: cli.UserError naming the file, and the line or entry.
    """
    head, _ = texts.head_text(path, 1 << 14)
    lines = [line for line in head.split("\n") if line.strip()]
    if not lines:
        raise cli.UserError(f"{path}: the file is empty; expected captions")
    if lines[0].lstrip().startswith(("{", "[")):
        return _of_lines_of_json(path) if _is_object(lines[0]) and len(lines) > 1 else _of_json(path, split)
    if FLICKR_LINE.match(lines[0]) or tables.delimiter_of(lines, tables.CAPTION):
        return CaptionFile(path, "Flickr's lines or a table", _gathered(caption_lists.caption_rows(path)))
    found = [line.strip() for _, line in texts.lines(path)]
    return CaptionFile(path, "lines", {str(number): [line] for number, line in enumerate(found, 1)})


def _is_object(line):
    """Returns whether a line is a whole JSON object."""
    try:
        return isinstance(readers.parse_json(line), dict)
    except ValueError:
        return False


def _gathered(pairs):
    """Returns dict id -> list of its texts, in order. Args: pairs: iterable of (id, text)."""
    found = collections.defaultdict(list)
    for name, text in pairs:
        found[name].append(text)
    return dict(found)


def _of_lines_of_json(path):
    """Returns the CaptionFile of a file with a JSON object a line. Raises: cli.UserError naming file and line."""
    found = readers.json_values(path, caption_lists.EXPECTED)
    return CaptionFile(path, "JSONL", _gathered(_entries(found, path)))


def _entries(values, path):
    """Yields (image id, text) for each caption in JSON values.

    Args: values: iterable of (place, JSON value); the place, e.g. "line 3", is for messages. path: the file.
    Raises: cli.UserError naming file and place.
    """
    for place, value in values:
        name = _first(value, IMAGE_KEYS)
        said = _first(value, TEXT_KEYS)
        said = [said] if isinstance(said, str | dict) else said
        if not _is_id(name) or not isinstance(said, list):
            raise cli.UserError(f"{path}: {place} is {str(value)[:80]!r}; expected {caption_lists.EXPECTED}")
        for text in said:
            text = _first(text, ("raw", "caption", "text")) if isinstance(text, dict) else text
            if not isinstance(text, str):
                raise cli.UserError(f"{path}: {place}: the caption {str(text)[:80]!r} is no text")
            yield str(name), text


def _first(value, keys):
    """Returns the value of the first of `keys` that a JSON object has; None if it has none or is not an object."""
    return next((value[key] for key in keys if key in value), None) if isinstance(value, dict) else None


def _is_id(value):
    """Returns whether a JSON value can be an image id: a non-empty string or an integer."""
    return isinstance(value, str | int) and not isinstance(value, bool) and value != ""


def _of_json(path, split):
    """Returns the CaptionFile of a file with one JSON value.

    Args: split: for Karpathy's list, the split whose images are kept; empty = all. Raises: cli.UserError.
    """
    content = readers.read_json(path, "captions")
    if isinstance(content, list):
        values = ((f"entry {number}", value) for number, value in enumerate(content, 1))
        return CaptionFile(path, "COCO results", _gathered(_entries(values, path)))
    if not isinstance(content, dict):
        raise cli.UserError(f"{path}: found a {type(content).__name__}; expected captions, see --help")
    try:
        if "annotations" in content:
            return _coco(path, content)
        if "images" in content:
            return _karpathy(path, content, split)
    except (KeyError, TypeError, AttributeError) as error:
        raise cli.UserError(
            f"{path}: {type(error).__name__} {error}; expected COCO's captions or Karpathy's list, see --help"
        ) from error
    values = ((f"entry {name!r}", {"image_id": name, "captions": said}) for name, said in content.items())
    return CaptionFile(path, "JSON object", _gathered(_entries(values, path)))


def _coco(path, content):
    """Returns the CaptionFile of a JSON object in COCO captions format.

    Args: path: of its file. content: dict, the JSON object.
    Raises: KeyError, TypeError or AttributeError for another format.
    """
    names = {image["id"]: str(image.get("file_name") or image["id"]) for image in content.get("images", ())}
    found = {name: [] for name in names.values()}
    for entry in content["annotations"]:
        found.setdefault(names.get(entry["image_id"], str(entry["image_id"])), []).append(entry["caption"])
    other = {str(number): name for number, name in names.items() if str(number) != name}
    parts = nocaps.parts_of(content.get("images", ()))
    return CaptionFile(path, "COCO captions", found, other, parts)


def _karpathy(path, content, split):
    """Returns the CaptionFile of a JSON object in Karpathy's format.

    Args: path: of its file. content: dict, the JSON object. split: the split whose images are kept; empty = all.
    Raises: UserError if no image is of this split; KeyError, TypeError or AttributeError for another format.
    """
    found, other = {}, {}
    for image in content["images"]:
        if split and {"restval": "train"}.get(image.get("split"), image.get("split")) != split:
            continue
        name = image["filename"]
        found[name] = [sentence["raw"] for sentence in image["sentences"]]
        if _is_id(number := image.get("cocoid", image.get("imgid"))):
            other[str(number)] = name
    if not found:
        raise cli.UserError(f"{path}: no image of the split {split!r}; choose another by --split")
    return CaptionFile(path, f"Karpathy's list, {split or 'all splits'}", found, other)


# --------------------------------------------------------------------------------------------------------------
# Matching


@dataclasses.dataclass(frozen=True)
class Matched:
    """Captions under the image ids of the references, ready to be scored.

    Attributes:
      captions: dict image id, as in the references -> caption (str), for the images that have one.
      missing: list of the ids of the references without a caption.
      unknown: list of the ids in the file of captions that fit no image of the references, or more than one.
    """

    captions: dict
    missing: list
    unknown: list


def spellings(name):
    """Yields the ways to write an image id as strings, the most exact first: full name, file name, stem, integer."""
    base = os.path.basename(name)
    stem = os.path.splitext(base)[0] if re.search(r"\.[A-Za-z]{1,5}$", base) else base
    yield from (name, base, stem)
    if match := COCO_NAME.fullmatch(f"{stem}.jpg"):
        yield str(int(match[1]))
    elif stem.isdecimal():
        yield str(int(stem))


class Names:
    """Finds an image id of the references by any of its spellings that no other image shares.

    Spellings are the full name, the file name with and without extension, and COCO's integer.
    """

    def __init__(self, references):
        """Collects the spellings of all image ids. Args: references: CaptionFile."""
        self._exact = {name: name for name in references.captions} | {
            other: name for other, name in references.other_names.items() if other not in references.captions
        }
        self._others = {}
        for written, name in self._exact.items():
            for spelling in spellings(written):
                self._others[spelling] = name if self._others.get(spelling, name) == name else None

    def find(self, name):
        """Returns the image id of the references that `name` means; None if it fits no image or several."""
        if name in self._exact:
            return self._exact[name]
        return next((self._others[way] for way in spellings(name) if self._others.get(way)), None)


def match(found, references):
    """Assigns the captions of a file to the images of the references.

    Args: found: CaptionFile of the captions. references: CaptionFile of the references.
    Returns: Matched.
    Raises: cli.UserError: an image has two captions, no image is in both files, or a file with one caption a line has
      not as many lines as the references have images.
    """
    if found.ordered:
        if len(found.captions) != len(references.captions):
            raise cli.UserError(
                f"{found.path}: {len(found.captions)} lines, but {references.path} has {len(references.captions)} "
                "images; expected one caption a line, in the order of the references"
            )
        pairs = zip(references.captions, found.captions.values(), strict=True)
        return Matched({name: said[0] for name, said in pairs}, [], [])
    names, captions, doubled, unknown = Names(references), {}, [], []
    for written, said in found.captions.items():
        name = names.find(written)
        if name is None:
            unknown.append(written)
        elif len(said) > 1 or name in captions:
            doubled.append(written)
        else:
            captions[name] = said[0]
    if doubled:
        raise cli.UserError(
            f"{found.path}: {len(doubled)} images have more than one caption: {name_some(doubled)}; expected one"
        )
    if not captions:
        raise cli.UserError(
            f"{found.path}: none of its {len(unknown)} images is in {references.path}: {name_some(unknown, 3)}; the "
            f"references have {name_some(references.captions, 3)}. Another split or data set?"
        )
    return Matched(captions, [name for name in references.captions if name not in captions], unknown)
