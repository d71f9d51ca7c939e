"""Writes an HTML report about one or several runs: scores, training curves, images with captions, alarms, provenance.

    python -m evaluation.report runs/demo/scratch runs/demo/full --output report.html

The file is self-contained, so it can be sent to others. Without --output it is RUN/report.html of the first run.
`eval_test.py --report` writes it for its run.
"""

import dataclasses
import os

import cli
import registry
from formats.sidecars import write_results


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of evaluation.report."""

    paths: tuple[str, ...] = cli.field((), "run directories; also as positional arguments")
    output: str = cli.field("", "HTML file; empty = report.html in the first run")
    data_dir: str = cli.field("", "data folder; empty = the one that each run was trained on")
    split: str = cli.choice(
        "auto", ("auto", "test", "val"), "split of the captions; auto: test if it was captioned, else val"
    )
    table: tuple[str, ...] = cli.field((), "table files; empty = table.json beside each run")
    images: int = cli.field(
        24, "number of images spread over all scores; half as many are shown as the best and as the worst"
    )
    attention: int = cli.field(4, "number of attention figures for a run of show_attend_tell")
    system: tuple[str, ...] = registry.packages_field()
    reference: tuple[str, ...] = cli.field(
        (), "archived runs, e.g. results/miniature/full/seed_1, whose curves and scores are shown beside the runs'"
    )
    word_map: bool = cli.field(True, "draw the word vectors of the first run")

    def outputs(self):
        """Returns (files, folders) that the command will write: two tuples of paths.

        cli.run checks before `main` that they can be written; empty paths are ignored.
        """
        return (self.path(),), ()

    def path(self):
        """Returns the path of the HTML file; empty if no run is given."""
        return self.output or (os.path.join(self.paths[0], "report.html") if self.paths else "")


def check(options):
    """Checks the flags and the config.json of each run, and imports the packages of --system.

    Args: options: Options. Raises: cli.UserError.
    """
    from training.run_directory import read_config

    registry.import_packages(options.system)
    if not options.paths:
        raise cli.UserError("no run given: python -m evaluation.report RUN --output report.html")
    if options.images < 1 or options.attention < 0:
        raise cli.UserError("--images must be at least 1, --attention at least 0")
    for path in options.paths:
        read_config(path)


def main(options):
    """Writes the report and prints its path. Args: options: Options."""
    check(options)

    from evaluation.report import content, run_facts, sections
    from evaluation.report.html_pages import render

    runs = [run_facts.read_run(path, options.data_dir, options.split) for path in options.paths]
    shown = {
        "heading": sections.heading(runs),
        "alarms": sections.alarms(runs),
        "scores": sections.scores(run_facts.table_rows(options.paths, options.table, options.reference), runs),
        "variety": sections.variety(runs),
        "samples": sections.samples(runs),
        "content": content.content(runs),
        "training": sections.training(runs, run_facts.archived_curves(options.reference)),
        "pictures": sections.pictures(runs, options.images),
        "attention": sections.attention(runs, options.attention),
        "word_map": sections.word_map(runs[0]) if options.word_map else None,
        "provenance": sections.provenance(runs),
    }
    path = options.path()
    write_results(path, render("evaluation/report/report.html", **shown))
    print(f"report: {path} ({os.path.getsize(path) / 2**20:.1f} MB)")
