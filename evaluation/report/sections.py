"""The sections of the HTML report: functions of the runs that return the values for the template report.html.

`runs` is a list of run_facts.RunFacts. A table is a list of lines, each a list of formatted cells, the heading first.
"""

import collections
import datetime
import glob
import json
import os

import numpy as np

import cli
import registry
from evaluation import statistics, table
from evaluation import variety as variety_of_samples
from evaluation.report import curves, run_facts
from evaluation.report.html_pages import data_url
from formats import readers
from formats.languages import unicode_text

NO_CHECKPOINT = "The run has no checkpoint."


def heading(runs):
    """Returns the values of the heading: dict of two texts, "names" (of all runs) and "written" (date and command)."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    return {"names": ", ".join(run.name for run in runs), "written": f"Written {now} by {cli.command_line()}"}


def alarms(runs):
    """Returns the alarms of each run: list of dicts with "name", "alarms" (list of sentences) and "note".

    "note" is a sentence that says why captions or scores of the run are missing; "" if both exist.
    """
    return [{"name": run.name, "alarms": run.alarms, "note": run.note} for run in runs]


def scores(rows, runs):
    """Returns the table of results, in which the rows of the report's runs are marked.

    Args: rows: list of dicts with scores as numbers, from run_facts.table_rows. runs: list of RunFacts.

    Returns: dict with "lines" (list of lists of formatted cells: the heading, then the rows with a line of means after
      each group of seeds, published rows last), "left" (indices of left-aligned columns), "classes" (list with the CSS
      class of each line after the heading: "own" for a run of this report, "published", or None) and "notes" (list of
      sentences).
    """
    own = {table.key_of(run.row | {"run": os.path.realpath(run.job_dir)}) for run in runs if run.row}
    columns, (head, *lines), shown = table.cells(rows)
    first = sorted(range(len(shown)), key=lambda i: bool(shown[i].get("published")))  # published rows last
    lines, shown = [head, *(lines[i] for i in first)], [shown[i] for i in first]
    classes = ["published" if row.get("published") else "own" if table.key_of(row) in own else None for row in shown]
    left = [i for i, name in enumerate(columns) if name in table.TEXTS]
    return {"lines": lines, "left": left, "classes": classes, "notes": table.notes(rows)}


def variety(runs):
    """Returns the diversity and the most frequent captions of each run; None if no run has captions.

    Returns: dict with "lines" (a table: the heading, then a line for each run with captions) and "common" (list of
      (run name, table with the counts of its five most frequent captions)).
    """
    head = ["run", "captions", "unique", "distinct-1", "distinct-2", "words a caption", "longest repeat", "words used"]
    head += ["recall", "precision"]
    lines, common = [head], []
    for run in runs:
        if not run.captions:
            continue
        tokens = run.scores.tokens if run.scores else {}
        tokens = tokens or {name: unicode_text.split(text) for name, text in run.captions.items()}
        found = statistics.diversity(tokens)
        shares = [f"{found[name]:.3f}" for name in ("unique", "distinct-1", "distinct-2")]
        named = [run.row.get(name) for name in ("class_recall", "class_precision")]
        lines.append(
            [run.name, len(tokens), *shares, f"{found['length']:.1f}", found["longest_run"]]
            + [len({word for words in tokens.values() for word in words})]
            + ["-" if value is None else f"{value:.3f}" for value in named]
        )
        top = collections.Counter(run.captions.values()).most_common(5)
        common.append((run.name, [["images", "caption"], *[[count, text] for text, count in top]]))
    return {"lines": lines, "common": common} if common else None


def samples(runs):
    """Returns a table with the diversity of several captions of the same image, for runs scored with --samples.

    Returns: the heading, then a line for each scored decoding; None if there is none.
    """
    lines = []
    for run in runs:
        for path in sorted(glob.glob(os.path.join(glob.escape(run.job_dir), "*_sample*_scores.json"))):
            row = readers.read_json(path, "the scores of eval_test.py", dict)
            readers.check_fields(
                row, dict.fromkeys(variety_of_samples.MEASURES, readers.optional(readers.is_number)), path
            )
            if row.get("self-CIDEr") is not None:
                values = [f"{row['self-CIDEr']:.3f}", f"{row['mBLEU-4']:.1f}"]
                lines.append([run.name, str(row.get("split")), str(row.get("decode")), *values])
    return [["run", "split", "decoding", *variety_of_samples.MEASURES], *lines] if lines else None


def training(runs, references):
    """Returns a plot of each known training curve, with the runs of this report and, dashed, archived runs.

    Args: runs: list of RunFacts. references: dict name of an archived run -> its training curves, which are dicts
      metric name -> (list of steps, list of values).

    Returns: list of dicts with "name", "expected" (a text on the shape to expect) and "picture" (data URL of a PNG).
    """
    figures = []
    for name, expected in curves.CURVES.items():
        lines = {run.name: run.series[name] for run in runs if name in run.series}
        if lines:
            broken = {other: series[name] for other, series in references.items() if name in series}
            drawing = data_url(curves.drawing(lines, len(runs) + len(broken) > 1, broken), "png")
            figures.append({"name": name, "expected": expected, "picture": drawing})
    return figures


# --------------------------------------------------------------------------------------------------------------
# Pictures


def pictures(runs, count):
    """Returns images with their captions: some spread evenly over the scores, and each run's best and worst.

    Args: runs: list of RunFacts. count: number of images that are spread evenly; half as many are shown as best and as
      worst.

    Returns: dict with "note" (a sentence), "cards" (list of dicts from `card`) and "ends" (list of pairs of a heading
      and a list of dicts from `card`); None if no run has captions.
    """
    first = next((run for run in runs if run.captions), None)
    if first is None:
        return None
    alike = [run for run in runs if run.split == first.split and run.captions.keys() & first.captions.keys()]
    shared = sorted(set.intersection(*(set(run.captions) for run in alike)))
    order = by_score(first.cider(), shared)
    spread = [order[i] for i in np.unique(np.linspace(0, len(order) - 1, min(count, len(order))).astype(int))]
    ends = {run.name: best_and_worst(run, count // 2) for run in alike if run.cider()}
    wanted = {name for lists in ends.values() for names in lists for name in names} | set(spread)
    small = run_facts.thumbnails(first.data_dir, first.split, sorted(wanted))
    sorted_by = f"CIDEr of {first.name}" if first.cider() else "name"
    shown = [
        (f"{word} captions of {run.name}", [card(name, [run], small) for name in names])
        for run in alike
        for word, names in zip(("Best", "Worst"), ends.get(run.name, ()), strict=False)
    ]
    return {
        "note": f"{len(spread)} of {len(order)} {first.split} images at even intervals, sorted by {sorted_by}.",
        "cards": [card(name, alike, small) for name in spread],
        "ends": shown,
    }


def by_score(scores, names):
    """Returns the names as a new list, sorted by decreasing score, ties by name.

    Args: scores: dict name -> score, 0 if missing. names: iterable.
    """
    return sorted(names, key=lambda name: (-scores.get(name, 0.0), name))


def best_and_worst(run, count):
    """Returns (names of the images with the best CIDEr, best first; with the worst, worst first), two lists.

    Args: run: RunFacts. count: length of each list; both are shorter if an image would be in both.
    """
    order = by_score(run.cider(), run.captions)
    count = min(count, len(order) // 2)
    return order[:count], order[::-1][:count]


def card(name, runs, small):
    """Returns the values of one image for the template cards.html: dict with "name", "picture" and "said".

    Args: name: of the image. runs: list of RunFacts. small: dict image name -> JPEG bytes of a thumbnail.
    Returns: "picture" is the thumbnail as data URL, or None; "said" is a list of dicts, one a run, with "who" (name of
      the run, None if there is only one), "score" (CIDEr x100 or None) and "caption" ("" if the run has none).
    """
    return {
        "name": name,
        "picture": data_url(small[name], "jpeg") if name in small else None,
        "said": [
            {
                "who": run.name if len(runs) > 1 else None,
                "score": run.cider().get(name),
                "caption": run.captions.get(name, ""),
            }
            for run in runs
        ],
    }


def attention(runs, count):
    """Returns attention figures of images for each run whose network has attention (show_attend_tell).

    Args: runs: list of RunFacts. count: number of images, spread evenly over the scores; 0 = an empty list.

    Returns: list of dicts, one for each run with attention and captions: "name" (of the run), "note" (a sentence on how
      to read the figures, or why there are none) and "figures" (list of dicts with "name" (of the image), "words" (the
      caption) and "picture" (data URL of a PNG)).
    """
    looking = [run for run in runs if registry.system_of(run.content).attends and run.captions and count]
    return [_attention_of(run, count) for run in looking]


def _attention_of(run, count):
    """Returns the dict of one run (RunFacts) for `attention`; its note says why if nothing could be drawn.

    Args: count: number of images, spread evenly over the scores.
    """
    import io

    from captioning import splits
    from captioning.captioner import Captioner
    from evaluation.report import attention_pictures
    from formats import images, records

    prefix = run_facts.checkpoint_of(run)
    if prefix is None:
        return {"name": run.name, "note": NO_CHECKPOINT, "figures": []}
    order = by_score(run.cider(), run.captions)
    names = [order[i] for i in np.unique(np.linspace(0, len(order) - 1, min(count, len(order))).astype(int))]
    try:
        captioner = Captioner.from_run(run.job_dir, prefix)
        vectors = splits.split_vectors(run.job_dir, prefix, run.data_dir, run.split, names)
        found = records.read_images(records.find_files(run.data_dir, f"image_{run.split}"), with_data=True)
    except cli.UserError as error:
        return {"name": run.name, "note": f"Could not be drawn: {error}", "figures": []}
    said = [several[0].ids for several in captioner.caption_vectors(vectors, batch=len(names))]
    where, figures = dict(zip(found.names, found.data, strict=True)), []
    exif = images.exif_noted(os.path.join(run.data_dir, f"image_{run.split}.json"))
    for name, ids, weights in zip(names, said, captioner.attention(vectors, said), strict=True):
        data = records.read_at(where[name])
        if not data:
            continue
        shown = [t for t, word in enumerate(ids) if word > 1]
        words = [captioner.vocabulary.word(ids[t]) for t in shown]
        buffer = io.BytesIO()
        drawing = attention_pictures.figure(images.read_image(data, exif), words, weights[shown])
        drawing.savefig(buffer, format="png", dpi=80)
        figures.append({"name": name, "words": unicode_text.join(words), "picture": data_url(buffer.getvalue(), "png")})
    note = "The number beside a word is the largest weight of a cell; bright cells have a large weight."
    return {"name": run.name, "note": note, "figures": figures}


def word_map(run):
    """Returns a plot of a run's word vectors in two dimensions; the words of its most frequent captions are marked.

    Args: run: RunFacts or None.
    Returns: dict with "name" (of the run), "note" (a sentence on how to read the plot, or why there is none) and
      "picture" (data URL of a PNG, or None); None if `run` is None.
    """
    if run is None:
        return None
    import io

    from evaluation.report import word_map as maps

    prefix = run_facts.checkpoint_of(run)
    if prefix is None:
        return {"name": run.name, "note": NO_CHECKPOINT, "picture": None}
    try:
        captioner = registry.system_of(run.content).load("captioner").from_run(run.job_dir, prefix)
    except cli.UserError as error:
        return {"name": run.name, "note": f"Could not be drawn: {error}", "picture": None}
    top = collections.Counter(run.captions.values()).most_common(4)
    ids = {captioner.vocabulary.id(word) for text, _ in top for word in unicode_text.split(text)}
    own = captioner.input_embedding
    vectors = (captioner.generator.embedding if own is None else own).numpy()
    buffer = io.BytesIO()
    maps.figure(vectors, captioner.vocabulary, ids).savefig(buffer, format="png", dpi=80)
    note = "Words of the most frequent captions and their nearest neighbours by cosine."
    return {"name": run.name, "note": note, "picture": data_url(buffer.getvalue(), "png")}


# --------------------------------------------------------------------------------------------------------------
# Provenance


def provenance(runs):
    """Returns what determines each run: seed, recipe, data, checkpoint, commands and all settings.

    Returns: list of dicts, one a run, with "name", "lines" (list of pairs: name of a fact, its value), "data" (table of
      the data files; empty without any) and "settings" (config.json as text).
    """
    parts = []
    for run in runs:
        settings, facts = run.content["settings"], run.content["facts"]
        steps = max((steps[-1] for steps, _ in run.series.values()), default=None)
        lines = [
            ["", run.name],
            ["folder", run.job_dir],
            [
                "system",
                f"{run.content['stage']}, recipe {settings.get('recipe')}, semantics {settings.get('semantics')}",
            ],
            ["seed", settings.get("seed")],
            ["steps", f"{steps} logged, max_steps {settings.get('max_steps')}"],
            ["data", run.data_dir],
            ["encoder", json.dumps(facts.get("encoder")) if facts.get("encoder") else "-"],
            ["captions", f"{len(run.captions)} of {run.split}" if run.captions else "none"],
            ["checkpoint", run.checkpoint or "-"],
            ["scored by", run.row.get("command") or "-"],
            ["chosen by", run.chosen_by or "-"],
        ]
        data = run_facts.data_facts(run.data_dir)
        head = ["data file", "records", "sha256", "made by"]
        settings = json.dumps(run.content, indent=1, sort_keys=True)
        parts.append({"name": run.name, "lines": lines, "data": data and [head, *data], "settings": settings})
    return parts
