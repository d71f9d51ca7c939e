"""Learning sentences by teacher forcing: what obj2sen, im_caption and sentence_ae share (UIC spec 9).

Shapes: B batch (of one replica), S words with both markers, E embedding, H hidden, N valid words of the batch.

    something -> unit feature -> Generator -> the batch's sentence, word by word
"""

import keras
import tensorflow as tf

from models import layers
from models.randomness import fold_in
from models.token_loss import weighted_cross_entropy
from objectives.counts import counted, replicas
from training.optimization import apply_gradients, make_optimizer


def teacher_forced(generator, feature_BE, inputs_BT, targets_BT, lengths_B, masks=None, input_embedding=None):
    """Feeds the feature, then the given words.

    Args:
      feature_BE: float32, unit vectors. inputs_BT: int32, begins with the start token. targets_BT: int32, what follows
        each input. lengths_B: int32, valid steps. masks, input_embedding: as in Generator.hidden_states.

    Returns: outputs float32 [N, H] and targets int32 [N] of the valid steps, row by row.
    """
    state = generator.initial_state(feature_BE, masks)
    hidden_BTH = generator.hidden_states(state, inputs_BT, lengths_B, masks, input_embedding)
    valid_BT = tf.sequence_mask(lengths_B, tf.shape(targets_BT)[1])
    return tf.boolean_mask(hidden_BTH, valid_BT), tf.boolean_mask(targets_BT, valid_BT)


def word_losses(outputs_NH, generator, targets_N, weight):
    """weight * summed cross entropy; log-probabilities, entropies and hits (1 or 0) of the words, float32 [N] each.

    Args: outputs_NH: float32, of `generator` before its projection to words. weight: float32 scalar.
    """
    weights_N = tf.fill([tf.shape(targets_N)[0]], weight)
    loss, log_probs_N, entropy_N, best_N = weighted_cross_entropy(
        outputs_NH, generator.output_matrix, generator.softmax_b, targets_N, weights_N
    )
    return loss, log_probs_N, entropy_N, tf.cast(tf.equal(best_N, targets_N), tf.float32)


def sentence_metrics(log_probs_N, entropy_N, right_N, words):
    """What is logged of a batch's words: dict name -> (sum, count)."""
    return {
        "loss/sentence": (-tf.reduce_sum(log_probs_N), words),
        "accuracy/sentence": (tf.reduce_sum(right_N), words),
        "entropy": (tf.reduce_sum(entropy_N), words),
    }


def summed(losses):
    """(summed cross entropy, words predicted rightly, words): three float32 scalars.

    Token accuracy is the second divided by the third, perplexity exp(first / third).
    Args: losses: what `word_losses` returns with a weight of 1.
    """
    loss, log_probs_N, _, right_N = losses
    return loss, tf.reduce_sum(right_N), tf.cast(tf.size(log_probs_N), tf.float32)


class OneOptimizerObjective:
    """Owns networks and one optimizer; a subclass defines `gradients` and `evaluate`."""

    def __init__(self, options, networks, trained):
        """Must be called inside `strategy.scope()`.

        Args: options: config.CrossEntropyTrainer. networks: dict checkpoint name -> tf.Module. trained: list of those
          whose variables are trained.
        """
        self.options, self.networks, self.trained = options, networks, trained
        self.optimizer = make_optimizer(options, self.learning_rate(), options.beta1, trained)

    def checkpointed(self):
        """Everything that a checkpoint holds, by name."""
        return self.networks | {"optimizer": self.optimizer}

    def learning_rate(self):
        """A number, or a Keras schedule over the optimizer's steps."""
        if self.options.lr_decay_steps:
            return keras.optimizers.schedules.CosineDecay(self.options.lr, self.options.lr_decay_steps)
        return self.options.lr

    @property
    def trainable_variables(self):
        return [variable for network in self.trained for variable in network.trainable_variables]

    def phase(self, step):
        """(name, step at which it ends): one phase without end."""
        return "train", None

    def update(self, batch, seed, phase="train"):
        """One training step on the share of one replica.

        Args:
          batch: dict of tensors, what `gradients` reads.
          seed: int32 [2], distinct for every step and replica.

        Returns: dict name -> (sum, count), to be summed over replicas and divided.
        """
        return self.applied(*self.gradients(batch, seed))

    def applied(self, metrics, gradients):
        """Changes the weights by gradients; returns the metrics with the norm of the gradients."""
        norm = apply_gradients(self.optimizer, gradients, self.trainable_variables, self.options.clip_norm)
        return metrics | {"gradient_norm": (norm, tf.ones_like(norm))}

    def evaluation_seed(self, purpose):
        """The seed of whatever an evaluation must draw: the same every time."""
        return fold_in(tf.constant([self.options.seed, 1], tf.int32), purpose)

    def gradients(self, batch, seed):
        """(metrics, gradients of this replica's share of the loss with respect to the trainable variables)."""
        raise NotImplementedError

    def evaluate(self, batch):
        """What `summed` returns for a batch of sentences, without dropout."""
        raise NotImplementedError


class CrossEntropyObjective(OneOptimizerObjective):
    """A stage that learns sentences alone; a subclass builds the networks and defines `feature`."""

    input_embedding = None  # word vectors that the generator reads; None for its own

    def __init__(self, options, **networks):
        """Must be called inside `strategy.scope()`. Args: networks: by checkpoint name, `generator` among them."""
        super().__init__(options, networks, list(networks.values()))
        self.generator = networks["generator"]

    def feature(self, batch, seed):
        """What the generator is fed before the first word: unit vectors float32 [B, E]; without a seed no dropout."""
        raise NotImplementedError

    def gradients(self, batch, seed):
        """(metrics, gradients of the trainable variables) of the mean cross entropy over all words of the batch.

        Args: batch: `sentence` int32 [B, S] with both markers, `length` int32 [B], what `feature` reads.
        """
        batch = layers.to_longest(batch)
        words, words_global = counted(layers.mask_of(batch["length"] - 1, tf.shape(batch["sentence"])[1]))
        with tf.GradientTape() as tape:
            weight = self.token_weight(batch, words_global)
            loss, *statistics = self._cross_entropy(batch, seed, weight)
        metrics = {"loss": (loss, 1.0 / replicas())} | sentence_metrics(*statistics, words)
        return metrics, tape.gradient(loss, self.trainable_variables)

    def token_weight(self, batch, words_global):
        """Weight of a word's cross entropy in the loss: here the loss is the mean over the words of all replicas."""
        return 1.0 / words_global

    def evaluate(self, batch):
        return summed(self._cross_entropy(batch, None, 1.0))

    def _cross_entropy(self, batch, seed, weight):
        """What `word_losses` returns for the batch's sentences; without a seed no dropout."""
        inputs_BS, targets_BS = batch["sentence"][:, :-1], batch["sentence"][:, 1:]
        mask_seed = None if seed is None else fold_in(seed, "decoder")
        masks = self.generator.masks(tf.shape(inputs_BS)[0], tf.shape(inputs_BS)[1], mask_seed)
        feature_BE = self.feature(batch, seed)
        hidden_NH, targets_N = teacher_forced(
            self.generator, feature_BE, inputs_BS, targets_BS, batch["length"] - 1, masks, self.input_embedding
        )
        return word_losses(hidden_NH, self.generator, targets_N, weight)
