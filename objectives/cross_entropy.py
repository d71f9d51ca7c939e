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


class CrossEntropyObjective:
    """Owns the networks and the optimizer of a stage; a subclass builds the networks and defines `feature`."""

    input_embedding = None  # word vectors that the generator reads; None for its own

    def __init__(self, options, **networks):
        """Must be called inside `strategy.scope()`.

        Args: options: config.CrossEntropyTrainer. networks: tf.Modules by checkpoint name, `generator` among them.
        """
        self.options, self.networks = options, networks
        self.generator = networks["generator"]
        self.optimizer = make_optimizer(options, self.learning_rate(), options.beta1, list(networks.values()))

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
        return [variable for network in self.networks.values() for variable in network.trainable_variables]

    def phase(self, step):
        """(name, step at which it ends): one phase without end."""
        return "train", None

    def feature(self, batch, seed):
        """What the generator is fed before the first word: unit vectors float32 [B, E]; without a seed no dropout."""
        raise NotImplementedError

    def update(self, batch, seed, phase="train"):
        """One training step on the share of one replica.

        Args:
          batch: dict of tensors: `sentence` int32 [B, S] with both markers, `length` int32 [B], what `feature` reads.
          seed: int32 [2], distinct for every step and replica.

        Returns: dict name -> (sum, count), to be summed over replicas and divided.
        """
        metrics, gradients = self.gradients(batch, seed)
        norm = apply_gradients(self.optimizer, gradients, self.trainable_variables, self.options.clip_norm)
        return metrics | {"gradient_norm": (norm, tf.ones_like(norm))}

    def gradients(self, batch, seed):
        """(metrics, gradients of the trainable variables) of the mean cross entropy over all words of the batch."""
        batch = layers.to_longest(batch)
        words, words_global = counted(layers.mask_of(batch["length"] - 1, tf.shape(batch["sentence"])[1]))
        with tf.GradientTape() as tape:
            weight = self.token_weight(batch, words_global)
            loss, log_probs_N, entropy_N, right_N = self._cross_entropy(batch, seed, weight)
        metrics = {
            "loss": (loss, 1.0 / replicas()),
            "loss/sentence": (-tf.reduce_sum(log_probs_N), words),
            "accuracy/sentence": (tf.reduce_sum(right_N), words),
            "entropy": (tf.reduce_sum(entropy_N), words),
        }
        return metrics, tape.gradient(loss, self.trainable_variables)

    def token_weight(self, batch, words_global):
        """Weight of a word's cross entropy in the loss: here the loss is the mean over the words of all replicas."""
        return 1.0 / words_global

    def evaluate(self, batch):
        """(summed cross entropy, words predicted rightly, words) without dropout: three float32 scalars.

        Token accuracy is the second divided by the third, perplexity exp(first / third).
        """
        loss, log_probs_N, _, right_N = self._cross_entropy(batch, None, 1.0)
        return loss, tf.reduce_sum(right_N), tf.cast(tf.size(log_probs_N), tf.float32)

    def evaluation_seed(self, purpose):
        """The seed of whatever an evaluation must draw: the same every time."""
        return fold_in(tf.constant([self.options.seed, 1], tf.int32), purpose)

    def _cross_entropy(self, batch, seed, weight):
        """weight * summed cross entropy; log-probabilities, entropies and hits (1 or 0) of the valid words [N]."""
        inputs_BS, targets_BS = batch["sentence"][:, :-1], batch["sentence"][:, 1:]
        mask_seed = None if seed is None else fold_in(seed, "decoder")
        masks = self.generator.masks(tf.shape(inputs_BS)[0], tf.shape(inputs_BS)[1], mask_seed)
        feature_BE = self.feature(batch, seed)
        hidden_NH, targets_N = teacher_forced(
            self.generator, feature_BE, inputs_BS, targets_BS, batch["length"] - 1, masks, self.input_embedding
        )
        loss, log_probs_N, entropy_N, best_N = weighted_cross_entropy(
            hidden_NH,
            self.generator.output_matrix,
            self.generator.softmax_b,
            targets_N,
            tf.fill([tf.shape(targets_N)[0]], weight),
        )
        return loss, log_probs_N, entropy_N, tf.cast(tf.equal(best_N, targets_N), tf.float32)
