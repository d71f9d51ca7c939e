"""Trains a translator from concept words to sentences on the corpus alone (docs/method.md, eq. X1).

    python -m initialization.obj2sen --recipe miniature/con2sen --data_dir data/miniature --job_dir runs/demo/obj2sen

The first 1/50 of the sentences is held out. At every checkpoint token accuracy and perplexity are computed on it, and
RUN/best.json names the step with the lowest loss. gen_obj2sen_caption generates pseudo captions with this run;
im_caption initialises its generator, except for the image projection, from it. With `--detector` the run keeps the
detector, so that caption.py can caption photographs. The same command continues an interrupted run.
"""

import os

import cli
import config
import experiments
from formats import inventory


@inventory.read_by_trainer
def main(options):
    """Trains obj2sen until --max_steps. Args: options: config.ObjectToSentence."""
    config.check_trainer(options)
    if options.detector:
        from preprocessing.detection import detectors

        detectors.parse(options.detector, options.labels)

    from captioning.photographs import keep_detector
    from evaluation.held_out import HeldOut
    from formats.vocabulary import Vocabulary
    from input_pipeline import SentenceBatches, SentenceSet
    from objectives.obj2sen import ObjectToSentenceObjective
    from training import distribution, setup
    from training.loop import Loop
    from training.run_directory import RunDirectory

    # ---------------------------------------------------------------------------------------------- devices
    setup.configure(options)
    strategy = distribution.make_strategy(options)

    # ---------------------------------------------------------------------------------------------- data
    vocabulary = Vocabulary.load(os.path.join(options.data_dir, "word_counts.txt"))
    corpus, held_out = SentenceSet.load_split(options.data_dir, options.max_sentence_length, options.skip_damaged)
    batches = SentenceBatches(corpus, options.batch_size, options.seed, keys=True)

    # ---------------------------------------------------------------------------------------------- networks
    with strategy.scope():
        objective = ObjectToSentenceObjective(options, vocabulary.size)

    # ---------------------------------------------------------------------------------------------- run directory
    run = RunDirectory(options, {"vocabulary": vocabulary.fingerprint()}, writes=distribution.is_chief(strategy))
    setup.keep_for_inference(run, vocabulary)
    keep_detector(run, options.data_dir, options.detector, options.labels)
    validation = HeldOut(objective, SentenceBatches(held_out, options.batch_size, options.seed, keys=True), run)

    # ---------------------------------------------------------------------------------------------- training
    Loop(options, objective, batches, strategy, run, validation).train()


if __name__ == "__main__":
    cli.run(main, config.ObjectToSentence, experiments.Rows())
