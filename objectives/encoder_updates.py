"""The trained blocks of the image encoder in an objective: their variables, their optimizer, their update.

They have an optimizer of their own (--encoder_lr), and their gradients are clipped by a norm of their own, as those of
every network. Without trained blocks nothing is updated, and nothing is added to a checkpoint.
"""

import tensorflow as tf

from models.encoders.in_step import PART
from training.optimization import apply_gradients, make_optimizer


class EncoderUpdates:
    """Updates the trained blocks of an encoder that runs in the training step.

    Attributes: variables: list of tf.Variable, the trained weights; empty if no block is trained.
    """

    def __init__(self, options=None, encode=None, rate=None):
        """Builds the optimizer; must be called inside `strategy.scope()`.

        Args: options: settings of the trainer. encode: models.encoders.in_step.InStepEncoder, or a function without
          trained weights, or None. rate: learning rate, a float or a Keras schedule.
        """
        self.variables = list(getattr(encode, "trainable_variables", ()))
        if self.variables:
            self.encoder, self.clip_norm = encode, options.clip_norm
            self.optimizer = make_optimizer(options, rate, options.beta1, encode)

    def checkpointed(self):
        """Returns what it adds to a checkpoint: dict name -> encoder or optimizer."""
        return {PART: self.encoder, f"{PART}_optimizer": self.optimizer} if self.variables else {}

    def apply(self, gradients):
        """Updates the variables. Returns {"gradient_norm/image_encoder": (norm before clipping, 1)}, or {} without any.

        Args: gradients: list of this replica's gradients, in the order of `variables`.
        """
        if not self.variables:
            return {}
        norm = apply_gradients(self.optimizer, gradients, self.variables, self.clip_norm)
        return {f"gradient_norm/{PART}": (norm, tf.ones_like(norm))}
