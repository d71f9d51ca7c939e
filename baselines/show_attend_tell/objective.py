"""The objective of Show, Attend and Tell: cross entropy, then self-critical training.

Shapes: B batch (of one replica), C cells of the grid, D features of a cell.

With --semantics reference the loss summed over all words is divided by the number of captions, as in the tutorial, so
that long captions weigh more; with --semantics fixed it is divided by the number of words.
"""

import tensorflow as tf

from baselines.show_attend_tell.network import ShowAttendTell
from baselines.supervised.objective import SupervisedObjective
from models.standardise import Standardise
from objectives.networks import weight_seed
from training.accumulation import global_sum


class ShowAttendTellObjective(SupervisedObjective):
    """Trains Show, Attend and Tell. The `image` of a batch is float32 [B, C, D], the encoder's cells."""

    def __init__(self, options, vocabulary_size, image_dim, pairs, cider=None):
        """Must be called inside `strategy.scope()`.

        Args:
          options: baselines.supervised.settings.ShowAttendTell.
          vocabulary_size: number of words of the vocabulary.
          image_dim: D.
          pairs: number of image-caption pairs, needed for learning rates that are set in epochs.
          cider: baselines.supervised.cider.CiderD; needed for the self-critical phase, else None.
        """
        generator = ShowAttendTell(vocabulary_size, image_dim, options, weight_seed(options))
        super().__init__(options, generator, Standardise(image_dim), pairs, cider)

    def token_weight(self, batch, words_global):
        """Returns the weight of each word in the loss: float32 scalar.

        It is 1 / number of captions with --semantics reference, 1 / number of words with --semantics fixed; the numbers
        are those of all replicas.

        Args: batch: dict with `length` int32 [B]. words_global: float32, number of words of all replicas, end tokens
          counted.
        """
        if self.options.semantics == "reference":
            return 1.0 / global_sum(tf.cast(tf.shape(batch["length"])[0], tf.float32))
        return super().token_weight(batch, words_global)
