"""The trainer that Show and Tell and Show, Attend and Tell share."""

import os
import shlex

import cli
import config
from formats import inventory


def check(options):
    """Checks the settings (settings.Supervised) before TensorFlow starts. Raises cli.UserError if one is invalid."""
    config.check_trainer(options)
    kind, _, path = options.captions.partition(":")
    if kind != "pairs" or not os.path.exists(path):
        raise cli.UserError(
            f'--captions {options.captions!r}: expected pairs:FILE, lines {{"image", "captions"}} of the training '
            f"images. Make it with: python -m preprocessing.train_captions --data_dir {shlex.quote(options.data_dir)} "
            "--dataset KIND:DIR"
        )
    for name in ("scst_from", "lr_decay_steps", "lr_halving_epochs", "init_stddev"):
        if getattr(options, name, 0) < 0:
            raise cli.UserError(f"--{name} {getattr(options, name)}: expected at least 0")
    if options.lr_decay_steps and options.lr_halving_epochs:
        raise cli.UserError("--lr_decay_steps and --lr_halving_epochs are two schedules: give one of them")
    if options.accumulate > 1 and getattr(options, "batch_norm", False):
        raise cli.UserError(
            f"--accumulate {options.accumulate} cannot be used with --batch_norm, whose moments are those of the whole "
            "batch: omit one of them"
        )
    if options.max_caption_length < 1 or options.mem_dim < 1:
        raise cli.UserError("--max_caption_length and --mem_dim must be at least 1")


@inventory.read_by_trainer
def train(options, make_objective, grid):
    """Trains a supervised baseline until --max_steps.

    Args:
      options: baselines.supervised.settings.Supervised.
      make_objective: function (options, vocabulary size, image dimension, number of pairs, CiderD or None) ->
        SupervisedObjective; called inside `strategy.scope()`.
      grid: whether the feature bank must have grids [N, crops, cells, D] instead of vectors [N, crops, D].
    """
    check(options)

    from baselines.supervised.batches import SupervisedBatches
    from baselines.supervised.cider import CiderD, DocumentFrequencies
    from evaluation.collapse import CollapseWatch
    from formats.vocabulary import Vocabulary
    from initialization.pseudo_captions import load_captions
    from training import distribution, setup
    from training.loop import Loop
    from training.run_directory import RunDirectory

    # ---------------------------------------------------------------------------------------------- devices
    setup.configure(options)
    strategy = distribution.make_strategy(options)

    # ---------------------------------------------------------------------------------------------- data
    vocabulary = Vocabulary.load(os.path.join(options.data_dir, "word_counts.txt"))
    images = setup.training_images(options)
    cells = check_bank(images.image_set.bank, grid, options.data_dir)
    pairs = load_captions(options, images.image_set.images, vocabulary)
    references = options.scst_from > 0
    batches = SupervisedBatches(images.image_set, pairs.captions, options.batch_size, options.seed, references)

    # ---------------------------------------------------------------------------------------------- run directory
    facts = {
        "vocabulary": vocabulary.fingerprint(),
        "image_dim": images.dim,
        "cells": cells,
        "encoder": images.identity,
        "captions": pairs.digest(),
    }
    run = RunDirectory(options, facts, writes=distribution.is_chief(strategy))
    setup.keep_for_inference(run, vocabulary, images)
    for note in pairs.notes:
        run.log(note)

    # ---------------------------------------------------------------------------------------------- network
    cider = None
    if options.scst_from:
        path = run.file("document_frequencies.npz")
        frequencies = DocumentFrequencies.cached(path, pairs.digest(), pairs.captions, vocabulary.size, run.writes)
        cider = CiderD(frequencies, vocabulary.size)
    with strategy.scope():
        objective = make_objective(options, vocabulary.size, images.dim, len(batches), cider)
        if options.standardise:
            objective.standardise.assign(*images.statistics)
    run.log(
        f"{sum(v.shape.num_elements() for v in objective.trainable_variables):,} parameters, {len(batches):,} pairs"
    )

    # ---------------------------------------------------------------------------------------------- training
    watch = CollapseWatch.of_run(objective, vocabulary, options, run.log)
    Loop(options, objective, batches, strategy, run, watch).train()


def check_bank(bank, grid, data_dir):
    """Returns the number of cells in the grids of a feature bank; None for a bank of pooled vectors.

    Args: bank: input_pipeline.FeatureBank. grid: whether the system needs grids. data_dir: the bank's data folder, for
      the message.
    Raises: cli.UserError if the bank has pooled vectors but grids are needed, or the reverse.
    """
    shape = bank.features.shape
    if grid and len(shape) != 4:
        raise cli.UserError(
            f"{data_dir}: the feature bank has pooled vectors {shape}, expected the encoder's grid of cells "
            "[N, crops, cells, D]. Make it in another data folder: python -m preprocessing.extract_features "
            "--data_dir OTHER --encoder compact:FILE#grid (or keras:NAME#grid, tflite:FILE#TENSOR)"
        )
    if not grid and len(shape) != 3:
        raise cli.UserError(
            f"{data_dir}: the feature bank has grids of cells {shape}, expected pooled vectors [N, crops, D]. Make "
            "it in another data folder: python -m preprocessing.extract_features --data_dir OTHER --encoder KIND:FILE"
        )
    return shape[2] if grid else None
