"""sentence_gan: sentences from noise, trained against a discriminator only on text (docs/method.md, Initialization).

It is the full model with noise in place of images and only the adversarial term: no concepts, no reconstruction.

Shapes: B batch (of one replica), E embedding.

    noise -> unit feature -> Generator -> sampled and greedy sentence -> Discriminator -> adversarial reward
"""

import tensorflow as tf

from models import layers
from models.randomness import fold_in
from objectives.full import FullObjective
from objectives.networks import build_discriminator, build_generator, build_rewards
from training.optimization import make_optimizer


class SentenceGanObjective(FullObjective):
    """Trains sentence_gan. Batches have `sentence` and `length`; `update` is one training step in one replica."""

    def __init__(self, options, vocabulary_size):
        """Must be called inside `strategy.scope()`. Args: options: config.SentenceGan."""
        self.options = options
        self.rewards = build_rewards(options, None)
        self.generator = build_generator(options, vocabulary_size)
        self.discriminator = build_discriminator(options, vocabulary_size, heads=("fc",))
        self.generator_optimizer = make_optimizer(options, options.gen_lr, options.beta1, self.generator)
        self.discriminator_optimizer = make_optimizer(options, options.dis_lr, options.beta1, self.discriminator)

    def checkpointed(self):
        """Returns the contents of a checkpoint: dict name -> network or optimizer."""
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "generator_optimizer": self.generator_optimizer,
            "discriminator_optimizer": self.discriminator_optimizer,
        }

    def phase(self, step):
        """Returns (name of the phase, step at which it ends): one phase without end."""
        return "joint", None

    def two_batches(self, batch):
        """Returns the batch twice: under `reference` one batch of sentences is enough, and only the noise is new."""
        return batch, batch

    def generator_input(self, batch, seed):
        """Returns standard normal noise in place of image vectors: float32 [B, E]."""
        shape = [tf.shape(batch["length"])[0], self.options.emb_dim]
        return tf.random.stateless_normal(shape, fold_in(seed, "noise"))

    def feature(self, generator_input):
        return layers.unit(generator_input)
