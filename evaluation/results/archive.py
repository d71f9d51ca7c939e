"""Reads and writes the archive of results.

    results/EXPERIMENT/ROW/seed_S/      no_seed instead of seed_S for a row that depends on none
        scores.json         list of rows as in a table of results, each with the name of its captions file
        captions.json       captions in COCO results format; captions_DECODE.json for another decoding than beam3
        config.json         settings of the run
        environment.json    date, commit, versions, machine, commands
        metrics.jsonl       the run's log, at most 200 lines

The same layout is written by the experiment scripts to RUNS/results. Weights, references and photographs are not in it.
"""

import dataclasses
import json
import os
import re

from captioning.decode import file_stem
from cli import UserError
from formats import readers, sidecars
from formats.captions import sanitise, write_captions, write_json

ROOT = "results"
MODELS = "models"  # results/models/ holds small trained runs, not rows
LOG_LINES = 200
CAPTIONS = r"captions(_[\w.,=]+)?\.json"  # names of captions files, see `captions_name`
# What decides whether two scores can be compared.
VERSION = ("tokenizer", "scorer", "references_sha256")


@dataclasses.dataclass(frozen=True)
class Entry:
    """One folder of the archive: the rows and the environment of one run.

    Attributes:
      path: the folder.
      experiment, row: names of the experiment and of its row. seed: int, or None for a row without seed.
      rows: list of dicts, the content of scores.json: one for each split and decoding, in the format of table.make_row
        with the further fields "captions" (name of the file), "scorer" and "references_sha256".
      environment: dict, content of environment.json (date, commit, versions, machine, command).
    """

    path: str
    experiment: str
    row: str
    seed: int | None
    rows: list
    environment: dict

    def file(self, name):
        """Returns the path of the file `name` in the run's folder; the file need not exist."""
        return os.path.join(self.path, name)


def folder_of(root, experiment, row, seed):
    """Returns the path of a run's folder in the archive: ROOT/EXPERIMENT/ROW/seed_S, which need not exist.

    Args: root: folder of the archive. experiment, row: names. seed: int; None for the last part no_seed.
    """
    return os.path.join(root, experiment, row, "no_seed" if seed is None else f"seed_{seed}")


def captions_name(decode):
    """Returns the name of the captions file for a decoding: captions_DECODE.json, captions.json for "beam3" and None.

    Args: decode: name of a decoding (captioning/decode.py) or, for a row that is not decoded, None.
    """
    return f"{file_stem('captions', decode)}.json"


def read(root):
    """Reads all folders EXPERIMENT/ROW/seed_S below `root`: list of Entry, sorted by path; [] if `root` does not exist.

    The subfolder models/ of `root` is left out. Raises: UserError for a folder or file that does not fit the layout.
    """
    entries = []
    for folder, inside, names in sorted(os.walk(root)):
        inside.sort()
        parts = os.path.relpath(folder, root).split(os.sep)
        if parts[0] == MODELS or "scores.json" not in names:
            continue
        if len(parts) != 3:
            raise UserError(f"{folder}: expected EXPERIMENT/ROW/seed_S below {root}")
        entries.append(_read_entry(folder, *parts))
    return entries


def read_entry(folder):
    """Reads one folder EXPERIMENT/ROW/seed_S; returns Entry. Raises: UserError if it is not such a folder."""
    if not os.path.exists(os.path.join(folder, "scores.json")):
        raise UserError(f"{folder}: no scores.json; expected a folder such as results/miniature/full/seed_1")
    return _read_entry(folder, *os.path.realpath(folder).split(os.sep)[-3:])


def _read_entry(folder, experiment, row, seed):
    """Reads one folder; returns Entry. Args: experiment, row, seed: names of the last three folders of the path.

    Raises: UserError for a name or file that does not fit the layout.
    """
    if seed != "no_seed" and not (seed.startswith("seed_") and seed[5:].isdecimal()):
        raise UserError(f"{folder}: expected seed_S, S a number, or no_seed")
    rows = readers.read_json(os.path.join(folder, "scores.json"), "a list of rows with scores", list)
    fields = dict.fromkeys(("row", "captions", *VERSION), readers.is_text)
    for number, one in enumerate(rows):
        readers.check_fields(one, fields, f"{folder}/scores.json: row {number}", "add the run again")
        if one["row"] != row or not re.fullmatch(CAPTIONS, one["captions"]):
            raise UserError(f"{folder}/scores.json: row {number} is of {one['row']}, captions in {one['captions']}")
    environment = readers.read_json(os.path.join(folder, "environment.json"), kind=dict)
    return Entry(folder, experiment, row, None if seed == "no_seed" else int(seed[5:]), rows, environment)


def write_entry(root, experiment, row, captions, *, config, environment, log):
    """Writes or completes the folder of one run; a row of the same split and decoding is replaced, others are kept.

    A folder that has the very row already is left as it is, with the date and the versions of its scoring.

    Args:
      root: folder of the archive.
      experiment: name of the experiment, a folder of the archive.
      row: dict, one element of `Entry.rows`.
      captions: dict image name -> caption, or dict from `as_sentence_numbers`.
      config: dict, settings of the run. environment: dict, from `add.environment`.
      log: list of bytes, lines of metrics.jsonl; of many lines only LOG_LINES are written.

    Returns: path of the folder.
    """
    folder = folder_of(root, experiment, row["row"], row.get("seed"))
    path = os.path.join(folder, row["captions"])
    old = read_entry(folder) if is_complete(folder) else None
    if old and os.path.exists(path) and json.loads(json.dumps(row)) in old.rows:
        return folder
    os.makedirs(folder, exist_ok=True)
    if "sentences" in captions:
        write_json(path, captions)
    else:
        write_captions(path, sorted(captions.items()))
    write_json(os.path.join(folder, "config.json"), config)
    write_json(os.path.join(folder, "environment.json"), environment)
    if log:
        sidecars.write_results(os.path.join(folder, "metrics.jsonl"), b"".join(thinned(log)).decode())
    same = (row.get("split"), row.get("decode"))
    others = [one for one in old.rows if (one.get("split"), one.get("decode")) != same] if old else []
    rows = sorted([*others, row], key=lambda one: (str(one.get("split")), str(one.get("decode"))))
    write_json(os.path.join(folder, "scores.json"), rows)  # last: an entry without it is not one
    return folder


def is_complete(folder):
    """Returns whether a folder has the files that `read_entry` reads."""
    return all(os.path.exists(os.path.join(folder, name)) for name in ("scores.json", "environment.json"))


def thinned(lines, most=LOG_LINES):
    """Returns at most `most` lines of a log as list, evenly spaced, with the first and the last.

    Args: lines: list; it is not changed, and is returned itself if it has at most `most` lines.
    """
    if len(lines) <= most:
        return lines
    return [lines[round(i * (len(lines) - 1) / (most - 1))] for i in range(most)]


# --------------------------------------------------------------------------------------------------------------
# Captions that are sentences of a corpus that may not be redistributed


def as_sentence_numbers(captions, sentences, digest):
    """Returns captions as numbers of corpus sentences, from 0: {"corpus_sha256": digest, "sentences": {image: number}}.

    Args:
      captions: dict image name -> caption, each a sentence of the corpus.
      sentences: list of all sentences; for repeated ones, the first number is written.
      digest: sha256 of the corpus, from `add.corpus_of`.
    """
    places = {}
    for number, text in enumerate(sentences):
        places.setdefault(sanitise(text), number)
    return {"corpus_sha256": digest, "sentences": {name: places[text] for name, text in sorted(captions.items())}}


def read_captions(path, sentences_of):
    """Returns the captions of a captions file of the archive: dict image name -> caption.

    If the file has numbers of corpus sentences in place of texts, they are looked up in this corpus; without it, the
    result is None.

    Args:
      path: a captions file of the archive.
      sentences_of: function of a corpus' sha256 that returns the list of its sentences, or None if it is not available.
    """
    from formats import captions

    content = readers.read_json(path)
    if not isinstance(content, dict):
        return captions.read_captions(path)
    fields = {"corpus_sha256": readers.is_text, "sentences": readers.is_object}
    readers.check_fields(content, fields, path, "add the run again")
    sentences = sentences_of(content["corpus_sha256"])
    return sentences and {name: sanitise(sentences[number]) for name, number in content["sentences"].items()}
