"""Adds the rows of scored runs, with their captions and settings, to an archive of results."""

import datetime
import functools
import glob
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess

from cli import UserError
from evaluation import table, untrained
from evaluation.results import archive
from formats import captions, readers
from training import run_directory

# Fields of a table row that the archive keeps as they are.
KEPT = (*table.KEY, "images", *table.SCORES, "CIDEr_95", *table.SHARES, "length", "minutes", "selection")
PACKAGES = ("tensorflow", "keras", "numpy", "nltk", "pycocoevalcap")
DRAWN = ("miniature", "miniature_smoke")  # experiments whose sentences this program makes: no licence forbids copies


def add(path, root, experiment="", row=""):
    """Adds the scored rows of a path to an archive; returns the list of the paths of the folders that were written.

    Args:
      path: a run directory (its rows of the table beside it), a table file (all its rows), or a folder of the
        archive's layout, which is copied.
      root: folder of the archive.
      experiment: name of the experiment, a folder of the archive; empty = the experiment of the run's recipe.
      row: name of the only row that is added; empty = all.

    Raises: UserError if there is no scored row, or its captions are not those that were scored.
    """
    if os.path.isfile(path):
        rows = table.read_table(path)
        where = path
    elif os.path.exists(os.path.join(path, "config.json")):
        where = os.path.join(os.path.dirname(os.path.realpath(path)), "table.json")
        rows = [one for one in table.read_table(where) if one.get("run") == os.path.realpath(path)]
    else:
        return _copy(path, root, experiment, row)
    rows = _final(one for one in rows if row in ("", one["row"]))
    if not rows:
        raise UserError(
            f"{where}: no row {row or 'of ' + path}; score the run first: python eval_test.py --job_dir RUN"
        )
    return [_add_row(one, where, root, experiment) for one in rows]


def _final(rows):
    """Returns the rows as list, without the validation rows of runs that have a test row.

    Validation only chose the checkpoint of such a run.

    Args: rows: iterable of dicts.
    """
    rows = list(rows)
    tested = {(one["row"], one.get("run")) for one in rows if one["split"] == "test"}
    return [one for one in rows if one["split"] == "test" or (one["row"], one.get("run")) not in tested]


def _copy(path, root, experiment, row):
    """Copies the archived runs below `path` into the archive `root`; returns the list of their folders there.

    A run that the archive has with the same rows is left as it is.

    Args: path: folder of the archive's layout. experiment, row: the only ones to copy; empty = all.
    Raises: UserError if there is none.
    """
    entries = [one for one in archive.read(path) if experiment in ("", one.experiment) and row in ("", one.row)]
    if not entries:
        raise UserError(
            f"{path}: neither a run directory, a table, nor a folder with EXPERIMENT/ROW/seed_S/scores.json in it"
        )
    folders = []
    for entry in entries:
        target = archive.folder_of(root, entry.experiment, entry.row, entry.seed)
        old = archive.read_entry(target) if archive.is_complete(target) else None
        if not old or old.rows != entry.rows:
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(entry.path, target)
        folders.append(target)
    return folders


def _add_row(row, where, root, experiment):
    """Adds one row of a table to the archive; returns the folder that was written.

    Args: row: dict from `table.read_table`. where: path of the table. root: folder of the archive.
      experiment: name of the experiment, a folder of the archive; empty = the experiment of the run's recipe.
    Raises: UserError if there is no experiment, or the captions are not those that were scored.
    """
    run = row.get("run") or ""
    trained = os.path.exists(os.path.join(run, "config.json"))
    config = run_directory.read_config(run) if trained else {"settings": row.get("made_from") or {}}
    data_dir = run_directory.data_dir_of(run) if trained else run
    experiment = experiment or str(config["settings"].get("recipe") or "").partition("/")[0]
    if not experiment:
        raise UserError(f"{where}: row {row['row']} names no experiment; give --experiment")
    references = captions.read_references(os.path.join(data_dir, f"refs_{row['split']}.json"))
    found = captions_of(row, where, references)
    entry = {name: row.get(name) for name in KEPT} | {
        "checkpoint_step": step_of(row),
        "captions": archive.captions_name(row.get("decode")),
        "scored": row["scored"],
        "tokenizer": row["tokenizer"],
        "scorer": f"pycocoevalcap {importlib.metadata.version('pycocoevalcap')}",
        "references": row["references"],
        "references_sha256": references_digest(references),
        "reasons": row.get("reasons") or {},
    }
    written = found
    if not trained and experiment not in DRAWN:
        written = archive.as_sentence_numbers(found, *corpus_of(data_dir))
    log = run_directory.log_entries(os.path.join(run, "metrics.jsonl"))[0] if trained and _logged(run) else []
    return archive.write_entry(
        root,
        experiment,
        entry,
        written,
        config=without_folders(config),
        environment=environment(row),
        log=[line for line, _ in log],
    )


def _logged(run):
    """Returns whether a run directory has a log, metrics.jsonl."""
    return os.path.exists(os.path.join(run, "metrics.jsonl"))


def step_of(row):
    """Returns the training step of a row's checkpoint (int); None if the row has no checkpoint with a step.

    Args: row: dict from `table.read_table`.
    """
    match = re.search(r"(\d+)$", row.get("checkpoint") or "")
    return int(match[1]) if match else None


def captions_of(row, where, references):
    """Returns the captions that a table row was scored with: dict image name -> caption.

    Args: row: dict from `table.read_table`. where: path of the table.
      references: dict image name -> list of captions.

    Raises: UserError if no caption file of the run has these captions.
    """
    run = row.get("run") or ""
    step, split = step_of(row), row["split"]
    places = [os.path.join(os.path.dirname(os.path.realpath(where)), row["captions"])] if row.get("captions") else []
    for pattern in (f"{split}.json", f"{split}_{row.get('decode')}.json", f"{split}_{step}.json"):
        escaped = glob.escape(run)
        places += sorted(glob.glob(os.path.join(escaped, pattern)) + glob.glob(os.path.join(escaped, "*", pattern)))
    for place in places:
        if not os.path.exists(place):
            continue
        read = captions.read_captions(place)
        found = {name: read[name] for name in references if name in read}  # only these were scored
        if table.digest_of_scored(found, references) == row.get("scored"):
            return {name: captions.sanitise(caption) for name, caption in found.items()}
    raise UserError(
        f"{where}: no file has the captions of row {row['row']} ({split}, {row.get('decode')}) that were scored; "
        f"looked at: {', '.join(places) or 'no file'}. Score it again: python eval_test.py --job_dir RUN"
    )


def references_digest(references):
    """Returns the sha256 of references, shortened to 16 digits; the order of the images does not matter.

    Args: references: dict image name -> list of captions.
    """
    content = json.dumps([[name, references[name]] for name in sorted(references)])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


@functools.lru_cache(maxsize=1)  # several rows of an experiment need it
def corpus_of(data_dir):
    """Returns the corpus of a data folder: (list of the sentences without unknown words, their sha256 in hex).

    The last result is cached: the caller must not change the list.
    """
    sentences = untrained.load_corpus(data_dir).texts
    return sentences, hashlib.sha256("\n".join(sentences).encode()).hexdigest()


def without_folders(value):
    """Returns a copy of a JSON value in which absolute paths, also inside texts, are shortened to their last part.

    Folders of one machine mean nothing on another.
    """
    if isinstance(value, dict):
        return {name: without_folders(one) for name, one in value.items()}
    if isinstance(value, list):
        return [without_folders(one) for one in value]
    return re.sub(r"(?<![\w./])/(?:[^\s/:,]+/)+", "", value) if isinstance(value, str) else value


def environment(row):
    """Returns the content of environment.json as dict: date, commit, versions, machine, minutes and command.

    All but the last two describe the time and the machine of this call, which may differ from those of the training.

    Args: row: dict from `table.read_table`; its "minutes" and "command" are copied.
    """
    return {
        "date": datetime.date.today().isoformat(),
        "commit": _git("rev-parse", "--short=10", "HEAD"),
        "changed_files": len((_git("status", "--porcelain", "--untracked-files=no") or "").splitlines()),
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "processor": _processor(),
        "cores": os.cpu_count(),
        "training_minutes": row.get("minutes"),
        "command": without_folders(row.get("command")),
    }


@functools.cache
def _git(*arguments):
    """Returns the output of a git command (str), None if it fails; cached. Args: arguments: strings after `git`."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


@functools.cache
def _processor():
    """Returns the name of the processor, or its architecture where the system has no name for it."""
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    return platform.machine()


def check_readable(path):
    """Raises UserError if a path that is to be added does not exist."""
    if not os.path.exists(path):
        raise readers.unreadable(path, "does not exist", "a run directory, a table or a folder RUNS/results")
