"""The objectives of both stages. training/loop.py describes the interface.

Shapes: B batch (of one replica), D image vector, E word vector.
"""

import tensorflow as tf

from models.standardise import Standardise
from objectives.counts import counted, replicas
from objectives.cross_entropy import CrossEntropyObjective
from toy_system.network import ToyNetwork
from training.optimization import apply_gradients, make_optimizer


class WordsObjective(CrossEntropyObjective):
    """Mean cross entropy of the words of a sentence, given its concept words."""

    def __init__(self, options, vocabulary_size):
        """Must be called inside `strategy.scope()`."""
        super().__init__(options, generator=ToyNetwork(vocabulary_size, None, options, tf.constant([options.seed, 0])))

    def feature(self, batch, seed):
        return self.generator.concept_feature(batch["key"], batch["key_length"])


class PicturesObjective:
    """Mean squared distance between the feature of a photograph and the feature of its detections.

    Only the projection of image vectors is trained; the other weights are those of the first stage.
    """

    def __init__(self, options, vocabulary_size, image_dim):
        """Must be called inside `strategy.scope()`."""
        self.options = options
        self.generator = ToyNetwork(vocabulary_size, image_dim, options, tf.constant([options.seed, 0]))
        self.standardise = Standardise(image_dim)
        self.optimizer = make_optimizer(options, options.lr, options.beta1, self.generator.projection)

    def checkpointed(self):
        """Returns the contents of a checkpoint, by name; captioning needs `generator` and `standardise`."""
        return {"generator": self.generator, "standardise": self.standardise, "optimizer": self.optimizer}

    def phase(self, step):
        """Returns (name, last step) of the phase: one phase without end."""
        return "train", None

    def update(self, batch, seed, phase="train"):
        """Does one training step in one replica.

        Args:
          batch: `image` float32 [B, D], `concepts` int32 [B, K], `concepts_length` int32 [B].
          seed: int32 [2], distinct for every step and replica; not used here.

        Returns: dict name -> (sum, count), to be summed over replicas and divided.
        """
        wanted_BE = self.generator.concept_feature(batch["concepts"], batch["concepts_length"])
        rows, rows_of_all_replicas = counted(tf.ones(tf.shape(wanted_BE)[:1]))
        variables = self.generator.projection.trainable_variables
        with tf.GradientTape() as tape:
            found_BE = self.generator.image_feature(self.standardise(batch["image"]))
            squares = tf.reduce_sum((found_BE - tf.stop_gradient(wanted_BE)) ** 2)
            loss = squares / rows_of_all_replicas
        gradients = tape.gradient(loss, variables)
        norm = apply_gradients(self.optimizer, gradients, variables, self.options.clip_norm)
        return {
            "loss": (loss, 1.0 / replicas()),
            "loss/distance": (squares, rows),
            "gradient_norm": (norm, tf.ones_like(norm)),
        }
