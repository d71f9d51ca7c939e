"""Trains the second stage, on photographs and their detections.

    python -m toy_system.pictures --data_dir data/miniature --job_dir runs/toy/pictures \
        --start_ckpt runs/toy/words --max_steps 1000

The same command continues an interrupted run.
"""

import os

import cli
import config
from toy_system import settings


def main(options):
    """Trains the second stage until --max_steps. Args: options: settings.ToyPictures.

    Raises: cli.UserError if settings are missing or inputs do not fit.
    """
    config.check_trainer(options, "start_ckpt")
    if not options.start_ckpt:
        raise cli.UserError("--start_ckpt is missing: expected a run of python -m toy_system.words")

    import numpy as np

    from evaluation.collapse import CollapseWatch
    from formats.vocabulary import Vocabulary
    from input_pipeline import ConceptImageBatches
    from models.concepts import select_concepts
    from toy_system.objectives import PicturesObjective
    from training import distribution, setup
    from training.loop import Loop
    from training.run_directory import RunDirectory
    from training.warm_start import warm_start

    # ---------------------------------------------------------------------------------------------- devices
    setup.configure(options)
    strategy = distribution.make_strategy(options)

    # ---------------------------------------------------------------------------------------------- data
    vocabulary = Vocabulary.load(os.path.join(options.data_dir, "word_counts.txt"))
    images = setup.training_images(options)
    objects = images.image_set.objects(np.arange(len(images.image_set)))
    concepts = select_concepts(objects["classes"], objects["scores"], objects["num"], options.semantics)
    batches = ConceptImageBatches(images.image_set, *concepts, options.batch_size, options.seed)

    # ---------------------------------------------------------------------------------------------- network
    with strategy.scope():
        objective = PicturesObjective(options, vocabulary.size, images.dim)
        if options.standardise:
            objective.standardise.assign(*images.statistics)

    # ---------------------------------------------------------------------------------------------- run directory
    facts = {"vocabulary": vocabulary.fingerprint(), "image_dim": images.dim, "encoder": images.identity}
    run = RunDirectory(options, facts, writes=distribution.is_chief(strategy))
    setup.keep_for_inference(run, vocabulary, images)
    watch = CollapseWatch.of_run(objective, vocabulary, options, run.log)

    # ---------------------------------------------------------------------------------------------- training
    loop = Loop(options, objective, batches, strategy, run, watch)
    if not loop.resumed:
        of_first_stage = lambda name: not name.startswith("Generator/projection")  # noqa: E731
        warm_start(run, objective.generator, options.start_ckpt, of_first_stage)
    loop.train()


if __name__ == "__main__":
    cli.run(main, settings.ToyPictures)
