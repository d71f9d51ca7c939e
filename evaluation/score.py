"""Scores files of captions against references, with intervals, and compares several files with each other.

    python -m evaluation.score captions.json --references captions_val2014.json
    python -m evaluation.score a.json b.txt --references dataset_coco.json --latex --per_image scores.jsonl
    python -m evaluation.score a.json --references coco:annotations --split val --objects instances_val2014.json

Captions and references may be in COCO's formats, Karpathy's, Flickr's, JSONL, or one caption a line; images may be
named by file names or by COCO's integers (evaluation/caption_files.py). References may also be a data set KIND:PATH as
for --dataset. The first file is compared with each other one by a paired bootstrap over the images.
"""

import dataclasses
import json
import os

from cli import UserError, choice, field, run
from evaluation import table
from evaluation.metrics import METRICS, tokenizers


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of evaluation.score."""

    paths: tuple[str, ...] = field((), "Files of captions; also as positional arguments.")
    references: str = field("", "File of references in any of the formats, or a data set KIND:PATH.")
    split: str = field("test", "Split of a data set or of Karpathy's list.")
    frequencies: str = choice(
        "part", ("part", "whole"), "document frequencies of CIDEr in a part of the split (a domain of nocaps): of which"
    )
    partial: bool = field(False, "Score only the images that every file captions.")
    metrics: tuple[str, ...] = field(METRICS[:4], "Metrics to compute; SPICE as well.")
    tokenizer: str = choice("auto", tokenizers.CHOICES, tokenizers.HELP)
    detections: str = field(
        "", "Detected objects, for CHAIR-det and word scores: lines {image, objects: [{name, score}]}."
    )
    threshold: float = field(0.5, "Minimum score of a detection.")
    objects: str = field("", "Annotated objects, for CHAIR: COCO's instances_*.json, or lines as for --detections.")
    object_names: str = field("", "What the classes are called; empty = COCO's (data/coco_objects.txt).")
    corpus: str = field("", "Sentences that the captioner learned from, one a line, for in_corpus and common_run.")
    columns: tuple[str, ...] = field((), table.COLUMNS_HELP)
    markdown: bool = field(False, "Print Markdown.")
    latex: bool = field(False, "Print LaTeX, for the package booktabs.")
    intervals: bool = field(False, "Print the 95 % interval of every score, not only of CIDEr.")
    output: str = field("", "Also write rows, intervals and comparisons to this JSON file.")
    per_image: str = field("", "Also write the scores of each image to this file, a JSON object a line.")
    resamples: int = field(1000, "Number of bootstrap draws.")
    seed: int = field(0, "Seed of the draws.")

    def outputs(self):
        """Returns (files, folders) that the command will write: two tuples of paths.

        cli.run checks before `main` that they can be written; empty paths are ignored.
        """
        return (self.output, self.per_image), ()


def check(options):
    """Checks the flags (Options) before files are read. Raises: UserError naming a flag that cannot be used."""
    if not options.paths or not options.references:
        raise UserError("expected captions and references: python -m evaluation.score A.json --references REFERENCES")
    if options.resamples < 100:
        raise UserError(f"--resamples {options.resamples}: too few for a 95 % interval; expected at least 100")
    if not 0 <= options.threshold <= 1:
        raise UserError(f"--threshold {options.threshold}: expected a score between 0 and 1")
    table.form_of(options)
    table.cells([], options.columns)


# --------------------------------------------------------------------------------------------------------------
# Reading


def read_references(options):
    """Reads --references, a file or a split of a data set, and prints how many images and captions it has.

    Args: options: Options.
    Returns: caption_files.CaptionFile, without images that have no caption.
    Raises: UserError for an unknown split, or if no image has a caption.
    """
    from evaluation import caption_files
    from preprocessing.sources import datasets

    kind = options.references.partition(":")[0]
    if kind in datasets.LOADERS and not os.path.exists(options.references):
        dataset = datasets.load_dataset(options.references, with_train_captions=options.split == "train")
        if options.split not in dataset.splits:
            raise UserError(f"--split {options.split}: {options.references} has {', '.join(dataset.splits)}")
        names = dataset.splits[options.split]
        numbers = {str(dataset.ids[name]): name for name in names if name in dataset.ids}
        said = {name: dataset.captions.get(name, []) for name in names}
        described = f"{kind}, {options.split}"
        found = caption_files.CaptionFile(options.references, described, said, numbers, dataset.parts)
    else:
        found = caption_files.read(options.references, options.split)
    bare = [name for name, texts in found.captions.items() if not any(text.strip() for text in texts)]
    found = dataclasses.replace(found, captions={n: t for n, t in found.captions.items() if any(map(str.strip, t))})
    count = sum(map(len, found.captions.values()))
    print(f"{found.path}: {found.kind}, {len(found.captions)} images, {count} references", end="")
    print(f"; {len(bare)} images without one are left out" if bare else "")
    if not found.captions:
        raise UserError(f"{found.path}: no image has a reference; expected captions to score against")
    return found


def read_captions(options, references):
    """Reads the caption files, and prints which images have no caption or are not among the references.

    Args: options: Options. references: caption_files.CaptionFile.
    Returns: dict path -> dict image id -> caption; the images are the same for all files, and named as in `references`.
    Raises: UserError if a caption is missing without --partial, or no image is captioned in all files.
    """
    from evaluation import caption_files
    from formats.captions import name_some

    found, lost = {}, {}
    for path in options.paths:
        read = caption_files.read(path, options.split)
        matched = caption_files.match(read, references)
        print(f"{path}: {read.kind}, {len(matched.captions)} captions", end="")
        if matched.unknown:
            print(f"; {len(matched.unknown)} of unknown images are left out: {name_some(matched.unknown, 3)}", end="")
        if matched.missing:
            print(f"; {len(matched.missing)} images have none: {name_some(matched.missing, 3)}", end="")
            lost[path] = len(matched.missing)
        print()
        found[path] = matched.captions
    if lost and not options.partial:
        raise UserError(
            f"{', '.join(lost)}: {max(lost.values())} of {len(references.captions)} images have no caption; --partial "
            "scores the others"
        )
    common = [name for name in references.captions if all(name in captions for captions in found.values())]
    if not common:
        raise UserError("no image is captioned in all files")
    return {path: {name: captions[name] for name in common} for path, captions in found.items()}


def _matched_objects(path, references, names, threshold):
    """Reads a file of objects, and prints how many images it has and which labels name no class.

    Args: path: file of objects, or "". references: caption_files.CaptionFile. names: hallucination.ObjectNames.
      threshold: minimum score of a detection.
    Returns: dict image id, as in `references`, -> set of classes; None if `path` is "".
    Raises: UserError if none of its images is among the references.
    """
    from evaluation import caption_files, hallucination
    from formats.captions import name_some

    if not path:
        return None
    found, known = hallucination.read_objects(path, threshold), caption_files.Names(references)
    labels = {}
    numbers = {name: number for number, name in found.other_names.items()}
    for written, objects in found.captions.items():
        if name := known.find(written) or known.find(numbers.get(written, written)):
            labels.setdefault(name, []).extend(objects)
    classes, strange = hallucination.classes_of_labels(names, labels)
    without = len(references.captions) - len(labels)
    print(f"{path}: {found.kind}, {len(labels)} images", end="")
    print(f"; {without} images have none" if without else "", end="")
    print(f"; labels without a class are not used: {name_some(strange)}" if strange else "")
    if not labels:
        raise UserError(f"{path}: none of its images is in {references.path}")
    return classes


# --------------------------------------------------------------------------------------------------------------
# Scoring


@dataclasses.dataclass(frozen=True)
class Truth:
    """What captions are measured against besides references.

    Attributes:
      names: hallucination.ObjectNames.
      detected, annotated: dict image id -> set of classes of its objects, or None if unknown.
      sentences: list of tokenized sentences of the training corpus, or None if unknown.
    """

    names: object
    detected: dict | None
    annotated: dict | None
    sentences: list | None


def main(options):
    """Scores and compares the caption files, prints the table, and writes the output files. Args: options: Options."""
    check(options)
    from evaluation import hallucination, metrics
    from formats import captions, sidecars

    references = read_references(options)
    files = read_captions(options, references)
    names = hallucination.read_names(options.object_names or hallucination.COCO_OBJECTS)
    detected = _matched_objects(options.detections, references, names, options.threshold)
    annotated = _matched_objects(options.objects, references, names, 0.0)
    files = dict(zip(labels_of(files), files.values(), strict=True))
    used = {name: references.captions[name] for name in next(iter(files.values()))}
    with metrics.Scorer(used, options.metrics, options.tokenizer) as scorer:
        truth = Truth(names, detected, annotated, _corpus(options, scorer))
        scored = {label: scorer.score(said) for label, said in files.items()}
    split = options.split if references.parts else None
    rows = [_row(label, scores, truth, options, split) for label, scores in scored.items()]
    rows += _rows_of_parts(files, used, references.parts, scored, truth, options)
    print()
    shown = rows if options.intervals else [_with_one_interval(row) for row in rows]
    table.print_table(shown, table.form_of(options), options.columns)
    compared = _compared(scored, options)
    if options.per_image:
        sidecars.write_results(options.per_image, "".join(_lines_by_image(scored, files, references.parts)))
    if options.output:
        sources = dict(zip(files, options.paths, strict=True))
        content = {"references_file": options.references, "files": sources, "rows": rows}
        content |= {"compared_with_first": compared} | next(iter(scored.values())).provenance()
        captions.write_json(options.output, content)


def labels_of(paths):
    """Returns a short, distinct name for each caption file: without folder and extension where that suffices.

    Files that share such a name keep their paths. Args: paths: collection of distinct paths.
    Returns: list of str, in the same order.
    """
    short = [os.path.splitext(os.path.basename(path))[0] for path in paths]
    return [name if short.count(name) == 1 else path for name, path in zip(short, paths, strict=True)]


def _corpus(options, scorer):
    """Returns the tokenized sentences of --corpus as a list of strings; None without the flag.

    Args: scorer: metrics.Scorer, whose tokenizer is used.
    """
    if not options.corpus:
        return None
    from formats import readers

    return scorer.tokenizer.tokenize([line for _, line in readers.text_lines(options.corpus)])


def _row(label, scores, truth, options, split):
    """Returns the table row of one caption file as a dict: scores, their intervals, objects, novelty and lengths.

    Args: label: the row's name. scores: metrics.Scores. truth: Truth. options: Options, for the bootstrap.
      split: name of the split, or None.
    """
    from evaluation import hallucination, novelty, statistics

    row = table.make_row(label, scores, corpus=None, split=split)
    found = statistics.intervals(scores, options.resamples, options.seed)
    row |= {f"{name}_95": [round(bound, 4) for bound in bounds] for name, bounds in found.items()}
    measured = (scores.tokens, scores.reference_tokens, truth.names, truth.detected, truth.annotated)
    objects = hallucination.measure(*measured) if scores.tokens else {}
    if scores.tokens and truth.sentences is not None:
        objects |= novelty.measure(scores.tokens, truth.sentences)
    row |= {name: value if value is None else round(value, 4) for name, value in objects.items()}
    return row | {"lengths": novelty.lengths(scores.tokens)}


def _rows_of_parts(files, references, parts, whole, truth, options):
    """Returns the list of table rows for each part of the split (domain of nocaps); prints how CIDEr was computed.

    Args:
      files: dict label -> dict image id -> caption.
      references: dict image id -> list of captions, for the images of `files`.
      parts: dict image id -> name of its part; images without part are in no row.
      whole: dict label -> metrics.Scores of all images.
      truth: Truth.
    """
    from evaluation import metrics

    rows = []
    for part in sorted({parts[name] for name in references if name in parts}):
        inside = {name: texts for name, texts in references.items() if parts.get(name) == part}
        with metrics.Scorer(inside, options.metrics, options.tokenizer) as scorer:
            for label, said in files.items():
                scores = scorer.score({name: said[name] for name in inside})
                if options.frequencies == "whole" and "CIDEr" in whole[label].per_image:
                    rank = {name: i for i, name in enumerate(whole[label].names)}
                    of_whole = whole[label].per_image["CIDEr"][[rank[name] for name in scores.names]]
                    scores.per_image["CIDEr"], scores.values["CIDEr"] = of_whole, float(of_whole.mean())
                    scores.reasons.pop("CIDEr", None)
                row = _row(label, scores, truth, options, f"{options.split} {part}")
                rows.append(row | {"frequencies": options.frequencies})
    if rows:
        print(f"CIDEr of a part: document frequencies of the references of the {options.frequencies}")
    return rows


def _with_one_interval(row):
    """Returns a table row without its intervals (fields METRIC_95), except that of CIDEr, for a narrow table."""
    return {name: value for name, value in row.items() if name == "CIDEr_95" or not name.endswith("_95")}


def _compared(scored, options):
    """Compares the first caption file with each other one by a paired bootstrap, and prints the comparisons.

    Args: scored: dict label -> metrics.Scores.
    Returns: dict label -> result of `statistics.paired`, for all files but the first.
    """
    from evaluation import compare, statistics

    (name, first), *others = scored.items()
    result = {}
    for label, other in others:
        result[label] = statistics.paired(first, other, options.resamples, options.seed)
        print(f"\nA {name}, B {label}: paired bootstrap over the images, scores x100")
        print(compare.format_comparison(result[label]))
    return result


def _lines_by_image(scored, files, parts):
    """Yields a JSON line for each file and image: {"file", "image", "caption", "part" if known, METRIC: score x100}.

    A line is a str that ends with a newline.

    Args: scored: dict label -> metrics.Scores. files: dict label -> dict image id -> caption.
      parts: dict image id -> name of its part of the split.
    """
    for label, scores in scored.items():
        for i, name in enumerate(scores.names):
            values = {metric: round(float(values[i]), 4) for metric, values in scores.per_image.items()}
            part = {"part": parts[name]} if name in parts else {}
            entry = {"file": label, "image": name, "caption": files[label][name]} | part | values
            yield json.dumps(entry, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    run(main, Options)
