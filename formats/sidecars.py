"""Reads and writes sidecars: JSON files that describe an output, its settings and its inputs, and mark it as complete.

Only the fields "command" and "image_dir" of a sidecar depend on when, where or how often a stage was run.
docs/stages.md lists the outputs.
"""

import glob
import hashlib
import json
import os
import sys
import tempfile

import cli
from formats import file_names, readers, writing

SCHEMA_VERSION = 1
LONGEST_SHOWN = 100  # characters of a value in an error
# The fields of every sidecar, by which it differs from other JSON files.
FIELDS = {
    "count": readers.optional(readers.is_count),
    "counts": readers.optional(readers.is_list),
    "files": lambda value: value is None or isinstance(value, list) and bool(value),
    "settings": readers.optional(readers.is_object),
    "made_from": readers.optional(readers.is_object),
    "names": readers.optional(readers.are_texts),
    "command": readers.optional(readers.is_text),
    "image_dir": readers.optional(readers.is_text),
    "vocabulary": readers.optional(readers.is_text),
    "encoder": readers.optional(readers.is_object),
}
ENTRY = {
    "name": lambda value: isinstance(value, str) and bool(value) and os.path.basename(value) == value,
    "bytes": readers.is_count,
    "sha256": readers.is_text,
}


def fingerprint(path):
    """Returns a dict that identifies a file: "name" (str), "bytes" (its size, int) and "sha256" (hex).

    The name is without the folder, so that the folder can be moved.

    Raises: OSError.
    """
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"name": os.path.basename(path), "bytes": os.path.getsize(path), "sha256": digest}


def folder_digest(path):
    """Returns the sha256 (hex) over the relative paths and contents of all files in a folder and its subfolders.

    Raises: OSError if a file cannot be read.
    """
    digest = hashlib.sha256()
    for folder, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            file = os.path.join(folder, name)
            digest.update(file_names.to_bytes(f"{os.path.relpath(file, path)}\t{fingerprint(file)['sha256']}\n"))
    return digest.hexdigest()


def write_whole(path, content):
    """Writes a file atomically. Raises: OSError.

    Args: content: bytes, or str, which `file_names.written` encodes.
    """
    with writing.replacing(path) as part, open(part, "wb") as file:
        file.write(content if isinstance(content, bytes) else file_names.written(content))


def write_results(path, content):
    """Writes results that took long to compute to a file, atomically, and creates its folder if needed.

    If the file cannot be written, `keep_elsewhere` saves the results.

    Args: content: str or bytes.
    Raises: cli.UserError if the file cannot be written; the message says why, and where the results are instead.
    """
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        write_whole(path, content)
    except OSError as error:
        raise cli.UserError(f"{cli.file_fault(error) or error}. {keep_elsewhere(path, content)}") from error


def print_results(text):
    """Prints a text to standard output; if that fails, `keep_elsewhere` saves it.

    Raises: BrokenPipeError if the reader closed the pipe; cli.UserError for any other failure, saying where the text
      is.
    """
    try:
        print(text, end="", flush=True)
    except BrokenPipeError:  # the reader closed the pipe
        raise
    except OSError as error:
        raise cli.UserError(f"{cli.file_fault(error) or error}. {keep_elsewhere('results.txt', text)}") from error


def keep_elsewhere(path, content):
    """Saves results whose file cannot be written: in the folder for temporary files, else in the working directory.

    The new file has a similar name. If it cannot be written either, the results are printed to standard error.

    Args: path: the file that could not be written. content: str or bytes.
    Returns: a sentence for an error message that says where the results are.
    """
    stem, ending = os.path.splitext(os.path.basename(path))
    for folder in (None, os.curdir):
        try:
            number, other = tempfile.mkstemp(ending[:20], f"{stem[:80]}-", folder)
            with open(number, "wb") as file:
                file.write(content if isinstance(content, bytes) else file_names.written(content))
            return f"The results are in {os.path.abspath(other)}"
        except OSError:
            continue
    print(file_names.from_bytes(content) if isinstance(content, bytes) else content, end="", file=sys.stderr)
    return "The results are above, on the screen"


def write_json(path, value):
    """Writes a JSON-able value to a file (sorted keys, indented), atomically. Raises: OSError."""
    write_whole(path, json.dumps(value, indent=1, sort_keys=True) + "\n")


def checksum_of(content):
    """Returns the sha256 (hex) of the content of a sidecar (a dict) without its field "checksum"."""
    rest = {name: value for name, value in content.items() if name != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode("utf-8", "surrogateescape")).hexdigest()


def write_sidecar(json_path, *, files, count, settings, made_from, counts=None, **extra):
    """Writes the sidecar of a finished output. An output with a sidecar is complete.

    Args:
      json_path: path of the sidecar, in the folder of the files.
      files: list of paths of the output's files, in the order of their records.
      count: number of records (lines, rows) in all files together.
      settings: dict of the settings that determine the output.
      made_from: dict that identifies the inputs (fingerprints, counts).
      counts: list of the number of records in each file; None if unknown.
      **extra: further fields of the sidecar.

    Raises: OSError.
    """
    entries = [fingerprint(path) for path in files]
    for entry, records in zip(entries, counts or [], strict=bool(counts)):
        entry["count"] = records
    sidecar = {
        "schema": SCHEMA_VERSION,
        "count": count,
        "files": entries,
        "settings": settings,
        "made_from": made_from,
        "command": cli.command_line(),
        **extra,
    }
    sidecar = json.loads(json.dumps(sidecar))  # as JSON: tuples become lists, keys become texts
    write_json(json_path, sidecar | {"checksum": checksum_of(sidecar)})


def read_sidecar(json_path):
    """Returns the content of a sidecar as a dict.

    Raises: cli.UserError when it is missing, damaged or was changed by hand.
    """
    content = readers.read_json(json_path)
    mend = "not a sidecar; remove it and make it again"
    readers.check_fields(content, FIELDS, json_path, mend)
    for entry in content.get("files") or ():
        readers.check_fields(entry, ENTRY, f"{json_path}: files", mend)
    if content.get("checksum", checksum := checksum_of(content)) != checksum:
        raise cli.UserError(
            f"{json_path} was changed since it was written: its checksum differs. Remove it and make it again: "
            f"{content.get('command', 'the stage that made it')}"
        )
    return content


def damaged_file(json_path, checksums=False):
    """Returns a message about the first file of a sidecar that is missing or damaged; "" if there is none.

    Args: json_path: path of the sidecar. checksums: compare the sha256 of each file as well; else only its size.
    """
    folder, content = os.path.dirname(json_path), _fields(json_path)
    if not content.get("files"):
        return f"{json_path} lists no files: it is not a sidecar"
    for entry in content["files"]:
        path = os.path.join(folder, entry["name"])
        if not os.path.exists(path):
            return f"{path} is missing"
        if os.path.getsize(path) != entry["bytes"]:
            return f"{path} has {os.path.getsize(path)} bytes, not the {entry['bytes']} that {json_path} states"
        if checksums and fingerprint(path)["sha256"] != entry["sha256"]:
            return f"{path} is not the file that {json_path} describes: its sha256 differs"
    return ""


def verify(folder):
    """Compares the sha256 of all files that the sidecars in a folder list; returns the number of sidecars.

    Raises: cli.UserError naming the first file that is missing or has changed.
    """
    listed = [
        path
        for path in sorted(glob.glob(os.path.join(glob.escape(folder), "*.json")))
        if os.path.isfile(path) and "files" in _fields(path)
    ]
    for path in cli.progress(listed, "checksums"):
        damage = damaged_file(path, checksums=True)
        if damage:
            command = read_sidecar(path).get("command", "the stage that made it")
            raise cli.UserError(f"{damage}. Remove it and make it again: {command}")
    return len(listed)


def _fields(path):
    """Returns the content of a sidecar as a dict; {} for a JSON file that is not a sidecar.

    Raises: cli.UserError if it is damaged or was changed by hand.
    """
    content = readers.read_json(path)
    return read_sidecar(path) if isinstance(content, dict) and "files" in content else {}


def differing(name, there, here):
    """Returns the differences between two JSON values, those of the innermost fields only.

    Args:
      name: name of the value, under which the differences inside it are listed; "" for a whole sidecar field.
      there: value of the existing output. here: wanted value.

    Returns: list of (path of the field, value there, value here); the path is a str of field names or list positions
      from 1, joined by spaces. The value of a field that only one of the two has is None on the other side.
    """
    if there == here:
        return []
    if isinstance(there, dict) and isinstance(here, dict):
        keys = [(f"{name} {key}".strip(), there.get(key), here.get(key)) for key in sorted(there.keys() | here.keys())]
        return [found for key in keys for found in differing(*key)]
    if isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        pairs = enumerate(zip(there, here, strict=True), 1)
        return [found for number, pair in pairs for found in differing(f"{name} {number}".strip(), *pair)]
    return [(name, there, here)]


def shown(value):
    """Returns a JSON value as text for an error message; a list becomes its elements separated by commas.

    Text longer than LONGEST_SHOWN characters is cut.
    """
    text = (", ".join(map(str, value)) or "none") if isinstance(value, list) else str(value) or "''"
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"


def sidecar_status(json_path, settings, made_from=None):
    """Compares an existing output with the wanted settings and inputs.

    Args:
      json_path: path of the sidecar.
      settings: dict of the wanted settings.
      made_from: dict of the wanted inputs; None: do not compare them.

    Returns: (status, details), both str. The status is "missing" (no sidecar), "different" (made with other settings or
      from other inputs), "damaged" (a file is missing or its size differs) or "complete"; the details say what differs,
      or the number of records when complete.
    Raises: cli.UserError if the sidecar is damaged.
    """
    if not os.path.exists(json_path):
        return "missing", f"{json_path} is not there"
    sidecar = read_sidecar(json_path)
    wanted = {"schema": SCHEMA_VERSION, "settings": settings, "made_from": made_from}
    wanted = json.loads(json.dumps(wanted))  # tuples become lists, as in the file
    differences = []
    if sidecar.get("schema") != wanted["schema"]:
        differences.append(f"schema: {sidecar.get('schema')} there, {wanted['schema']} wanted")
    for part in ["settings"] if made_from is None else ["settings", "made_from"]:
        there, asked = sidecar.get(part, {}), wanted[part]
        found = differing("", there, asked)
        differences += [f"{name}: {shown(theirs)} there, {shown(ours)} wanted" for name, theirs, ours in found]
    if differences:
        return "different", "\n  ".join(differences)
    damage = damaged_file(json_path)
    return ("damaged", damage) if damage else ("complete", f"{sidecar['count']} records")


def already_made(json_path, settings, made_from=None, overwrite=False, others=()):
    """Returns True, and prints so, if a stage's output is complete and need not be made; else False.

    Of a damaged output it prints that it will be made again. Before it returns False, it checks that the folder can be
    written.

    Args:
      json_path: path of the sidecar.
      settings: dict of the wanted settings.
      made_from: dict of the wanted inputs; None: do not compare them.
      overwrite: whether to make the output again in any case; the result is then False.
      others: paths of the sidecars of the stage's other outputs, whose files must be undamaged as well.

    Raises: cli.UserError when an existing output has other settings or inputs and `overwrite` is False, or a sidecar
      is damaged; OSError when the folder cannot be written.
    """
    if overwrite:
        return _to_be_made(json_path)
    status, details = sidecar_status(json_path, settings, made_from)
    damages = [damaged_file(path) if os.path.exists(path) else f"{path} is missing" for path in others]
    if status == "complete" and any(damages):
        status, details = "damaged", next(filter(None, damages))
    if status == "different":
        raise cli.UserError(
            f"{json_path}: the existing output was made with other settings or inputs.\n  {details}\n"
            "Add --overwrite to replace it, or give another --data_dir."
        )
    if status == "damaged":
        print(f"{json_path}: {details}; making it again")
    if status == "complete":
        print(f"{json_path}: complete ({details}), nothing to do; --overwrite makes it again")
        return True
    return _to_be_made(json_path)


def _to_be_made(json_path):
    """Returns False, the result of `already_made` for an output to be made. Raises: OSError if it cannot be written."""
    with cli.tried(files=(json_path,)):
        return False


def refuse_unknown(paths, json_path, overwrite):
    """Raises cli.UserError if files that no stage made would be replaced: one exists, but its sidecar does not.

    Args: paths: files to be written. json_path: their sidecar. overwrite: whether they may be replaced anyway.
    """
    found = [path for path in paths if os.path.exists(path)]
    if found and not overwrite and not os.path.exists(json_path):
        raise cli.UserError(
            f"{found[0]} exists without {json_path}, so this stage did not make it. Move it away, or add --overwrite."
        )
