"""The objective of Show and Tell: cross entropy over the words, then self-critical training.

In the ResNet-152 tutorial's variant the output of the image step must predict the start token as well.

Shapes: B batch (of one replica), D image vector, H hidden, N words.
"""

import tensorflow as tf

from baselines.show_tell.network import ShowTell
from baselines.supervised.objective import SupervisedObjective
from models.generator import START_ID
from models.randomness import apply_mask, fold_in
from models.standardise import Standardise
from models.token_loss import weighted_cross_entropy
from objectives.networks import weight_seed
from training.accumulation import global_sum


class ShowTellObjective(SupervisedObjective):
    """Trains Show and Tell. The `image` of a batch is float32 [B, D], the encoder's pooled vectors."""

    def __init__(self, options, vocabulary_size, image_dim, pairs, cider=None):
        """Must be called inside `strategy.scope()`.

        Args:
          options: baselines.supervised.settings.ShowTell.
          vocabulary_size: number of words of the vocabulary.
          image_dim: D.
          pairs: number of image-caption pairs, needed for learning rates that are set in epochs.
          cider: baselines.supervised.cider.CiderD; needed for the self-critical phase, else None.
        """
        generator = ShowTell(vocabulary_size, image_dim, options, weight_seed(options))
        super().__init__(options, generator, Standardise(image_dim), pairs, cider)

    def feature(self, batch, seed):
        """Returns the first input of the recurrent cell: float32 [B, E], E embedding.

        Args: batch: dict with `image`. seed: None to normalise by the running averages; otherwise batch normalisation
          uses the moments of the global batch (over all replicas). Its value is not used.
        """
        total = None if seed is None else global_sum
        return self.generator.image_feature(self.standardise(batch["image"]), total)

    def token_weight(self, batch, words_global):
        """Returns the weight of each target in the loss, 1 / number of targets of all replicas: float32 scalar.

        Args: batch: dict with `length` int32 [B]. words_global: float32, number of words of all replicas, end tokens
          counted.
        """
        if not self.predicts_start:
            return super().token_weight(batch, words_global)
        return 1.0 / (words_global + global_sum(tf.cast(tf.shape(batch["length"])[0], tf.float32)))

    @property
    def predicts_start(self):
        """Whether the start token is a target: bool, true with --semantics reference and --start_from_image.

        Then n words have n + 2 targets (a quirk of the ResNet-152 tutorial), otherwise n + 1.
        """
        return self.options.semantics == "reference" and self.options.start_from_image

    def _cross_entropy(self, batch, seed, weight):
        loss, log_probs_N, entropy_N, right_N = super()._cross_entropy(batch, seed, weight)
        if not self.predicts_start:
            return loss, log_probs_N, entropy_N, right_N
        rows = tf.shape(batch["length"])[0]
        mask_seed = None if seed is None else fold_in(seed, "decoder")
        masks = self.generator.masks(rows, 1, mask_seed)
        hidden_BH = self.generator.initial_state(self.feature(batch, seed), masks)[-1]
        mask_BH = None if masks.outputs_TBH is None else masks.outputs_TBH[0]
        first = weighted_cross_entropy(
            apply_mask(hidden_BH, mask_BH),
            self.generator.output_matrix,
            self.generator.softmax_b,
            tf.fill([rows], START_ID),
            tf.fill([rows], weight),
        )
        return loss + first[0], log_probs_N, entropy_N, right_N
