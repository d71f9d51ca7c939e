"""The anchor of adversarial fine-tuning: keeps the generator near the initialization from which it started.

The loss is the divergence of the word distributions, averaged over the words of the sampled captions:

    KL(p_0 || p) = sum over words v of p_0(v) (log p_0(v) - log p(v))

p_0 is the distribution of a frozen copy of the generator, made when training begins. It is ours, not in the paper;
without it the adversarial reward takes captions far from what the initialization learned (docs/results/miniature.md).
`train.py --w_anchor` is its weight.

Shapes: N words of sampled captions, D image vector.
"""

import tensorflow as tf

from models.generator import shift_right
from models.token_loss import divergence
from objectives.cross_entropy import teacher_forced
from objectives.networks import build_generator


class Anchor:
    """A frozen copy of the generator and the divergence from it.

    Args: options: config.FullModel. vocabulary_size: number of words. image_dim: D.

    Attributes: generator: models.generator.Generator, the copy, a part of checkpoints; `remember` sets its weights.
    """

    def __init__(self, options, vocabulary_size, image_dim):
        self.generator = build_generator(options, vocabulary_size, image_dim)

    def remember(self, generator):
        """Copies the weights of `generator` (models.generator.Generator of the same sizes)."""
        for own, other in zip(self.generator.variables, generator.variables, strict=True):
            own.assign(other)

    def __call__(self, rollout, hidden_NH, generator):
        """Returns the divergence summed over the words of sampled captions: float32 scalar, differentiable.

        Gradients flow into `generator` alone. The copy reads the captions without dropout.

        Args:
          rollout: objectives.full.Rollout with the sampled captions.
          hidden_NH: float32, outputs of `generator` for the words of the captions, row by row.
          generator: the models.generator.Generator that is trained.
        """
        start, captions_BT = self.generator, rollout.sample_BT
        feature_BE = start.image_feature(rollout.generator_input)
        inputs_BT, lengths_B = shift_right(captions_BT), rollout.sample_lengths_B
        wanted_NH, _ = teacher_forced(start, feature_BE, inputs_BT, captions_BT, lengths_B)
        target = (tf.stop_gradient(wanted_NH), start.embedding, start.softmax_b)
        return divergence(target, hidden_NH, generator.embedding, generator.softmax_b)
