"""Show and Tell: a recurrent network reads an image vector once, then generates the caption (docs/method.md, T1).

Shapes: B batch, T time, D image vector, E embedding, H hidden, V vocabulary. Time-major inside.

    image vector -> linear (-> batch normalisation) -> first input of LSTM or GRU; then the words -> linear -> softmax

The output matrix is not tied to the embedding. Source: img2txt and the ResNet-152 tutorial.
"""

import tensorflow as tf

from baselines.show_attend_tell.gru import GRU
from baselines.supervised import settings
from models import layers
from models.generator import WordDecoder
from models.lstm import BasicLSTM, TwoBiasLSTM
from models.randomness import apply_mask, fold_in
from training.run_directory import options_of


class BatchNorm(tf.Module):
    """Batch normalisation of vectors over the global batch, with running averages for use after training.

    Args: dim: dimension of the vectors.
    """

    MOMENTUM, EPSILON = 0.01, 1e-5  # as in PyTorch: weight of the new batch in the running average

    def __init__(self, dim):
        super().__init__()
        self.scale, self.offset = tf.Variable(tf.ones([dim])), tf.Variable(tf.zeros([dim]))
        # Every replica computes the same averages; one of them is kept.
        kept = {"trainable": False, "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA}
        self.mean, self.variance = tf.Variable(tf.zeros([dim]), **kept), tf.Variable(tf.ones([dim]), **kept)

    def __call__(self, inputs_BE, total=None):
        """Returns the normalised vectors: float32 [B, E].

        Args:
          inputs_BE: float32, this replica's vectors.
          total: None to normalise by the running averages. In training, a function that sums each tensor of a list over
            all replicas: then the moments of the global batch are used, and the running averages are updated.
        """
        mean, variance = self.mean, self.variance
        if total is not None:
            count, sums = total([tf.cast(tf.shape(inputs_BE)[0], tf.float32), tf.reduce_sum(inputs_BE, 0)])
            mean = sums / count
            (squares,) = total([tf.reduce_sum((inputs_BE - mean) ** 2, 0)])
            variance = squares / count
            unbiased = tf.stop_gradient(squares) / tf.maximum(count - 1, 1)
            self.mean.assign(self.mean + self.MOMENTUM * (tf.stop_gradient(mean) - self.mean))
            self.variance.assign(self.variance + self.MOMENTUM * (unbiased - self.variance))
        return (inputs_BE - mean) * tf.math.rsqrt(variance + self.EPSILON) * self.scale + self.offset


class ShowTell(WordDecoder):
    """The captioner: pooled image vector -> words.

    A state is the tuple of the tensors of the recurrent cell; the last one is the output, float32 [B, H].
    """

    def __init__(self, vocabulary_size, image_dim, options, seed):
        """Builds the network with new weights.

        Args: vocabulary_size: V. image_dim: D. options: baselines.supervised.settings.ShowTell. seed: int32 [2], seed
          of the initial weights.
        """
        super().__init__()
        emb_dim, mem_dim = options.emb_dim, options.mem_dim
        self.vocabulary_size, self.keep_prob = vocabulary_size, options.keep_prob
        self.embedding = layers.embedding_variable(vocabulary_size, emb_dim, fold_in(seed, "embedding"), "Generator")
        self.projection = layers.Linear(image_dim, emb_dim, fold_in(seed, "projection"), "Generator/projection")
        self.output_matrix = tf.Variable(layers.glorot_uniform([vocabulary_size, mem_dim], fold_in(seed, "output")))
        self.softmax_b = tf.Variable(tf.zeros([vocabulary_size]))
        self.batch_norm = BatchNorm(emb_dim) if options.batch_norm else None
        self.cell = make_cell(options.cell, emb_dim, mem_dim, fold_in(seed, "cell"))
        if options.init_stddev:
            linear = (self.projection.weights, self.projection.biases)
            for number, variable in enumerate((self.embedding, *linear, self.output_matrix, self.softmax_b)):
                key = fold_in(fold_in(seed, "normal"), number)
                variable.assign(tf.random.stateless_truncated_normal(variable.shape, key, stddev=options.init_stddev))

    def image_feature(self, image_BD, total=None):
        """Returns the first input of the cell: float32 [B, E].

        Args: image_BD: float32. total: in training with batch normalisation, a function that sums each tensor of a list
          over all replicas (training.accumulation.global_sum); None to use the running averages.
        """
        feature_BE = self.projection(image_BD)
        return feature_BE if self.batch_norm is None else self.batch_norm(feature_BE, total)

    def initial_state(self, feature_BE, masks=None):
        """Returns the cell's state, a tuple of tensors, after one step from the zero state on the image feature.

        Args: feature_BE: from `image_feature`. masks: models.generator.Masks; None for no dropout.
        """
        inputs = apply_mask(feature_BE, masks.image_BE if masks else None)
        return self.cell.step(inputs, self.cell.zero_state(tf.shape(feature_BE)[0]))

    def step(self, inputs_BE, state):
        """Runs one step. Returns (output float32 [B, H], from which the logits are computed; new state).

        Args: inputs_BE: float32, vectors of the input words. state: from `initial_state` or the previous step.
        """
        state = self.cell.step(inputs_BE, state)
        return state[-1], state

    def sequence(self, inputs_TBE, lengths_B, state):
        """Runs all steps of padded rows.

        Args: inputs_TBE: float32, vectors of the input words. lengths_B: int32, number of valid inputs in each row.
          state: from `initial_state`.

        Returns: (outputs float32 [T, B, H], zero past a row's length; state after each row's last valid step).
        """
        return self.cell.sequence(inputs_TBE, lengths_B, state)


def make_cell(name, input_dim, hidden_dim, seed):
    """Returns a recurrent cell with new weights; its state is a tuple of tensors, the last one its output [B, H].

    Args: name: value of --cell: "lstm", "lstm_two_biases" (PyTorch's LSTM) or "gru" (TensorFlow 1's GRU).
      input_dim: dimension of its inputs. hidden_dim: H. seed: int32 [2], seed of the weights.
    """
    if name == "gru":
        return GRU(input_dim, hidden_dim, seed, reset_after=False)
    kind = TwoBiasLSTM if name == "lstm_two_biases" else BasicLSTM
    return kind(input_dim, hidden_dim, seed, "Generator")


def of_run(content, vocabulary_size):
    """Returns the network (ShowTell) for the settings of a run, with new weights.

    Args: content: dict, the content of the run's config.json. vocabulary_size: V.
    """
    options = options_of(content, settings.ShowTell)
    return ShowTell(vocabulary_size, content["facts"]["image_dim"], options, tf.constant([0, 0], tf.int32))
