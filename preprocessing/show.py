"""Prints the content of a file that the stages write, as text.

    python -m preprocessing.show data/mine/detections-00000-of-00004.tfrec --rows 3
    python -m preprocessing.show data/mine/image_val.json --name photo.jpg
    python -m preprocessing.show runs/full/ckpt-800

Shows records (sentences, photographs, detections, captions), feature banks and other arrays, sidecars, references,
captions, rankings, tables and other JSON, JSON lines, dictionaries and texts, and the variables of a checkpoint. The
kind of a file is recognised by its content. Word ids become words by the dictionary beside the file.
"""

import dataclasses
import json
import os
import re

import numpy as np

import cli
from formats import made_by, readers, record_files, records, sidecars, vocabulary

WIDTH = 200  # characters of a line
NUMBERS = 8  # numbers of a vector that are printed
RANKING = ("step", "CIDEr", "METEOR", "BLEU-4", "BLEU-3", "BLEU-2")
NAMED_BY = ("image", "image_id", "name", "file_name")  # the fields of JSON that name a photograph


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of preprocessing.show."""

    paths: tuple[str, ...] = cli.field((), "files; they may also be given as arguments")
    rows: int = cli.field(5, "number of records, rows or lines to print; 0: all")
    name: str = cli.field("", "print only rows of this photograph, a file name as in the lists")


@dataclasses.dataclass
class Shown:
    """The text to print for a file.

    Attributes:
      heading: text that says what the file is.
      rows: iterable of (label, text). A label is the file name of a photograph, another name, or "".
      named: whether the rows belong to photographs, so that `--name` can select them.
    """

    heading: str
    rows: object = ()
    named: bool = True


# --------------------------------------------------------------------------------------------------------------
# Records


def of_records(paths, sidecar):
    """Returns the text to print for record files of one kind, as `Shown`.

    Args: paths: list of files. sidecar: their sidecar as a dict, {} without one.
    Raises: cli.UserError if the first file has no records, or a file is damaged.
    """
    spell = Spelling(os.path.dirname(paths[0]), sidecar)
    first = next((record for record in records.each_record(paths[0])), None)
    if first is None:
        raise cli.UserError(f"{paths[0]}: it contains no records")
    count = sum(map(record_files.count_records, paths))
    files = f"in {len(paths)} files" if len(paths) > 1 else "in one file"
    heading = f"{count:,} records {files}: {first.kind}{spell.note}"
    rows = ((record.name or "", _record_text(record, spell)) for path in paths for record in records.each_record(path))
    return Shown(heading, rows, first.name is not None)


def _record_text(record, spell):
    """Returns the text of a records.Record. Args: spell: Spelling."""
    if record.kind == records.SENTENCE:
        keys = f" [{spell(record.keys)}]" if len(record.keys) else " [no concept word]"
        return spell(record.ids) + keys
    if record.kind == records.CAPTION:
        return spell(record.ids)
    if record.kind == records.IMAGE:
        pairs = zip(record.ids, record.scores, strict=False)
        found = ", ".join(f"{spell([word])} {score:.2f}" for word, score in pairs)
        return f"{found or 'no objects'} ({record.bytes:,} bytes of JPEG)"
    found = [
        f"{item.class_name} {item.score:.2f} [{', '.join(f'{side:.2f}' for side in item.box)}]"
        for item in record.detections
    ]
    return "; ".join(found) or "no detections"


class Spelling:
    """Converts word ids to words by the dictionary in a folder, if the ids are those of this dictionary.

    Args: folder: folder of word_counts.txt. sidecar: sidecar of the file with the ids, {} without one.
    Attributes: words: vocabulary.Vocabulary; None if ids are printed as numbers. note: text that says why; ""
      otherwise.
    """

    def __init__(self, folder, sidecar):
        self.words, self.note = None, ""
        path = os.path.join(folder, "word_counts.txt")
        if not os.path.isfile(path):
            self.note = f"; word ids, because {path} does not exist"
            return
        words = vocabulary.Vocabulary.load(path)
        made_from = sidecar.get("made_from") or {}
        theirs = sidecar.get("vocabulary") or made_from.get("vocabulary")
        if theirs not in (None, words.fingerprint()):
            self.note = f"; word ids, because they were made with another dictionary than {path}"
        else:
            self.words = words

    def __call__(self, ids):
        """Returns the words of the ids as one text, separated by blanks; without a dictionary the ids."""
        return " ".join(str(word) if self.words is None else self.words.word(int(word)) for word in ids)


# --------------------------------------------------------------------------------------------------------------
# Arrays


def of_array(path, sidecar):
    """Returns the text to print for a feature bank or another .npy file, as `Shown`.

    Args: sidecar: sidecar of the file as a dict, {} without one.
    Raises: cli.UserError if the file is damaged or its sidecar lists another number of names.
    """
    array = readers.map_npy(path)
    encoder = (sidecar.get("encoder") or {}).get("spec")
    heading = f"{array.dtype} {list(array.shape)}" + (
        f", images x crops x numbers, by {encoder}; the centre crops" if encoder else ""
    )
    names = sidecar.get("names")
    if names is not None and len(names) != len(array):
        raise cli.UserError(f"{path}: {len(array)} rows, but its JSON file has {len(names)} names; make it again")
    rows = (
        (names[row] if names else f"{row}", _numbers(array[row][0] if encoder else array[row]))
        for row in range(len(array) if array.ndim else 0)
    )
    return Shown(heading, rows, bool(names))


def _numbers(row):
    """Returns text for an array: its first NUMBERS numbers, and minimum, maximum and norm of all."""
    if row.dtype.kind not in "fiub":
        return str(row)
    flat = np.asarray(row, np.float64).reshape(-1)
    first = " ".join(f"{value:.4g}" for value in flat[:NUMBERS])
    if len(flat) <= NUMBERS:
        return first
    return f"{first} … least {flat.min():.4g}, largest {flat.max():.4g}, norm {np.sqrt((flat**2).sum()):.4g}"


def of_archive(path, sidecar):
    """Returns the text to print for an .npz file, as `Shown`; word ids of captions become words.

    Args: sidecar: sidecar of the file as a dict, {} without one. Raises: cli.UserError if the file is damaged.
    """
    arrays = readers.read_npz(path)
    heading = ", ".join(f"{name} {array.dtype} {list(array.shape)}" for name, array in arrays.items())
    if {"vectors", "words", "offsets"} <= arrays.keys():
        spell, offsets = Spelling(os.path.dirname(path), sidecar), arrays["offsets"]
        words = arrays["words"]
        rows = (
            (f"point {row}", spell(words[offsets[row] : offsets[row + 1]])) for row in range(max(0, len(offsets) - 1))
        )
        return Shown(heading + spell.note, rows, named=False)
    rows = ((name, _numbers(array[0] if array.ndim > 1 and len(array) else array)) for name, array in arrays.items())
    return Shown(f"{len(arrays)} arrays: {heading}", rows, named=False)


# --------------------------------------------------------------------------------------------------------------
# JSON


def of_json(path):
    """Returns the text to print for a JSON file, as `Shown`. Raises: cli.UserError if it is not JSON."""
    value = readers.read_json(path)
    if isinstance(value, dict) and "files" in value and "settings" in value:
        return _of_sidecar(path)
    if isinstance(value, dict) and isinstance(value.get("annotations"), list):
        return _of_references(value)
    if isinstance(value, list) and value and all(isinstance(entry, list) and len(entry) == 6 for entry in value):
        rows = ((str(entry[0]), _ranked(entry)) for entry in reversed(value))
        return Shown(f"a ranking of {len(value)} checkpoints, the best first, scores 0 to 1", rows, named=False)
    if isinstance(value, list) and value and isinstance(value[0], dict) and "row" in value[0]:
        rows = ((str(row.get("row")), _fields(row, "row")) for row in value if isinstance(row, dict))
        return Shown(f"a table of {len(value)} rows", rows, named=False)
    if isinstance(value, list):
        return Shown(f"a list of {len(value)}", map(_named, value), bool(value) and bool(_named(value[0])[0]))
    if isinstance(value, dict):
        return Shown(f"an object of {len(value)} fields", ((name, _short(item)) for name, item in value.items()))
    return Shown(_short(value), named=False)


def _of_sidecar(path):
    """Returns the `Shown` of a sidecar: how its files were made, and the rows of its records or first file."""
    about, folder = sidecars.read_sidecar(path), os.path.dirname(path)
    paths = [os.path.join(folder, entry["name"]) for entry in about.get("files") or ()]
    said = ("count", "settings", "made_from", "command")
    lines = [f"{name}: {_short(about[name])}" for name in said if about.get(name)]
    if damage := sidecars.damaged_file(path):
        return Shown("\n".join([*lines, f"DAMAGED: {damage}"]), named=False)
    if paths[0].endswith(".tfrec"):
        inside = of_records(paths, about)
    else:
        inside = shown_of(paths[0])
    return Shown("\n".join([*lines, inside.heading]), inside.rows, inside.named)


def _of_references(value):
    """Returns the `Shown` of reference captions. Args: value: dict in COCO captions format."""
    captions = {}
    for image in value.get("images") or ():
        captions[str(image.get("id") if isinstance(image, dict) else image)] = []
    for entry in value["annotations"]:
        name = str(entry.get("image_id")) if isinstance(entry, dict) else "?"
        captions.setdefault(name, []).append(str(entry.get("caption")) if isinstance(entry, dict) else str(entry))
    heading = f"{sum(map(len, captions.values())):,} captions of {len(captions):,} images, for scoring"
    return Shown(heading, ((name, " | ".join(several) or "no caption") for name, several in captions.items()))


def _ranked(entry):
    """Returns the scores of one checkpoint as text. Args: entry: list of the values that RANKING names."""
    scores = zip(RANKING[1:], entry[1:], strict=True)
    return ", ".join(f"{name} {value:.4f}" if isinstance(value, float) else f"{name} {value}" for name, value in scores)


def _named(value):
    """Returns (file name of the photograph that a JSON value is about, or ""; its other fields as text)."""
    if not isinstance(value, dict):
        return "", _short(value)
    field = next((field for field in NAMED_BY if isinstance(value.get(field), str | int)), None)
    return (str(value[field]), _fields(value, field)) if field else ("", _short(value))


def _fields(value, but):
    """Returns the fields of a dict as text, without the field `but` and without null values."""
    rest = {name: item for name, item in value.items() if name != but and item is not None}
    if len(rest) == 1 and isinstance(next(iter(rest.values())), str):
        return next(iter(rest.values()))
    return ", ".join(f"{name} {_short(item)}" for name, item in rest.items())


def _short(value):
    """Returns a JSON value as text: a string unchanged, other values as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# --------------------------------------------------------------------------------------------------------------
# Text and checkpoints


def of_text(path):
    """Returns the text to print for a dictionary, JSON lines, or another text file, as `Shown`."""
    if os.path.basename(path) in ("word_counts.txt", "vocabulary.txt"):
        words = vocabulary.Vocabulary.load(path)
        pairs = enumerate(zip(words.words, words.counts, strict=True))
        rows = ((f"{number}", f"{word} {count}") for number, (word, count) in pairs)
        return Shown(f"a dictionary of {words.size:,} words, with the unknown word: id, word, count", rows, False)
    if path.endswith((".jsonl", ".jsonl.gz")) or _is_json(next((line for _, line in readers.text_lines(path)), "")):
        values = (value for _, value in readers.json_values(path, "JSON"))
        return Shown("JSON lines", map(_named, values))
    return Shown("text", (("", line) for _, line in readers.text_lines(path, errors="surrogateescape")), False)


def _is_json(line):
    """Returns whether a line is a JSON object."""
    try:
        return isinstance(readers.parse_json(line), dict)
    except ValueError:
        return False


def of_checkpoint(prefix):
    """Returns the text to print for a checkpoint of this project or of TensorFlow 1, as `Shown`: its variables.

    Args: prefix: path without the extension .index. Raises: cli.UserError if it cannot be read.
    """
    import tensorflow as tf

    try:
        reader = tf.train.load_checkpoint(prefix)
        shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise cli.UserError(f"{prefix}: not a readable checkpoint ({str(error).splitlines()[0]})") from error
    numbers = sum(int(np.prod(shape)) for shape in shapes.values())
    rows = ((name, f"{dtypes[name].name} {shapes[name]}") for name in sorted(shapes))
    return Shown(f"a checkpoint: {len(shapes)} variables, {numbers:,} numbers", rows, False)


# --------------------------------------------------------------------------------------------------------------
# Which kind


def shown_of(path):
    """Returns the text to print for a file of any kind, as `Shown`.

    Raises: cli.UserError if the file cannot be read.
    """
    prefix = re.sub(r"\.(index|meta|data-\d+-of-\d+)$", "", path)
    if os.path.exists(prefix + ".index"):
        return of_checkpoint(prefix)
    if os.path.isdir(path):
        raise cli.UserError(f"{path}: a folder; name a file in it{_names_in(path)}")
    readers.check_regular(path)
    sidecar = _sidecar_of(path)
    with open(path, "rb") as file:
        head = file.read(12)
    if path.endswith(".tfrec") or record_files.begins_with_record(head):
        return of_records([path], sidecar)
    if head.startswith(b"\x93NUMPY") or path.endswith(".npy"):
        return of_array(path, sidecar)
    if head.startswith(b"PK") or path.endswith(".npz"):
        return of_archive(path, sidecar)
    if not head:
        raise cli.UserError(f"{path}: an empty file")
    if path.endswith(".json") or head.lstrip().startswith(b"["):
        return of_json(path)
    if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise cli.UserError(f"{path}: an unknown kind of file; expected {_known()}")
    return of_text(path)


def _known():
    """Returns the kinds of files that can be shown, as text for an error message."""
    return "records (.tfrec), arrays (.npy, .npz), JSON, text, or a checkpoint (ckpt-STEP)"


def _sidecar_of(path):
    """Returns the content of the sidecar that describes a file, as a dict; {} without one."""
    stem = re.sub(r"(-\d{5}-of-\d{5})?\.(tfrec|npy|npz|txt|jsonl)$", "", path)
    names = [f"{stem}.json", *(os.path.join(os.path.dirname(path), o.sidecar) for o in made_by.OUTPUTS.values())]
    for name in names:
        if name != path and os.path.isfile(name):
            try:
                content = sidecars.read_sidecar(name)
            except cli.UserError:
                continue
            if os.path.basename(path) in [entry["name"] for entry in content.get("files") or ()]:
                return content
    return {}


def _names_in(folder):
    """Returns text for an error message: some file names in a folder, the newest checkpoint first; "" without any."""
    found = sorted(entry.name for entry in os.scandir(folder) if entry.is_file() and not entry.name.startswith("."))
    steps = [int(match[1]) for name in found if (match := re.fullmatch(r"ckpt-(\d+)\.index", name))]
    found = [f"ckpt-{step}" for step in sorted(steps)[-1:]] + found
    return f": {', '.join(found[:10])}{', …' if len(found) > 10 else ''}" if found else ""


# --------------------------------------------------------------------------------------------------------------
# Printing


def lines_of(path, rows, name):
    """Yields the lines to print for a file: a heading and its first rows, or the rows of one photograph.

    Args: path: the file. rows: maximum number of rows, 0 for all. name: file name of the photograph; "" for all.
    Raises: cli.UserError if the file cannot be shown, or has no row of this name.
    """
    shown = shown_of(path)
    yield f"{path}: {shown.heading}"
    if name and not shown.named:
        raise cli.UserError(f"{path}: its rows do not belong to photographs; leave out --name")
    count, others, cut = 0, [], False
    for row_name, text in shown.rows:
        if name and row_name != name:
            if len(others) < 3 or name.lower() in row_name.lower():
                others = [row_name, *others][:3]
            continue
        if rows and count == rows:
            cut = True
            break
        count += 1
        line = f"  {row_name}: {text}" if row_name else f"  {text}"
        yield line if len(line) <= WIDTH or rows == 0 or name else line[: WIDTH - 1] + "…"
    if name and not count:
        seen = f"; it has {', '.join(others)}, …" if others else ""
        raise cli.UserError(f"{path}: no row of {name}{seen}. Names are those of the lists, with their extension")
    if cut:
        yield "  … (--rows 0 prints all)"


def main(options):
    """Prints the content of the files --paths. Raises: cli.UserError if one cannot be shown."""
    if not options.paths:
        raise cli.UserError("no file given: python -m preprocessing.show FILE")
    if options.rows < 0:
        raise cli.UserError(f"--rows {options.rows}: expected a number of rows, 0 for all")
    for path in options.paths:
        for line in lines_of(path, options.rows, options.name):
            print(line)


if __name__ == "__main__":
    cli.run(main, Options)
