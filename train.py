"""Trains the full model: a captioner from photographs and unrelated sentences (docs/method.md).

    python train.py --recipe miniature/scratch --data_dir data/miniature --job_dir runs/scratch

The same command continues an interrupted run. SIGTERM and SIGINT save and exit with code 75.
"""

import os

import cli
import config
import experiments
import reward_list
from captioning.decode import parse_decode
from formats import inventory


def check(options):
    """Checks the settings and the data folder before TensorFlow starts.

    Args: options: config.FullModel.
    Raises: cli.UserError if a setting is wrong, or a file that the run reads is missing.
    """
    config.check_trainer(options, "imcap_ckpt", "sae_ckpt")
    parse_decode(options.decode)
    rewards = reward_list.of(options)
    if not any(reward.weight for reward in rewards) and not options.w_sen:
        raise cli.UserError(
            "all losses have weight 0: set one of --w_adv, --w_obj, --w_mse, --w_sen, or add a --reward"
        )
    if options.w_anchor < 0 or options.w_anchor and not options.imcap_ckpt:
        raise cli.UserError(
            f"--w_anchor {options.w_anchor}: expected a positive number and --imcap_ckpt, the run to stay near to"
        )
    for reward in rewards:
        reward.check(options)
    inventory.require(options.data_dir, reward_list.needs(options))


def warm_up_notes(options, step):
    """Returns a list with one note (str) about the coming steps in which only the discriminator is trained.

    It is a warning if --max_steps lies within them. The list is empty if there are no such steps.

    Args: options: config.FullModel. step: number of steps that the run has already done.
    """
    end = options.dis_warmup_steps
    if step >= min(end, options.max_steps):
        return []
    steps = f"steps {step + 1} to {min(end, options.max_steps)}: only the discriminator learns"
    if options.max_steps > end:
        return [f"NOTE: {steps} (--dis_warmup_steps {end}); rewards have an effect from step {end + 1}"]
    own = [reward.flag for reward in reward_list.of(options) if reward.flag.startswith("--reward")]
    without_effect = f" and {', '.join(own)} has no effect" if own else ""
    return [
        f"WARNING: {steps}, because --max_steps {options.max_steps} lies within --dis_warmup_steps {end}: the "
        f"captioner stays as it is{without_effect}. Raise --max_steps, or lower --dis_warmup_steps"
    ]


@inventory.read_by_trainer
def main(options):
    """Trains the full model until --max_steps; continues the run if --job_dir has a checkpoint.

    Args: options: config.FullModel. Raises: cli.UserError if settings or data cannot be used.
    """
    check(options)

    from evaluation.collapse import CollapseWatch
    from formats.vocabulary import Vocabulary
    from input_pipeline import SentenceSet, UnpairedBatches
    from objectives.full import FullObjective
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
    corpus = SentenceSet.load(options.data_dir, options.max_sentence_length, options.skip_damaged)
    per_step = 2 if options.semantics == "reference" else 1
    batches = UnpairedBatches(images.image_set, corpus, options.batch_size, options.seed, per_step)

    # ---------------------------------------------------------------------------------------------- networks
    names, concept_of_V = setup.concept_names(options.data_dir, vocabulary)
    with strategy.scope():
        objective = FullObjective(options, vocabulary.size, images.dim, images.in_step(options), concept_of_V)
        if options.standardise:
            objective.standardise.assign(*images.statistics)

    # ---------------------------------------------------------------------------------------------- run directory
    facts = {
        "vocabulary": vocabulary.fingerprint(),
        "image_dim": images.dim,
        "encoder": images.identity,
        "names": names,
        "rewards": setup.reward_facts(options),
    }
    run = RunDirectory(options, facts, writes=distribution.is_chief(strategy))
    setup.keep_for_inference(run, vocabulary, images)
    watch = CollapseWatch.of_run(objective, vocabulary, options, run.log, objective.encode)

    # ---------------------------------------------------------------------------------------------- initialization
    loop = Loop(options, objective, batches, strategy, run, watch)
    if not loop.resumed:  # the run's own checkpoint > given checkpoints > new weights
        if options.imcap_ckpt:
            warm_start(run, objective.generator, options.imcap_ckpt)
            warm_start_encoder(run, objective.encode, options.imcap_ckpt)
        if objective.anchor:
            objective.anchor.remember(objective.generator)
        if options.sae_ckpt:
            parts = (
                "Discriminator/embedding",
                "Discriminator/rnn/",
                "Discriminator/fc/",
            )  # recon keeps its new weights
            warm_start(run, objective.discriminator, options.sae_ckpt, lambda name: name.startswith(parts))

    # ---------------------------------------------------------------------------------------------- training
    notes = warm_up_notes(options, loop.step)
    for note in notes:
        run.log(note)
    loop.train()
    if loop.step <= options.dis_warmup_steps:
        for note in notes:  # again, below the lines of the steps
            run.log(note)


if __name__ == "__main__":
    cli.run(main, config.FullModel, experiments.Rows())
