"""Training by teacher forcing: base classes of obj2sen, im_caption and sentence_ae (docs/method.md, equation X1).

    input of the stage -> unit feature -> Generator -> the batch's sentence, word by word

A metric is a pair (sum, count); both are added over the replicas, then divided.

Shapes: B batch (of one replica), S words of a sentence with start and end token, T steps, E embedding, H hidden,
N valid words of the batch, V vocabulary.
"""

import tensorflow as tf

from models import layers
from models.randomness import fold_in
from models.token_loss import weighted_cross_entropy
from objectives.counts import counted, replicas
from objectives.encoder_updates import EncoderUpdates
from training.accumulation import accumulated
from training.optimization import apply_gradients, decayed, make_optimizer


def teacher_forced(generator, feature_BE, inputs_BT, targets_BT, lengths_B, masks=None, input_embedding=None):
    """Runs the generator on a feature and then on given words.

    Args:
      generator: models.generator.WordDecoder. feature_BE: float32, unit vectors, the input before the first word.
      inputs_BT: int32, start with the start token. targets_BT: int32, the word that follows each input.
      lengths_B: int32, number of valid steps. masks: models.generator.Masks; None for no dropout.
      input_embedding: float32 [V, E], embedding of the input words; None for the generator's own.

    Returns: (outputs float32 [N, H], targets int32 [N]) of the valid steps, row by row.
    """
    state = generator.initial_state(feature_BE, masks)
    hidden_BTH = generator.hidden_states(state, inputs_BT, lengths_B, masks, input_embedding)
    valid_BT = tf.sequence_mask(lengths_B, tf.shape(targets_BT)[1])
    return tf.boolean_mask(hidden_BTH, valid_BT), tf.boolean_mask(targets_BT, valid_BT)


def word_losses(outputs_NH, generator, targets_N, weight):
    """Returns the cross entropy of predicted words, and statistics of them.

    Args:
      outputs_NH: float32, outputs of `generator` (models.generator.WordDecoder), from which logits are computed.
      targets_N: int32, the true words. weight: float32 scalar, factor on the loss of each word.

    Returns: (weight * summed cross entropy, a scalar; log-probability of each true word [N]; entropy of each predicted
      distribution [N]; 1 or 0 [N]: whether the most probable word is the true one), all float32.
    """
    weights_N = tf.fill([tf.shape(targets_N)[0]], weight)
    loss, log_probs_N, entropy_N, best_N = weighted_cross_entropy(
        outputs_NH, generator.output_matrix, generator.softmax_b, targets_N, weights_N
    )
    return loss, log_probs_N, entropy_N, tf.cast(tf.equal(best_N, targets_N), tf.float32)


def sentence_metrics(log_probs_N, entropy_N, right_N, words):
    """Returns the metrics of a batch's words: dict name -> (sum, count), two float32 scalars.

    Its keys are "loss/sentence" (cross entropy), "accuracy/sentence" and "entropy".
    Args: log_probs_N, entropy_N, right_N: from `word_losses`. words: float32 scalar, N.
    """
    return {
        "loss/sentence": (-tf.reduce_sum(log_probs_N), words),
        "accuracy/sentence": (tf.reduce_sum(right_N), words),
        "entropy": (tf.reduce_sum(entropy_N), words),
    }


def summed(losses):
    """Returns (summed cross entropy, number of correctly predicted words, number of words): float32 scalars.

    Token accuracy is the second divided by the third, perplexity is exp(first / third).
    Args: losses: result of `word_losses` with a weight of 1.
    """
    loss, log_probs_N, _, right_N = losses
    return loss, tf.reduce_sum(right_N), tf.cast(tf.size(log_probs_N), tf.float32)


class OneOptimizerObjective:
    """Base class of objectives with one optimizer; a subclass defines `gradients` and `evaluate`.

    A subclass whose image encoder is trained as well sets `encoder_updates`, which has a second optimizer.
    """

    encoder_updates = EncoderUpdates()

    def __init__(self, options, networks, trained):
        """Builds the optimizer; must be called inside `strategy.scope()`.

        Args: options: config.CrossEntropyTrainer. networks: dict name in checkpoints -> tf.Module. trained: list of the
          networks to train.
        """
        self.options, self.networks, self.trained = options, networks, trained
        self.optimizer = make_optimizer(options, self.learning_rate(), options.beta1, trained)

    def checkpointed(self):
        """Returns what a checkpoint contains: dict name -> network or optimizer."""
        return self.networks | {"optimizer": self.optimizer} | self.encoder_updates.checkpointed()

    def learning_rate(self):
        """Returns the learning rate: a float, or a Keras schedule over the optimizer's steps."""
        return self.decayed(self.options.lr)

    def decayed(self, rate):
        """Returns a Keras schedule that decays from `rate`, a float, over --lr_decay_steps; `rate` if these are 0."""
        return decayed(rate, self.options.lr_decay_steps)

    @property
    def trainable_variables(self):
        """The trainable variables of the networks in `trained`, then those of the encoder: list of tf.Variable."""
        return self._own_variables() + self.encoder_updates.variables

    def _own_variables(self):
        """Returns the trainable variables of the networks in `trained`: list of tf.Variable."""
        return [variable for network in self.trained for variable in network.trainable_variables]

    def phase(self, step):
        """Returns (name of the phase at `step`, step at which it ends): always ("train", None), None for no end."""
        return "train", None

    def update(self, batch, seed, phase="train"):
        """Runs one training step on one replica's share of the batch.

        Args:
          batch: dict of tensors that the subclass's `gradients` reads.
          seed: int32 [2], different in every step and replica.
          phase: name from the method `phase`; not used.

        Returns: metrics: dict name -> (sum, count).
        """
        return self.applied(*accumulated(self.gradients, batch, seed, self.options.accumulate))

    def applied(self, metrics, gradients):
        """Updates the trained networks with the gradients, summed over the replicas and clipped.

        Args: metrics: dict name -> (sum, count). gradients: list in the order of `trainable_variables`.
        Returns: a new dict name -> (sum, count): `metrics` and "gradient_norm", the norm before clipping; for a trained
          encoder also "gradient_norm/image_encoder".
        """
        variables = self._own_variables()
        own, of_encoder = gradients[: len(variables)], gradients[len(variables) :]
        norm = apply_gradients(self.optimizer, own, variables, self.options.clip_norm)
        return metrics | {"gradient_norm": (norm, tf.ones_like(norm))} | self.encoder_updates.apply(of_encoder)

    def evaluation_seed(self, purpose):
        """Returns the seed of random draws in an evaluation, the same in every evaluation: int32 [2].

        Args: purpose: text, different for each kind of draw.
        """
        return fold_in(tf.constant([self.options.seed, 1], tf.int32), purpose)

    def gradients(self, batch, seed):
        """Computes the gradients of this replica's share of the loss: the shares of all replicas add up to the loss.

        Args: batch: dict of tensors of this replica. seed: int32 [2], different in every step and replica.
        Returns: (metrics: dict name -> (sum, count); gradients: list in the order of `trainable_variables`, None for a
          variable on which the loss does not depend).
        """
        raise NotImplementedError

    def evaluate(self, batch):
        """Returns (summed cross entropy, number of correctly predicted words, number of words): float32 scalars.

        They are sums over the given batch, under teacher forcing without dropout. Args: batch: dict of tensors.
        """
        raise NotImplementedError


class CrossEntropyObjective(OneOptimizerObjective):
    """Base class of stages trained by cross entropy; a subclass builds the networks and defines `feature`."""

    input_embedding = None  # embedding of the input words; None for the generator's own

    def __init__(self, options, **networks):
        """Builds the optimizer of all given networks; must be called inside `strategy.scope()`.

        Args: options: config.CrossEntropyTrainer. networks: tf.Modules, each with its name in checkpoints; one is
          `generator`.
        """
        super().__init__(options, networks, list(networks.values()))
        self.generator = networks["generator"]

    def feature(self, batch, seed):
        """Returns the generator's first input, a unit vector for each row: float32 [B, E].

        Args: batch: dict of tensors. seed: int32 [2] of dropout and other random draws; None in an evaluation: no
          dropout, and other draws are the same in every evaluation.
        """
        raise NotImplementedError

    def gradients(self, batch, seed):
        """Computes the cross entropy of the batch's sentences under teacher forcing, and its gradients.

        The loss is summed over this replica's words and divided by the number of words of all replicas. So the sum of
        the replicas' gradients is the gradient of the mean over all words.

        Args: batch: dict of tensors of this replica: `sentence` int32 [B, S] with start and end token, `length` int32
          [B], and what `feature` reads. seed: int32 [2], different in every step and replica.
        Returns: (metrics: dict name -> (sum, count); gradients: list in the order of `trainable_variables`, None for a
          variable on which the loss does not depend).
        """
        batch = layers.to_longest(batch)
        words, words_global = counted(layers.mask_of(batch["length"] - 1, tf.shape(batch["sentence"])[1]))
        with tf.GradientTape() as tape:
            weight = self.token_weight(batch, words_global)
            loss, *statistics = self._cross_entropy(batch, seed, weight)
        metrics = {"loss": (loss, 1.0 / replicas())} | sentence_metrics(*statistics, words)
        return metrics, tape.gradient(loss, self.trainable_variables)

    def token_weight(self, batch, words_global):
        """Returns the weight of each word in the loss, 1 / `words_global`: float32 scalar.

        Args: batch: dict of tensors, not used here. words_global: float32, number of words of all replicas.
        """
        return 1.0 / words_global

    def evaluate(self, batch):
        return summed(self._cross_entropy(batch, None, 1.0))

    def _cross_entropy(self, batch, seed, weight):
        """Returns the tuple of `word_losses` for the batch's sentences. Args: seed: int32 [2], None for no dropout."""
        inputs_BS, targets_BS = batch["sentence"][:, :-1], batch["sentence"][:, 1:]
        mask_seed = None if seed is None else fold_in(seed, "decoder")
        masks = self.generator.masks(tf.shape(inputs_BS)[0], tf.shape(inputs_BS)[1], mask_seed)
        feature_BE = self.feature(batch, seed)
        hidden_NH, targets_N = teacher_forced(
            self.generator, feature_BE, inputs_BS, targets_BS, batch["length"] - 1, masks, self.input_embedding
        )
        return word_losses(hidden_NH, self.generator, targets_N, weight)
