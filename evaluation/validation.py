"""Scoring every checkpoint of a run on the validation images: what eval_val.py does, and R2M after each stage."""

import dataclasses

import cli
from evaluation import scoring


@dataclasses.dataclass(frozen=True)
class Options(scoring.ScoringOptions):
    """Flags of eval_val.py."""

    steps: tuple[str, ...] = cli.field((), "checkpoints by step; empty = all")
    encoder: str | None = cli.field(None, "where the run's encoder is now, if it has moved")
    overwrite: bool = cli.field(False, "score again what was scored before")


def main(options):
    """Scores, ranks, adds the row."""
    data_dir = scoring.check(options)

    from captioning import splits

    open_run = splits.image_captioner(options, data_dir)
    scoring.score_checkpoints(options, open_run)
