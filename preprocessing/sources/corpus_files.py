"""Which files `--input` names, and of which format each of them is."""

import dataclasses
import os
import re

import cli
from formats import folders, paths, readers, tables, texts
from preprocessing.sources import corpora
from preprocessing.sources.corpora import FORMATS, JSON_FORMATS, LINE_FORMATS

# What is taken from a folder, in any case, packed or not.
EXTENSIONS = (".txt", ".jsonl", ".ndjson", ".json", ".tsv", ".csv", ".psv", ".token")
ABOUT = re.compile(r"(?:readme|licen[cs]e|copying|notice|changelog)\b", re.IGNORECASE)  # files about the others
SAMPLE_BYTES = 1 << 16  # of a file, to recognise its format
SAMPLE_SHARE = 0.9  # of the lines in the sample must be as the format says; the others are bad lines
# What sentences do not begin with: the name of a picture, or a number that counts the lines.
_PICTURE = re.compile(r"\W*\S+\.(?:jpe?g|png|gif|bmp|webp|tiff?)\b", re.IGNORECASE)
_NUMBER = re.compile(r"\W{0,2}(\d+)\s*(?:[.):,;|\t-]|\s)")
# Nor with what other formats begin with: lists of JSON or Python, quotes around each line, bullets.
_LIST = re.compile(r"""\s*[\[{]\s*["'{\[]""")
_QUOTED, _BULLET = re.compile(r'\s*".*"[,;]?\s*$'), re.compile(r"\s*[-*\u2022]\s")
OTHER_KINDS = ("<?xml", "<!doctype", "<html", "%pdf-", "{\\rtf", "pk\x03\x04")  # how files begin that hold no lines


@dataclasses.dataclass(frozen=True, order=True)
class CorpusFile:
    """A file with texts; `given` says that the format was named and not recognised."""

    path: str
    format: str
    given: bool


def corpora_of(text, encoding=None):
    """The files that `--input` names: files or folders, separated by commas, each with a format before it or not.

    Args: encoding: of files that do not tell theirs.
    Returns: (sorted list of CorpusFile, notes that say what was left out of folders).
    Raises: cli.UserError: no such file, nothing readable in a folder, or the format is unknown.
    """
    found, notes = {}, []
    for part in filter(None, (part.strip() for part in paths.split(text, ",", _is_there))):
        format, path = _format_and_path(part)
        files, note = _files(path, part)
        notes += [note] if note else []
        for file in files:
            found[file] = CorpusFile(file, format or recognise(file, encoding), given=format is not None)
    if not found:
        raise cli.UserError("--input names no file; expected files or folders, separated by commas")
    return [found[path] for path in sorted(found)], notes


def _is_there(part):
    return os.path.exists(part.strip()) or os.path.exists(part.partition(":")[2].strip())


def _format_and_path(part):
    format, colon, path = part.partition(":")
    if colon and format in FORMATS:
        return format, path
    if not os.path.exists(part) and colon and re.fullmatch(r"[A-Za-z0-9_]+", format):
        raise cli.UserError(f"--input {part}: there is no format {format!r}; expected one of {', '.join(FORMATS)}")
    return None, part


def _files(path, part):
    """(the files that a part of --input names, a note of what was left out)."""
    if os.path.isfile(path):
        return [path], ""
    if not os.path.isdir(path):
        raise cli.UserError(f"--input {part}: no such file or folder")
    found = folders.walk(path, _why_not)
    for file, reason in found.broken.items():
        raise cli.UserError(f"--input {part}: {file} is no file that can be read ({reason}); take it out of the folder")
    for file in [file for file in found.files if _is_sidecar(file)]:
        found.files.remove(file)
        found.left_out[file] = "what a stage writes beside its output"
    if not found.files:
        raise cli.UserError(f"--input {part}: expected files that end in {', '.join(EXTENSIONS)}")
    return found.files, folders.note(path, found.left_out)


def _why_not(name):
    if not texts.unpacked_name(name).lower().endswith(EXTENSIONS):
        return f"not among {', '.join(EXTENSIONS)}"
    return "about the others" if ABOUT.match(name) else ""


def _is_sidecar(path):
    """Whether a file is the JSON that a stage wrote beside its output, NAME.json beside NAME.jsonl or NAME.txt."""
    stem, extension = os.path.splitext(path)
    if extension != ".json" or not any(os.path.exists(stem + other) for other in (".jsonl", ".txt")):
        return False
    value = _load(path)
    return isinstance(value, dict) and {"schema", "files", "settings", "made_from"} <= value.keys()


# --------------------------------------------------------------------------------------------------------------
# Formats


def recognise(path, encoding=None):
    """The format of a file by its content, or by its name where any content would do.

    Raises: cli.UserError saying what is known when it is none of them.
    """
    name = texts.unpacked_name(path).lower()
    if name.endswith((".jsonl", ".ndjson")):
        return "jsonl"
    if name.endswith(".json"):
        return _recognise_json(path, encoding)
    sample, whole = texts.head_text(path, SAMPLE_BYTES, encoding)
    lines = [line for line in sample.split("\n") if line.strip()]
    lines = lines[:-1] if not whole and len(lines) > 1 else lines  # the last one may be cut
    delimiter = tables.delimiter_of(lines, tables.CAPTION)
    if (delimiter and tables.is_table(lines, delimiter)) or _is_single_column(lines):
        return "table"
    for format in ("jsonl", "gcc", "flickr"):
        if lines and sum(_fits(format, line) for line in lines) >= SAMPLE_SHARE * len(lines):
            return format
    reason = _why_no_text(lines, name)
    if name.endswith((".txt", ".csv")) and not reason and "\0" not in sample:
        return "text"
    shown = lines[0][:80] if lines else ""
    raise cli.UserError(
        f"{path}: the format is not recognised, it begins with {shown!r}{reason}. Name it: FORMAT:{path} with one of "
        f"{', '.join(FORMATS)}"
    )


def _is_single_column(lines):
    """Whether these are the lines of a table with one column, under a header."""
    return len(lines) > 1 and tables.word_of(lines[0]) in tables.CAPTION


def _why_no_text(lines, name):
    """Why lines are no sentences, as the end of a message; "" if nothing speaks against it."""
    if not lines:
        return ""
    if lines[0].lstrip().lower().startswith(OTHER_KINDS) or _LIST.match(lines[0]):
        return "; it is another kind of file"
    for rule, name_of_rule in (
        (_QUOTED, "stand between quotes: put a line `caption` above"),
        (_BULLET, "have bullets"),
    ):
        if len(lines) > 1 and sum(bool(rule.match(line)) for line in lines) >= SAMPLE_SHARE * len(lines):
            return f"; its lines {name_of_rule}"
    header = "put a line above that names the columns, such as image,caption"
    if sum(bool(_PICTURE.match(line)) for line in lines) >= SAMPLE_SHARE * len(lines):
        return f"; its lines begin with the names of pictures: {header}"
    cells = any(delimiter in line for line in lines for delimiter in tables.DELIMITERS)
    tabs = len(lines) > 1 and tables.common_delimiter(lines) and ("\t" in lines[0] or "|" in lines[0])
    if tabs or (cells and name.endswith(".csv")):
        return f"; it looks like a table without a header: {header}"
    numbers = [int(match[1]) for match in map(_NUMBER.match, lines) if match]
    steps = sum(after - before == 1 for before, after in zip(numbers, numbers[1:], strict=False))
    if len(numbers) > max(2, SAMPLE_SHARE * len(lines)) and steps >= SAMPLE_SHARE * (len(numbers) - 1):
        return "; its lines are numbered: take the numbers away, or put a line above such as id,caption"
    return ""


def _fits(format, line):
    try:
        if format == "jsonl" and not line.lstrip().startswith("{"):
            return False
        return "\ufffd" not in line and bool(LINE_FORMATS[format](line))
    except corpora.BadEntry:
        return False


def _recognise_json(path, encoding):
    if re.match(r'\s*\{\s*"\d+"\s*:\s*\[', texts.head_text(path, SAMPLE_BYTES, encoding)[0]):
        return "crawl"  # pages by number: such files are large, so they are not read twice
    value = _load(path, encoding)
    for format, (fits, _, _) in JSON_FORMATS.items():
        if fits(value):
            return format
    raise cli.UserError(
        f"{path}: the format is not recognised; expected a crawl dump {{page: [objects]}}, COCO's captions or "
        "Karpathy's list"
    )


def _load(path, encoding=None):
    try:
        return readers.read_json(path, encoding=encoding)
    except cli.UserError as error:
        hint = f" (one object a line? then give jsonl:{path})" if "Extra data" in str(error) else ""
        raise cli.UserError(f"{error}{hint}") from error
