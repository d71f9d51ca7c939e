"""R2M's networks: concept words -> unit vector -> words, by a relational memory (docs/method.md, R1 to R4).

Shapes: B batch, T time, K concept words, E embedding, V vocabulary, S slots of the memory, H attention heads, O outputs
of the memory (S E).

    concept words -> ConceptEncoder -> v;   [word ; v] -> fusion memory -> relational memory -> o -> next word
    o, o, ...     -> reconstructor (a second relational memory) -> v~

v is the unit vector of the concept words, o the output of the memory at one step, v~ the reconstruction of v.
"""

import dataclasses

import tensorflow as tf

from baselines.r2m.relational_memory import Attention, RelationalMemory
from models import layers
from models.generator import START_ID, WordDecoder
from models.lstm import BasicLSTM
from models.randomness import apply_mask, dropout_mask, fold_in


@dataclasses.dataclass(frozen=True)
class Sizes:
    """The settings that, together with the size of the vocabulary, determine the networks.

    Each field is the setting of configuration.R2M with the same name; it is described there.
    """

    emb_dim: int
    mem_slots: int
    num_heads: int
    gates: str
    forget_bias: float
    fusion: str
    fm_residual: bool

    @classmethod
    def of(cls, settings):
        """Returns the Sizes in the settings of a run. Args: settings: dict name -> value, or configuration.R2M."""
        settings = settings if isinstance(settings, dict) else dataclasses.asdict(settings)
        return cls(**{item.name: settings[item.name] for item in dataclasses.fields(cls)})


def build(vocabulary_size, sizes, keep_prob, seed):
    """Returns (ConceptEncoder, MemoryDecoder, reconstructor: RelationalMemory) with new weights.

    Args: vocabulary_size: V. sizes: Sizes. keep_prob: keep probability of the dropout on the encoder's word vectors.
      seed: int32 [2], seed of the initial weights.
    """
    encoder = ConceptEncoder(vocabulary_size, sizes.emb_dim, keep_prob, fold_in(seed, "encoder"))
    decoder = MemoryDecoder(vocabulary_size, sizes, fold_in(seed, "decoder"))
    # Always one slot: its output is compared with v.
    reconstructor = _memory(decoder.memory.output_dim, sizes, 1, fold_in(seed, "reconstructor"), "Reconstructor")
    return encoder, decoder, reconstructor


def _memory(input_dim, sizes, slots, seed, scope):
    """Returns a RelationalMemory with slots of width E and new weights.

    Args: input_dim: dimension of its input. sizes: Sizes. slots: number of slots. seed: int32 [2], seed of the initial
      weights. scope: prefix of the variables' names.
    """
    heads = sizes.num_heads
    head_size = sizes.emb_dim // heads
    return RelationalMemory(input_dim, seed, scope, slots, heads, head_size, sizes.gates, sizes.forget_bias)


class ConceptEncoder(tf.Module):
    """Encodes concept words by an LSTM as a unit vector; its word embedding is also the decoder's input embedding.

    Args: vocabulary_size: V. dim: E. keep_prob: keep probability of the dropout on the word vectors. seed: int32 [2],
      seed of the initial weights.

    Attributes: embedding: float32 variable [V, E].
    """

    def __init__(self, vocabulary_size, dim, keep_prob, seed):
        super().__init__()
        self.keep_prob = keep_prob
        self.embedding = layers.embedding_variable(vocabulary_size, dim, fold_in(seed, "embedding"), "Encoder")
        self.basic_lstm_cell = BasicLSTM(dim, dim, fold_in(seed, "lstm"), "Encoder")

    def __call__(self, key_BK, lengths_B, seed=None):
        """Returns v, the last hidden state scaled to unit length: float32 [B, E]; zeros for a row without words.

        Args:
          key_BK: int32, ids of concept words, zero padded.
          lengths_B: int32, number of concept words in each row.
          seed: int32 [2] for the dropout on the word vectors; None for no dropout.
        """
        inputs_KBE = tf.gather(self.embedding, tf.transpose(key_BK))
        if seed is not None:
            inputs_KBE = apply_mask(inputs_KBE, dropout_mask(tf.shape(inputs_KBE), self.keep_prob, seed))
        _, (_, hidden_BE) = self.basic_lstm_cell.sequence(inputs_KBE, lengths_B)
        return layers.unit(hidden_BE)


class MemoryDecoder(WordDecoder):
    """Generates words by a fusion memory, which joins word and concepts, and a relational memory of S slots.

    A state is the pair (v, memory): v float32 [B, E] is the output of ConceptEncoder and stays constant; memory is
    float32 [B, S, E]. Input words are looked up in the encoder's embedding, which callers pass as `input_embedding`.

    Args: vocabulary_size: V. sizes: Sizes. seed: int32 [2], seed of the initial weights.
    """

    embedding = None
    weights_depend_on = tuple(item.name for item in dataclasses.fields(Sizes) if item.name != "emb_dim")

    def __init__(self, vocabulary_size, sizes, seed):
        super().__init__()
        dim, heads = sizes.emb_dim, sizes.num_heads
        self.vocabulary_size, self.residual = vocabulary_size, sizes.fm_residual
        self.fusion = None
        if sizes.fusion == "attention":
            self.fusion = Attention(dim, heads, dim // heads, fold_in(seed, "fusion"), "Decoder/fusion")
        self.memory = _memory(2 * dim, sizes, sizes.mem_slots, fold_in(seed, "memory"), "Decoder/memory")
        outputs = self.memory.output_dim
        words = tf.random.stateless_uniform([vocabulary_size, outputs], fold_in(seed, "words"), -0.08, 0.08)
        self.output_words = tf.Variable(words, name="Decoder/output_words")
        self.softmax_b = tf.Variable(tf.zeros([vocabulary_size]), name="Decoder/softmax_b")

    @property
    def output_matrix(self):
        """The weights from which the logits are computed: float32 [V, O]; not shared with the input embedding."""
        return self.output_words

    def initial_state(self, v_BE):
        """Returns the state before the first word: (v_BE, zeros [B, S, E] as memory).

        Args: v_BE: float32, the output of ConceptEncoder.
        """
        return v_BE, self.memory.initial_memory(tf.shape(v_BE)[0])

    def fuse(self, words_BE, v_BE):
        """Joins word vectors and concept vectors by the fusion memory, or with --fusion concat by concatenation.

        Args: words_BE: float32, vectors of the input words. v_BE: float32, the output of ConceptEncoder.

        Returns: (output float32 [B, 2 E], attention weights of the fusion memory). The weights are float32
          [B, H, 2, 2], attending row by attended row, both (word, concepts); they sum to 1 over the last axis, and are
          None with --fusion concat.
        """
        rows_B2E = tf.stack([words_BE, v_BE], 1)
        fused, weights = self.fusion(rows_B2E) if self.fusion else (rows_B2E, None)
        if self.fusion and self.residual:
            fused += rows_B2E
        return tf.reshape(fused, [-1, 2 * v_BE.shape[-1]]), weights

    def step(self, words_BE, state):
        """Runs one step of the decoder. Returns (output float32 [B, O], new state).

        Args: words_BE: float32, vectors of the input words. state: from `initial_state` or the previous step.
        """
        return self.step_and_looks(words_BE, state)[:2]

    def step_and_looks(self, words_BE, state):
        """Runs one step of the decoder and returns its attention weights as well, for inspection.

        Args: words_BE: float32, vectors of the input words. state: from `initial_state` or the previous step.

        Returns: (output float32 [B, O], new state, fusion weights, relational_memory.Looks). The fusion weights are the
          attention of the fusion memory, float32 [B, H, 2, 2], attending row by attended row, both (word, concepts);
          they sum to 1 over the last axis, and are None with --fusion concat. Looks holds the attention weights and
          gates of the relational memory.
        """
        fused, weights = self.fuse(words_BE, state[0])
        memory_BSE, looks = self.memory.step(self.memory.project(fused), state[1])
        return self.memory.output(memory_BSE), (state[0], memory_BSE), weights, looks

    def hidden_states(self, state, tokens_BT, lengths_B, masks=None, input_embedding=None):
        """Returns the outputs of the memory under teacher forcing: float32 [B, T, O], zero past a row's length.

        Args:
          state: from `initial_state`.
          tokens_BT: int32, input words, the first one is the start token.
          lengths_B: int32, number of valid inputs in each row.
          masks: ignored, because the decoder has no dropout.
          input_embedding: float32 [V, E], the encoder's word embedding.
        """
        v_BE, memory_BSE = state
        steps, dim = tf.shape(tokens_BT)[1], v_BE.shape[-1]
        words_TBE = tf.gather(input_embedding, tf.transpose(tokens_BT))
        fused, _ = self.fuse(tf.reshape(words_TBE, [-1, dim]), tf.tile(v_BE, [steps, 1]))
        fused_TBI = tf.reshape(fused, [steps, tf.shape(tokens_BT)[0], 2 * dim])
        outputs_TBO, _ = self.memory.sequence(fused_TBI, lengths_B, memory_BSE)
        return tf.transpose(outputs_TBO, [1, 0, 2])


def read_words(decoder, v_BE, tokens_BT, lengths_B, input_embedding):
    """Returns the decoder's outputs under teacher forcing with given words as targets: float32 [B, T, O].

    Output t is computed from the words before word t; outputs past a row's length are 0.

    Args:
      decoder: MemoryDecoder. v_BE: float32, the output of ConceptEncoder.
      tokens_BT: int32, words without the start token, which is prepended here; the end token, if there is one, is the
        last word.
      lengths_B: int32, number of words in each row, the end token counted.
      input_embedding: float32 [V, E], the encoder's word embedding.
    """
    inputs_BT = tf.pad(tokens_BT[:, :-1], [[0, 0], [1, 0]], constant_values=START_ID)
    return decoder.hidden_states(decoder.initial_state(v_BE), inputs_BT, lengths_B, None, input_embedding)


def reconstruct(reconstructor, outputs_BTO, lengths_B):
    """Returns v~, the reconstructor's output after each row's last word: float32 [B, E].

    Args: reconstructor: RelationalMemory. outputs_BTO: float32, from `read_words`. lengths_B: int32, number of words in
      each row, the end token counted.
    """
    _, memory_B1E = reconstructor.sequence(tf.transpose(outputs_BTO, [1, 0, 2]), lengths_B)
    return reconstructor.output(memory_B1E)
