"""Captions and scores the checkpoints of a run; used by eval_val.py, eval_test.py and eval_obj2sen.

The caller passes a function

    open_run(checkpoint, split, names) -> (captioner, rows)

checkpoint is a path without ending, split "val" or "test", names a list of image names. It returns a
captioning.captioner.Captioner and an array with one row of its input (image vector or concept words) for each name. It
is called again for each checkpoint, and may return the same captioner with the weights of the new one.
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
import os

import cli
import registry
from captioning.decode import DecodingFlags, decoding_of, file_stem
from evaluation.metrics import tokenizers
from formats import inventory, readers, sidecars

READ = tuple(f"{kind}_{split}" for kind in ("image", "refs", "features") for split in ("val", "test"))


@dataclasses.dataclass(frozen=True)
class ScoringOptions(DecodingFlags):
    """Base class with the flags that eval_val.py, eval_test.py and initialization.eval_obj2sen have in common."""

    job_dir: str = cli.field("runs/full", "run directory")
    data_dir: str = cli.field("", "data folder; empty = the one that the run was trained on")
    metrics: tuple[str, ...] = cli.field(("BLEU", "METEOR", "ROUGE-L", "CIDEr"), "metrics to compute")
    tokenizer: str = cli.choice("auto", tokenizers.CHOICES, tokenizers.HELP)
    row: str = cli.field("", "name of the row; empty = name of the run directory")
    corpus: str = cli.field("", "name of the corpus in the table; empty = name of the data folder")
    table: str = cli.field("", "table file; empty = table.json beside the run directory")
    image_dir: str = cli.field(
        "", "folder of the photographs, some of which are captioned again from their files; empty = process_images' own"
    )
    detector: str | None = cli.field(
        None, "detector for these files, for a run that reads concept words, see caption.py"
    )
    labels: str | None = cli.field(None, "class names of --detector")
    system: tuple[str, ...] = registry.packages_field()
    verify: bool = cli.field(False, "compare the checksums of all data files with their sidecars first")
    multi_gpu: bool = cli.field(False, "caption on all visible GPUs")
    devices: tuple[str, ...] = cli.field((), "caption on these devices, e.g. GPU:0,GPU:1")

    def outputs(self):
        """Returns (files, folders) that the command will write: two tuples of paths.

        cli.run checks before `main` that they can be written; empty paths are ignored.
        """
        return (table_of(self),), (self.job_dir,)


def table_of(options):
    """Returns the path of the table: --table, else table.json beside the run. Args: options: ScoringOptions."""
    return options.table or os.path.join(os.path.dirname(os.path.normpath(options.job_dir)), "table.json")


def check(options):
    """Checks flags and data before TensorFlow starts; returns the path of the data folder.

    Args: options: has job_dir, data_dir, decode and verify, e.g. ScoringOptions.
    Raises: cli.UserError if --decode or --job_dir cannot be used, or the data are inconsistent.
    """
    decoding_of(options)
    data_dir = data_dir_of(options)
    inventory.require_fit(data_dir, READ, options.verify)
    return data_dir


def data_dir_of(options):
    """Returns the path of the data folder: --data_dir, else the one that the run was trained on.

    Args: options: has data_dir and job_dir, e.g. ScoringOptions. Raises: cli.UserError if --job_dir is not a run.
    """
    from training import run_directory

    return options.data_dir or run_directory.data_dir_of(options.job_dir)


def reads_data(score):
    """Decorates a function so that the files of the data folder cannot be replaced while it runs.

    Args: score: function whose first argument is ScoringOptions, which determine the data folder.
    """

    @functools.wraps(score)
    def locked(options, *arguments, **named):
        with inventory.reading(data_dir_of(options), READ):
            return score(options, *arguments, **named)

    return locked


def folder_of(options):
    """Returns the path of the folder of validation captions and rankings: RUN, but RUN/DECODE unless that is beam3.

    DECODE is the name of the decoding (captioning/decode.py). Args: options: ScoringOptions.
    """
    decode = decoding_of(options).name
    return options.job_dir if decode == "beam3" else os.path.join(options.job_dir, decode)


# --------------------------------------------------------------------------------------------------------------
# All checkpoints on validation


@reads_data
def score_checkpoints(options, open_run, how=None, check_files=True):
    """Scores every checkpoint on the validation images, ranks them, and adds the best one's row to the table.

    The best one has the highest BLEU-3 + BLEU-4. Writes captions and rankings to `folder_of(options)`. Without
    `overwrite`, checkpoints that were scored before with the same settings are not scored again. If no validation image
    has a caption, prints a note and does nothing else.

    Args:
      options: ScoringOptions that also have `steps` (checkpoints to score, empty = all) and `overwrite`.
      open_run: function (checkpoint, split, names) -> (captioner, rows), as the top of this file describes.
      how: dict setting -> JSON value, further settings that the captions depend on, beside decoding and length
        normalization; None for none.
      check_files: whether some photographs are captioned again from their files, see file_check.compare.
    """
    from captioning import splits
    from evaluation import file_check, metrics, table
    from formats import captions, writing
    from training import checkpoints, rankings

    folder, data_dir = folder_of(options), data_dir_of(options)
    references = splits.references_of(data_dir, "val")
    if not references:
        print(
            f"{data_dir}: no image of val has a caption, so nothing is scored and no checkpoint is chosen; caption.py "
            "takes the newest one"
        )
        return
    names_of_steps = _steps(options)
    os.makedirs(folder, exist_ok=True)
    _say_how_many(data_dir, "val", references)
    if len(references) < captions.FEW:
        print(f"WARNING: {len(references)} validation images: {captions.CHOICE_OF_FEW}")
    decoding = decoding_of(options)
    how = {"decode": decoding.name, "length_normalization": decoding.length_normalization} | (how or {})
    with metrics.Scorer(references, options.metrics, options.tokenizer) as scorer:
        alike = _score_all(options, names_of_steps, folder, references, scorer, open_run, how)
        with writing.merging(_scores_path(folder)):  # keeps what another process has scored in the meantime
            known = {step: entry for step, entry in _read_scores(folder).items() if alike(entry)}
            rankings.write_rankings(folder, {int(step): entry["values"] for step, entry in known.items()})
            step = rankings.best_step(folder)  # its checkpoint may have been removed
            best = checkpoints.Chosen(checkpoints.prefix_of(options.job_dir, step), step, rankings.SELECTED_BY)
            scored = captions.read_captions(os.path.join(folder, f"val_{step}.json"))
            row = _row(options, scorer.score(scored), "val", best, best.why)
            _publish(options, row | {"scored": table.digest_of_scored(scored, references)})
    print(f"best by BLEU-3 + BLEU-4: step {best.step}")
    if check_files:
        file_check.compare(options, data_dir, "val", best.prefix, scored, open_run)


def _count(data_dir, split):
    """Returns the number of images of a split by its sidecar; None if there is no sidecar or no count in it."""
    path = os.path.join(data_dir, f"image_{split}.json")
    return sidecars.read_sidecar(path).get("count") if os.path.exists(path) else None


def _say_how_many(data_dir, split, references):
    """Prints how many images of a split are scored, if some have no caption.

    Args: references: dict image name -> list of captions.
    """
    total = _count(data_dir, split)
    if total and total > len(references):
        print(f"{split}: {len(references)} of {total} images have captions and are scored")


def _steps(options):
    """Returns the steps of the checkpoints to score, from --steps or the run, as list of int. Raises: cli.UserError."""
    from training import checkpoints

    if strange := [step for step in options.steps if not str(step).isdecimal() and step != "best"]:
        raise cli.UserError(
            f"--steps {','.join(strange)}: expected steps of checkpoints, e.g. --steps 500,1000, or best"
        )
    chosen = [
        checkpoints.choose(options.job_dir, "best").step if step == "best" else int(step) for step in options.steps
    ]
    steps = sorted(set(chosen)) or checkpoints.steps_in(options.job_dir)
    if not steps:
        raise cli.UserError(f"{options.job_dir}: has no checkpoint yet; train this run first")
    return steps


def _score_all(options, steps, folder, references, scorer, open_run, how):
    """Captions and scores the steps that were not scored before, and merges them into `folder`/val_checkpoints.json.

    Captions that were made from the same checkpoint with the same settings are kept; with other metrics or references
    they are scored again. The captions of a step and its scores are written together, because another process may score
    the same run.

    Args:
      options: ScoringOptions with `overwrite`. steps: list of int. folder: of captions and scores.
      references: dict image name -> list of captions. scorer: metrics.Scorer of these.
      open_run: function (checkpoint, split, names) -> (captioner, rows), as the top of this file describes.
      how: dict of the settings that the captions depend on.

    Returns: function that takes the dict {"how", "against", "values", "unique"} of one step in val_checkpoints.json and
      returns whether its scores can be ranked with these: same settings, metrics and references.
    """
    from evaluation import statistics
    from formats import captions, writing
    from training import checkpoints

    names, scores_path = sorted(references), _scores_path(folder)
    how = how | {"images": _digest(names)}
    against = {"metrics": sorted(options.metrics), "references": _digest(references)}
    against |= tokenizers.noted(options.tokenizer)
    for step in cli.progress(steps, "checkpoints"):
        path = os.path.join(folder, f"val_{step}.json")
        prefix = checkpoints.choose(options.job_dir, step).prefix
        made_by = how | {"checkpoint": checkpoints.digest(prefix)}
        with writing.merging(scores_path):
            entry = _read_scores(folder).get(str(step), {})
            captioned = not options.overwrite and entry.get("how") == made_by and os.path.exists(path)
            found = captions.read_captions(path) if captioned else None
        if captioned and entry.get("against") == against:
            continue
        if not captioned:
            captioner, rows = open_run(prefix, "val", names)
            found = captioner.captions_of(names, rows, decoding_of(options))
            found = {name: captions.sanitise(caption) for name, caption in found.items()}
        scores = scorer.score(found)
        unique = statistics.diversity(scores.tokens)["unique"]
        entry = {"how": made_by, "against": against, "values": scores.values, "unique": unique}
        with writing.merging(scores_path):
            if not captioned or captions.read_captions(path) != found:  # another process has written other captions
                captions.write_captions(path, found.items())
            captions.write_json(scores_path, _read_scores(folder) | {str(step): entry})
        shown = ", ".join(f"{name} {value:.1f}" for name, value in scores.values.items() if value is not None)
        print(f"step {step}: {shown}, unique {unique:.3f}")
    return lambda entry: entry.get("against") == against and how.items() <= entry["how"].items()


def _scores_path(folder):
    """Returns the path of val_checkpoints.json, the scores of the checkpoints, in `folder`."""
    return os.path.join(folder, "val_checkpoints.json")


def _read_scores(folder):
    """Reads the scores of the checkpoints from `folder`/val_checkpoints.json.

    Returns: dict step (as str) -> {"how": settings and checkpoint of the captions, "against": metrics and references,
      "values": scores, "unique"}; {} if the file does not exist.
    Raises: cli.UserError if it is damaged.
    """
    path = _scores_path(folder)
    known = readers.read_json(path, "the scores of the checkpoints; remove it", dict) if os.path.exists(path) else {}
    for step, entry in known.items():
        fields = {"how": readers.is_object, "against": readers.is_object, "values": readers.is_object}
        readers.check_fields(entry, fields, f"{path}: {step}", "remove it, or give --overwrite")
    return known


def _digest(value):
    """Returns the short sha256 (16 hexadecimal digits) of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


# --------------------------------------------------------------------------------------------------------------
# One checkpoint


@reads_data
def score_checkpoint(options, split, open_run):
    """Captions and scores the images of a split with the checkpoint of --checkpoint, and adds the row to the table.

    Writes the captions to RUN/SPLIT.json and the scores to RUN/SPLIT_scores.json, or SPLIT_DECODE unless that is beam3;
    several samples of each image to RUN/SPLIT_DECODE_samples.json, a dict image name -> captions, best first.
    Without references it only writes the captions.

    Args: options: ScoringOptions with `checkpoint` ("best", "newest" or a step). split: "val" or "test".
      open_run: function (checkpoint, split, names) -> (captioner, rows), as the top of this file describes.
    """
    from captioning import splits
    from evaluation import file_check, metrics, table
    from formats import captions, writing
    from training import checkpoints, rankings

    data_dir = data_dir_of(options)
    references, ranked = splits.references_of(data_dir, split), folder_of(options)
    if not os.path.exists(os.path.join(ranked, rankings.SELECTION)) and not splits.references_of(data_dir, "val"):
        ranked = None  # no checkpoint can be chosen by scores: the newest one, or the one with the least loss
    checkpoint = checkpoints.choose(options.job_dir, options.checkpoint, ranked)
    names = splits.names_of(data_dir, split) if len(references) != _count(data_dir, split) else sorted(references)
    decoding = decoding_of(options)
    stem = file_stem(split, decoding.name)
    captions_path = os.path.join(options.job_dir, f"{stem}.json")
    with contextlib.ExitStack() as stack:
        if references:
            scorer = stack.enter_context(metrics.Scorer(references, options.metrics, options.tokenizer))
        captioner, rows = open_run(checkpoint.prefix, split, names)
        several = captioner.several_captions_of(names, rows, decoding, "captions")
        found = {name: texts[0] for name, texts in several.items()}
        captions.write_captions(captions_path, found.items())  # before scoring, which may fail
        if not references:
            return print(f"{captions_path}: {len(found)} captions; no image of {split} has one to score them against")
        _say_how_many(data_dir, split, references)
        captioned, found = found, {name: found[name] for name in references}
        scores = scorer.score(found)
    selection = rankings.SELECTED_BY if options.checkpoint == "best" else f"--checkpoint {options.checkpoint}"
    selection = selection if ranked or options.checkpoint != "best" else f"{checkpoint.why}, nothing to choose by"
    row = _row(options, scores, split, checkpoint, selection)
    row["scored"] = table.digest_of_scored(found, references)
    if decoding.is_sampled and decoding.size > 1:
        row |= _variety({name: several[name] for name in references}, scores, scorer.tokenizer)
        captions.write_json(os.path.join(options.job_dir, f"{stem}_samples.json"), several)
    content = row | scores.to_json() | {"data_dir": data_dir}
    scores_path = os.path.join(options.job_dir, f"{stem}_scores.json")
    with writing.merging(scores_path):  # so that captions, scores and row are those of one process
        captions.write_captions(captions_path, captioned.items())
        captions.write_json(scores_path, table.with_earlier_scores(content, _earlier(scores_path)))
        _publish(options, row)
    file_check.compare(options, data_dir, split, checkpoint.prefix, found, open_run)


def _variety(several, scores, tokenizer):
    """Returns the diversity of several captions of each image: dict with the keys evaluation.variety.MEASURES.

    Args: several: dict image name -> list of captions. scores: metrics.Scores of the best ones; without tokens the
      result is {}. tokenizer: metrics.tokenizers.Tokenizer.
    """
    from evaluation import variety
    from formats.captions import sanitise

    if not scores.tokens:
        return {}
    lines = iter(tokenizer.tokenize([sanitise(text) for texts in several.values() for text in texts]))
    tokens = {name: [next(lines).split() for _ in texts] for name, texts in several.items()}
    return variety.of_samples(tokens, scores.reference_tokens)


def _earlier(scores_path):
    """Returns the content of a scores file before it is replaced, as dict; {} if it does not exist or is damaged."""
    try:
        content = readers.read_json(scores_path, kind=dict)
        readers.check_fields(content, {"reasons": readers.optional(readers.is_object)}, scores_path)
        return content
    except cli.UserError:
        return {}


# --------------------------------------------------------------------------------------------------------------
# The row


def _row(options, scores, split, checkpoint, selection):
    """Returns the row of the table for one checkpoint, as dict.

    Args: scores: metrics.Scores. split: "val" or "test". checkpoint: training.checkpoints.Chosen.
      selection: how the checkpoint was chosen, as text.
    """
    from captioning import splits
    from evaluation import hallucination, supervision, table
    from formats.concepts import load_concepts
    from training.run_directory import read_config

    data_dir, step = data_dir_of(options), checkpoint.step
    settings = read_config(options.job_dir)["settings"]
    return table.make_row(
        options.row or os.path.basename(os.path.normpath(options.job_dir)),
        scores,
        corpus=options.corpus or os.path.basename(os.path.normpath(data_dir)),
        split=split,
        decode=decoding_of(options).name,
        seed=settings["seed"],
        supervision=supervision.of_run(settings, data_dir),
        concepts=load_concepts(data_dir, split),
        annotated=hallucination.annotated_in(data_dir),
        minutes=None if step is None else splits.training_minutes(options.job_dir, step),
        checkpoint=checkpoint.prefix,
        command=cli.command_line(),
        selection=selection,
    )


def _publish(options, row):
    """Prints the row (a dict) and adds it to the table."""
    from evaluation import table

    table.print_table([row])
    table.merge_row(table_of(options), row, options.job_dir)
