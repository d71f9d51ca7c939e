"""Checks the outputs in a data folder: whether each is complete, and whether they were made from each other.

The data folder is the value of --data_dir. An output is a file, or a set of files, that one stage writes
(formats/made_by.py); its sidecar is a JSON file that describes it. This module does not need TensorFlow.
"""

import dataclasses
import functools
import os
import shlex

import cli
from formats import made_by, readers, record_files, sidecars, vocabulary, writing
from formats.made_by import OUTPUTS

TEXT_AND_TRAINING_IMAGES = ("dictionary", "sentence", "image_train", "features_train")
READ_BY_TRAINERS = tuple(
    name for name in OUTPUTS if not name.endswith("_test") and not name.startswith("refs_") and name != "sentences"
)


# --------------------------------------------------------------------------------------------------------------
# One output


def paths_of(data_dir, output):
    """Returns the list of the paths of the existing files of an output. Args: output: formats.made_by.Output."""
    if not output.files:
        return record_files.files_of(data_dir, output.name)
    return [path for path in (os.path.join(data_dir, name) for name in output.files) if os.path.lexists(path)]


def work_folder(data_dir, output):
    """Returns the path of the folder in which an output's stage keeps unfinished work; it need not exist.

    Args: output: formats.made_by.Output.
    """
    suffix = f"_{output.name.partition('_')[2]}" if output.name.startswith("features_") else ""
    return os.path.join(data_dir, f".{output.stage.rpartition('.')[2]}{suffix}")


@dataclasses.dataclass(frozen=True)
class Finding:
    """The state of one output.

    Attributes:
      status: "there" (complete), "unchecked" (exists, but without a sidecar), "missing", "unfinished" (only its work
        folder exists) or "damaged".
      details: text for messages: the fault or, if there is none, e.g. the count; "" for status "missing".
      count: number of records, lines or rows; None if they were not counted.
    """

    status: str
    details: str
    count: int | None = None


def check(data_dir, output, checksums=True):
    """Returns the state of one output as `Finding`.

    Args:
      data_dir: the data folder.
      output: formats.made_by.Output.
      checksums: compare the sha256 of its files as well; else only sizes and counts.
    """
    paths = paths_of(data_dir, output)
    json_path = os.path.join(data_dir, output.sidecar) if output.sidecar else ""
    if not paths:
        if json_path and os.path.lexists(json_path):
            return Finding("damaged", f"{output.sidecar} is there, its files are not")
        if os.path.isdir(work_folder(data_dir, output)):
            return Finding("unfinished", "the same command continues it")
        return Finding("missing", "")
    try:
        described_by = os.path.join(data_dir, output.described_by)
        for path in (*paths, *([described_by] if os.path.lexists(described_by) else [])):
            readers.check_regular(path)
        if output.name.startswith("refs_"):
            return _references(data_dir, output, paths[0], checksums)
        if paths[0].endswith(".npz"):
            return _arrays(output, paths, json_path, checksums)
        return _records(data_dir, output, paths, json_path, checksums)
    except (cli.UserError, OSError) as error:
        return Finding("damaged", str(error))


def _records(data_dir, output, paths, json_path, checksums):
    """Counts the records, lines or rows of an output and compares them with its sidecar; returns a Finding.

    Args: output: Output. paths: its existing files. json_path: path of its sidecar. checksums: compare the sha256 as
      well.
    Raises: cli.UserError if a file cannot be read.
    """
    if output.name == "dictionary":
        vocabulary.Vocabulary.load(paths[0])
    count = sum(_count(path) for path in paths)
    if not count:
        return Finding("damaged", f"{paths[0]} is empty")
    if not os.path.exists(json_path):
        if not output.files:
            record_files.find_files(data_dir, output.name)  # names the shards that are missing
        hint = (
            f"python -m preprocessing.records --index {shlex.quote(paths[0])} writes one"
            if not output.files
            else "not compared"
        )
        return Finding("unchecked", f"{count:,}, no sidecar ({hint})", count)
    if damage := sidecars.damaged_file(json_path, checksums):
        return Finding("damaged", damage)
    sidecar = sidecars.read_sidecar(json_path)
    if strangers := sorted(set(map(os.path.basename, paths)) - {entry["name"] for entry in sidecar.get("files") or []}):
        return Finding("damaged", f"{strangers[0]} is there, but {output.sidecar} does not list it")
    if sidecar.get("count") != count:
        return Finding("damaged", f"{count:,} are there, {output.sidecar} states {sidecar.get('count')}")
    names = sidecar.get("names")
    if names is not None and len(names) != count:
        return Finding("damaged", f"{count:,} rows are there, {output.sidecar} has {len(names):,} names")
    return Finding("there", f"{count:,}", count)


def _arrays(output, paths, json_path, checksums):
    """Compares the .npz files of an output with its sidecar; returns a Finding.

    Args: output: Output. paths: its existing files. json_path: path of its sidecar. checksums: compare the sha256 as
      well.
    Raises: cli.UserError if the sidecar is damaged.
    """
    missing = {*output.files} - {os.path.basename(path) for path in paths}
    if missing or not os.path.exists(json_path):
        return Finding("damaged", f"{min(missing or {output.sidecar})} is missing")
    if damage := sidecars.damaged_file(json_path, checksums):
        return Finding("damaged", damage)
    sidecar = sidecars.read_sidecar(json_path)
    readers.check_fields(sidecar, {"count": readers.is_count}, json_path, "not a sidecar")
    count = sidecar["count"]
    return Finding("there", f"{count:,}", count)


def _references(data_dir, output, path, checksums):
    """Compares a file of reference captions with its checksum in the sidecar of the image records; returns a Finding.

    Args: output: Output. path: the file. checksums: compare the sha256 as well; else only the size.
    Raises: cli.UserError if a file cannot be read.
    """
    content = readers.read_json(path, "captions in COCO's format")
    readers.check_fields(content, {"annotations": readers.is_list}, path, "not captions in COCO's format")
    count = len(content["annotations"])
    json_path = os.path.join(data_dir, f"image_{output.name.partition('_')[2]}.json")
    entry = sidecars.read_sidecar(json_path).get("references") if os.path.exists(json_path) else None
    if entry:
        readers.check_fields(entry, sidecars.ENTRY, f"{json_path}: references", "not a sidecar")
    if entry and (os.path.getsize(path) != entry["bytes"] or checksums and sidecars.fingerprint(path) != entry):
        return Finding("damaged", f"{path} is not the file that {json_path} describes")
    return Finding("there" if entry else "unchecked", f"{count:,} captions", count)


def _count(path):
    """Returns the number of records (.tfrec), rows (.npy) or lines (other files) of a file.

    Raises: cli.UserError if cut short.
    """
    if path.endswith(".tfrec"):
        return record_files.count_records(path)
    if path.endswith(".npy"):
        return len(readers.map_npy(path))
    with open(path, "rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b"")) + _unended(path)


def _unended(path):
    """Returns 1 if the last line of a text file has no line end, as in the authors' dictionary, else 0."""
    if not os.path.getsize(path):
        return 0
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return int(file.read(1) != b"\n")


# --------------------------------------------------------------------------------------------------------------
# Outputs that do not fit together


def misfits(data_dir, names=tuple(OUTPUTS)):
    """Finds outputs that were made from other versions of their inputs than those now in the folder.

    Args:
      data_dir: the data folder.
      names: names of the outputs to check, keys of OUTPUTS. Only their sidecars, and those that they are compared
        with, are read, because reading the sidecar of a large feature bank takes 60 ms.

    Returns: list of (name of the output, what does not fit, the command that makes it again), all str.
    """
    about, words = _Sidecars(data_dir), functools.cache(lambda: _fingerprint_of_dictionary(data_dir))
    of_source = [found for found in _of_changed_source(data_dir, about) if found[0] in names]
    found = [(name, text) for name in names for text in _made_from_others(name, about)]
    for name in names:
        own = about[name].get("vocabulary") or _part(about[name], "made_from", "vocabulary")
        if own and words() and own != words():
            found.append((name, "its ids are those of another dictionary than word_counts.txt"))
        if name.startswith("refs_") and _is_other_file(data_dir, name, about):
            found.append((name, f"it is not the file that image_{name.partition('_')[2]}.json describes"))
    return of_source + [(name, text, made_by.command(data_dir, name, again=True)) for name, text in found]


def require_fit(data_dir, names, verify=False):
    """Checks that outputs were made from the files now in the folder; every program that reads them calls this first.

    Args:
      data_dir: the data folder.
      names: names of the outputs that will be read, keys of OUTPUTS; they may be missing.
      verify: compare the checksums of all files that sidecars in the folder list as well.

    Raises: cli.UserError naming the first output that does not fit, and the command that makes it again; with `verify`
      also for a file that is missing or has changed.
    """
    for name, text, command in misfits(data_dir, names):
        raise cli.UserError(f"{data_dir}: {name} does not fit the other files: {text}. Make it again: {command}")
    if verify:
        sidecars.verify(data_dir)


def reading(data_dir, names=READ_BY_TRAINERS):
    """Returns a context manager that locks outputs, so that no other process replaces them within its block.

    Args: data_dir: the data folder. names: names of the outputs, keys of OUTPUTS; the default are those that trainers
      read.
    Raises: cli.UserError if another process is writing one of them.
    """
    return writing.working(data_dir, [], {OUTPUTS[name].lock for name in names})


def read_by_trainer(train):
    """Decorator of a trainer's `main(options, ...)`: locks the outputs in `options.data_dir` that trainers read.

    So no other process can replace them while it trains. The decorated `main` raises cli.UserError if another process
    is writing one of them.
    """

    @functools.wraps(train)
    def locked(options, *arguments, **named):
        with reading(options.data_dir):
            return train(options, *arguments, **named)

    return locked


def require(data_dir, names):
    """Raises cli.UserError if an output is missing or damaged; the message has the command that makes it.

    Args: data_dir: the data folder. names: names of outputs, keys of OUTPUTS.
    """
    for name in names:
        finding = check(data_dir, OUTPUTS[name], checksums=False)
        if finding.status not in ("there", "unchecked"):
            command = made_by.command(data_dir, name, again=finding.status == "damaged")
            raise cli.UserError(f"{data_dir}: {name}: {finding.details or 'missing'}. Make it with: {command}")


def _about(data_dir, output):
    """Returns the sidecar of an output as a dict; {} if it is missing or damaged.

    Args: output: formats.made_by.Output.
    """
    path = os.path.join(data_dir, output.sidecar)
    try:
        return sidecars.read_sidecar(path) if output.sidecar and os.path.isfile(path) else {}
    except cli.UserError:
        return {}


class _Sidecars(dict):
    """Dict name of an output -> its sidecar (a dict), {} without one. A sidecar is read when it is first accessed."""

    def __init__(self, data_dir):
        super().__init__()
        self.data_dir = data_dir

    def __missing__(self, name):
        self[name] = _about(self.data_dir, OUTPUTS[name])
        return self[name]


def _part(content, *names):
    """Returns the value at a path of keys in nested dicts; None if a key is missing or a value is not a dict."""
    for name in names:
        content = content.get(name) if isinstance(content, dict) else None
    return content


def _digests(content):
    """Returns the list of the sha256 of an output's files. Args: content: its sidecar."""
    return [entry["sha256"] for entry in content.get("files") or []]


def _fingerprint_of_dictionary(data_dir):
    """Returns the fingerprint of word_counts.txt; None if it is missing or cannot be read."""
    path = os.path.join(data_dir, "word_counts.txt")
    try:
        return vocabulary.Vocabulary.load(path).fingerprint() if os.path.isfile(path) else None
    except cli.UserError:
        return None


def _made_from_others(name, about):
    """Yields messages about differences between the inputs that an output's sidecar states and the present files.

    Args: name: name of the output. about: _Sidecars of the folder.
    """
    kind, _, split = name.partition("_")
    made_from = about[name].get("made_from") or {}
    if name == "sentence":
        sentences, there = made_from.get("sentences"), _digests(about["sentences"])
        if sentences and there and sentences not in there:
            yield "it was made from another sentences.txt"
    elif kind == "image":
        detections, there = made_from.get("detections"), _digests(about["detections"])
        if detections and there and detections != there:
            yield "it was made from other detections"
    elif kind == "features":
        image, features = about[f"image_{split}"], about[name]
        counts = [content.get("count") for content in (features, image)]
        if None not in counts and counts[0] != counts[1]:
            yield f"{counts[0]:,} images, the records hold {counts[1]:,}"
        shown = _part(features, "made_from", "images", "photographs")
        if shown and image.get("photographs", shown) != shown:
            yield "they are of other photographs than the records"
    elif name in ("retrieved_captions", "obj2sen_captions", "neighbours", "fit_captions"):
        for source in ("sentence", "image_train", "neighbours"):
            there = _digests(about[source]) if source in made_from else []
            if there and made_from[source] != there:
                yield f"it was made from other {source} files"


def _is_other_file(data_dir, name, about):
    """Returns whether a reference file is not the one that the sidecar of the image records describes.

    Args: name: "refs_val" or "refs_test". about: _Sidecars of the folder.
    """
    path, entry = os.path.join(data_dir, f"{name}.json"), about[f"image_{name.partition('_')[2]}"].get("references")
    return bool(entry) and os.path.isfile(path) and sidecars.fingerprint(path) != entry


def _of_changed_source(data_dir, about):
    """Finds outputs that were copied or computed from another data folder which has changed since.

    Only a folder of predict_caption_embeddings has such a source folder.

    Args: about: _Sidecars of the folder.
    Yields: (name of the output, what does not fit, the command that makes it again).
    """
    origin = made_by.source_of(data_dir)
    if not origin or not os.path.isdir(origin):
        return
    theirs = _Sidecars(origin)
    changed = []
    for name in OUTPUTS:
        paths = [os.path.join(folder, f"{name}.json") for folder in (data_dir, origin)]
        if name.startswith("refs_"):
            image = theirs[f"image_{name.partition('_')[2]}"]
            removed = image and not image.get("references") and not os.path.isfile(paths[1])
            if os.path.isfile(paths[0]) if removed else os.path.isfile(paths[1]) and not _same_file(*paths):
                changed.append(name)
        elif name.startswith("features_"):
            made_from = _part(about[name], "made_from", "features")
            if theirs[name] and made_from != _digests(theirs[name]):
                changed.append(name)
        elif name in made_by.LINKED:
            if theirs[name] and _digests(theirs[name]) != _digests(about[name]):
                changed.append(name)
    learned_from = ("sentence", "image_train", "features_train", "dictionary")
    command = made_by.command(data_dir, made_by.NEIGHBOURS.name, again=any(name in learned_from for name in changed))
    for name in changed:
        yield name, f"{origin}, which it comes from, holds another one now", command


def _same_file(path, other):
    """Returns whether two paths lead to the same file or to files with equal name and content.

    Args: other: an existing file.
    """
    if not os.path.isfile(path):
        return False
    return os.path.samefile(path, other) or sidecars.fingerprint(path) == sidecars.fingerprint(other)
