"""The network: a plain recurrent network generates the caption; the feature x is added to its input at every word.

Shapes: B batch, T time, K concept words, D image vector, E word vector, V vocabulary. Sequences are time-major.

    x = unit(sum_k E(concept_k))        of a sentence or of detected objects
    x = unit(W_p image + b_p)           of a photograph
    s_0 = x;   s_t = tanh(W [E(w_{t-1}) ; s_{t-1}] + b + x);   p(w_t) = softmax(E s_t + c)

unit(v) is v / |v|, E(w) the vector of word w, s_t the hidden state, and [ ; ] concatenation.
"""

import tensorflow as tf

from models import layers
from models.generator import WordDecoder
from models.randomness import fold_in
from toy_system import settings
from training.run_directory import options_of


class ToyNetwork(WordDecoder):
    """Generates a caption word by word from the feature x of concept words or of an image.

    The state is the pair (hidden state s, feature x), each float32 [B, E]. The base class WordDecoder samples captions
    and decodes them by greedy and beam search; it calls `initial_state`, `step`, `sequence` and `output_matrix`.
    """

    def __init__(self, vocabulary_size, image_dim, options, seed):
        """Creates the weights.

        Args:
          vocabulary_size: V.
          image_dim: D; None for a network that reads no images.
          options: settings with emb_dim and keep_prob.
          seed: int32 [2], seed of the initial weights.
        """
        super().__init__()
        self.vocabulary_size, self.keep_prob = vocabulary_size, options.keep_prob
        dim = options.emb_dim
        self.embedding = layers.embedding_variable(vocabulary_size, dim, fold_in(seed, "embedding"), "Generator")
        self.softmax_b = tf.Variable(tf.zeros([vocabulary_size]), name="Generator/softmax_b")
        self.recurrent = layers.Linear(2 * dim, dim, fold_in(seed, "recurrent"), "Generator/recurrent")
        if image_dim is not None:
            self.projection = layers.Linear(image_dim, dim, fold_in(seed, "projection"), "Generator/projection")

    @property
    def output_matrix(self):
        """The float32 matrix [V, E] that maps a hidden state to the logits of the words."""
        return self.embedding

    def concept_feature(self, concepts_BK, lengths_B):
        """Returns the feature x of concept words: float32 [B, E].

        Args: concepts_BK: int32 [B, K], word ids, zero padded. lengths_B: int32 [B], number of words.
        """
        mask_BK = layers.mask_of(lengths_B, tf.shape(concepts_BK)[1])
        return layers.unit(tf.reduce_sum(tf.gather(self.embedding, concepts_BK) * mask_BK[:, :, None], 1))

    def image_feature(self, image_BD):
        """Returns the feature x of image vectors, float32 [B, D]: float32 [B, E]."""
        return layers.unit(self.projection(image_BD))

    def initial_state(self, feature_BE, masks=None):
        """Returns the state before the first word, for features x float32 [B, E]: the pair (x, x).

        Args: masks: dropout masks, which the base class passes; not used here.
        """
        return feature_BE, feature_BE

    def step(self, inputs_BE, state):
        """Computes one time step; returns (output float32 [B, E], new state).

        Args: inputs_BE: float32 [B, E], vectors of the previous words. state: pair (hidden state, feature x).
        """
        before_BE, feature_BE = state
        hidden_BE = tf.tanh(self.recurrent(tf.concat([inputs_BE, before_BE], 1)) + feature_BE)
        return hidden_BE, (hidden_BE, feature_BE)

    def sequence(self, inputs_TBE, lengths_B, state):
        """Computes all time steps; returns (outputs float32 [T, B, E], 0 after the end of a sequence; last state).

        Args: inputs_TBE: float32 [T, B, E], vectors of the previous words. lengths_B: int32 [B], number of steps.
          state: the initial state, a pair (hidden state, feature x).
        """
        valid_TB1 = tf.transpose(layers.mask_of(lengths_B, tf.shape(inputs_TBE)[0]))[:, :, None]
        first_BE, feature_BE = state

        def next_hidden(before_BE, at):
            inputs_BE, valid_B1 = at
            hidden_BE, _ = self.step(inputs_BE, (before_BE, feature_BE))
            return valid_B1 * hidden_BE + (1 - valid_B1) * before_BE

        hidden_TBE = tf.scan(next_hidden, (inputs_TBE, valid_TB1), first_BE)
        return hidden_TBE * valid_TB1, (hidden_TBE[-1], feature_BE)


def of_run(content, vocabulary_size):
    """Returns a ToyNetwork for a run of the second stage; its weights are not yet loaded.

    Args: content: content of RUN/config.json, a dict. vocabulary_size: V.
    """
    options = options_of(content, settings.ToyPictures)
    return ToyNetwork(vocabulary_size, content["facts"]["image_dim"], options, tf.constant([0, 0], tf.int32))
