"""Writes pseudo captions of the training images: what obj2sen says about their detected objects.

    python -m initialization.gen_obj2sen_caption --job_dir runs/demo/obj2sen --data_dir data/miniature

Reads `image_train*.tfrec`. Writes `obj2sen_captions*.tfrec` (word ids without markers, image name) and
`obj2sen_captions.json`. An image without objects gets obj2sen's generic caption, as in the authors' program; im_caption
leaves such images out. Many images are decoded at once. After an interruption the same command keeps finished files.
"""

import dataclasses
import os

import cli
import experiments
from captioning.decode import parse_decode
from evaluation import scoring
from formats import writing
from training import rankings


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of gen_obj2sen_caption."""

    job_dir: str = cli.field("runs/obj2sen", "run directory of initialization.obj2sen")
    checkpoint: str = cli.field("best", rankings.CHECKPOINT)
    data_dir: str = cli.field("", "folder of the stages; empty = the one the run was trained on")
    output: str = cli.field("obj2sen_captions", "name of the record files without shard number and extension")
    decode: str = cli.field("beam3", "greedy or beamK")
    threshold: float = cli.field(0.0, "minimum detection score of the objects that obj2sen reads")
    batch_size: int = cli.field(512, "images captioned at once")
    verify: bool = cli.field(False, "compare the checksums of all data files with their sidecars first")
    overwrite: bool = cli.field(False, "make the output again although it is there")


def check(options):
    """Checks the flags before TensorFlow starts. Raises cli.UserError."""
    if not 0 <= options.threshold <= 1:
        raise cli.UserError(f"--threshold {options.threshold}: expected a score between 0 and 1")
    parse_decode(options.decode)
    if options.batch_size < 1:
        raise cli.UserError(f"--batch_size {options.batch_size}: expected at least 1")
    if os.path.dirname(options.output) or not options.output:
        raise cli.UserError(f"--output {options.output!r}: expected a bare name, the folder is --data_dir")


def main(options):
    """Captions the training images."""
    check(options)
    data_dir = scoring.data_dir_of(options)
    with writing.working(data_dir, [options.output], ["image"]):
        _make(options, data_dir)


def _make(options, data_dir):
    from formats import inventory

    inventory.require_fit(data_dir, ("dictionary", "image_train"), options.verify)

    import tensorflow as tf

    from initialization.caption_records import write_captions
    from initialization.object_captioner import ObjectCaptioner
    from training import checkpoints

    tf.config.experimental.enable_op_determinism()
    prefix, _, why = checkpoints.choose(options.job_dir, options.checkpoint)
    captioner = ObjectCaptioner.from_run(options.job_dir, prefix)
    captioner.check_vocabulary(data_dir)
    print(f"captions by {prefix} ({why})")

    def captions_of(images):
        rows = captioner.rows_of(images, options.threshold)
        found = captioner.caption_vectors(rows, options.decode, batch=options.batch_size)
        return [(name, several[0].words) for name, several in zip(images.names, found, strict=True)]

    settings = {
        "decode": options.decode,
        "threshold": options.threshold,
        "semantics": captioner.semantics,
        "batch_size": options.batch_size,
    }
    made_from = {"checkpoint": checkpoints.digest(prefix)}
    vocabulary = captioner.vocabulary.fingerprint()
    write_captions(data_dir, options.output, lambda: captions_of, settings, made_from, options.overwrite, vocabulary)


if __name__ == "__main__":
    cli.run(main, Options, experiments.Stage("gen_obj2sen_caption"))
