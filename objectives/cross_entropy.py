"""Training by teacher forcing: base classes of obj2sen, im_caption and sentence_ae (docs/method.md, equation X1).

Shapes: B batch (of one replica), S words with both markers, E embedding, H hidden, N valid words of the batch.

    input of the stage -> unit feature -> Generator -> the batch's sentence, word by word
"""

import keras
import tensorflow as tf

from models import layers
from models.randomness import fold_in
from models.token_loss import weighted_cross_entropy
from objectives.counts import counted, replicas
from training.optimization import apply_gradients, make_optimizer


def teacher_forced(generator, feature_BE, inputs_BT, targets_BT, lengths_B, masks=None, input_embedding=None):
    """Runs the generator on the feature and then on the given words.

    Args:
      feature_BE: float32, unit vectors. inputs_BT: int32, start with the start token. targets_BT: int32, the word that
        follows each input. lengths_B: int32, valid steps. masks, input_embedding: as in Generator.hidden_states.

    Returns: outputs float32 [N, H] and targets int32 [N] of the valid steps, row by row.
    """
    state = generator.initial_state(feature_BE, masks)
    hidden_BTH = generator.hidden_states(state, inputs_BT, lengths_B, masks, input_embedding)
    valid_BT = tf.sequence_mask(lengths_B, tf.shape(targets_BT)[1])
    return tf.boolean_mask(hidden_BTH, valid_BT), tf.boolean_mask(targets_BT, valid_BT)


def word_losses(outputs_NH, generator, targets_N, weight):
    """Returns (weight * summed cross entropy, log-probabilities, entropies and hits (1 or 0) of the words, [N] each).

    Args: outputs_NH: float32, of `generator` before its projection to words. generator: WordDecoder. targets_N: int32.
      weight: float32 scalar.
    """
    weights_N = tf.fill([tf.shape(targets_N)[0]], weight)
    loss, log_probs_N, entropy_N, best_N = weighted_cross_entropy(
        outputs_NH, generator.output_matrix, generator.softmax_b, targets_N, weights_N
    )
    return loss, log_probs_N, entropy_N, tf.cast(tf.equal(best_N, targets_N), tf.float32)


def sentence_metrics(log_probs_N, entropy_N, right_N, words):
    """Returns the metrics of a batch's words: dict name -> (sum, count)."""
    return {
        "loss/sentence": (-tf.reduce_sum(log_probs_N), words),
        "accuracy/sentence": (tf.reduce_sum(right_N), words),
        "entropy": (tf.reduce_sum(entropy_N), words),
    }


def summed(losses):
    """Returns (summed cross entropy, correctly predicted words, words): three float32 scalars.

    Token accuracy is the second divided by the third, perplexity exp(first / third).
    Args: losses: from `word_losses` with a weight of 1.
    """
    loss, log_probs_N, _, right_N = losses
    return loss, tf.reduce_sum(right_N), tf.cast(tf.size(log_probs_N), tf.float32)


class OneOptimizerObjective:
    """Base class of objectives with one optimizer; a subclass defines `gradients` and `evaluate`."""

    def __init__(self, options, networks, trained):
        """Must be called inside `strategy.scope()`.

        Args: options: config.CrossEntropyTrainer. networks: dict checkpoint name -> tf.Module. trained: list of the
          networks to train.
        """
        self.options, self.networks, self.trained = options, networks, trained
        self.optimizer = make_optimizer(options, self.learning_rate(), options.beta1, trained)

    def checkpointed(self):
        """Returns the contents of a checkpoint: dict name -> network or optimizer."""
        return self.networks | {"optimizer": self.optimizer}

    def learning_rate(self):
        """Returns the learning rate: a float, or a Keras schedule over the optimizer's steps."""
        if self.options.lr_decay_steps:
            return keras.optimizers.schedules.CosineDecay(self.options.lr, self.options.lr_decay_steps)
        return self.options.lr

    @property
    def trainable_variables(self):
        return [variable for network in self.trained for variable in network.trainable_variables]

    def phase(self, step):
        """Returns (name of the phase, step at which it ends): one phase without end."""
        return "train", None

    def update(self, batch, seed, phase="train"):
        """Runs one training step on one replica's share of the batch.

        Args:
          batch: dict of tensors, as for `gradients`.
          seed: int32 [2], distinct for every step and replica.

        Returns: dict name -> (sum, count), to be summed over replicas and divided.
        """
        return self.applied(*self.gradients(batch, seed))

    def applied(self, metrics, gradients):
        """Applies the gradients; returns the metrics with the norm of the gradients added."""
        norm = apply_gradients(self.optimizer, gradients, self.trainable_variables, self.options.clip_norm)
        return metrics | {"gradient_norm": (norm, tf.ones_like(norm))}

    def evaluation_seed(self, purpose):
        """Returns the seed of random draws in an evaluation, which is the same at every evaluation."""
        return fold_in(tf.constant([self.options.seed, 1], tf.int32), purpose)

    def gradients(self, batch, seed):
        """Returns (metrics, gradients of this replica's share of the loss for `trainable_variables`)."""
        raise NotImplementedError

    def evaluate(self, batch):
        """Returns the result of `summed` for a batch of sentences, without dropout."""
        raise NotImplementedError


class CrossEntropyObjective(OneOptimizerObjective):
    """Base class of stages trained by cross entropy; a subclass builds the networks and defines `feature`."""

    input_embedding = None  # embedding of the input words; None for the generator's own

    def __init__(self, options, **networks):
        """Must be called inside `strategy.scope()`. Args: networks: by checkpoint name, including `generator`."""
        super().__init__(options, networks, list(networks.values()))
        self.generator = networks["generator"]

    def feature(self, batch, seed):
        """Returns the generator's first input, a unit vector: float32 [B, E]; no dropout without a seed."""
        raise NotImplementedError

    def gradients(self, batch, seed):
        """Returns (metrics, gradients of the trainable variables) of the mean cross entropy over the batch's words.

        Args: batch: `sentence` int32 [B, S] with both markers, `length` int32 [B], and the inputs of `feature`.
        """
        batch = layers.to_longest(batch)
        words, words_global = counted(layers.mask_of(batch["length"] - 1, tf.shape(batch["sentence"])[1]))
        with tf.GradientTape() as tape:
            weight = self.token_weight(batch, words_global)
            loss, *statistics = self._cross_entropy(batch, seed, weight)
        metrics = {"loss": (loss, 1.0 / replicas())} | sentence_metrics(*statistics, words)
        return metrics, tape.gradient(loss, self.trainable_variables)

    def token_weight(self, batch, words_global):
        """Returns the weight of a word in the loss; here the loss is the mean over the words of all replicas."""
        return 1.0 / words_global

    def evaluate(self, batch):
        return summed(self._cross_entropy(batch, None, 1.0))

    def _cross_entropy(self, batch, seed, weight):
        """Returns the result of `word_losses` for the batch's sentences; no dropout without a seed."""
        inputs_BS, targets_BS = batch["sentence"][:, :-1], batch["sentence"][:, 1:]
        mask_seed = None if seed is None else fold_in(seed, "decoder")
        masks = self.generator.masks(tf.shape(inputs_BS)[0], tf.shape(inputs_BS)[1], mask_seed)
        feature_BE = self.feature(batch, seed)
        hidden_NH, targets_N = teacher_forced(
            self.generator, feature_BE, inputs_BS, targets_BS, batch["length"] - 1, masks, self.input_embedding
        )
        return word_losses(hidden_NH, self.generator, targets_N, weight)
