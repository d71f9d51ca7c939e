"""Scores obj2sen, which captions from detected concept words: the row `con2sen` of the table.

    python -m initialization.eval_obj2sen --job_dir runs/demo/obj2sen                  # every checkpoint on validation
    python -m initialization.eval_obj2sen --job_dir runs/demo/obj2sen --split test     # the best one on test

Writes the same files as eval_val.py and eval_test.py: RUN/val_STEP.json, rankings b34.json, cider.json, ...,
RUN/test.json.
"""

import dataclasses

import cli
from evaluation import scoring


@dataclasses.dataclass(frozen=True)
class Options(scoring.ScoringOptions):
    """Settings of initialization.eval_obj2sen, in addition to those of the base class."""

    job_dir: str = cli.field("runs/obj2sen", "run directory of initialization.obj2sen")
    split: str = cli.choice("val", ("val", "test"), "val: every checkpoint, ranked; test: --checkpoint alone")
    checkpoint: str = cli.field("best", "for the test split: best (last entry of b34.json), newest, a step, a path")
    steps: tuple[str, ...] = cli.field((), "for validation: checkpoints by step; empty = all")
    threshold: float = cli.field(0.0, "minimum detection score of the objects that obj2sen reads")
    row: str = cli.field("con2sen", "name of the row in the table")
    overwrite: bool = cli.field(False, "score again what was scored before")


def main(options):
    """Scores checkpoints on a split and adds the row to the table; on validation it also writes the rankings.

    Args: options: Options. Raises: cli.UserError if a setting is invalid or a file is missing or damaged.
    """
    if not 0 <= options.threshold <= 1:
        raise cli.UserError(f"--threshold {options.threshold}: expected a score between 0 and 1")
    data_dir = scoring.check(options)

    from initialization.object_captioner import object_captioner

    open_run = object_captioner(options, data_dir)
    if options.split == "test":
        scoring.score_checkpoint(options, "test", open_run)
    else:
        scoring.score_checkpoints(options, open_run, {"threshold": options.threshold})


if __name__ == "__main__":
    cli.run(main, Options)
