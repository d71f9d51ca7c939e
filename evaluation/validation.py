"""Scores every checkpoint of a run on the validation images; used by eval_val.py, and by R2M after each stage."""

import dataclasses

import cli
from evaluation import scoring


@dataclasses.dataclass(frozen=True)
class Options(scoring.ScoringOptions):
    """Flags of eval_val.py."""

    steps: tuple[str, ...] = cli.field((), "checkpoints by step; empty = all")
    encoder: str | None = cli.field(None, "the run's encoder with its new path, if it has moved")
    overwrite: bool = cli.field(False, "caption and score all checkpoints again")


def main(options):
    """Scores and ranks the checkpoints (--steps, else all), and adds the row of the best one to the table.

    Args: options: Options.
    """
    data_dir = scoring.check(options)

    from captioning import splits

    open_run = splits.image_captioner(options, data_dir)
    scoring.score_checkpoints(options, open_run)
