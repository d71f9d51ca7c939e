"""Scores every checkpoint of a run on the validation images and ranks them (UIC spec 10.2).

    python eval_val.py --job_dir runs/full

Writes RUN/val_STEP.json (captions) and the rankings b34.json, cider.json, meteor.json, b4.json, b3.json, b2.json; the
best checkpoint is the last entry of b34.json. Another --decode than beam3 writes to RUN/DECODE/. The row of the best
checkpoint goes into the table beside the run. Checkpoints that were scored before are not scored again.
"""

import dataclasses
import hashlib
import json
import os

import config


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of eval_val.py."""

    job_dir: str = config.field("runs/full", "run directory")
    data_dir: str = config.field("", "folder of the stages; empty = the one the run was trained on")
    decode: str = config.field("beam3", "greedy or beamK")
    length_normalization: float = config.field(0.0, "finished captions are ordered by log p / length^this")
    metrics: tuple[str, ...] = config.field(("BLEU", "METEOR", "ROUGE-L", "CIDEr"), "what is scored")
    steps: tuple[str, ...] = config.field((), "checkpoints by step; empty = all")
    row: str = config.field("", "name of the row; empty = name of the run directory")
    corpus: str = config.field("", "name of the corpus in the table; empty = name of the data folder")
    table: str = config.field("", "table file; empty = table.json beside the run directory")
    encoder: str | None = config.field(None, "where the run's encoder is now, if it has moved")
    overwrite: bool = config.field(False, "score again what was scored before")


def main(options):
    """Scores, ranks, adds the row."""
    from evaluation import captions, metrics, rankings, runs, statistics, table
    from evaluation.captioner import Captioner, parse_decode
    from evaluation.concepts import load_concepts
    from training import checkpoints
    from training.run_directory import read_config

    parse_decode(options.decode)
    settings = read_config(options.job_dir)["settings"]
    data_dir = options.data_dir or settings["data_dir"]
    folder = options.job_dir if options.decode == "beam3" else os.path.join(options.job_dir, options.decode)
    os.makedirs(folder, exist_ok=True)
    steps = [int(step) for step in options.steps] or checkpoints.steps_in(options.job_dir)
    if not steps:
        raise config.UserError(f"{options.job_dir}: no checkpoint yet; train it first: python train.py --job_dir ...")

    # ---------------------------------------------------------------------------------------------- score
    references = runs.references_of(data_dir, "val")
    names = sorted(references)
    how = {"decode": options.decode, "length_normalization": options.length_normalization}
    known = _read_scores(folder)
    captioner = vectors = None
    with metrics.Scorer(references, options.metrics) as scorer:
        for step in config.progress(steps, "checkpoints"):
            path = os.path.join(folder, f"val_{step}.json")
            entry = known.get(str(step), {})
            made_by = how | {"checkpoint": _digest(checkpoints.prefix_of(options.job_dir, step) + ".index")}
            if not options.overwrite and entry.get("how") == made_by and os.path.exists(path):
                continue
            if captioner is None:
                captioner = Captioner.from_run(options.job_dir, step)
                vectors = runs.split_vectors(options.job_dir, data_dir, "val", names, options.encoder)
            captioner.load(step, options.job_dir)
            found = captioner.captions_of(names, vectors, options.decode, options.length_normalization)
            captions.write_captions(path, found.items())
            scores = scorer.score(found)
            variety = statistics.diversity(scores.tokens)
            known[str(step)] = {"how": made_by, "values": scores.values, "unique": variety["unique"]}
            captions.write_json(os.path.join(folder, "val_scores.json"), known)
            shown = ", ".join(f"{name} {value:.1f}" for name, value in scores.values.items() if value is not None)
            print(f"step {step}: {shown}, unique {variety['unique']:.3f}")

        # ------------------------------------------------------------------------------------------ rank
        rankings.write_rankings(folder, {int(step): entry["values"] for step, entry in known.items()})
        best = rankings.best_step(folder)
        scores = scorer.score(captions.read_captions(os.path.join(folder, f"val_{best}.json")))
    row = table.make_row(
        options.row or os.path.basename(os.path.normpath(options.job_dir)),
        scores,
        corpus=options.corpus or os.path.basename(os.path.normpath(data_dir)),
        split="val",
        decode=options.decode,
        seed=settings["seed"],
        concepts=load_concepts(data_dir, "val"),
        minutes=runs.training_minutes(options.job_dir, best),
        checkpoint=checkpoints.prefix_of(options.job_dir, best),
        command=config.command_line(),
        selection=rankings.SELECTED_BY,
    )
    path = options.table or os.path.join(os.path.dirname(os.path.normpath(options.job_dir)), "table.json")
    table.merge_row(path, row)
    print(f"best by BLEU-3 + BLEU-4: step {best}; its row is in {path}")
    table.print_table([row])


def _read_scores(folder):
    """RUN/val_scores.json: step -> how it was captioned, scores."""
    path = os.path.join(folder, "val_scores.json")
    if not os.path.exists(path):
        return {}
    with open(path) as file:
        return json.load(file)


def _digest(path):
    """Short sha256 of a file, empty where there is none."""
    if not os.path.exists(path):
        return ""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


if __name__ == "__main__":
    config.run(main, Options)
