"""sentence_gan: sentences from noise, trained against a discriminator only on text (docs/method.md, Initialization).

    noise -> unit feature -> Generator -> sampled and greedy sentence -> Discriminator -> adversarial reward

It is the full model with noise in place of images, and with the adversarial term alone: no concept reward, no
reconstruction.

Shapes: B batch (of one replica), S words of a sentence with start and end token, E embedding.
"""

import tensorflow as tf

from models import layers
from models.randomness import fold_in
from objectives.full import FullObjective
from objectives.networks import build_discriminator, build_generator, build_rewards
from training.optimization import decayed, make_optimizer


class SentenceGanObjective(FullObjective):
    """Trains sentence_gan. Batches have `sentence` int32 [B, S] and `length` int32 [B].

    `update` is one training step in one replica.
    """

    def __init__(self, options, vocabulary_size):
        """Builds the networks and optimizers; must be called inside `strategy.scope()`.

        Args: options: config.SentenceGan. vocabulary_size: number of words.
        """
        self.options = options
        self.rewards = build_rewards(options, None)
        self.generator = build_generator(options, vocabulary_size)
        self.discriminator = build_discriminator(options, vocabulary_size, heads=("fc",))
        gen_lr, dis_lr = (decayed(rate, options.lr_decay_steps) for rate in (options.gen_lr, options.dis_lr))
        self.generator_optimizer = make_optimizer(options, gen_lr, options.beta1, self.generator)
        self.discriminator_optimizer = make_optimizer(options, dis_lr, options.beta1, self.discriminator)

    def checkpointed(self):
        """Returns what a checkpoint contains: dict name -> network or optimizer."""
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "generator_optimizer": self.generator_optimizer,
            "discriminator_optimizer": self.discriminator_optimizer,
        }

    def phase(self, step):
        """Returns (name of the phase at `step`, step at which it ends): always ("joint", None), None for no end."""
        return "joint", None

    def two_batches(self, batch):
        """Returns (the generator's batch, the discriminator's batch) for --semantics reference: `batch`, `batch`.

        Generator and discriminator use the same sentences, but different noise, which is drawn later.
        """
        return batch, batch

    def generator_input(self, batch, seed):
        """Returns standard normal noise in place of image vectors: float32 [B, E].

        Args: batch: dict of tensors, of which only B is used. seed: int32 [2].
        """
        shape = [tf.shape(batch["length"])[0], self.options.emb_dim]
        return tf.random.stateless_normal(shape, fold_in(seed, "noise"))

    def feature(self, generator_input):
        """Returns the unit features of noise: float32 [B, E]. Args: generator_input: float32 [B, E], the noise."""
        return layers.unit(generator_input)
