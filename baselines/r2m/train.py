"""Trains R2M, a translator from concept words to sentences, on text alone, then adapts it to images (docs/r2m.md).

    python -m baselines.r2m --recipe miniature/r2m --data_dir data/miniature --job_dir runs/demo/r2m

`--stage all` trains the stages xe, xe_rec, tri and tri_rec in this order, each in its run directory JOB_DIR/STAGE.
After each stage its checkpoints are scored on the validation images; the next stage starts from the best one. A single
`--stage` trains in JOB_DIR itself and starts from `--start_ckpt`. The same command continues an interrupted run.
"""

import os

from baselines.r2m import configuration
from formats import inventory


@inventory.read_by_trainer
def main(options):
    """Trains one stage, or with --stage all the four stages in order. Args: options: configuration.R2M."""
    configuration.check(options)

    from training import distribution, setup

    setup.configure(options)
    strategy = distribution.make_strategy(options)
    if options.stage != "all":
        train(configuration.of_stage(options, options.stage), strategy)
        return
    before = None
    for name in configuration.IN_A_ROW:
        job_dir = os.path.join(options.job_dir, name)
        train(configuration.of_stage(options, name, job_dir=job_dir, start_ckpt=before), strategy)
        score(options, name, job_dir)
        before = job_dir


def train(options, strategy):
    """Trains one stage until its last step, or continues an interrupted one.

    Args: options: configuration.R2M of that stage, from `of_stage`. strategy: tf.distribute.Strategy.
    """
    from baselines.r2m.objective import R2MObjective
    from captioning.photographs import keep_detector
    from evaluation.held_out import HeldOut
    from formats.vocabulary import Vocabulary
    from input_pipeline import ConceptImageBatches, MergedBatches, SentenceBatches, SentenceSet
    from training import checkpoints, distribution, setup
    from training.loop import Loop
    from training.run_directory import RunDirectory
    from training.warm_start import warm_start

    losses, parts = configuration.LOSSES[options.stage], []
    # ---------------------------------------------------------------------------------------------- data
    vocabulary = Vocabulary.load(os.path.join(options.data_dir, "word_counts.txt"))
    facts, images, held_out = {"vocabulary": vocabulary.fingerprint()}, None, None
    if "xe" in losses:
        longest = min(filter(None, (options.max_sentence_length, options.unroll + 1)))  # without the start token
        corpus, held_out = SentenceSet.load_split(options.data_dir, longest, options.skip_damaged, share=100)
        parts.append(SentenceBatches(corpus, options.batch_size, options.seed, keys=True))
    if "triplet" in losses:
        images = setup.training_images(options)
        concepts = concepts_in_training(images.image_set, configuration.quirk(options, "concept_order"))
        parts.append(ConceptImageBatches(images.image_set, *concepts, options.batch_size, options.seed))
        facts |= {"image_dim": images.dim, "encoder": images.identity}
    batches = parts[0] if len(parts) == 1 else MergedBatches(*parts)

    # ---------------------------------------------------------------------------------------------- networks
    with strategy.scope():
        arguments = (images.dim, images.in_step(options)) if images else ()
        objective = R2MObjective(options, vocabulary.size, *arguments)
        if images and options.standardise:
            objective.standardise.assign(*images.statistics)

    # ---------------------------------------------------------------------------------------------- run directory
    run = RunDirectory(options, facts, writes=distribution.is_chief(strategy))
    setup.keep_for_inference(run, vocabulary)
    keep_detector(run, options.data_dir, options.detector, options.labels)
    validation = None
    if held_out:
        validation = HeldOut(objective, SentenceBatches(held_out, options.batch_size, options.seed, keys=True), run)

    # ---------------------------------------------------------------------------------------------- training
    loop = Loop(options, objective, batches, strategy, run, validation)
    if not loop.resumed and options.start_ckpt:
        source = checkpoints.read_variables(checkpoints.choose(options.start_ckpt).prefix)
        for network in objective.handed_over("Projection/weights" in source):
            warm_start(run, network, options.start_ckpt)
    loop.train()


def concepts_in_training(image_set, concept_order):
    """Selects for each training image the detected concept words that R2M reads in the image stages.

    Args:
      image_set: input_pipeline.ImageSet of N images with their detected objects.
      concept_order: "class" for the last K objects in order of class, as in the authors' program; "score" for the K
        words with the highest detection scores.

    Returns: (word ids int32 [N, K], zero padded; number of words of each image int32 [N]). K is concepts.LIMIT, 5.
    """
    import numpy as np

    from models import concepts

    objects = image_set.objects(np.arange(len(image_set)))
    if concept_order == "class":
        return concepts.last_concepts(objects["classes"], objects["num"])
    return concepts.best_concepts(objects["classes"], objects["scores"], objects["num"])


def score(options, name, job_dir):
    """Scores and ranks the checkpoints of a stage on the validation images; the next stage starts from the best one.

    Writes the rankings to `job_dir`, and the scores of the best checkpoint to the table of results (--table, by default
    table.json in options.job_dir) as row "r2m" for the last stage, "r2m_STAGE" for the others. Without
    DATA_DIR/refs_val.json it only prints which checkpoint the next stage starts from.

    Args: options: configuration.R2M of the whole command. name: the stage, e.g. "xe_rec". job_dir: run directory of
      this stage, with its checkpoints; options.job_dir is that of the command.
    """
    from evaluation import validation

    if not os.path.exists(os.path.join(options.data_dir, "refs_val.json")):
        print(
            f"{options.data_dir}: no refs_val.json, so the stage after {name} starts from its newest checkpoint, or "
            "from that of least held-out loss"
        )
        return
    table = options.table or os.path.join(options.job_dir, "table.json")
    row = "r2m" if name == configuration.IN_A_ROW[-1] else f"r2m_{name}"
    shared = {key: getattr(options, key) for key in ("data_dir", "metrics", "corpus", "multi_gpu", "devices")}
    validation.main(validation.Options(job_dir=job_dir, row=row, table=table, **shared))
