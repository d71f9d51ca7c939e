"""Finds the files of `--input` and recognises their formats."""

import dataclasses
import os
import re

import cli
from formats import folders, paths, readers, tables, texts
from preprocessing.sources import corpora
from preprocessing.sources.corpora import FORMATS, JSON_FORMATS, LINE_FORMATS

# Extensions of files that are read from a folder, in any case, compressed or not.
EXTENSIONS = (".txt", ".jsonl", ".ndjson", ".json", ".tsv", ".csv", ".psv", ".token")
ABOUT = re.compile(
    r"(?:readme|licen[cs]e|copying|notice|changelog)\b", re.IGNORECASE
)  # files that describe the other files
SAMPLE_BYTES = 1 << 16  # bytes of a file from which its format is recognised
SAMPLE_SHARE = 0.9  # share of the lines in the sample that must fit the format; the others are bad lines
# Beginnings of lines that are not sentences: the name of a picture, or a number that counts the lines.
_PICTURE = re.compile(r"\W*\S+\.(?:jpe?g|png|gif|bmp|webp|tiff?)\b", re.IGNORECASE)
_NUMBER = re.compile(r"\W{0,2}(\d+)\s*(?:[.):,;|\t-]|\s)")
# Also not the beginnings of other formats: lists of JSON or Python, quotes around each line, bullets.
_LIST = re.compile(r"""\s*[\[{]\s*["'{\[]""")
_QUOTED, _BULLET = re.compile(r'\s*".*"[,;]?\s*$'), re.compile(r"\s*[-*\u2022]\s")
OTHER_KINDS = (
    "<?xml",
    "<!doctype",
    "<html",
    "%pdf-",
    "{\\rtf",
    "pk\x03\x04",
)  # first characters of files that are not made of lines


@dataclasses.dataclass(frozen=True, order=True)
class CorpusFile:
    """A file with texts of the corpus.

    Attributes:
      path: the file. format: one of corpora.FORMATS.
      given: whether the user named the format; else it was recognised.
    """

    path: str
    format: str
    given: bool


def corpora_of(text, encoding=None):
    """Finds the files of `--input`: files or folders, separated by commas, each with an optional FORMAT: before it.

    Args: text: value of --input. encoding: encoding of files without a byte order mark; None: UTF-8.
    Returns: (list of CorpusFile, sorted by path; list of notes (str) about what was left out of folders).
    Raises: cli.UserError if a file is missing, a folder has no file to read, or a format is unknown.
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
    """Returns whether a part of --input, PATH or FORMAT:PATH, names an existing file or folder."""
    return os.path.exists(part.strip()) or os.path.exists(part.partition(":")[2].strip())


def _format_and_path(part):
    """Splits PATH or FORMAT:PATH into (format or None, path). Raises: cli.UserError for an unknown format."""
    format, colon, path = part.partition(":")
    if colon and format in FORMATS:
        return format, path
    if not os.path.exists(part) and colon and re.fullmatch(r"[A-Za-z0-9_]+", format):
        raise cli.UserError(f"--input {part}: there is no format {format!r}; expected one of {', '.join(FORMATS)}")
    return None, part


def _files(path, part):
    """Returns (list of the files of a part of --input, note about what was left out or "").

    Args: path: file or folder. part: the part of --input, for messages.
    Raises: cli.UserError if there is nothing to read.
    """
    if os.path.isfile(path):
        return [path], ""
    if not os.path.isdir(path):
        raise cli.UserError(f"--input {part}: no such file or folder")
    found = folders.walk(path, _why_not)
    for file, reason in found.broken.items():
        raise cli.UserError(f"--input {part}: {file} is not a readable file ({reason}); remove it from the folder")
    for file in [file for file in found.files if _is_sidecar(file)]:
        found.files.remove(file)
        found.left_out[file] = "a stage's sidecar"
    if not found.files:
        raise cli.UserError(f"--input {part}: expected files that end in {', '.join(EXTENSIONS)}")
    return found.files, folders.note(path, found.left_out)


def _why_not(name):
    """Returns why a file with this name is not read from a folder; "" if it is read."""
    if not texts.unpacked_name(name).lower().endswith(EXTENSIONS):
        return f"not among {', '.join(EXTENSIONS)}"
    return "describes the other files" if ABOUT.match(name) else ""


def _is_sidecar(path):
    """Returns whether a file is the sidecar of a stage's output: NAME.json beside NAME.jsonl or NAME.txt."""
    stem, extension = os.path.splitext(path)
    if extension != ".json" or not any(os.path.exists(stem + other) for other in (".jsonl", ".txt")):
        return False
    value = _load(path)
    return isinstance(value, dict) and {"schema", "files", "settings", "made_from"} <= value.keys()


# --------------------------------------------------------------------------------------------------------------
# Formats


def recognise(path, encoding=None):
    """Returns the format of a file, one of FORMATS, by its content, or by its name if any content is possible.

    Args: encoding: encoding of a file without a byte order mark; None: UTF-8.
    Raises: cli.UserError, which lists the known formats, if it is none of them.
    """
    name = texts.unpacked_name(path).lower()
    if name.endswith((".jsonl", ".ndjson")):
        return "jsonl"
    if name.endswith(".json"):
        return _recognise_json(path, encoding)
    sample, whole = texts.head_text(path, SAMPLE_BYTES, encoding)
    lines = [line for line in sample.split("\n") if line.strip()]
    lines = lines[:-1] if not whole and len(lines) > 1 else lines  # the last line may be incomplete
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
    """Returns whether these are the lines of a table with a header and one column."""
    return len(lines) > 1 and tables.word_of(lines[0]) in tables.CAPTION


def _why_no_text(lines, name):
    """Returns why lines are not plain sentences, as the end of a message; "" if they may be sentences.

    Args: lines: first lines of a file. name: its name in lower case, uncompressed.
    """
    if not lines:
        return ""
    if lines[0].lstrip().lower().startswith(OTHER_KINDS) or _LIST.match(lines[0]):
        return "; it is another kind of file"
    for rule, name_of_rule in (
        (_QUOTED, "are in quotes: put a line `caption` above"),
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
        return "; its lines are numbered: remove the numbers, or put a line above such as id,caption"
    return ""


def _fits(format, line):
    """Returns whether a line has a format. Args: format: key of LINE_FORMATS."""
    try:
        if format == "jsonl" and not line.lstrip().startswith("{"):
            return False
        return "\ufffd" not in line and bool(LINE_FORMATS[format](line))
    except corpora.BadEntry:
        return False


def _recognise_json(path, encoding):
    """Returns the format of a JSON file, a key of JSON_FORMATS. Raises: cli.UserError if it is none of them."""
    if re.match(r'\s*\{\s*"\d+"\s*:\s*\[', texts.head_text(path, SAMPLE_BYTES, encoding)[0]):
        return "crawl"  # pages by number; such files are large, so they are not read twice
    value = _load(path, encoding)
    for format, (fits, _, _) in JSON_FORMATS.items():
        if fits(value):
            return format
    raise cli.UserError(
        f"{path}: the format is not recognised; expected a crawl dump {{page: [objects]}}, COCO's captions or "
        "Karpathy's list"
    )


def _load(path, encoding=None):
    """Returns the value in a JSON file. Raises: cli.UserError, with a hint if the file is JSON lines."""
    try:
        return readers.read_json(path, encoding=encoding)
    except cli.UserError as error:
        hint = f" (one object a line? then give jsonl:{path})" if "Extra data" in str(error) else ""
        raise cli.UserError(f"{error}{hint}") from error
