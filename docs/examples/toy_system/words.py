"""Trains the first stage, only on sentences.

    python -m toy_system.words --data_dir data/miniature --job_dir runs/toy/words --max_steps 2000

The same command continues an interrupted run.
"""

import os

import cli
import config
from toy_system import settings


def main(options):
    """Trains the first stage until --max_steps. Args: options: settings.ToyWords.

    Raises: cli.UserError if the sentences are missing or damaged, or do not fit the run that is continued.
    """
    config.check_trainer(options)

    from evaluation.held_out import HeldOut
    from formats.vocabulary import Vocabulary
    from input_pipeline import SentenceBatches, SentenceSet
    from toy_system.objectives import WordsObjective
    from training import distribution, setup
    from training.loop import Loop
    from training.run_directory import RunDirectory

    setup.configure(options)
    strategy = distribution.make_strategy(options)
    vocabulary = Vocabulary.load(os.path.join(options.data_dir, "word_counts.txt"))
    corpus, held_out = SentenceSet.load_split(options.data_dir, options.max_sentence_length, options.skip_damaged)
    batches, validation = (
        SentenceBatches(part, options.batch_size, options.seed, keys=True) for part in (corpus, held_out)
    )
    with strategy.scope():
        objective = WordsObjective(options, vocabulary.size)
    run = RunDirectory(options, {"vocabulary": vocabulary.fingerprint()}, writes=distribution.is_chief(strategy))
    setup.keep_for_inference(run, vocabulary)
    Loop(options, objective, batches, strategy, run, HeldOut(objective, validation, run)).train()


if __name__ == "__main__":
    cli.run(main, settings.ToyWords)
