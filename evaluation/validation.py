"""Scores every checkpoint of a run on the validation images; used by eval_val.py, and by R2M after each stage.

With --watch it scores the checkpoints of a run in training as they appear, until the run is complete.
"""

import dataclasses
import os
import time

import cli
from captioning.decode import decoding_of
from evaluation import scoring

SECONDS = 5.0  # between two looks at the run directory


@dataclasses.dataclass(frozen=True)
class Options(scoring.ScoringOptions):
    """Flags of eval_val.py."""

    steps: tuple[str, ...] = cli.field((), "checkpoints by step; best: the one that beam3 ranks first; empty = all")
    watch: bool = cli.field(
        False, "score checkpoints as they appear, until the training is complete; ctrl-C ends, the same command goes on"
    )
    encoder: str | None = cli.field(None, "the run's encoder with its new path, if it has moved")
    overwrite: bool = cli.field(False, "caption and score all checkpoints again")


def main(options):
    """Scores and ranks the checkpoints (--steps, else all), and adds the row of the best one to the table.

    With --watch it continues with the checkpoints that appear, until the run is complete, or until ctrl-C.

    Args: options: Options.
    Raises: cli.UserError if --watch and --steps are given, or settings, run or data cannot be used.
    """
    if not options.watch:
        return _score(options)
    if options.steps:
        raise cli.UserError("--watch scores all checkpoints: omit --steps, or --watch")
    try:
        _watch(options)
    except KeyboardInterrupt:
        print(f"{options.job_dir}: no longer watched; the same command continues")


def _score(options):
    """Scores the checkpoints that exist. Args: options: Options."""
    data_dir = scoring.check(options)

    from captioning import splits

    scoring.score_checkpoints(options, splits.image_captioner(options, data_dir))


def _watch(options):
    """Scores checkpoints as they appear, until the run is complete and all of its checkpoints are scored.

    Waits if the run has no checkpoint yet. Args: options: Options.
    """
    decoding_of(options)

    from captioning import splits
    from training import checkpoints

    steps = lambda: set(checkpoints.steps_in(options.job_dir))  # noqa: E731
    if not steps():
        print(f"{options.job_dir}: waiting for the first checkpoint", flush=True)
    while not steps() or not os.path.exists(os.path.join(options.job_dir, "config.json")):
        time.sleep(SECONDS)
    data_dir = scoring.check(options)
    open_run, done = splits.image_captioner(options, data_dir), set()
    if not splits.references_of(data_dir, "val"):
        return scoring.score_checkpoints(options, open_run)  # prints that nothing can be scored
    while True:
        complete = is_complete(options.job_dir)  # before the steps are listed: then no later one is missed
        there = steps()
        if complete or there - done:
            scoring.score_checkpoints(options, open_run, check_files=complete)
            options, done = dataclasses.replace(options, overwrite=False), done | there
        if complete:
            return print(f"{options.job_dir}: the training is complete, all checkpoints are scored")
        time.sleep(SECONDS)


def is_complete(job_dir):
    """Returns whether a training has ended: it has reached --max_steps, or --patience ends it.

    Args: job_dir: run directory with a checkpoint.
    """
    from training import checkpoints, patience, run_directory

    settings = run_directory.read_config(job_dir)["settings"]
    if checkpoints.steps_in(job_dir)[-1] >= settings["max_steps"]:
        return True
    return patience.ends(job_dir, settings.get("patience", 0))
