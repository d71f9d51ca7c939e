"""Captions and scores the test images with one checkpoint of a run (UIC spec 10.3).

    python eval_test.py --job_dir runs/full

The checkpoint is the best one on validation (b34.json, written by eval_val.py), or the one given by --checkpoint.
Writes RUN/test.json (captions) and RUN/test_scores.json, and adds the row to the table beside the run.
"""

import dataclasses
import os

import config


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of eval_test.py."""

    job_dir: str = config.field("runs/full", "run directory")
    checkpoint: str = config.field("best", "best (last entry of b34.json), newest, a step, or a path")
    data_dir: str = config.field("", "folder of the stages; empty = the one the run was trained on")
    split: str = config.choice("test", ("test", "val"), "which images")
    decode: str = config.field("beam3", "greedy or beamK")
    length_normalization: float = config.field(0.0, "finished captions are ordered by log p / length^this")
    metrics: tuple[str, ...] = config.field(("BLEU", "METEOR", "ROUGE-L", "CIDEr", "SPICE"), "what is scored")
    row: str = config.field("", "name of the row; empty = name of the run directory")
    corpus: str = config.field("", "name of the corpus in the table; empty = name of the data folder")
    table: str = config.field("", "table file; empty = table.json beside the run directory")
    encoder: str | None = config.field(None, "where the run's encoder is now, if it has moved")


def chosen(options):
    """The checkpoint that --checkpoint means: a step, or a path."""
    from evaluation import rankings
    from training import checkpoints

    if options.checkpoint == "best":
        folder = os.path.join(options.job_dir, "" if options.decode == "beam3" else options.decode)
        return rankings.best_step(folder)
    if options.checkpoint == "newest":
        steps = checkpoints.steps_in(options.job_dir)
        if not steps:
            raise config.UserError(f"{options.job_dir}: no checkpoint yet")
        return steps[-1]
    return int(options.checkpoint) if options.checkpoint.isdigit() else options.checkpoint


def main(options):
    """Captions, scores, adds the row."""
    from evaluation import captions, metrics, rankings, runs, table
    from evaluation.captioner import Captioner, parse_decode
    from evaluation.concepts import load_concepts
    from training import checkpoints
    from training.run_directory import read_config

    parse_decode(options.decode)
    settings = read_config(options.job_dir)["settings"]
    data_dir = options.data_dir or settings["data_dir"]
    checkpoint = chosen(options)

    # ---------------------------------------------------------------------------------------------- caption
    references = runs.references_of(data_dir, options.split)
    names = sorted(references)
    captioner = Captioner.from_run(options.job_dir, checkpoint)
    vectors = runs.split_vectors(options.job_dir, data_dir, options.split, names, options.encoder)
    found = captioner.captions_of(names, vectors, options.decode, options.length_normalization, "captions")
    name = options.split if options.decode == "beam3" else f"{options.split}_{options.decode}"
    captions.write_captions(os.path.join(options.job_dir, f"{name}.json"), found.items())

    # ---------------------------------------------------------------------------------------------- score
    scores = metrics.score(found, references, options.metrics)
    step = checkpoint if isinstance(checkpoint, int) else None
    path = checkpoints.prefix_of(options.job_dir, step) if step is not None else str(checkpoint)
    row = table.make_row(
        options.row or os.path.basename(os.path.normpath(options.job_dir)),
        scores,
        corpus=options.corpus or os.path.basename(os.path.normpath(data_dir)),
        split=options.split,
        decode=options.decode,
        seed=settings["seed"],
        concepts=load_concepts(data_dir, options.split),
        minutes=runs.training_minutes(options.job_dir, step) if step is not None else None,
        checkpoint=path,
        command=config.command_line(),
        selection=rankings.SELECTED_BY if options.checkpoint == "best" else f"--checkpoint {options.checkpoint}",
    )
    captions.write_json(
        os.path.join(options.job_dir, f"{name}_scores.json"), row | scores.to_json() | {"data_dir": data_dir}
    )
    table_path = options.table or os.path.join(os.path.dirname(os.path.normpath(options.job_dir)), "table.json")
    table.merge_row(table_path, row)
    table.print_table([row])


if __name__ == "__main__":
    config.run(main, Options)
