"""Sentence corpora as people have them, behind one door: files and their format -> texts.

    text     one text a line
    jsonl    one JSON object a line with "description", "caption", "text" or "sentence" (a text), or "captions" (a list)
    gcc      Conceptual Captions: caption<TAB>URL
    flickr   captions of Flickr8k or Flickr30k: NAME#k<TAB>caption
    crawl    the authors' crawl dumps NNNN.json: {page: [{"description": text, ...}, ...]}
    coco     COCO's official captions: {"annotations": [{"caption": text, ...}, ...]}
    karpathy Karpathy's lists: {"images": [{"sentences": [{"raw": text, ...}, ...], ...}, ...]}

A file is given as PATH, and its format is recognised by what is in it, or as FORMAT:PATH.
Source: unsupervised_captioning.md 4.2; other_systems.md 1.6, 2.4.
"""

import dataclasses
import functools
import os
import re

import cli
from formats import readers
from preprocessing.sharding import shards

EXTENSIONS = (".txt", ".jsonl", ".json", ".tsv", ".token")  # what is taken from a folder
SAMPLE_BYTES = 1 << 16  # of a file, to recognise its format
SAMPLE_SHARE = 0.9  # of the lines in the sample must be as the format says; the others are bad lines
TEXT_KEYS = ("description", "caption", "text", "sentence")
BAD_KEPT = 20  # bad entries of a piece that are named; all are counted


class BadEntry(Exception):
    """One line or object of a corpus that is not what its format says."""


class BadEntries:
    """The entries of a piece that could not be read: how many, and where the first ones are.

    Attributes: count: int. named: list of "FILE: PLACE: FAULT", at most BAD_KEPT.
    """

    def __init__(self):
        self.count, self.named = 0, []

    def add(self, place, fault):
        """Counts one more; `place` is a function, because finding a line's number reads the file."""
        self.count += 1
        if len(self.named) < BAD_KEPT:
            self.named.append(f"{place()}: {fault}")


@dataclasses.dataclass(frozen=True, order=True)
class Corpus:
    """A file with texts; `given` says that the format was named and not recognised."""

    path: str
    format: str
    given: bool


# --------------------------------------------------------------------------------------------------------------
# One line or one object -> its texts


def _text_line(line):
    return [line]


def _jsonl_line(line):
    if not line.strip():
        return []
    try:
        value = readers.parse_json(line)
    except ValueError as error:
        raise BadEntry(f"{getattr(error, 'msg', error)}") from error
    if isinstance(value, dict) and "captions" in value:
        texts = value["captions"]
        return _checked(texts if isinstance(texts, list) else [texts], value)
    return _object_texts(value, TEXT_KEYS)


def _object_texts(value, keys):
    """The text of a JSON object under the first of the keys that it has; [None] when it has none."""
    if not isinstance(value, dict):
        raise BadEntry(f'expected an object with "{keys[0]}", found {str(value)[:80]!r}')
    return _checked([next((value[key] for key in keys if key in value), None)], value)


def _checked(texts, value):
    if not all(text is None or isinstance(text, str) for text in texts):
        wrong = next(text for text in texts if text is not None and not isinstance(text, str))
        raise BadEntry(f"the description is not a text but {str(wrong)[:80]!r}")
    return texts


def gcc_line(line):
    """[caption] of a line caption<TAB>URL; BadEntry when it is none."""
    caption, tab, url = line.partition("\t")
    if not tab or "\t" in url or "://" not in url:
        raise BadEntry(f"expected caption<TAB>URL, found {line[:80]!r}")
    return [caption]


def flickr_line(line):
    """(file name, caption) of a line NAME#k<TAB>caption; BadEntry when it is none."""
    key, tab, text = line.partition("\t")
    name, mark, index = key.rpartition("#")
    if not tab or not mark or not name or not index.isdigit():
        raise BadEntry(f"expected NAME#k<TAB>caption, found {line[:80]!r}")
    return name, text.strip()


# --------------------------------------------------------------------------------------------------------------
# One JSON file -> its objects, each with the place where it stands


def _crawl_objects(value):
    for page, objects in value.items():
        for number, item in enumerate(objects, 1):
            yield f"page {page}, object {number}", item, ("description",)


def _coco_objects(value):
    for number, item in enumerate(value["annotations"], 1):
        yield f"annotation {number}", item, ("caption",)


def _karpathy_objects(value):
    for number, image in enumerate(value["images"], 1):
        sentences = image.get("sentences") if isinstance(image, dict) else None
        if not isinstance(sentences, list):
            yield f"image {number}", image, ("sentences",)  # named as a bad entry by the reader
            continue
        for k, sentence in enumerate(sentences, 1):
            yield f"image {number}, sentence {k}", sentence, ("raw",)


def _has_objects(value, key, inner):
    """Whether a value is an object with a list under a key whose first entry is an object with `inner`."""
    entries = value.get(key) if isinstance(value, dict) else None
    return isinstance(entries, list) and bool(entries) and isinstance(entries[0], dict) and inner in entries[0]


def _is_crawl(value):
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
FORMATS = (*LINE_FORMATS, *JSON_FORMATS)


def is_whole(format):
    """Whether files of a format can only be read as a whole, not in pieces."""
    return format in JSON_FORMATS


# --------------------------------------------------------------------------------------------------------------
# Which files, and of which format


def corpora(text):
    """The files that `--input` names: files or folders, separated by commas, each with a format before it or not.

    Returns: sorted list of Corpus.
    Raises: cli.UserError: no such file, nothing readable in a folder, or the format is unknown.
    """
    found = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        format, path = _format_and_path(part)
        for file in _files(path, part):
            found[file] = Corpus(file, format or recognise(file), given=format is not None)
    if not found:
        raise cli.UserError("--input names no file; expected files or folders, separated by commas")
    return [found[path] for path in sorted(found)]


def _format_and_path(part):
    format, colon, path = part.partition(":")
    if colon and format in FORMATS:
        return format, path
    if not os.path.exists(part) and colon and re.fullmatch(r"[A-Za-z0-9_]+", format):
        raise cli.UserError(f"--input {part}: there is no format {format!r}; expected one of {', '.join(FORMATS)}")
    return None, part


def _files(path, part):
    if os.path.isfile(path):
        return [path]
    if not os.path.isdir(path):
        raise cli.UserError(f"--input {part}: no such file or folder")
    names = os.listdir(path)
    inside = [os.path.join(path, name) for name in names if name.endswith(EXTENSIONS) and not name.startswith(".")]
    for file in inside:
        if not os.path.isfile(file):
            raise cli.UserError(f"--input {part}: {file} is no file that can be read; take it out of the folder")
    inside = [file for file in inside if not _is_sidecar(file)]
    if not inside:
        raise cli.UserError(f"--input {part}: expected files that end in {', '.join(EXTENSIONS)}")
    return inside


def _is_sidecar(path):
    """Whether a file is the JSON that a stage wrote beside its output, NAME.json beside NAME.jsonl or NAME.txt."""
    stem, extension = os.path.splitext(path)
    if extension != ".json" or not any(os.path.exists(stem + other) for other in (".jsonl", ".txt")):
        return False
    value = _load(path)
    return isinstance(value, dict) and {"schema", "files", "settings", "made_from"} <= value.keys()


def recognise(path):
    """The format of a file by its content, or by its name where any content would do.

    Raises: cli.UserError saying what is known when it is none of them.
    """
    if path.endswith(".jsonl"):
        return "jsonl"
    if path.endswith(".json"):
        return _recognise_json(path)
    sample = _sample(path)
    lines = [line for line in sample.split(b"\n") if line.strip()]
    lines = lines[:-1] if len(sample) == SAMPLE_BYTES and len(lines) > 1 else lines  # the last one may be cut
    for format in ("jsonl", "gcc", "flickr"):
        if lines and sum(_fits(format, line) for line in lines) >= SAMPLE_SHARE * len(lines):
            return format
    if path.endswith(".txt") and b"\0" not in sample:
        return "text"
    shown = lines[0][:80] if lines else b""
    raise cli.UserError(
        f"{path}: the format is not recognised, it begins with {shown!r}. Name it: FORMAT:{path} with one of "
        f"{', '.join(FORMATS)}"
    )


def _sample(path):
    try:
        with open(path, "rb") as file:
            return file.read(SAMPLE_BYTES)
    except OSError as error:
        raise readers.unreadable(path, f"cannot be read ({error.strerror})") from error


def _fits(format, line):
    try:
        text = line.decode().rstrip("\r")
        if format == "jsonl" and not text.lstrip().startswith("{"):
            return False
        return bool(LINE_FORMATS[format](text))
    except (BadEntry, UnicodeDecodeError):
        return False


def _recognise_json(path):
    if re.match(rb'\s*\{\s*"\d+"\s*:\s*\[', _sample(path)):
        return "crawl"  # pages by number: such files are large, so they are not read twice
    value = _load(path)
    for format, (fits, _, _) in JSON_FORMATS.items():
        if fits(value):
            return format
    raise cli.UserError(
        f"{path}: the format is not recognised; expected a crawl dump {{page: [objects]}}, COCO's captions or "
        "Karpathy's list"
    )


def _load(path):
    try:
        return readers.read_json(path)
    except cli.UserError as error:
        hint = f" (one object a line? then give jsonl:{path})" if "Extra data" in str(error) else ""
        raise cli.UserError(f"{error}{hint}") from error


# --------------------------------------------------------------------------------------------------------------
# Reading


def texts(piece, format, bad):
    """Yields the texts in a piece of a corpus; None for an object without one.

    Args:
      piece: shards.Piece; of a JSON format the whole file.
      format: one of FORMATS.
      bad: BadEntries that entries which cannot be read are added to.

    Raises: cli.UserError when a JSON file as a whole cannot be read.
    """
    if is_whole(format):
        yield from _json_texts(piece.path, format, bad)
        return
    parse = LINE_FORMATS[format]
    for index, line in enumerate(shards.lines_of(piece)):
        try:
            found = parse(line.decode())
        except (BadEntry, UnicodeDecodeError) as error:
            bad.add(functools.partial(_line_place, piece, index), error)
            continue
        yield from found


def _line_place(piece, index):
    return f"{piece.path}: line {shards.line_number(piece, index)}"


def _json_texts(path, format, bad):
    fits, objects, expected = JSON_FORMATS[format]
    value = _load(path)
    if not fits(value):
        raise cli.UserError(f"{path}: expected {expected}; is it another kind of file?")
    for place, item, keys in objects(value):
        try:
            found = _object_texts(item, keys)
        except BadEntry as error:
            bad.add(lambda place=place: f"{path}: {place}", error)
            continue
        yield from found
