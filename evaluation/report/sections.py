"""The sections of the HTML report, each a function of the runs (run_facts.RunFacts) that returns HTML."""

import collections
import datetime
import json
import os

import numpy as np

import cli
import registry
from evaluation import statistics, table
from evaluation.report import curves, run_facts
from evaluation.report.html_pages import image, joined, tag
from evaluation.report.html_pages import table as html_table

STYLE = """
:root { color-scheme: light dark; --line: #8883; --soft: #8881; --warn: #b3261e; --good: #1b7a3d; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1400px; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; } h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem;
  border-bottom: 1px solid var(--line); padding-bottom: .2rem; } h3 { font-size: 1rem; margin: 1.2rem 0 .4rem; }
.soft, .note { opacity: .75; font-size: .9rem; } .wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .82rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .5rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th.left, td.left { text-align: left; } tr.own td { font-weight: 600; background: var(--soft); }
tr.published td { font-style: italic; opacity: .8; } td.command { white-space: normal; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(200px, 1fr)); gap: .8rem; }
.curves { display: grid; grid-template-columns: repeat(auto-fill, minmax(330px, 1fr)); gap: 1rem; }
figure { margin: 0; border: 1px solid var(--line); border-radius: 6px; overflow: hidden; }
figure img { display: block; width: 100%; } .grid figure img { height: 190px; object-fit: contain; background: #8882; }
.curves img, .plot img { background: white; } .plot img { max-width: 900px; }
figcaption { padding: .45rem .6rem; font-size: .88rem; overflow-wrap: anywhere; }
.score { float: right; font-size: .78rem; opacity: .7; padding-left: .5rem; }
.who { font-size: .75rem; opacity: .65; display: block; margin-top: .3rem; }
.alarm { border-left: 4px solid var(--warn); background: #b3261e18; padding: .5rem .8rem; margin: .4rem 0; }
.quiet { border-left: 4px solid var(--good); background: #1b7a3d18; padding: .5rem .8rem; margin: .4rem 0; }
code, pre { font: .85em ui-monospace, monospace; overflow-wrap: anywhere; white-space: pre-wrap; }
summary { cursor: pointer; }
"""


def heading(runs):
    """Title, and what this file is."""
    names = ", ".join(run.name for run in runs)
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    written = f"Written {now} by {cli.command_line()}"
    return joined([tag("h1", f"Captioners: {names}"), tag("p", tag("code", written), class_="soft")])


def alarms(runs):
    """What is wrong with each run, or what was looked for."""
    boxes = []
    for run in runs:
        found = run.alarms
        boxes += [tag("div", tag("b", run.name), f": {sentence}", class_="alarm") for sentence in found]
        if not found:
            looked = "no collapse, no shrinking captions, no stammering, no number that is not finite"
            boxes.append(tag("div", tag("b", run.name), f": {looked}.", class_="quiet"))
        if run.note:
            boxes.append(tag("p", tag("b", run.name), f": {run.note}", class_="note"))
    return joined([tag("h2", "Alarms"), *boxes])


def scores(rows, runs):
    """The table; the rows of these runs are marked."""
    own = {table.key_of(run.row | {"run": os.path.realpath(run.job_dir)}) for run in runs if run.row}
    columns, (head, *lines), shown = table.cells(rows)
    first = sorted(range(len(shown)), key=lambda i: bool(shown[i].get("published")))  # published ones at the end
    lines, shown = [head, *(lines[i] for i in first)], [shown[i] for i in first]
    classes = ["published" if row.get("published") else "own" if table.key_of(row) in own else None for row in shown]
    left = [i for i, name in enumerate(columns) if name in table.TEXTS]
    notes = [tag("p", sentence, class_="note") for sentence in table.notes(rows)]
    published = "Published rows (in italics) are of MS COCO's test images; other rows may be of other images."
    bold = "Rows of this report's runs are bold. "
    return joined(
        [tag("h2", "Scores"), html_table(lines, left, classes), tag("p", bold + published, class_="note"), *notes]
    )


def variety(runs):
    """Diversity numbers and the commonest captions."""
    head = ["run", "captions", "unique", "distinct-1", "distinct-2", "words a caption", "longest repeat", "words used"]
    head += ["recall", "precision"]
    lines, common = [head], []
    for run in runs:
        if not run.captions:
            continue
        tokens = run.scores.tokens if run.scores else {}
        tokens = tokens or {name: text.split() for name, text in run.captions.items()}
        found = statistics.diversity(tokens)
        shares = [f"{found[name]:.3f}" for name in ("unique", "distinct-1", "distinct-2")]
        named = [run.row.get(name) for name in ("class_recall", "class_precision")]
        lines.append(
            [run.name, len(tokens), *shares, f"{found['length']:.1f}", found["longest_run"]]
            + [len({word for words in tokens.values() for word in words})]
            + ["-" if value is None else f"{value:.3f}" for value in named]
        )
        top = collections.Counter(run.captions.values()).most_common(5)
        common.append(tag("h3", f"The commonest captions of {run.name}"))
        common.append(html_table([["images", "caption"], *[[count, text] for text, count in top]], left=[1]))
    if len(lines) == 1:
        return None
    note = "recall: share of known objects that are named; precision: share of named objects that are known."
    return joined([tag("h2", "Variety"), html_table(lines, left=[0]), tag("p", note, class_="note"), *common])


def training(runs):
    """A drawing of each known curve, all runs in one, with what it should look like."""
    figures = []
    for name, expected in curves.CURVES.items():
        lines = {run.name: run.series[name] for run in runs if name in run.series}
        if lines:
            text = tag("figcaption", tag("b", name), ": ", expected)
            figures.append(tag("figure", image(curves.drawing(lines, len(runs) > 1), "png", f"curve of {name}"), text))
    none = None if figures else tag("p", "No metrics.jsonl: these runs have no curves.", class_="note")
    return joined([tag("h2", "Training"), none, tag("div", *figures, class_="curves")])


# --------------------------------------------------------------------------------------------------------------
# Pictures


def pictures(runs, count):
    """Grids: evenly spread over the scores with all runs' captions, then the best and the worst of each run."""
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
    parts = [
        tag("h2", "Pictures and captions"),
        tag(
            "p",
            f"{len(spread)} of {len(order)} {first.split} images, evenly spread, sorted by {sorted_by}.",
            class_="note",
        ),
        tag("div", *(card(name, alike, small) for name in spread), class_="grid"),
    ]
    for run in alike:
        for word, names in zip(("Best", "Worst"), ends.get(run.name, ()), strict=False):
            parts.append(tag("h3", f"{word} captions of {run.name}"))
            parts.append(tag("div", *(card(name, [run], small) for name in names), class_="grid"))
    return joined(parts)


def by_score(scores, names):
    """Names by falling score, equal scores (and no scores) by name."""
    return sorted(names, key=lambda name: (-scores.get(name, 0.0), name))


def best_and_worst(run, count):
    """(names of the best captions, names of the worst ones, worst first); they share no image."""
    order = by_score(run.cider(), run.captions)
    count = min(count, len(order) // 2)
    return order[:count], order[::-1][:count]


def card(name, runs, small):
    """A picture with what each run says about it."""
    picture = image(small[name], "jpeg", name, title=name) if name in small else tag("p", name)
    said = []
    for run in runs:
        score = run.cider().get(name)
        said.append(tag("span", run.name, class_="who") if len(runs) > 1 else None)
        said.append(None if score is None else tag("span", f"CIDEr {score:.0f}", class_="score"))
        said.append(run.captions.get(name, "") or "(empty)")
    return tag("figure", picture, tag("figcaption", *said))


def attention(runs, count):
    """Where each run of show_attend_tell looked, on some images; nothing for other runs."""
    looking = [run for run in runs if registry.system_of(run.content).attends and run.captions and count]
    return [_attention_of(run, count) for run in looking]


def _attention_of(run, count):
    import io

    from captioning import splits
    from captioning.captioner import Captioner
    from evaluation.report import attention_pictures
    from formats import images, records

    prefix, title = run_facts.checkpoint_of(run), tag("h2", f"Where {run.name} looked")
    if prefix is None:
        return joined([title, tag("p", "The run has no checkpoint.", class_="note")])
    order = by_score(run.cider(), run.captions)
    names = [order[i] for i in np.unique(np.linspace(0, len(order) - 1, min(count, len(order))).astype(int))]
    try:
        captioner = Captioner.from_run(run.job_dir, prefix)
        vectors = splits.split_vectors(run.job_dir, run.data_dir, run.split, names)
        found = records.read_images(records.find_files(run.data_dir, f"image_{run.split}"), with_data=True)
    except cli.UserError as error:
        return joined([title, tag("p", f"Could not be drawn: {error}", class_="note")])
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
        text = tag("figcaption", " ".join(words), tag("span", name, class_="score"))
        figures.append(tag("figure", image(buffer.getvalue(), "png", f"attention on {name}"), text))
    note = "Beside each word the largest weight of a cell; bright is where the network looked before it said the word."
    return joined([title, tag("p", note, class_="note"), tag("div", *figures, class_="plot")])


def word_map(run):
    """The word vectors of a run with the words of its commonest captions; nothing for None."""
    if run is None:
        return []
    import io

    from evaluation.report import word_map as maps

    prefix, title = run_facts.checkpoint_of(run), tag("h2", f"Word vectors of {run.name}")
    if prefix is None:
        return [joined([title, tag("p", "The run has no checkpoint.", class_="note")])]
    try:
        captioner = registry.system_of(run.content).load("captioner").from_run(run.job_dir, prefix)
    except cli.UserError as error:
        return [joined([title, tag("p", f"Could not be drawn: {error}", class_="note")])]
    top = collections.Counter(run.captions.values()).most_common(4)
    ids = {captioner.vocabulary.id(word) for text, _ in top for word in text.split()}
    own = captioner.input_embedding
    vectors = (captioner.generator.embedding if own is None else own).numpy()
    buffer = io.BytesIO()
    maps.figure(vectors, captioner.vocabulary, ids).savefig(buffer, format="png", dpi=80)
    note = "Words of the commonest captions and their nearest neighbours by cosine."
    picture = tag("figure", image(buffer.getvalue(), "png", "map of the word vectors"), class_="plot")
    return [joined([title, tag("p", note, class_="note"), picture])]


# --------------------------------------------------------------------------------------------------------------
# Where it came from


def provenance(runs):
    """Seed, recipe, data, checkpoint, command and all settings of each run."""
    parts = [tag("h2", "Where this came from")]
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
            ["steps", f"{steps} logged, {settings.get('max_steps')} asked for"],
            ["data", run.data_dir],
            ["encoder", json.dumps(facts.get("encoder")) if facts.get("encoder") else "-"],
            ["captions", f"{len(run.captions)} of {run.split}" if run.captions else "none"],
            ["checkpoint", run.checkpoint or "-"],
            ["scored by", run.row.get("command") or "-"],
            ["chosen", run.row.get("selection") or "-"],
        ]
        parts.append(html_table(lines, left=[0, 1]))
        data = run_facts.data_facts(run.data_dir)
        if data:
            head = ["data file", "records", "sha256", "made by"]
            parts.append(tag("details", tag("summary", "data files"), html_table([head, *data], left=[0, 2, 3])))
        shown = json.dumps(run.content, indent=1, sort_keys=True)
        parts.append(tag("details", tag("summary", f"all settings of {run.name}"), tag("pre", shown)))
    return joined(parts)
