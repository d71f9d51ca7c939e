"""Show and Tell: an image vector is fed once to a recurrent network, which then says the caption (spec 2.1, 3.2).

Shapes: B batch, T time, D image vector, E embedding, H hidden, V vocabulary. Time-major inside.

    image vector -> linear (-> batch normalisation) -> first input of LSTM or GRU; then the words -> linear -> softmax

Input and output matrices are two (the unsupervised generator ties them). Source: img2txt and the ResNet-152 tutorial.
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
    """Batch normalisation of vectors over the global batch, running averages for captioning."""

    MOMENTUM, EPSILON = 0.01, 1e-5  # PyTorch's meaning: share of the new batch in the running average

    def __init__(self, dim):
        super().__init__()
        self.scale, self.offset = tf.Variable(tf.ones([dim])), tf.Variable(tf.zeros([dim]))
        # Every replica computes the same averages; one of them is kept.
        kept = {"trainable": False, "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA}
        self.mean, self.variance = tf.Variable(tf.zeros([dim]), **kept), tf.Variable(tf.ones([dim]), **kept)

    def __call__(self, inputs_BE, total=None):
        """Normalises by the running averages, or, given `total`, by the moments of the global batch.

        Args: total: function that sums a list of tensors over the replicas; the running averages are then moved.
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
    """An encoder's pooled vector in, words out."""

    def __init__(self, vocabulary_size, image_dim, options, seed):
        """Args: options: emb_dim, mem_dim, keep_prob, cell (see CELLS), batch_norm, init_stddev."""
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
        """The first input: float32 [B, E]. Args: total: as in BatchNorm; None outside training."""
        feature_BE = self.projection(image_BD)
        return feature_BE if self.batch_norm is None else self.batch_norm(feature_BE, total)

    def initial_state(self, feature_BE, masks=None):
        """The state after the feature was fed once from the zero state."""
        inputs = apply_mask(feature_BE, masks.image_BE if masks else None)
        return self.cell.step(inputs, self.cell.zero_state(tf.shape(feature_BE)[0]))

    def step(self, inputs_BE, state):
        state = self.cell.step(inputs_BE, state)
        return state[-1], state

    def sequence(self, inputs_TBE, lengths_B, state):
        return self.cell.sequence(inputs_TBE, lengths_B, state)


def make_cell(name, input_dim, hidden_dim, seed):
    """The recurrent cell of that name (see CELLS); the last part of its state is its output."""
    if name == "gru":
        return GRU(input_dim, hidden_dim, seed, reset_after=False)
    kind = TwoBiasLSTM if name == "lstm_two_biases" else BasicLSTM
    return kind(input_dim, hidden_dim, seed, "Generator")


def of_run(content, vocabulary_size):
    """The network of a run without its weights. Args: content: of its config.json."""
    options = options_of(content, settings.ShowTell)
    return ShowTell(vocabulary_size, content["facts"]["image_dim"], options, tf.constant([0, 0], tf.int32))
