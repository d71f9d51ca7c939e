"""Scores every checkpoint of a run on the validation images and ranks them (UIC spec 10.2).

    python eval_val.py --job_dir runs/full

Writes RUN/val_STEP.json (captions) and the rankings b34.json, cider.json, meteor.json, b4.json, b3.json, b2.json; the
best checkpoint is the last entry of b34.json. Another --decode than beam3 writes to RUN/DECODE/. The row of the best
checkpoint goes into the table beside the run. Checkpoints that were scored before are not scored again.
"""

import dataclasses

import config
from evaluation import scoring


@dataclasses.dataclass(frozen=True)
class Options(scoring.ScoringOptions):
    """Flags of eval_val.py."""

    steps: tuple[str, ...] = config.field((), "checkpoints by step; empty = all")
    encoder: str | None = config.field(None, "where the run's encoder is now, if it has moved")
    overwrite: bool = config.field(False, "score again what was scored before")


def main(options):
    """Scores, ranks, adds the row."""
    data_dir = scoring.check(options)

    from captioning import splits

    open_run = splits.image_captioner(options, data_dir)
    scoring.score_checkpoints(options, open_run)


if __name__ == "__main__":
    config.run(main, Options)
