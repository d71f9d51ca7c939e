"""Show, Attend and Tell: a GRU that attends to the cells of an image before each word (docs/method.md, A1 to A3).

Shapes: B batch, T time, C cells of the grid, D features of a cell, A projected cell, U attention units, E embedding,
H hidden, V vocabulary. Time-major inside.

    a_i = ReLU(W_f f_i + b)                              i = 1 .. C
    alpha = softmax_i(s u . tanh(W_1 a_i + W_2 q_t))     attention before the t-th word
    h_t = GRU([sum_i alpha_i a_i ; E(w_{t-1})], h_{t-1})
    p(w_t) = softmax(W (W_3 h_t + b_3) + b)

In the tutorial q_t = h_{t-1} and s = 1. But h_{t-1} has not read w_{t-1}: after "a red" the attention does not depend
on "red", so it lags one word behind. With attend_word q_t = [h_{t-1} ; E(w_{t-1})].
"""

import tensorflow as tf

from baselines.show_attend_tell.gru import GRU
from baselines.supervised import settings
from models import layers
from models.generator import WordDecoder
from models.randomness import fold_in
from training.run_directory import options_of


class AdditiveAttention(tf.Module):
    """Additive attention: computes weights over the cells from a query (equation A2)."""

    def __init__(self, cell_dim, query_dim, units, seed, scale=1.0):
        """Builds the layers with new weights.

        Args:
          cell_dim: dimension A of a projected cell. query_dim: dimension of the query. units: U. seed: int32 [2].
          scale: factor s on the scores; a larger one makes attention peaked earlier in training.
        """
        super().__init__()
        self.scale = scale
        self.keys_layer = layers.Linear(cell_dim, units, fold_in(seed, "keys"), "Generator/attention/keys_layer")
        self.query_layer = layers.Linear(query_dim, units, fold_in(seed, "query"), "Generator/attention/query_layer")
        self.score = layers.Linear(units, 1, fold_in(seed, "score"), "Generator/attention/score")

    def keys(self, cells_BCA):
        """Returns W_1 a_i for all cells, computed once for all words of a caption: float32 [B, C, U].

        Args: cells_BCA: float32, the projected cells a_i.
        """
        return self.keys_layer(cells_BCA)

    def __call__(self, query_BQ, keys_BCU):
        """Returns the attention weights alpha: float32 [B, C], rows sum to 1.

        Args: query_BQ: float32, the query q_t. keys_BCU: from `keys`.
        """
        hidden_BCU = tf.tanh(keys_BCU + self.query_layer(query_BQ)[:, None])
        return tf.nn.softmax(self.scale * self.score(hidden_BCU)[:, :, 0])


class ShowAttendTell(WordDecoder):
    """The captioner: grid of cells -> words.

    A state is (h [B, H], projected cells [B, C, A], attention keys [B, C, U]), all float32; the last two stay constant.
    With --semantics reference the GRU starts from the zero state before every word, as in the tutorial, and h_{t-1} is
    used in the query only; with --semantics fixed it continues from h_{t-1}.
    """

    def __init__(self, vocabulary_size, image_dim, options, seed):
        """Builds the network with new weights.

        Args: vocabulary_size: V. image_dim: D. options: baselines.supervised.settings.ShowAttendTell. seed: int32 [2],
          seed of the initial weights.
        """
        super().__init__()
        emb_dim, mem_dim, cell_dim = options.emb_dim, options.mem_dim, options.cell_dim
        self.vocabulary_size, self.keep_prob = vocabulary_size, options.keep_prob
        # Quirk of the tutorial: the GRU's state is zero before every word; h is used in the query only.
        self.stateless = options.semantics == "reference"
        self.embedding = layers.embedding_variable(vocabulary_size, emb_dim, fold_in(seed, "embedding"), "Generator")
        self.projection = layers.Linear(image_dim, cell_dim, fold_in(seed, "projection"), "Generator/projection")
        self.attend_word = options.attend_word
        sizes = (cell_dim, mem_dim + (emb_dim if self.attend_word else 0), options.attention_units)
        self.attention = AdditiveAttention(*sizes, fold_in(seed, "attention"), options.attention_scale)
        self.cell = GRU(cell_dim + emb_dim, mem_dim, fold_in(seed, "cell"), reset_after=True)
        self.hidden_layer = layers.Linear(mem_dim, mem_dim, fold_in(seed, "hidden"), "Generator/hidden_layer")
        self.output_matrix = tf.Variable(layers.glorot_uniform([vocabulary_size, mem_dim], fold_in(seed, "output")))
        self.softmax_b = tf.Variable(tf.zeros([vocabulary_size]))

    def image_feature(self, image_BCD):
        """Returns the projected cells a_i (equation A1): float32 [B, C, A].

        Args: image_BCD: float32, the encoder's cells.
        """
        return tf.nn.relu(self.projection(image_BCD))

    def initial_state(self, feature_BCA, masks=None):
        """Returns the state before the first word, with h = 0.

        Args: feature_BCA: float32, from `image_feature`. masks: not used.
        """
        (h_BH,) = self.cell.zero_state(tf.shape(feature_BCA)[0])
        return h_BH, feature_BCA, self.attention.keys(feature_BCA)

    def step(self, inputs_BE, state):
        """Runs one step. Returns (output float32 [B, H], from which the logits are computed; new state).

        Args: inputs_BE: float32, vectors of the input words. state: from `initial_state` or the previous step.
        """
        h_BH, cells_BCA, keys_BCU = state
        h_BH, _ = self._attend(inputs_BE, h_BH, cells_BCA, keys_BCU)
        return self.hidden_layer(h_BH), (h_BH, cells_BCA, keys_BCU)

    def _attend(self, inputs_BE, h_BH, cells_BCA, keys_BCU):
        """Runs one step: attention, then the GRU. Returns (new h [B, H], attention weights alpha [B, C]).

        Args: inputs_BE: float32, vectors of the input words. h_BH, cells_BCA, keys_BCU: the state before the step.
        """
        query = tf.concat([h_BH, inputs_BE], 1) if self.attend_word else h_BH
        alpha_BC = self.attention(query, keys_BCU)
        context_BA = tf.linalg.matvec(cells_BCA, alpha_BC, transpose_a=True)
        before = tf.zeros_like(h_BH) if self.stateless else h_BH
        return self.cell.step(tf.concat([context_BA, inputs_BE], 1), (before,))[0], alpha_BC

    def sequence(self, inputs_TBE, lengths_B, state):
        """Runs all steps of padded rows.

        Args: inputs_TBE: float32, vectors of the input words. lengths_B: int32, number of valid inputs in each row.
          state: from `initial_state`.

        Returns: (outputs float32 [T, B, H], zero past a row's length; state after each row's last valid step).
        """
        hidden_TBH, _, state = self._run(inputs_TBE, lengths_B, state)
        valid_TB1 = tf.transpose(layers.mask_of(lengths_B, tf.shape(inputs_TBE)[0]))[:, :, None]
        return self.hidden_layer(hidden_TBH) * valid_TB1, state

    def attention_weights(self, feature_BCA, tokens_BT):
        """Returns the attention weights with which the word after each input word is predicted: float32 [B, T, C].

        They sum to 1 over the cells.

        Args: feature_BCA: from `image_feature`. tokens_BT: int32, input words, the first one is the start token.
        """
        inputs_TBE = tf.gather(self.embedding, tf.transpose(tokens_BT))
        lengths_B = tf.fill([tf.shape(tokens_BT)[0]], tf.shape(tokens_BT)[1])
        _, alpha_TBC, _ = self._run(inputs_TBE, lengths_B, self.initial_state(feature_BCA))
        return tf.transpose(alpha_TBC, [1, 0, 2])

    def _run(self, inputs_TBE, lengths_B, state):
        """Runs all steps of padded rows. Returns (h [T, B, H], alpha [T, B, C], last state), all float32.

        Past a row's length h stays constant.

        Args: inputs_TBE: float32, vectors of the input words. lengths_B: int32, number of valid inputs in each row.
          state: from `initial_state`.
        """
        steps = tf.shape(inputs_TBE)[0]
        h_BH, cells_BCA, keys_BCU = state
        mask_TB1 = tf.transpose(layers.mask_of(lengths_B, steps))[:, :, None]

        def body(t, h, hidden, alphas):
            new, alpha_BC = self._attend(inputs_TBE[t], h, cells_BCA, keys_BCU)
            h = mask_TB1[t] * new + (1 - mask_TB1[t]) * h
            return t + 1, h, hidden.write(t, h), alphas.write(t, alpha_BC)

        arrays = [tf.TensorArray(tf.float32, steps, element_shape=part.shape[:2]) for part in (h_BH, cells_BCA)]
        _, h_BH, hidden, alphas = tf.while_loop(lambda t, *_: t < steps, body, (0, h_BH, *arrays))
        return hidden.stack(), alphas.stack(), (h_BH, cells_BCA, keys_BCU)


def of_run(content, vocabulary_size):
    """Returns the network (ShowAttendTell) for the settings of a run, with new weights.

    Args: content: dict, the content of the run's config.json. vocabulary_size: V.
    """
    options = options_of(content, settings.ShowAttendTell)
    return ShowAttendTell(vocabulary_size, content["facts"]["image_dim"], options, tf.constant([0, 0], tf.int32))
