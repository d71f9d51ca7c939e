"""Captions and scores the test images with one checkpoint of a run.

    python eval_test.py --job_dir runs/full [--report]

The checkpoint is the best one on validation (b34.json, written by eval_val.py), or the one given by --checkpoint.
Writes RUN/test.json (captions) and RUN/test_scores.json, and adds a row to the results table, table.json beside the
run directory; with --report it also writes RUN/report.html (evaluation/report.py).
"""

import dataclasses

import cli
from evaluation import scoring


@dataclasses.dataclass(frozen=True)
class Options(scoring.ScoringOptions):
    """Flags of eval_test.py."""

    checkpoint: str = cli.field("best", "best (last entry of b34.json, by eval_val.py), newest, a step, or a path")
    split: str = cli.choice("test", ("test", "val"), "split to caption and score")
    metrics: tuple[str, ...] = cli.field(("BLEU", "METEOR", "ROUGE-L", "CIDEr", "SPICE"), "metrics to compute")
    encoder: str | None = cli.field(None, "the run's encoder with its new path, if it has moved")
    report: bool = cli.field(False, "also write RUN/report.html: scores, curves, images with captions, alarms")


def main(options):
    """Captions and scores the split, and adds a row to the results table: --table, else table.json beside the run.

    Args: options: Options. Raises: cli.UserError if a flag, the run or the data folder cannot be used.
    """
    data_dir = scoring.check(options)

    from captioning import splits

    open_run = splits.image_captioner(options, data_dir)
    scoring.score_checkpoint(options, options.split, open_run)
    if options.report:
        from evaluation import report

        tables = (options.table,) if options.table else ()
        report.main(report.Options((options.job_dir,), data_dir=data_dir, split=options.split, table=tables))


if __name__ == "__main__":
    cli.run(main, Options)
