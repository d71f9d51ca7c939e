"""Trains a GAN that generates sentences from noise, on the corpus alone (docs/method.md, eq. 4, 5 and 11).

    python -m initialization.sentence_gan --recipe miniature/sentence_gan --data_dir data/miniature \
        --sae_ckpt runs/demo/sentence_ae --job_dir runs/demo/sentence_gan

The generator, and the discriminator's LSTM and embedding, are initialised from sentence_ae. train.py initialises its
discriminator's LSTM, embedding and head from this run; the generator is not used later. The same command continues an
interrupted run.
"""

import os

import cli
import config
import experiments
from formats import inventory


@inventory.read_by_trainer
def main(options):
    """Trains sentence_gan until --max_steps. Args: options: config.SentenceGan."""
    config.check_trainer(options, "sae_ckpt")

    from formats.vocabulary import Vocabulary
    from input_pipeline import SentenceBatches, SentenceSet
    from objectives.sentence_gan import SentenceGanObjective
    from training import distribution, setup
    from training.loop import Loop
    from training.run_directory import RunDirectory
    from training.warm_start import warm_start

    # ---------------------------------------------------------------------------------------------- devices
    setup.configure(options)
    strategy = distribution.make_strategy(options)

    # ---------------------------------------------------------------------------------------------- data
    vocabulary = Vocabulary.load(os.path.join(options.data_dir, "word_counts.txt"))
    corpus = SentenceSet.load(options.data_dir, options.max_sentence_length, options.skip_damaged)
    batches = SentenceBatches(corpus, options.batch_size, options.seed)

    # ---------------------------------------------------------------------------------------------- networks
    with strategy.scope():
        objective = SentenceGanObjective(options, vocabulary.size)

    # ---------------------------------------------------------------------------------------------- run directory
    run = RunDirectory(options, {"vocabulary": vocabulary.fingerprint()}, writes=distribution.is_chief(strategy))
    setup.keep_for_inference(run, vocabulary)

    # ---------------------------------------------------------------------------------------------- initialization
    loop = Loop(options, objective, batches, strategy, run)
    if not loop.resumed and options.sae_ckpt:  # own checkpoint > given checkpoint > fresh weights
        parts = ("Discriminator/embedding", "Discriminator/rnn/")  # fc starts fresh
        warm_start(run, objective.generator, options.sae_ckpt)
        warm_start(run, objective.discriminator, options.sae_ckpt, lambda name: name.startswith(parts))

    # ---------------------------------------------------------------------------------------------- training
    loop.train()


if __name__ == "__main__":
    cli.run(main, config.SentenceGan, experiments.Rows())
