"""The table of results: `table.json`, a list of rows, and how it is printed.

    python -m evaluation.table runs/demo/table.json runs/other/table.json [--markdown] [--published]

Scores are x100, shares 0 to 1. No score is read without the unique share: a captioner that says one sentence for
everything scores like the row `constant`. Rows that differ in nothing but the seed are followed by their mean and
standard deviation.
"""

import dataclasses
import os
import statistics as stdlib_statistics

from cli import UserError, field, run
from evaluation.metrics import NOT_ASKED
from evaluation.published import published_rows
from formats import writing
from formats.captions import write_json
from formats.readers import check_fields, is_number, is_text, optional, read_json

# Baselines first, the references for reading the others; then the stages in the order in which they are trained.
ROWS = (
    *("random", "constant", "retrieval", "con2sen", "feat2sen"),
    *("scratch_adv", "scratch_con", "scratch_im", "scratch", "adv", "con", "im", "full"),
    *("r2m_xe", "r2m_xe_rec", "r2m_tri", "r2m", "show_tell", "show_attend_tell", "supervised_ceiling"),
)
KEY = ("row", "corpus", "split", "decode", "seed")
TEXTS = {"row", "corpus", "split", "decode"}  # columns that are set flush left
SCORES = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr", "SPICE")
SHARES = ("unique", "distinct-1", "distinct-2", "class_recall", "class_precision")
NUMBERS = ("seed", "images", "length", "minutes")
HEADINGS = {"class_recall": "recall", "class_precision": "precision"}
COLUMNS = (*KEY, "images", *SCORES, "unique", "length", "class_recall", "class_precision", "minutes")


# --------------------------------------------------------------------------------------------------------------
# Rows


def make_row(row, scores, *, corpus, split, decode=None, seed=None, concepts=None, threshold=0.5, **extra):
    """One row of the table.

    Args:
      row: its name, see ROWS.
      scores: `metrics.Scores`.
      corpus, split, decode, seed: what was run, e.g. "coco", "val", "beam3", 1; None where it does not apply.
      concepts: `concepts.Concepts` of the split, for class recall and precision, or None.
      threshold: the least score of a detection that counts as known.
      **extra: e.g. minutes, checkpoint, command, steps.

    Returns:
      dict, in the order in which it is written.
    """
    from evaluation import statistics

    result = {"row": row, "corpus": corpus, "split": split, "decode": decode, "seed": seed, "images": scores.images}
    for name in SCORES:
        result[name] = _rounded(scores.values[name])
        if name == "CIDEr":
            per_image = scores.per_image.get(name)
            interval = None if per_image is None else statistics.bootstrap_interval(per_image)
            result["CIDEr_95"] = interval and [_rounded(bound) for bound in interval]
    named = {"class_recall": None, "class_precision": None}
    if concepts is not None:
        known = concepts.image_words(threshold)
        named = statistics.class_recall_precision(scores.tokens, known, concepts.words, concepts.singular)
    variety = statistics.diversity(scores.tokens) if scores.tokens else {}
    result |= {name: _rounded(value) for name, value in (variety | named).items()}
    provenance = {"references": scores.references, "tokenizer": scores.tokenizer, "reasons": scores.reasons}
    return result | {"minutes": None, "checkpoint": None, "command": None} | extra | provenance


def _rounded(value):
    return round(value, 4) if isinstance(value, float) else value


def key_of(row):
    """What identifies a row: its name, corpus, split, decoding and seed."""
    return tuple(row.get(name) for name in KEY)


def read_table(path):
    """The rows of a table file. Raises UserError where there is none, or another kind of file."""
    rows = read_json(path, "a table of results, as eval_val.py and `python -m evaluation.untrained` write it", list)
    wanted = dict.fromkeys(TEXTS, optional(is_text)) | dict.fromkeys((*SCORES, *SHARES, *NUMBERS), optional(is_number))
    for number, row in enumerate(rows, 1):
        check_fields(row, wanted | {"row": is_text}, f"{path}: row {number}", "not a row of a table of results")
    return rows


def merge_row(path, row):
    """Puts a row into a table file, in place of the one with the same key; makes the file where there is none."""
    with writing.merging(path):
        rows = read_table(path) if os.path.exists(path) else []
        keys = [key_of(old) for old in rows]
        if key_of(row) in keys:
            rows[keys.index(key_of(row))] = row
        else:
            rows.append(row)
        write_json(path, rows)


# --------------------------------------------------------------------------------------------------------------
# Printing


def _ordered(rows):
    """Rows by corpus and split, then in the order of ROWS; rows of other names at the end."""
    rank = {name: i for i, name in enumerate(ROWS)}
    key_parts = ("corpus", "split", "row", "decode", "seed")

    def order(row):
        corpus, split, name, decode, seed = (row.get(part) for part in key_parts)
        return str(corpus), str(split), rank.get(name, len(rank)), str(name), str(decode), seed or 0

    return sorted(rows, key=order)


def with_means(rows):
    """Rows in printing order, each group that differs only in the seed followed by a row of (mean, sd) pairs."""
    groups = {}
    for row in _ordered(rows):
        groups.setdefault(tuple(row.get(name) for name in KEY[:-1]), []).append(row)
    result = []
    for group in groups.values():
        result += group
        if len(group) > 1:
            mean = {name: group[0].get(name) for name in (*KEY[:-1], "images")} | {"seed": f"mean of {len(group)}"}
            for name in (*SCORES, "length", *SHARES, "minutes"):
                values = [row[name] for row in group if row.get(name) is not None]
                if len(values) == len(group):
                    mean[name] = (stdlib_statistics.mean(values), stdlib_statistics.stdev(values))
            result.append(mean)
    return result


def _cell(row, name):
    """The text of one cell."""
    value, digits = row.get(name), 3 if name in SHARES else 1
    if value is None:
        return "-"
    if name == "row" and row.get("published"):
        return f"{value} ({'unverified' if row['unverified'] else 'published'})"
    if isinstance(value, tuple | list) and len(value) == 2:
        return f"{value[0]:.{digits}f}±{value[1]:.{digits}f}"
    if name == "CIDEr" and row.get("CIDEr_95"):
        low, high = row["CIDEr_95"]
        return f"{value:.1f} [{low:.1f}, {high:.1f}]"
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def cells(rows):
    """The table as texts: (column names, lines of which the first is the heading, the row of each further line)."""
    shown = with_means(rows)
    columns = [name for name in COLUMNS if name in KEY or any(row.get(name) is not None for row in shown)]
    lines = [[HEADINGS.get(name, name) for name in columns]]
    return columns, lines + [[_cell(row, name) for name in columns] for row in shown], shown


def format_table(rows, markdown=False):
    """The table as aligned text, or in Markdown; columns in which no row has a value are left out.

    Args:
      rows: list of rows as `make_row` returns them.

    Returns:
      The text, with notes below that say what the scores are and why a metric is missing.
    """
    if not rows:
        return "no rows"
    columns, lines, _ = cells(rows)
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]

    def columns_of(line):
        return zip(line, widths, columns, strict=True)

    padded = [
        [cell.ljust(width) if name in TEXTS else cell.rjust(width) for cell, width, name in columns_of(line)]
        for line in lines
    ]
    if markdown:
        rule = ["-" * width if name in TEXTS else "-" * (width - 1) + ":" for _, width, name in columns_of(columns)]
        text = "\n".join("| " + " | ".join(line) + " |" for line in [padded[0], rule, *padded[1:]])
    else:
        text = "\n".join("  ".join(line).rstrip() for line in padded)
    return text + "\n\n" + "\n".join(notes(rows))


def notes(rows):
    """Sentences that belong below a table: what the scores are, and why a metric is missing."""
    tokenizers = sorted({row["tokenizer"] for row in rows if row.get("tokenizer")})
    result = [
        "Scores x100 with pycocoevalcap, CIDEr is CIDEr-D with its 95 % bootstrap interval; shares 0 to 1"
        + (f"; tokens: {', '.join(tokenizers)}." if tokenizers else ".")
    ]
    missing = {}
    for row in rows:
        for name, reason in (row.get("reasons") or {}).items():
            if reason != NOT_ASKED:
                missing.setdefault(f"{name}: {reason}", []).append(row["row"])
    result += [f"No {reason} ({', '.join(dict.fromkeys(names))})" for reason, names in sorted(missing.items())]
    if any(row.get("unverified") for row in rows):
        result.append("Unverified: published figures that were recalled, not read; check them before quoting.")
    few = sorted({row["images"] for row in rows if row.get("images") and row["images"] < 50})
    if few:
        result.append(f"CIDEr of {', '.join(map(str, few))} images cannot be compared with published figures.")
    return result


def print_table(rows, markdown=False):
    """Prints `format_table`."""
    print(format_table(rows, markdown))


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of the table printer."""

    paths: tuple[str, ...] = field((), "Table files; they may also be given as arguments.")
    markdown: bool = field(False, "Print Markdown.")
    published: bool = field(False, "Print published results on COCO beside them (evaluation/published.py).")


def main(options):
    if not options.paths:
        raise UserError("no table given; expected files such as runs/demo/table.json")
    rows = [row for path in options.paths for row in read_table(path)]
    print_table(rows + (published_rows() if options.published else []), options.markdown)


if __name__ == "__main__":
    run(main, Options)
