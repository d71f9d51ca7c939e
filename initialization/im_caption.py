"""Trains a captioner on images and pseudo captions (docs/method.md, eq. X1), or on true pairs as an upper bound.

    python -m initialization.im_caption --recipe miniature/feat2sen --data_dir data/miniature \
        --captions retrieved --job_dir runs/demo/feat2sen

It is validated like the full model: training warns if the captions of some images become all alike (collapse), and
eval_val.py scores every checkpoint (the row feat2sen of the table) and chooses one. train.py initialises all generator
variables from this run. The same command continues an interrupted run.
"""

import os

import cli
import config
import experiments
from captioning.decode import parse_decode
from formats import inventory


def check(options):
    """Checks the settings (config.ImageCaption) before TensorFlow starts. Raises cli.UserError if one is invalid."""
    config.check_trainer(options, "o2s_ckpt", "imcap_ckpt")
    parse_decode(options.decode)
    if options.o2s_ckpt and options.imcap_ckpt:
        raise cli.UserError("--o2s_ckpt and --imcap_ckpt both initialise the generator; expected one of them")
    kind, _, path = options.captions.partition(":")
    if kind == "pairs" and not os.path.exists(path):
        raise cli.UserError(
            f'--captions {options.captions}: {path!r} is not a file; expected lines {{"image", "captions"}}'
        )
    if kind == "fit" and options.inc_ckpt:
        raise cli.UserError("--captions fit reads embeddings, not photographs: expected no --inc_ckpt with it")
    if not options.captions:
        raise cli.UserError(
            "--captions is empty: expected obj2sen, retrieved, fit, fit:FILE.npz, the STEM of record files or "
            "pairs:FILE.jsonl"
        )


@inventory.read_by_trainer
def main(options):
    """Trains im_caption until --max_steps. Args: options: config.ImageCaption."""
    check(options)

    from evaluation.collapse import CollapseWatch
    from formats.vocabulary import Vocabulary
    from initialization.pseudo_captions import POINTS, load_captions, load_points
    from input_pipeline import PairedBatches
    from objectives.im_caption import ImageCaptionObjective
    from training import distribution, setup
    from training.loop import Loop
    from training.run_directory import RunDirectory
    from training.warm_start import warm_start, warm_start_encoder

    # ---------------------------------------------------------------------------------------------- devices
    setup.configure(options)
    strategy = distribution.make_strategy(options)

    # ---------------------------------------------------------------------------------------------- data
    vocabulary = Vocabulary.load(os.path.join(options.data_dir, "word_counts.txt"))
    images = setup.training_images(options)
    if options.captions.partition(":")[0] == POINTS:
        learned, pseudo = load_points(options.captions, options.data_dir, vocabulary, options.max_sentence_length)
    else:
        learned, pseudo = images.image_set, load_captions(options, images.image_set.images, vocabulary)
    batches = PairedBatches(learned, pseudo.captions, options.batch_size, options.seed)

    # ---------------------------------------------------------------------------------------------- networks
    with strategy.scope():
        objective = ImageCaptionObjective(options, vocabulary.size, images.dim, images.in_step(options))
        if options.standardise:
            objective.standardise.assign(*images.statistics)

    # ---------------------------------------------------------------------------------------------- run directory
    facts = {
        "vocabulary": vocabulary.fingerprint(),
        "image_dim": images.dim,
        "encoder": images.identity,
        "captions": pseudo.digest(),
    }
    run = RunDirectory(options, facts, writes=distribution.is_chief(strategy))
    setup.keep_for_inference(run, vocabulary, images)
    for note in pseudo.notes:
        run.log(note)
    watch = CollapseWatch.of_run(objective, vocabulary, options, run.log, objective.encode)

    # ---------------------------------------------------------------------------------------------- initialization
    loop = Loop(options, objective, batches, strategy, run, watch)
    if not loop.resumed and options.o2s_ckpt:  # own checkpoint > given checkpoint > fresh weights
        text = lambda name: not name.startswith("Generator/fully_connected")  # noqa: E731  the projection starts fresh
        warm_start(run, objective.generator, options.o2s_ckpt, text)
    if not loop.resumed and options.imcap_ckpt:
        warm_start(run, objective.generator, options.imcap_ckpt)
        warm_start_encoder(run, objective.encode, options.imcap_ckpt)

    # ---------------------------------------------------------------------------------------------- training
    loop.train()


if __name__ == "__main__":
    cli.run(main, config.ImageCaption, experiments.Rows())
