"""Copies what a trained run needs for captioning into a small folder, with a model card.

    python -m scripts.export_run --job_dir runs/demo/full --output results/models/miniature_full \\
        --scores results/miniature/full/seed_1
    python caption.py --job_dir results/models/miniature_full photo.png

The folder has the settings, vocabulary and encoder of the run, and the variables of the captioning network alone, as
float16: no optimizers, no discriminator. It cannot be trained further. README.md in it, the model card, is made from
the run's scores in the archive.
"""

import dataclasses
import json
import os
import shutil

import cli
from formats import readers, sidecars

CARD = """# {title}

{what}

    python caption.py --job_dir {folder} docs/images/drawn.jpg

| | |
|---|---|
| trained by | `--recipe {recipe}`, seed {seed}, checkpoint of step {step} |
| data | pictures and sentences drawn by `preprocessing.make_miniature`; {pairs} |
| size | {megabytes:.1f} MB; weights in float16, rounded from the trained float32 |
| licence | MIT, as the program; nothing in it comes from photographs or texts of others |

Scores of the trained run on {images} {split} pictures ({decode}), x100: CIDEr {cider:.1f}, BLEU-4 {bleu:.1f},
METEOR {meteor}; share of distinct captions {unique:.3f}.

What it gets wrong: of the objects that it names, {precision:.0%} are among the detections of the picture, and it names
{recall:.0%} of the detected ones. {chair_s:.0%} of its captions name an object that is neither in the picture nor in
its references (CHAIR-s), {chair_i:.0%} of the named objects are such (CHAIR-i). It knows {words} words and the drawn
world alone: of a photograph it says a sentence of that world.
"""

KEPT = ("Generator/", "Standardise/", "Image_encoder/")  # variables of captioner and trained encoder


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of scripts.export_run."""

    job_dir: str = cli.field("runs/demo/full", "run directory")
    checkpoint: str = cli.field("best", "best (last entry of b34.json), newest, or a step")
    output: str = cli.field("", "folder to write; it must not exist")
    scores: str = cli.field("", "the run's folder in the archive, e.g. results/miniature/full/seed_1")

    def outputs(self):
        """Returns (files, folders) that the command will write: two tuples of paths, which cli.run checks first."""
        return (), (self.output,)


def main(options):
    """Writes the folder --output with the captioning network, its settings and the model card. Args: options: Options.

    Raises: cli.UserError if the run's network reads no image vectors, the scores are of another step, or the output
      exists.
    """
    if not options.output or not options.scores:
        raise cli.UserError("--output and --scores are needed, e.g. results/models/NAME, results/miniature/full/seed_1")
    if os.path.exists(options.output) and os.listdir(options.output):
        raise cli.UserError(f"{options.output}: exists and is not empty; expected a new folder")

    from captioning import run_content
    from evaluation import supervision
    from evaluation.results import add, archive
    from training import checkpoints

    content, vocabulary, _ = run_content.open_run(options.job_dir, options.checkpoint)
    chosen = checkpoints.choose(options.job_dir, options.checkpoint)
    arrays = checkpoints.read_variables(chosen.prefix)
    wanted = {name: array for name, array in arrays.items() if name.startswith(KEPT)}
    if not wanted:
        raise cli.UserError(f"{options.job_dir}: a run of {content['stage']}; expected a captioner of image vectors")
    pairs = supervision.of_run(content["settings"], content["settings"]["data_dir"]) == supervision.PAIRS
    row = archive.read_entry(options.scores).rows[0]
    if row["checkpoint_step"] != chosen.step:
        raise cli.UserError(
            f"{options.scores}: scores of step {row['checkpoint_step']}, the checkpoint is {chosen.name}"
        )

    os.makedirs(options.output, exist_ok=True)
    _write_float16(wanted, checkpoints.prefix_of(options.output, chosen.step))
    shutil.copy(os.path.join(options.job_dir, "vocabulary.txt"), options.output)
    shutil.copytree(os.path.join(options.job_dir, "encoder"), os.path.join(options.output, "encoder"))
    for name, value in (("config.json", content), ("encoder/encoder.json", None)):
        path = os.path.join(options.output, name)
        value = value or readers.read_json(path)
        sidecars.write_whole(path, json.dumps(add.without_folders(value), indent=1) + "\n")
    files = [os.path.join(folder, name) for folder, _, names in os.walk(options.output) for name in names]
    card = CARD.format(
        title=os.path.basename(os.path.normpath(options.output)),
        what="A trained run of the drawn world, to try captioning right after installation.",
        folder=options.output,
        recipe=content["settings"].get("recipe") or "?",
        seed=row["seed"],
        step=chosen.step,
        megabytes=sum(map(os.path.getsize, files)) / 1e6,
        cider=row["CIDEr"],
        bleu=row["BLEU-4"],
        meteor="-" if row["METEOR"] is None else f"{row['METEOR']:.1f}",
        precision=row["class_precision"],
        recall=row["class_recall"],
        pairs="trained on true pairs of pictures and sentences" if pairs else "no image-sentence pair",
        chair_s=row["CHAIR-s"] or 0.0,
        chair_i=row["CHAIR-i"] or 0.0,
        words=vocabulary.size,
        **{name: row[name] for name in ("images", "split", "decode", "unique")},
    )
    sidecars.write_whole(os.path.join(options.output, "README.md"), card)
    print(f"{options.output}: {len(wanted)} variables, {sum(map(os.path.getsize, files)) / 1e6:.1f} MB")


def _write_float16(arrays, prefix):
    """Writes arrays as float16 to a TensorFlow checkpoint.

    Args: arrays: dict variable name -> float32 array. prefix: path of the checkpoint without ending.
    """
    import numpy as np
    import tensorflow as tf

    names = sorted(arrays)
    values = [np.asarray(arrays[name], np.float16) for name in names]
    tf.raw_ops.SaveV2(prefix=prefix, tensor_names=names, shape_and_slices=[""] * len(names), tensors=values)
    part = f"{prefix}.data-00000-of-00001"
    if not os.path.exists(part):
        raise cli.UserError(f"{part}: not written")


if __name__ == "__main__":
    cli.run(main, Options)
