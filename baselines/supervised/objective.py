"""The supervised objective: cross entropy on pairs, then self-critical training on CIDEr-D (docs/method.md, S1).

Shapes: B batch (of one replica), T time, S words with start and end token, R references, N valid words of the batch.

    image -> feature -> network -> the true caption, word by word                          phase `train`
    image -> sampled caption w, greedy caption g; CIDEr-D(w) - CIDEr-D(g) = advantage      phase `self-critical`
"""

import keras
import tensorflow as tf

from models import layers
from models.generator import shift_right
from models.randomness import fold_in
from models.token_loss import weighted_cross_entropy
from objectives.counts import counted, replicas, unique_rows
from objectives.cross_entropy import CrossEntropyObjective, teacher_forced
from training.accumulation import accumulated, kept


def steps_per_halving(pairs, options):
    """Returns the number of steps between two halvings of the learning rate: int, at least 1.

    It is pairs / batch_size * lr_halving_epochs, rounded down; for img2txt on COCO 103,528.

    Args: pairs: number of image-caption pairs. options: settings.Supervised.
    """
    return max(1, int(pairs / options.batch_size * options.lr_halving_epochs))


class ThenConstant(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate schedule that changes to a constant rate at a given step.

    Args: first: float or Keras schedule, the learning rate before that step. step: int, the step of the optimizer.
      rate: float, the learning rate from that step on.
    """

    def __init__(self, first, step, rate):
        self.first, self.step, self.rate = first, step, rate

    def __call__(self, step):
        first = self.first(step) if callable(self.first) else tf.constant(self.first)
        return tf.where(tf.cast(step, tf.int32) < self.step, first, self.rate)

    def get_config(self):
        return {"first": self.first, "step": self.step, "rate": self.rate}


def learning_rate(options, pairs):
    """Returns the learning rate of a supervised run: a float or a Keras schedule.

    Args: options: settings.Supervised. pairs: number of image-caption pairs, needed to convert epochs to steps.
    """
    rate, schedules = options.lr, keras.optimizers.schedules
    if options.lr_halving_epochs:
        rate = schedules.ExponentialDecay(options.lr, steps_per_halving(pairs, options), 0.5, staircase=True)
    elif options.lr_decay_steps:
        rate = schedules.CosineDecay(options.lr, options.lr_decay_steps)
    return ThenConstant(rate, options.scst_from, options.scst_lr) if options.scst_from else rate


class SupervisedObjective(CrossEntropyObjective):
    """Trains a decoder on image-caption pairs: by cross entropy, then by self-critical training.

    A batch has `image`, and a true caption with start and end token as `sentence` int32 [B, S] and `length` int32 [B].
    For self-critical training it also has all captions of the image, with the end token only: `references` int32 [B, R,
    S - 1], `reference_lengths` int32 [B, R]. Metrics are dicts name -> (sum, count), float32 scalars of this replica.
    """

    def __init__(self, options, generator, standardise, pairs, cider=None):
        """Must be called inside `strategy.scope()`.

        Args:
          options: baselines.supervised.settings.Supervised.
          generator: models.generator.WordDecoder.
          standardise: models.standardise.Standardise, applied to the image vectors.
          pairs: number of image-caption pairs, needed for learning rates that are set in epochs.
          cider: baselines.supervised.cider.CiderD; needed for the self-critical phase, else None.
        """
        self.standardise, self.pairs, self.cider = standardise, pairs, cider
        super().__init__(options, generator=generator, standardise=standardise)

    def learning_rate(self):
        """Returns the learning rate: a float or a Keras schedule."""
        return learning_rate(self.options, self.pairs)

    def phase(self, step):
        """Returns (name of the phase at a step: str, step at which that phase ends: int; None if it has no end).

        The phase "train" uses cross entropy; the phase "self-critical" starts at --scst_from, or never if that is 0.
        """
        start = self.options.scst_from
        if start and step >= start:
            return "self-critical", None
        return "train", start or None

    def feature(self, batch, seed):
        """Returns the features from which the generator starts, the result of its `image_feature`: float32 [B, ...].

        Args: batch: dict with `image`. seed: not used here; subclasses may use it.
        """
        return self.generator.image_feature(self.standardise(batch["image"]))

    def gradients(self, batch, seed):
        """Returns (metrics, list of gradients of this replica's share of the cross entropy for `trainable_variables`).

        The batch is cut to its longest caption. The loss of a word is weighted by `token_weight`.

        Args: batch: dict of tensors with `image`, `sentence` and `length`; it is not changed. seed: int32 [2], distinct
          for every step and replica.
        """
        longest = tf.reduce_max(batch["length"])
        return super().gradients(batch | {"sentence": batch["sentence"][:, :longest]}, seed)

    def update(self, batch, seed, phase="train"):
        """Runs one training step in one replica, which changes the weights. Returns metrics: dict name -> (sum, count).

        Args: batch: dict of tensors, described in the class. seed: int32 [2], distinct for every step and replica.
          phase: "train" for cross entropy, "self-critical" for the policy gradient.
        """
        if phase == "train":
            return super().update(batch, seed, phase)
        return self.applied(*accumulated(self.self_critical_gradients, batch, seed, self.options.accumulate))

    # ---------------------------------------------------------------------------------------------- self-critical

    def rollout(self, batch, seed):
        """Returns (models.generator.Masks, sampled words int32 [B, T], greedy words int32 [B, T]), without gradient.

        The Masks are the dropout masks of sampling; greedy decoding has no dropout. Words after the end token are 0.

        Args: batch: dict with `image`. seed: int32 [2] of dropout and sampling.
        """
        generator, steps = self.generator, self.options.max_caption_length
        feature_BE = tf.stop_gradient(self.feature(batch, None))
        masks = generator.masks(tf.shape(feature_BE)[0], steps, fold_in(seed, "sampling"))
        state = generator.initial_state(feature_BE, masks)
        sample_BT = kept(lambda: generator.decode(state, steps, masks, fold_in(seed, "categorical")))
        return masks, sample_BT, kept(lambda: generator.decode(generator.initial_state(feature_BE), steps))

    def reward(self, batch, words_BT):
        """Returns CIDEr-D of generated captions against the true captions of their images: float32 [B], no gradient.

        Args: batch: dict with `references` and `reference_lengths`. words_BT: int32, generated words with end token.
        """
        lengths_B = layers.sequence_lengths(words_BT)
        references = (batch["references"], batch["reference_lengths"])
        return tf.stop_gradient(tf.cast(self.cider(words_BT, lengths_B, *references), tf.float32))

    def self_critical_gradients(self, batch, seed):
        """Returns (metrics, list of policy gradients of this replica's share of the loss for `trainable_variables`).

        The baseline is the score of the greedy caption (equation S1). Every word of a sampled caption has the advantage
        of the whole caption; the loss is the mean over the words of all replicas.

        Args: batch: dict of tensors with `image`, `references` and `reference_lengths`. seed: int32 [2], distinct for
          every step and replica.
        """
        generator = self.generator
        masks, sample_BT, greedy_BT = self.rollout(batch, seed)
        sample_B, greedy_B = self.reward(batch, sample_BT), self.reward(batch, greedy_BT)
        lengths_B = layers.sequence_lengths(sample_BT)
        mask_BT = layers.mask_of(lengths_B, self.options.max_caption_length)
        words, words_global = counted(mask_BT)
        weights_N = tf.boolean_mask((sample_B - greedy_B)[:, None] * mask_BT, mask_BT > 0) / words_global
        with tf.GradientTape() as tape:
            hidden_NH, targets_N = teacher_forced(
                generator, self.feature(batch, None), shift_right(sample_BT), sample_BT, lengths_B, masks
            )
            loss, log_probs_N, entropy_N, _ = weighted_cross_entropy(
                hidden_NH, generator.output_matrix, generator.softmax_b, targets_N, weights_N
            )
        rows = tf.cast(tf.size(sample_B), tf.float32)
        metrics = {
            "loss": (loss, 1.0 / replicas()),
            "reward/sample": (tf.reduce_sum(sample_B), rows),
            "reward/greedy": (tf.reduce_sum(greedy_B), rows),
            "entropy": (tf.reduce_sum(entropy_N), words),
            "policy/log_prob": (tf.reduce_sum(log_probs_N), words),
            "length/sample": (words, rows),
            "unique/greedy": (unique_rows(greedy_BT), rows),
        }
        return metrics, tape.gradient(loss, self.trainable_variables)
