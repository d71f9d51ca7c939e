"""Trains a denoising autoencoder of sentences on the corpus alone (docs/method.md, eq. X1).

    python -m initialization.sentence_ae --recipe miniature/sentence_ae --data_dir data/miniature \
        --job_dir runs/demo/sentence_ae

The first 1/50 of the sentences is held out. At every checkpoint token accuracy and perplexity are computed on it, and
RUN/best.json names the step with the lowest loss. sentence_gan initialises its generator, and its discriminator's LSTM
and embedding, from this run. The same command continues an interrupted run.
"""

import os

import cli
import config
import experiments
from formats import inventory


@inventory.read_by_trainer
def main(options):
    """Trains sentence_ae until --max_steps. Args: options: config.SentenceAutoEncoder."""
    config.check_trainer(options)

    from evaluation.held_out import HeldOut
    from formats.vocabulary import Vocabulary
    from input_pipeline import SentenceBatches, SentenceSet
    from objectives.sentence_ae import SentenceAutoEncoderObjective
    from training import distribution, setup
    from training.loop import Loop
    from training.run_directory import RunDirectory

    # ---------------------------------------------------------------------------------------------- devices
    setup.configure(options)
    strategy = distribution.make_strategy(options)

    # ---------------------------------------------------------------------------------------------- data
    vocabulary = Vocabulary.load(os.path.join(options.data_dir, "word_counts.txt"))
    corpus, held_out = SentenceSet.load_split(options.data_dir, options.max_sentence_length, options.skip_damaged)
    batches = SentenceBatches(corpus, options.batch_size, options.seed)

    # ---------------------------------------------------------------------------------------------- networks
    with strategy.scope():
        objective = SentenceAutoEncoderObjective(options, vocabulary.size)

    # ---------------------------------------------------------------------------------------------- run directory
    run = RunDirectory(options, {"vocabulary": vocabulary.fingerprint()}, writes=distribution.is_chief(strategy))
    setup.keep_for_inference(run, vocabulary)
    validation = HeldOut(objective, SentenceBatches(held_out, options.batch_size, options.seed), run)

    # ---------------------------------------------------------------------------------------------- training
    Loop(options, objective, batches, strategy, run, validation).train()


if __name__ == "__main__":
    cli.run(main, config.SentenceAutoEncoder, experiments.Rows())
