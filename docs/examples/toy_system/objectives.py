"""The objectives of both stages. training/loop.py describes the interface.

Shapes: B batch of one replica, K concept words, D image vector, E word vector.
"""

import tensorflow as tf

from models.standardise import Standardise
from objectives.counts import counted, replicas
from objectives.cross_entropy import CrossEntropyObjective
from toy_system.network import ToyNetwork
from training.accumulation import accumulated
from training.optimization import apply_gradients, make_optimizer


class WordsObjective(CrossEntropyObjective):
    """Mean cross entropy of the words of a sentence, given its concept words."""

    def __init__(self, options, vocabulary_size):
        """Builds network and optimizer; must be called inside `strategy.scope()`.

        Args: options: settings.ToyWords. vocabulary_size: number of word ids.
        """
        super().__init__(options, generator=ToyNetwork(vocabulary_size, None, options, tf.constant([options.seed, 0])))

    def feature(self, batch, seed):
        """Returns the feature x of the concept words of each sentence, float32 [B, E] (network.py).

        Args: batch: dict with `key` int32 [B, K] and `key_length` int32 [B]. seed: not used here.
        """
        return self.generator.concept_feature(batch["key"], batch["key_length"])


class PicturesObjective:
    """Mean squared distance between the feature x of a photograph and that of its detected concept words (network.py).

    Only the projection of image vectors is trained; the other weights are those of the first stage.
    """

    def __init__(self, options, vocabulary_size, image_dim):
        """Builds network and optimizer; must be called inside `strategy.scope()`.

        Args: options: settings.ToyPictures. vocabulary_size: number of word ids. image_dim: D.
        """
        self.options = options
        self.generator = ToyNetwork(vocabulary_size, image_dim, options, tf.constant([options.seed, 0]))
        self.standardise = Standardise(image_dim)
        self.optimizer = make_optimizer(options, options.lr, options.beta1, self.generator.projection)

    def checkpointed(self):
        """Returns what a checkpoint holds, dict name -> tf.Module, variable or optimizer.

        Captioning reads `generator` and `standardise` of it.
        """
        return {"generator": self.generator, "standardise": self.standardise, "optimizer": self.optimizer}

    def phase(self, step):
        """Returns (name of the training phase of a step, step at which it ends): here one phase without end (None)."""
        return "train", None

    def update(self, batch, seed, phase="train"):
        """Does one training step in one replica, which changes the weights.

        Args:
          batch: dict with `image` float32 [B, D], `concepts` int32 [B, K], `concepts_length` int32 [B].
          seed: int32 [2], distinct for every step and replica; not used here.
          phase: name of the training phase, from `phase`.

        Returns: dict name -> (sum, count), scalars that are summed over the replicas; sum / count is logged.
        """
        metrics, gradients = accumulated(self.gradients, batch, seed, self.options.accumulate)
        variables = self.generator.projection.trainable_variables
        norm = apply_gradients(self.optimizer, gradients, variables, self.options.clip_norm)
        return metrics | {"gradient_norm": (norm, tf.ones_like(norm))}

    def gradients(self, batch, seed):
        """Returns (metrics: dict name -> (sum, count); gradients of the projection's variables: list).

        With --accumulate it is called for each micro-batch. Args: batch, seed: as in `update`.
        """
        wanted_BE = self.generator.concept_feature(batch["concepts"], batch["concepts_length"])
        rows, rows_of_all_replicas = counted(tf.ones(tf.shape(wanted_BE)[:1]))
        with tf.GradientTape() as tape:
            found_BE = self.generator.image_feature(self.standardise(batch["image"]))
            squares = tf.reduce_sum((found_BE - tf.stop_gradient(wanted_BE)) ** 2)
            loss = squares / rows_of_all_replicas
        metrics = {"loss": (loss, 1.0 / replicas()), "loss/distance": (squares, rows)}
        return metrics, tape.gradient(loss, self.generator.projection.trainable_variables)
