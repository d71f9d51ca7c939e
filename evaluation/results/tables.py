"""Writes the tables of README and the manual from the archive of results.

A page marks the place of a table by two comments, between which the text is replaced:

    <!-- results: miniature -->
    <!-- end of results -->

The docstring of configs/EXPERIMENT.py has a line `Expected:`, which is replaced as well.
"""

import dataclasses
import os
import re
import statistics

from cli import UserError
from evaluation import table
from evaluation.results import archive
from formats import sidecars

MARKED = re.compile(r"^(<!-- results: ([\w-]+) -->\n)(.*?)^(<!-- end of results -->)", re.S | re.M)
EXPECTED = re.compile(r"^Expected:.*?(?=\n\"\"\"|\n\n|\n\w)", re.M | re.S)
MAIN = ("CIDEr", "BLEU-4", "METEOR", "unique")
SIX = ("BLEU-4", "METEOR", "ROUGE-L", "CIDEr", "unique")
DEMO = ("random", "constant", "retrieval", "con2sen", "feat2sen", "scratch", "full", "supervised_ceiling")
ABLATIONS = ("feat2sen", "adv", "con", "im", "full", "scratch_adv", "scratch_con", "scratch_im", "scratch")
CHAIN = ("con2sen", "chain_start", "chain_adv", "chain_con", "chain_im", "chain")
R2M = ("r2m_xe", "r2m_xe_rec", "r2m_tri", "r2m")
PAIRED = ("show_tell", "show_attend_tell", "supervised_ceiling")
ROWS_OF_PHOTOGRAPHS = "con2sen,feat2sen,full,scratch,r2m"


@dataclasses.dataclass(frozen=True)
class Table:
    """Which rows and columns of the archive one table of a page has.

    Attributes:
      command: the shell command that produces the rows.
      experiment: name of the experiment, a folder of the archive.
      split: "test" or "val", of the images.
      rows: names of its rows in order; empty = all in the order of evaluation.table.ROWS.
      columns: names of metrics and shares, some of evaluation.table.SCORES and SHARES.
      decodes: decodings that are shown; None for rows that are not decoded.
      interval: whether CIDEr has its 95 % interval over the images, in rows with one seed.
    """

    command: str
    experiment: str
    split: str
    rows: tuple = ()
    columns: tuple = MAIN
    decodes: tuple = ("beam3", None)
    interval: bool = False


# Decoding by consensus, by corpus; as in configs/flickr8k_coco_wide.py, which this package cannot import.
BY_CONSENSUS = {"coco": "beam60,consensus_weight=10000", "flickr30k": "beam60,consensus_weight=3000"}

TABLES = {
    "summary": Table(
        "scripts/demo.sh --seeds 3",
        "miniature",
        "test",
        ("constant", "retrieval", "con2sen", "feat2sen", "scratch", "full", "r2m", "supervised_ceiling"),
    ),
    "miniature": Table("scripts/demo.sh --seeds 3", "miniature", "test", DEMO, SIX),
    "miniature-ablations": Table("scripts/demo.sh --seeds 3 --ablations", "miniature", "test", ABLATIONS),
    "miniature-chain": Table(
        "scripts/demo.sh --seeds 3 --chain", "miniature", "test", CHAIN, (*MAIN, "class_precision", "class_recall")
    ),
    "miniature-r2m": Table("scripts/demo.sh --seeds 3 --baselines", "miniature", "test", R2M),
    "miniature-supervised": Table("scripts/supervised.sh miniature --seeds 3", "miniature", "test", PAIRED),
    "flickr8k-supervised": Table(
        "scripts/supervised.sh flickr8k", "flickr8k_supervised", "val", PAIRED[:2], interval=True
    ),
    **{
        f"flickr8k-{corpus}{suffix}": Table(
            f"scripts/flickr8k.sh --corpus {corpus} {flags}",
            f"flickr8k_{corpus}{suffix}",
            "val",
            decodes=("beam3", "greedy", BY_CONSENSUS[corpus], None),
            interval=True,
        )
        for corpus in ("coco", "flickr30k")
        for suffix, flags in (
            ("", f"--eyes ssd --only {ROWS_OF_PHOTOGRAPHS}"),
            ("_wide", "--seeds 3"),
            ("_wide_tfidf", "--sentence_encoder tfidf"),
        )
    },
}


# --------------------------------------------------------------------------------------------------------------
# One table


def lines_of(entries, spec):
    """Returns the rows of a table: list of (row name, decoding or None, list of dicts with scores, one for each seed).

    Args: entries: list of archive.Entry, whose `rows` are these dicts. spec: Table. Returns: [] if none fits the Table.

    Raises: UserError if rows have different tokenizers, scorers or references.
    """
    groups = {}
    for entry in entries:
        if entry.experiment != spec.experiment or (spec.rows and entry.row not in spec.rows):
            continue
        for one in entry.rows:
            if one["split"] == spec.split and one["decode"] in spec.decodes:
                groups.setdefault((entry.row, one["decode"]), []).append(one)
    versions = {tuple(one[name] for name in archive.VERSION) for group in groups.values() for one in group}
    if len(versions) > 1:
        shown = "; ".join(", ".join(version) for version in sorted(versions))
        raise UserError(f"{spec.experiment}: rows that were not scored alike cannot be in one table: {shown}")
    order = spec.rows or table.ROWS
    rank = {name: place for place, name in enumerate(order)}
    names = sorted(groups, key=lambda key: (rank.get(key[0], len(rank)), key[0], spec.decodes.index(key[1])))
    return [(name, decode, groups[name, decode]) for name, decode in names]


def markdown(entries, spec):
    """Returns a table as Markdown: its command, its header of facts, its rows; a note if the archive has no row.

    Args: entries: list of archive.Entry. spec: Table.
    """
    lines = lines_of(entries, spec)
    if not lines:
        return f"`{spec.command}`: no row in the archive yet.\n"
    decoded = len([decode for decode in spec.decodes if decode]) > 1
    columns = [table.HEADINGS.get(column, column) for column in spec.columns]
    heads = ["row", *(["decode"] if decoded else []), *columns]
    text = [header(entries, spec, lines), "", "| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    every = {one["seed"] for _, _, group in lines for one in group} - {None}
    for name, decode, group in lines:
        own = sorted({one["seed"] for one in group} - {None})
        if own and len(own) < len(every):  # not all seeds of the header
            name += f" (seed{'s' * (len(own) > 1)} {', '.join(map(str, own))})"
        shown = [name, *([decode or "-"] if decoded else [])]
        text.append("| " + " | ".join(shown + [cell(group, column, spec.interval) for column in spec.columns]) + " |")
    return "\n".join(text) + "\n"


def cell(group, column, interval=False):
    """Returns the text of one cell: the value of one seed, or mean ± sample standard deviation of several.

    It is "-" if a seed has no value.

    Args: group: list of dicts with scores, one for each seed of a row. column: name of a metric or share.
      interval: whether CIDEr of one seed has its 95 % interval.
    """
    values = [one.get(column) for one in group]
    if None in values:
        return "-"
    digits = 3 if column in table.SHARES else 1
    if len(values) > 1:
        return f"{statistics.mean(values):.{digits}f} ± {statistics.stdev(values):.{digits}f}"
    text = f"{values[0]:.{digits}f}"
    if interval and column == "CIDEr" and group[0].get("CIDEr_95"):
        low, high = group[0]["CIDEr_95"]
        text += f" [{low:.1f}, {high:.1f}]"
    return text


def header(entries, spec, lines):
    """Returns the text above a table: command, images, seeds, versions, date, commit, machine.

    Args: entries: list of archive.Entry. spec: Table. lines: from `lines_of`, not empty.
    """
    shown = {(name, one["seed"]) for name, _, group in lines for one in group}
    made = [e.environment for e in entries if e.experiment == spec.experiment and (e.row, e.seed) in shown]
    one = lines[0][2][0]
    seeds = sorted({seed for _, seed in shown if seed is not None})
    used = {decode for _, decode, _ in lines}
    decodes = " and ".join(decode for decode in spec.decodes if decode and decode in used)

    def facts(value):
        return ", ".join(sorted({str(value(environment)) for environment in made}))

    numbers = ", ".join(map(str, seeds))
    drawn = f"seeds {numbers}; mean ± standard deviation over the seeds" if len(seeds) > 1 else f"seed {numbers} alone"
    return (
        f"`{spec.command}`: {one['images']} {spec.split} images, {one['references']} references, {decodes}, "
        f"{drawn}. Tokens: {one['tokenizer']}; {one['scorer']}. "
        f"{facts(lambda e: e['date'])}; commit {facts(lambda e: e['commit'])}; "
        f"TensorFlow {facts(lambda e: e['packages']['tensorflow'])}; "
        f"{facts(lambda e: str(e['cores']) + ' cores of ' + e['processor'])}."
    )


# --------------------------------------------------------------------------------------------------------------
# Pages and experiments


def with_tables(text, entries, path):
    """Returns the text of a page in which each marked table is replaced by one made from the archive.

    Args: text: of the page. entries: list of archive.Entry. path: of the page, for messages.
    Raises: UserError for an unknown table.
    """

    def made(match):
        if match[2] not in TABLES:
            raise UserError(f"{path}: no table {match[2]}; expected one of {', '.join(TABLES)}")
        return f"{match[1]}\n{markdown(entries, TABLES[match[2]])}\n{match[4]}"

    return MARKED.sub(made, text)


def with_expected(text, entries, experiment):
    """Returns the source of configs/EXPERIMENT.py with `Expected:` in its docstring replaced by scores of the archive.

    The text is returned unchanged if the archive has no row of the experiment.

    Args: text: the source. entries: list of archive.Entry. experiment: name of the experiment.
    """
    spec = next((one for one in TABLES.values() if one.experiment == experiment and not one.rows), None)
    lines = [(name, group) for name, decode, group in lines_of(entries, spec) if decode == "beam3"] if spec else []
    if not lines:
        return text
    shown = [f"{name} {cell(group, 'CIDEr')} / {cell(group, 'unique')}" for name, group in lines]
    rows = [f"           {one}," for one in shown]
    intro = f"Expected:  CIDEr / unique on {spec.split} images, beam 3 (all scores: docs/results/tables.md):"
    return EXPECTED.sub(lambda _: "\n".join([intro, *rows]).rstrip(",") + ".", text, count=1)


def pages(root="."):
    """Returns the paths of README and of all pages of the manual as list. Args: root: folder of the project."""
    found = [os.path.join(folder, name) for folder, _, names in os.walk(os.path.join(root, "docs")) for name in names]
    return [os.path.join(root, "README.md"), *sorted(path for path in found if path.endswith(".md"))]


def current(entries, root="."):
    """Yields (path, its text, its text with tables made from the archive) of all pages and experiments' modules.

    These are README, the pages of docs/, and configs/EXPERIMENT.py for each experiment of the entries.

    Args: entries: list of archive.Entry. root: folder of the project.
    """
    for path in pages(root):
        text = _text(path)
        yield path, text, with_tables(text, entries, path)
    for experiment in sorted({entry.experiment for entry in entries}):
        path = os.path.join(root, "configs", f"{experiment}.py")
        if os.path.exists(path):
            text = _text(path)
            yield path, text, with_expected(text, entries, experiment)


def _text(path):
    """Returns the text of a file."""
    with open(path, encoding="utf-8") as file:
        return file.read()


def write(entries, root="."):
    """Writes all tables made from the archive into their files; returns the list of the paths that it has changed.

    Args: entries: list of archive.Entry. root: folder of the project.
    """
    changed = []
    for path, old, new in current(entries, root):
        if old != new:
            sidecars.write_whole(path, new)
            changed.append(path)
    return changed
