"""Reads, merges and prints the table of results, `table.json`.

    python -m evaluation.table runs/demo/table.json runs/other/table.json [--markdown] [--published]

Scores are x100, shares 0 to 1. Read a score together with `unique`: a captioner with one caption for all images scores
like the row `constant`. Rows that differ only in the seed are followed by their mean and standard deviation. Each row
has the run that it comes from, and only a row of the same run replaces it; if two runs have the same name, corpus,
decoding and seed, the column `run` is shown.
"""

import dataclasses
import hashlib
import json
import os
import statistics as stdlib_statistics

import cli
from cli import UserError, field
from evaluation import hallucination
from evaluation.metrics import NOT_ASKED
from evaluation.published import published_rows
from evaluation.variety import MEASURES as OF_SAMPLES
from formats import writing
from formats.captions import sanitise, write_json
from formats.readers import check_fields, is_number, is_object, is_text, optional, read_json

# Baselines first, for comparison; then the stages in the order in which they are trained.
ROWS = (
    *("random", "constant", "retrieval", "con2sen", "feat2sen", "distilled"),
    *("scratch_adv", "scratch_con", "scratch_im", "scratch", "adv", "con", "im", "full"),
    *("chain_start", "chain_adv", "chain_con", "chain_im", "chain"),
    *("r2m_xe", "r2m_xe_rec", "r2m_tri", "r2m", "show_tell", "show_attend_tell", "supervised_ceiling"),
)
KEY = ("row", "corpus", "split", "decode", "seed")
TEXTS = {"row", "corpus", "split", "decode", "run", "tokenizer", "supervision"}  # left-aligned columns
SCORES = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr", "SPICE")
SHARES = ("unique", "distinct-1", "distinct-2", "class_recall", "class_precision")
OBJECTS = (*hallucination.CHAIR, *hallucination.WORDS)
SHARES += (*OBJECTS, "in_corpus")
MEASURES = ("length", "minutes", "common_run", "vocabulary")
NUMBERS = ("seed", "images", *MEASURES, *OF_SAMPLES)
HEADINGS = {"class_recall": "recall", "class_precision": "precision"}
PROVENANCE = (*KEY, "run", "supervision", "tokenizer", "images")
COLUMNS = (*PROVENANCE, *SCORES, "unique", *OF_SAMPLES, "length", "class_recall", "class_precision", "minutes")
MORE = ("distinct-1", "distinct-2", "vocabulary", *OBJECTS, "in_corpus", "common_run")  # shown if asked for
COLUMNS_HELP = f"also show these columns: {', '.join(MORE)}"


# --------------------------------------------------------------------------------------------------------------
# Rows


def make_row(
    row, scores, *, corpus, split, decode=None, seed=None, concepts=None, threshold=0.5, annotated=None, **extra
):
    """Returns one row of the table as a dict, its fields in the order in which they are written.

    Scores are x100 and shares 0 to 1, rounded to 4 digits; a value that could not be computed is None.

    Args:
      row: name of the row, one of ROWS or any other.
      scores: `metrics.Scores`.
      corpus, split, decode, seed: e.g. "coco", "val", "beam3", 1; None if the row has none (e.g. no decoding).
      concepts: formats.concepts.Concepts of the split, for class recall and precision, or None.
      threshold: minimum score of a detection that counts as a known object.
      annotated: dict image -> list of labels of annotated objects, for CHAIR, or None.
      **extra: further fields of the row, e.g. minutes (float), checkpoint (its path), command (text), or scored (from
        `digest_of_scored`).
    """
    from evaluation import novelty, statistics

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
    variety = statistics.diversity(scores.tokens) | {"vocabulary": novelty.vocabulary(scores.tokens)}
    variety = variety if scores.tokens else {}
    objects = objects_of(scores, concepts, threshold, annotated) if concepts is not None else {}
    result |= {name: _rounded(value) for name, value in (variety | named | objects).items()}
    provenance = {"references": scores.references, "tokenizer": scores.tokenizer, "reasons": scores.reasons}
    return result | {"minutes": None, "checkpoint": None, "command": None} | extra | provenance


def objects_of(scores, concepts, threshold=0.5, annotated=None):
    """Returns the scores of objects that captions name, the classes being the concept words of a data folder.

    Args: scores: `metrics.Scores`. concepts: formats.concepts.Concepts. threshold: minimum score of a detection.
      annotated: dict image -> list of labels of annotated objects, or None.
    Returns: dict with the keys OBJECTS, e.g. "CHAIR-i" and "detected_F1", and floats 0 to 1; None where it is not known
      which objects are in the images, or where the denominator is 0.
    """
    names = hallucination.of_concepts(concepts)
    if annotated is not None:
        annotated, _ = hallucination.classes_of_labels(names, annotated)
    detected = concepts.image_words(threshold)
    return hallucination.measure(scores.tokens, scores.reference_tokens, names, detected, annotated)


def digest_of_scored(captions, references):
    """Returns the sha256, shortened to 16 digits, of captions and the references that they are scored against.

    Args: captions: dict image name -> text. references: dict image name -> list of texts.
    """
    written = {name: sanitise(caption) for name, caption in captions.items()}
    content = json.dumps([written, references], sort_keys=True).encode("utf-8", "surrogatepass")
    return hashlib.sha256(content).hexdigest()[:16]


def _rounded(value):
    """Returns floats rounded to 4 digits, other values as they are."""
    return round(value, 4) if isinstance(value, float) else value


def key_of(row):
    """Returns the tuple that identifies a row (dict): name, corpus, split, decoding, seed, run; None where unknown."""
    return tuple(row.get(name) for name in (*KEY, "run"))


def read_table(path):
    """Reads a table file: list of rows (dicts), with "run" as an absolute path.

    Older rows have no "run": it is then the folder of their checkpoint, or missing if they name none.

    Raises: UserError if the file is missing or is not a table of results.
    """
    rows = read_json(path, "a table of results, as eval_val.py and evaluation.untrained write it", list)
    wanted = dict.fromkeys((*TEXTS, "scored", "captions"), optional(is_text)) | {"reasons": optional(is_object)}
    wanted |= dict.fromkeys((*SCORES, *SHARES, *NUMBERS), optional(is_number))
    for number, row in enumerate(rows, 1):
        check_fields(row, wanted | {"row": is_text}, f"{path}: row {number}", "not a row of a table of results")
        if row.get("run"):
            row["run"] = os.path.normpath(os.path.join(_folder(path), row["run"]))
        elif is_text(row.get("checkpoint")):
            row["run"] = os.path.realpath(os.path.dirname(row["checkpoint"]))
    return rows


def _folder(path):
    """Returns the absolute path of the folder of a file, links resolved."""
    return os.path.dirname(os.path.realpath(path))


def merge_row(path, row, run=None):
    """Writes a row to a table file and replaces the earlier row of the same run; creates the file if needed.

    Scores that were computed earlier for the same captions, and are missing in `row`, are kept.

    Args:
      path: the table file; a link is followed.
      row: dict from `make_row`.
      run: the run directory of the row; for rows without training the data folder; None if unknown.
    """
    path = os.path.realpath(path)
    row = row | {"run": os.path.realpath(run) if run else None}
    with writing.merging(path):
        rows = read_table(path) if os.path.exists(path) else []
        places = [place for place, old in enumerate(rows) if _is_earlier(old, row)]
        if places:
            place = max(places, key=lambda place: rows[place].get("run") is not None)
            rows[place] = with_earlier_scores(row, rows[place])
        else:
            rows.append(row)
        for entry in rows:  # relative to the table, so that a folder with runs and table can be moved
            if entry.get("run"):
                entry["run"] = os.path.relpath(entry["run"], _folder(path))
        write_json(path, rows)


def _is_earlier(old, row):
    """Returns whether the row `old` is an earlier version of `row`: same KEY, and same run or no known run."""
    return all(old.get(name) == row.get(name) for name in KEY) and old.get("run") in (None, row["run"])


def with_earlier_scores(row, old):
    """Returns `row` with scores of `old` added that were not requested this time, if both are of the same captions.

    Args: row, old: dicts with "scored", the digest of captions and references, and "reasons" for missing scores.
    Returns: a new dict; `row` itself if the captions or the tokenizer differ.
    """
    if not row.get("scored") or any(row.get(name) != old.get(name) for name in ("scored", "tokenizer")):
        return row
    result, reasons = dict(row), dict(row.get("reasons") or {})
    for name in SCORES:
        if reasons.get(name) != NOT_ASKED:
            continue
        if old.get(name) is not None:
            del reasons[name]
            result |= {field: old[field] for field in (name, f"{name}_95") if field in old}
        elif name in (old.get("reasons") or {}):
            reasons[name] = old["reasons"][name]
    return result | {"reasons": reasons}


# --------------------------------------------------------------------------------------------------------------
# Printing


def _ordered(rows):
    """Returns the rows sorted by corpus and split, then in the order of ROWS with other names last: list."""
    rank = {name: i for i, name in enumerate(ROWS)}
    key_parts = ("corpus", "split", "row", "decode", "seed")

    def order(row):
        corpus, split, name, decode, seed = (row.get(part) for part in key_parts)
        return str(corpus), str(split), rank.get(name, len(rank)), str(name), str(decode), seed or 0

    return sorted(rows, key=order)


def with_means(rows):
    """Returns the rows in printing order, with a row of means after each group of rows that differ only in the seed.

    In a row of means each score is a pair (mean, sample standard deviation); scores that a row lacks are missing.
    A group with two runs of the same seed has no row of means, because repeated runs are not independent seeds. Rows of
    different tokenizers are different groups.

    Args: rows: list of dicts from `make_row`, without rows of means. Returns: new list of these dicts and of the rows
      of means.
    """
    groups = {}
    for row in _ordered(rows):
        groups.setdefault(tuple(row.get(name) for name in (*KEY[:-1], "tokenizer")), []).append(row)
    result = []
    for group in groups.values():
        result += group
        if len(group) > 1 and len({row.get("seed") for row in group}) == len(group):
            mean = {name: group[0].get(name) for name in (*KEY[:-1], "supervision", "tokenizer", "images")} | {
                "seed": f"mean of {len(group)}"
            }
            for name in (*SCORES, *SHARES, *MEASURES, *OF_SAMPLES):
                values = [row[name] for row in group if row.get(name) is not None]
                if len(values) == len(group):
                    mean[name] = (stdlib_statistics.mean(values), stdlib_statistics.stdev(values))
            result.append(mean)
    return result


def _cell(row, name):
    """Returns the text of one cell, "-" for a missing value. Args: row: dict from `with_means`. name: of the column."""
    value, digits = row.get(name), 3 if name in (*SHARES, "self-CIDEr") else 1
    if value is None:
        return "-"
    if name == "run":
        return os.path.relpath(value)
    if name == "row" and row.get("published"):
        return f"{value} ({'unverified' if row['unverified'] else row['published'].partition(' ')[0]})"
    if isinstance(value, tuple | list) and len(value) == 2:
        return f"{value[0]:.{digits}f}±{value[1]:.{digits}f}"
    if row.get(f"{name}_95"):
        low, high = row[f"{name}_95"]
        return f"{value:.1f} [{low:.1f}, {high:.1f}]"
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def cells(rows, more=()):
    """Returns the table as text: the tuple (names of the shown columns, lines, shown rows).

    Left out are columns of COLUMNS in which no row has a value, "tokenizer" unless rows have different ones, and "run"
    if no two rows have the same values of KEY. Columns in `more` are always shown.

    Args: rows: list of dicts from `make_row`, without rows of means. more: names of further columns, some of MORE.
    Returns: the names are a list of str. The shown rows are the list from `with_means`. The lines are a list of lists
      of str: the headings of the columns, then the cells of each shown row.
    Raises: UserError if `more` has a name that is not in MORE.
    """
    if unknown := [name for name in more if name not in MORE]:
        raise UserError(f"--columns {','.join(unknown)}: no such column; expected some of {', '.join(MORE)}")
    shown = with_means(rows)
    columns = [name for name in COLUMNS if name == "row" or any(row.get(name) is not None for row in shown)]
    columns += [name for name in more if name not in columns]
    if len({tuple(row.get(name) for name in KEY) for row in shown}) == len(shown) and "run" in columns:
        columns.remove("run")
    if len(tokenizers_of(rows)) < 2 and "tokenizer" in columns:
        columns.remove("tokenizer")
    lines = [[HEADINGS.get(name, name) for name in columns]]
    return columns, lines + [[_cell(row, name) for name in columns] for row in shown], shown


def format_table(rows, form="text", more=()):
    """Returns the table as a string, followed by its notes; "no rows" for an empty list.

    Args:
      rows: list of dicts from `make_row`, without rows of means. form: "text" (aligned), "markdown" or "latex" (for the
        package booktabs). more: columns of MORE to show as well; of COLUMNS those are shown that `cells` names.
    Raises: UserError if `more` has a name that is not in MORE.
    """
    if not rows:
        return "no rows"
    columns, lines, _ = cells(rows, more)
    said = notes(rows)
    if form == "latex":
        return _latex(columns, lines) + "\n\n" + "\n".join(f"% {note}" for note in said)
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]

    def columns_of(line):
        return zip(line, widths, columns, strict=True)

    padded = [
        [cell.ljust(width) if name in TEXTS else cell.rjust(width) for cell, width, name in columns_of(line)]
        for line in lines
    ]
    if form == "markdown":
        rule = ["-" * width if name in TEXTS else "-" * (width - 1) + ":" for _, width, name in columns_of(columns)]
        text = "\n".join("| " + " | ".join(line) + " |" for line in [padded[0], rule, *padded[1:]])
    else:
        text = "\n".join("  ".join(line).rstrip() for line in padded)
    return text + "\n\n" + "\n".join(said)


def _latex(columns, lines):
    """Returns the table as a LaTeX tabular (str) for the package booktabs. Args: columns, lines: from `cells`."""
    escape = {letter: f"\\{letter}" for letter in "&%$#_{}"} | {"±": r"$\pm$", "\\": r"\textbackslash{}"}
    head, *body = [" & ".join(cell.translate(str.maketrans(escape)) for cell in line) + r" \\" for line in lines]
    kinds = "".join("l" if name in TEXTS else "r" for name in columns)
    rows = [rf"\begin{{tabular}}{{{kinds}}}", r"\toprule", head, r"\midrule", *body, r"\bottomrule", r"\end{tabular}"]
    return "\n".join(rows)


def tokenizers_of(rows):
    """Returns the sorted list of tokenizer names in rows (list of dicts); published rows have none."""
    return sorted({row["tokenizer"] for row in rows if row.get("tokenizer")})


def notes(rows):
    """Returns the notes below a table as list of sentences: kind of scores, missing metrics with reasons, warnings.

    Args: rows: list of dicts from `make_row`, also published rows.
    """
    tokenizers = tokenizers_of(rows)
    result = [
        "Scores x100 with pycocoevalcap, CIDEr is CIDEr-D with its 95 % bootstrap interval; shares 0 to 1"
        + (f"; tokens: {', '.join(tokenizers)}." if tokenizers else ".")
    ]
    if len(tokenizers) > 1:
        result.append(
            f"WARNING: the rows were scored with {len(tokenizers)} tokenizers (column tokenizer); compare only rows of "
            "the same one. To score all rows alike, give every scoring command the same --tokenizer."
        )
    missing = {}
    for row in rows:
        for name, reason in (row.get("reasons") or {}).items():
            if reason != NOT_ASKED:
                missing.setdefault(f"{name}: {reason}", []).append(row["row"])
    result += [f"No {reason} ({', '.join(dict.fromkeys(names))})" for reason, names in sorted(missing.items())]
    if any(row.get("unverified") for row in rows):
        result.append("Unverified: published figures from memory; check them before you quote them.")
    few = sorted({row["images"] for row in rows if row.get("images") and row["images"] < 50})
    if few:
        result.append(f"CIDEr of {', '.join(map(str, few))} images cannot be compared with published figures.")
    return result


def print_table(rows, form="text", more=()):
    """Prints the table with its notes, the string that `format_table` returns.

    Args: rows: list of dicts from `make_row`. form: "text", "markdown" or "latex". more: columns of MORE to show.
    Raises: UserError if `more` has a name that is not in MORE.
    """
    print(format_table(rows, form, more))


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of evaluation.table."""

    paths: tuple[str, ...] = field((), "Table files; also as positional arguments.")
    markdown: bool = field(False, "Print Markdown.")
    latex: bool = field(False, "Print LaTeX, for the package booktabs.")
    columns: tuple[str, ...] = field((), COLUMNS_HELP)
    published: bool = field(False, "Also print published results on COCO (evaluation/published.py).")


def form_of(options):
    """Returns "latex", "markdown" or "text", the form of the table that --latex and --markdown ask for.

    Args: options: has the fields latex and markdown. Raises: UserError if both are given.
    """
    if options.markdown and options.latex:
        raise UserError("--markdown and --latex: expected one of them")
    return "latex" if options.latex else "markdown" if options.markdown else "text"


def main(options):
    """Reads the table files and prints all rows as one table. Args: options: Options."""
    if not options.paths:
        raise UserError("no table given; expected files such as runs/demo/table.json")
    rows = [row for path in options.paths for row in read_table(path)]
    print_table(rows + (published_rows() if options.published else []), form_of(options), options.columns)


if __name__ == "__main__":
    cli.run(main, Options)
