"""Decides when a training no longer improves on validation (--patience N).

Training does not score captions. It reads the ranking RUN/b34.json, which `eval_val.py --watch` writes beside it; if
that has no scores, RUN/best.json, which the stages on text write when they evaluate held-out sentences.
"""

import os

import cli
from formats import readers
from training import rankings
from training.run_directory import read_log


def since_best(job_dir):
    """Returns the number of ranked checkpoints after the best one: int; None if no checkpoint is ranked.

    Of equally good checkpoints the first one counts as the best: a tie is no rise.

    Args: job_dir: run directory. Raises: cli.UserError if the ranking is damaged.
    """
    if rankings.best_step(job_dir, missing_ok=True) is not None:
        key = rankings.KEYS[rankings.SELECTION]
        entries = readers.read_json(os.path.join(job_dir, rankings.SELECTION), kind=list)
        scores = {int(entry[0]): key(entry) for entry in entries if key(entry) is not None}
        best = min(step for step, score in scores.items() if score == max(scores.values()))
        return sum(step > best for step in scores)
    path = os.path.join(job_dir, "best.json")
    if not os.path.exists(path):
        return None
    best = readers.read_json(path, "the best step of a training; remove it", dict)
    readers.check_fields(best, {"step": readers.is_count}, path, "remove it")
    return len({entry["step"] for entry in read_log(job_dir) if "eval/loss" in entry and entry["step"] > best["step"]})


def ends(job_dir, patience):
    """Returns whether the last `patience` ranked checkpoints are no better than an earlier one.

    Args: job_dir: run directory. patience: value of --patience, 0 for no end. Raises: cli.UserError as `since_best`.
    """
    return patience > 0 and (since_best(job_dir) or 0) >= patience


class Patience:
    """Asks during a training whether --patience ends it, and logs the answer.

    Args: options: config.Trainer. run: training.run_directory.RunDirectory.
    """

    def __init__(self, options, run):
        self.job_dir, self.patience, self.run, self.noted = options.job_dir, options.patience, run, False

    def ends(self, step):
        """Returns whether --patience ends the training after a checkpoint; False in processes that do not write.

        Logs a note, once, if no checkpoint is ranked yet, and a warning for a damaged ranking, which ends nothing.

        Args: step: number of the finished steps.
        """
        if not self.patience or not self.run.writes or not step:  # at step 0 a ranking is that of an earlier run
            return False
        try:
            ranked, over = since_best(self.job_dir) is not None, ends(self.job_dir, self.patience)
        except cli.UserError as error:
            self.run.log(f"WARNING: --patience {self.patience} has no effect: {error}")
            return False
        if over:
            self.run.log(
                f"{self.job_dir} is complete: step {step}; the last {self.patience} ranked checkpoints or more are no "
                "better than an earlier one (--patience). The same command with a larger --patience continues"
            )
        elif not ranked and not self.noted:
            self.noted = True
            self.run.log(
                f"NOTE: --patience {self.patience} waits for a ranking, no checkpoint is scored. Score them beside the "
                f"training: {rankings.scoring_command(self.job_dir)} --watch"
            )
        return over
