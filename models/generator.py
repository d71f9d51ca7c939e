"""The caption generator: image vector -> unit feature -> LSTM -> words (Feng et al. 2019, equation 2).

Shapes: B batch, T time, D image vector, E embedding, H hidden (E = H), V vocabulary. Sequences are time-major inside.
Dropout is that of the authors' program: a new mask for every input and every output, never for the state.
All masks of a pass are drawn at once, so that the policy gradient's teacher-forced pass over sampled captions uses the
same masks as the sampling. Quirks (Q8) are listed in docs/implementation_details.md.
"""

import dataclasses

import tensorflow as tf

from models import layers, sampling
from models.lstm import BasicLSTM
from models.precision import matmul
from models.randomness import apply_mask, dropout_mask, fold_in

START_ID, END_ID = 0, 1


@dataclasses.dataclass
class Masks:
    """Dropout masks of one pass through a decoder: float32, factors 0 or 1/keep_prob. Each is None without dropout.

    Attributes:
      image_BE: on the image feature, the input before the first word.
      inputs_TBE: on the vectors of the input words. outputs_TBH: on the outputs, from which logits are computed.
    """

    image_BE: tf.Tensor | None = None
    inputs_TBE: tf.Tensor | None = None
    outputs_TBH: tf.Tensor | None = None


class WordDecoder(tf.Module):
    """Base class of decoders: networks that generate a caption word by word.

    A state is a tuple of tensors [B, ...], whose meaning each subclass defines.

    Attributes:
      embedding: float32 [V, E], embedding of the input words.
      output_matrix: float32 [V, H], from which logits are computed.
      softmax_b: float32 [V], bias of the logits.
      keep_prob: keep probability of dropout.
      vocabulary_size: V.
      forced_lengths_B: int32 [B], length at which each decoded caption ends, for speed measurements only; else None.
    """

    forced_lengths_B = None

    def image_feature(self, image_BD):
        """Returns the image features for `initial_state`: float32 [B, E], or [B, cells, features] with attention.

        Args: image_BD: float32 [B, D] image vectors, or [B, cells, D] grids of cells for a decoder with attention.
        """
        raise NotImplementedError

    def initial_state(self, feature_BE, masks=None):
        """Returns the state before the first word: tuple of tensors [B, ...].

        Args: feature_BE: result of `image_feature`. masks: Masks; None for no dropout.
        """
        raise NotImplementedError

    def sequence(self, inputs_TBE, lengths_B, state):
        """Runs the network on given input vectors.

        Args: inputs_TBE: float32. lengths_B: int32, valid steps of each row. state: state before the first word.
        Returns: (outputs float32 [T, B, H], zero past a row's length; state after each row's last step).
        """
        raise NotImplementedError

    def step(self, inputs_BE, state):
        """Runs one step. Returns (output float32 [B, H], new state).

        Args: inputs_BE: float32. state: state before the step.
        """
        raise NotImplementedError

    def masks(self, batch, steps, seed):
        """Returns the dropout masks of one pass, a pure function of the seed: `Masks`.

        Args: batch: B. steps: T, number of words. seed: int32 [2], None for no dropout.
        """
        if seed is None:
            return Masks()
        input_dim, output_dim = self.embedding.shape[1], self.output_matrix.shape[1]
        draw = lambda shape, purpose: dropout_mask(shape, self.keep_prob, fold_in(seed, purpose))  # noqa: E731
        return Masks(
            draw([batch, input_dim], "image"),
            draw([steps, batch, input_dim], "inputs"),
            draw([steps, batch, output_dim], "outputs"),
        )

    def logits(self, hidden_BH):
        """Returns the logits over the vocabulary: float32 [B, V]. Args: hidden_BH: float32, outputs of the network."""
        return tf.nn.bias_add(matmul(hidden_BH, self.output_matrix, transpose_b=True), self.softmax_b)

    def decode(self, state, steps, masks=None, seed=None, at_least_B=None, input_embedding=None):
        """Decodes captions: samples each word if a seed is given, else takes the most probable one. No gradient.

        A caption ends with its end token, or after `at_least_B` words if that is later; the words after its end are 0.
        The loop stops when all captions have ended, at the latest after `steps` words.

        Args:
          state: tuple of tensors [B, ...]: result of `initial_state`.
          steps: T, the maximum number of words.
          masks: Masks of at least T steps, None for no dropout.
          seed: int32 [2] for sampling, None for greedy decoding.
          at_least_B: int32 [B], minimum number of words, decoded even past the end token; None for no minimum.
          input_embedding: float32 [V, E], embedding of the input words; None for the network's own (quirk Q8).

        Returns: word ids int32 [B, T].
        """
        batch = tf.shape(state[0])[0]
        uniform_TB = None if seed is None else sampling.uniforms(seed, steps, batch)

        def choose(logits_AV, t, rows_A, _):
            return (
                sampling.best(logits_AV)
                if seed is None
                else sampling.drawn(logits_AV, tf.gather(uniform_TB[t], rows_A))
            )

        def open_rows(ended_B, t):
            return ~ended_B if at_least_B is None else ~ended_B | (t < at_least_B)

        return self.decode_by(state, steps, masks, choose, open_rows, input_embedding)

    def sample_and_greedy(self, state, steps, masks, greedy_masks, seed, greedy_goes_on=False):
        """Decodes a sampled and a greedy caption from each state; the result is that of two calls of `decode`.

        Args:
          state: tuple of tensors [B, ...]: result of `initial_state`.
          steps: T, the maximum number of words.
          masks, greedy_masks: Masks of the sampled and of the greedy captions.
          seed: int32 [2] for sampling.
          greedy_goes_on: whether a greedy caption continues past its end token to the length of its sample.

        Returns: (sampled, greedy) word ids, each int32 [B, T].
        """
        batch = tf.shape(state[0])[0]
        uniform_TB = sampling.uniforms(seed, steps, batch)

        def choose(logits_AV, t, rows_A, _):
            drawn = tf.reduce_sum(tf.cast(rows_A < batch, tf.int32))  # rows stay in order: the sampled ones come first
            return tf.concat(
                [
                    sampling.drawn(logits_AV[:drawn], tf.gather(uniform_TB[t], rows_A[:drawn])),
                    sampling.best(logits_AV[drawn:]),
                ],
                0,
            )

        def open_rows(ended_2B, t):
            if not greedy_goes_on:
                return ~ended_2B
            return ~tf.concat([ended_2B[:batch], ended_2B[batch:] & ended_2B[:batch]], 0)

        twice = tuple(tf.concat([part, part], 0) for part in state)
        words_2BT = self.decode_by(twice, steps, joined_masks(masks, greedy_masks), choose, open_rows)
        return words_2BT[:batch], words_2BT[batch:]

    def decode_by(self, state, steps, masks, choose, open_rows, input_embedding=None):
        """Runs the decoding loop: returns word ids int32 [B, T].

        Its tensors hold A of the B rows: rows whose captions have ended are removed once they are a quarter of the A.

        Args:
          state: tuple of tensors [B, ...]. steps: T. masks: Masks; None for no dropout.
          input_embedding: float32 [V, E], embedding of the input words; None for the network's own.
          choose: function (logits [A, V], step, row indices [A], words so far [T, B]) -> words int32 [A].
          open_rows: function (bool [B], rows that have reached the end token; words decoded so far) -> bool [B], rows
            that continue.
        """
        embedding = self.embedding if input_embedding is None else input_embedding
        batch = tf.shape(state[0])[0]

        def body(t, rows, word, state, ended_B, words_TB):
            inputs = tf.gather(embedding, word)
            if masks is not None and masks.inputs_TBE is not None:
                inputs *= tf.gather(masks.inputs_TBE[t], rows)
            output, state = self.step(inputs, state)
            if masks is not None and masks.outputs_TBH is not None:
                output *= tf.gather(masks.outputs_TBH[t], rows)
            word = choose(self.logits(output), t, rows, words_TB)
            if self.forced_lengths_B is not None:
                ends = tf.gather(self.forced_lengths_B, rows % tf.size(self.forced_lengths_B))
                word = tf.where(t + 1 == ends, END_ID, tf.maximum(word, END_ID + 1))
            word = tf.where(tf.gather(open_rows(ended_B, t), rows), word, 0)
            words_TB = tf.tensor_scatter_nd_update(words_TB, tf.stack([tf.fill(tf.shape(rows), t), rows], 1), word)
            ended_B |= tf.equal(words_TB[t], END_ID)
            open_A = tf.gather(open_rows(ended_B, t + 1), rows)
            few = 4 * tf.reduce_sum(tf.cast(open_A, tf.int32)) <= 3 * tf.size(rows)
            moved = tf.cond(few, lambda: _only(open_A, (rows, word, *state)), lambda: (rows, word, *state))
            return t + 1, moved[0], moved[1], tuple(moved[2:]), ended_B, words_TB

        def unfinished(t, rows, word, state, ended_B, words_TB):
            return (t < steps) & tf.reduce_any(open_rows(ended_B, t))

        start = (
            tf.constant(0),
            tf.range(batch),
            tf.fill([batch], START_ID),
            tuple(state),
            tf.fill([batch], False),
            tf.zeros([steps, batch], tf.int32),
        )
        any_number = lambda part: tf.TensorShape([None, *part.shape[1:]])  # noqa: E731
        shapes = tuple(tf.nest.map_structure(any_number, part) for part in start[1:4])
        shapes = (start[0].shape, *shapes, start[4].shape, start[5].shape)
        *_, words_TB = tf.while_loop(unfinished, body, start, shape_invariants=shapes)
        return tf.stop_gradient(tf.transpose(words_TB))

    def hidden_states(self, state, tokens_BT, lengths_B, masks=None, input_embedding=None):
        """Returns the outputs of the network, after output dropout, under teacher forcing with the given words.

        Args:
          state: tuple of tensors [B, ...]: result of `initial_state`.
          tokens_BT: int32, input words; the first one of a row is the start token.
          lengths_B: int32, number of valid inputs of each row.
          masks: Masks of at least T steps, None for no dropout.
          input_embedding: float32 [V, E], embedding of the input words; None for the network's own (quirk Q8).

        Returns: float32 [B, T, H], zero past a row's length.
        """
        embedding = self.embedding if input_embedding is None else input_embedding
        steps = tf.shape(tokens_BT)[1]
        inputs_TBE = tf.gather(embedding, tf.transpose(tokens_BT))
        if masks is not None and masks.inputs_TBE is not None:
            inputs_TBE *= masks.inputs_TBE[:steps]
        outputs_TBH, _ = self.sequence(inputs_TBE, lengths_B, state)
        if masks is not None and masks.outputs_TBH is not None:
            outputs_TBH *= masks.outputs_TBH[:steps]
        return tf.transpose(outputs_TBH, [1, 0, 2])


class Generator(WordDecoder):
    """The full model's generator; its variables have the names of the authors' checkpoints (scope `Generator/`)."""

    weights_depend_on = ("feature_scale", "standardise")  # settings, see training/warm_start.py

    def __init__(self, vocabulary_size, image_dim, emb_dim, mem_dim, keep_prob, seed, feature_scale=1.0):
        """Builds the network with new weights.

        Args:
          vocabulary_size: V. emb_dim: E. mem_dim: H, must equal E.
          image_dim: D, or None for a generator without an image projection (stages without images).
          keep_prob: keep probability of dropout.
          seed: int32 [2], seed of the initial weights.
          feature_scale: factor on the image feature as input of the LSTM.

        Raises: ValueError if emb_dim and mem_dim differ.
        """
        super().__init__()
        if emb_dim != mem_dim:
            raise ValueError(
                f"emb_dim {emb_dim} and mem_dim {mem_dim} must be equal: the output matrix is the embedding"
            )
        self.vocabulary_size, self.keep_prob, self.feature_scale = vocabulary_size, keep_prob, feature_scale
        self.embedding = layers.embedding_variable(
            vocabulary_size, emb_dim, fold_in(seed, "generator embedding"), "Generator"
        )
        limit = (3.0 / vocabulary_size) ** 0.5  # as in the authors' program: Glorot-uniform, not zeros
        bias = tf.random.stateless_uniform([vocabulary_size], fold_in(seed, "softmax_b"), -limit, limit)
        self.softmax_b = tf.Variable(bias, name="Generator/softmax_b")
        self.basic_lstm_cell = BasicLSTM(emb_dim, mem_dim, fold_in(seed, "generator lstm"), "Generator")
        if image_dim is not None:
            scope = "Generator/fully_connected"
            self.fully_connected = layers.Linear(image_dim, emb_dim, fold_in(seed, "projection"), scope)

    # ---------------------------------------------------------------------------------------------- features

    def image_feature(self, image_BD):
        """Returns the image features x = unit(W f + b): float32 [B, E], in the space of sentence features (equation 2).

        Args: image_BD: float32, image vectors f.
        """
        return layers.unit(self.fully_connected(image_BD))

    def initial_state(self, feature_BE, masks=None):
        """Returns the state (c, h), each float32 [B, H], after one step on the feature from the zero state.

        Args: feature_BE: float32, result of `image_feature`. masks: Masks; None for no dropout.
        """
        inputs = apply_mask(self.feature_scale * feature_BE, masks.image_BE if masks else None)
        return self.basic_lstm_cell.step(inputs, self.basic_lstm_cell.zero_state(tf.shape(feature_BE)[0]))

    # ---------------------------------------------------------------------------------------------- words

    @property
    def output_matrix(self):
        return self.embedding

    def step(self, inputs_BE, state):
        state = self.basic_lstm_cell.step(inputs_BE, state)
        return state[1], state

    def sequence(self, inputs_TBE, lengths_B, state):
        return self.basic_lstm_cell.sequence(inputs_TBE, lengths_B, state)


def joined_masks(*several):
    """Returns `Masks` concatenated along the batch; those of fewer steps are padded with zeros.

    Args: several: the Masks of each batch, all with or all without dropout.
    """
    if several[0].inputs_TBE is None and several[0].image_BE is None:
        return several[0]

    def joined(masks):
        steps = tf.reduce_max([tf.shape(mask)[0] for mask in masks])
        return tf.concat([tf.pad(mask, [[0, steps - tf.shape(mask)[0]], [0, 0], [0, 0]]) for mask in masks], 1)

    return Masks(
        tf.concat([masks.image_BE for masks in several], 0),
        joined([masks.inputs_TBE for masks in several]),
        joined([masks.outputs_TBH for masks in several]),
    )


def _only(chosen_A, parts):
    """Returns the rows of each tensor of `parts` at which `chosen_A` (bool) is true: tuple of tensors."""
    places = tf.where(chosen_A)[:, 0]
    return tuple(tf.gather(part, places) for part in parts)


def shift_right(tokens_BT):
    """Returns the inputs for given target words: the start token, then all words but the last: int32 [B, T]."""
    return tf.pad(tokens_BT[:, :-1], [[0, 0], [1, 0]], constant_values=START_ID)
