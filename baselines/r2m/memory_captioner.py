"""R2M's networks: concept words -> unit vector -> words, by a relational memory (docs/method.md, R1 to R4).

Shapes: B batch, T time, K concept words, E embedding, V vocabulary, O outputs of the memory (slots x E).

    concept words -> ConceptEncoder -> v;   [word ; v] -> fusion memory -> relational memory -> o -> next word
    o, o, ...     -> reconstructor (a second relational memory) -> v~
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
    """The settings that determine the networks, besides the vocabulary; fields of configuration.R2M."""

    emb_dim: int
    mem_slots: int
    num_heads: int
    gates: str
    forget_bias: float
    fusion: str
    fm_residual: bool

    @classmethod
    def of(cls, settings):
        """Returns the Sizes of a run. Args: settings: dict, or configuration.R2M."""
        settings = settings if isinstance(settings, dict) else dataclasses.asdict(settings)
        return cls(**{item.name: settings[item.name] for item in dataclasses.fields(cls)})


def build(vocabulary_size, sizes, keep_prob, seed):
    """Returns (ConceptEncoder, MemoryDecoder, reconstructor: RelationalMemory) with new weights."""
    encoder = ConceptEncoder(vocabulary_size, sizes.emb_dim, keep_prob, fold_in(seed, "encoder"))
    decoder = MemoryDecoder(vocabulary_size, sizes, fold_in(seed, "decoder"))
    # Always one slot: its output is compared with v.
    reconstructor = _memory(decoder.memory.output_dim, sizes, 1, fold_in(seed, "reconstructor"), "Reconstructor")
    return encoder, decoder, reconstructor


def _memory(input_dim, sizes, slots, seed, scope):
    heads = sizes.num_heads
    head_size = sizes.emb_dim // heads
    return RelationalMemory(input_dim, seed, scope, slots, heads, head_size, sizes.gates, sizes.forget_bias)


class ConceptEncoder(tf.Module):
    """Encodes concept words by an LSTM. Its word embedding is also the decoder's input embedding."""

    def __init__(self, vocabulary_size, dim, keep_prob, seed):
        super().__init__()
        self.keep_prob = keep_prob
        self.embedding = layers.embedding_variable(vocabulary_size, dim, fold_in(seed, "embedding"), "Encoder")
        self.basic_lstm_cell = BasicLSTM(dim, dim, fold_in(seed, "lstm"), "Encoder")

    def __call__(self, key_BK, lengths_B, seed=None):
        """Returns v, the unit vector of the last hidden state: float32 [B, E]; zeros for a row without words.

        Args: key_BK: int32, zero padded. lengths_B: int32. seed: of the dropout on the word vectors; None for none.
        """
        inputs_KBE = tf.gather(self.embedding, tf.transpose(key_BK))
        if seed is not None:
            inputs_KBE = apply_mask(inputs_KBE, dropout_mask(tf.shape(inputs_KBE), self.keep_prob, seed))
        _, (_, hidden_BE) = self.basic_lstm_cell.sequence(inputs_KBE, lengths_B)
        return layers.unit(hidden_BE)


class MemoryDecoder(WordDecoder):
    """Generates words by a fusion memory and a relational memory of S slots.

    A state is the pair (v float32 [B, E], the output of ConceptEncoder, constant; memory float32 [B, S, E]).
    Input words are looked up in the encoder's embedding, which is passed to every call as `input_embedding`.
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
        """The output matrix, float32 [V, O]; not tied to the input embedding."""
        return self.output_words

    def initial_state(self, v_BE):
        """Returns the state before the first word: (v_BE, zeros [B, S, E] as memory).

        Args: v_BE: float32, the output of ConceptEncoder.
        """
        return v_BE, self.memory.initial_memory(tf.shape(v_BE)[0])

    def fuse(self, words_BE, v_BE):
        """Returns (output of the fusion memory float32 [B, 2 E], its attention weights float32 [B, H, 2, 2] or None).

        The weights are None with fusion "concat", which only concatenates. Args: words_BE: float32, word vectors.
          v_BE: float32, the output of ConceptEncoder.
        """
        rows_B2E = tf.stack([words_BE, v_BE], 1)
        fused, weights = self.fusion(rows_B2E) if self.fusion else (rows_B2E, None)
        if self.fusion and self.residual:
            fused += rows_B2E
        return tf.reshape(fused, [-1, 2 * v_BE.shape[-1]]), weights

    def step(self, words_BE, state):
        """Runs one step of the decoder. Returns (output float32 [B, O], new state).

        Args: words_BE: float32, vectors of the input words. state: from `initial_state` or the step before.
        """
        return self.step_and_looks(words_BE, state)[:2]

    def step_and_looks(self, words_BE, state):
        """Runs `step`, and also returns what the memories attended to.

        Returns: (output, new state, attention weights of `fuse`, relational_memory.Looks).
        """
        fused, weights = self.fuse(words_BE, state[0])
        memory_BSE, looks = self.memory.step(self.memory.project(fused), state[1])
        return self.memory.output(memory_BSE), (state[0], memory_BSE), weights, looks

    def hidden_states(self, state, tokens_BT, lengths_B, masks=None, input_embedding=None):
        """Returns the outputs of the memory for the given input words: float32 [B, T, O], zero past a row's length.

        Args: as models.generator.Generator.hidden_states; there is no dropout, so `masks` is ignored.
        """
        v_BE, memory_BSE = state
        steps, dim = tf.shape(tokens_BT)[1], v_BE.shape[-1]
        words_TBE = tf.gather(input_embedding, tf.transpose(tokens_BT))
        fused, _ = self.fuse(tf.reshape(words_TBE, [-1, dim]), tf.tile(v_BE, [steps, 1]))
        fused_TBI = tf.reshape(fused, [steps, tf.shape(tokens_BT)[0], 2 * dim])
        outputs_TBO, _ = self.memory.sequence(fused_TBI, lengths_B, memory_BSE)
        return tf.transpose(outputs_TBO, [1, 0, 2])


def read_words(decoder, v_BE, tokens_BT, lengths_B, input_embedding):
    """Returns the decoder's outputs under teacher forcing with the given words: float32 [B, T, O]."""
    inputs_BT = tf.pad(tokens_BT[:, :-1], [[0, 0], [1, 0]], constant_values=START_ID)
    return decoder.hidden_states(decoder.initial_state(v_BE), inputs_BT, lengths_B, None, input_embedding)


def reconstruct(reconstructor, outputs_BTO, lengths_B):
    """Returns v~, the reconstructor's output at each row's last valid step (the end token): float32 [B, E]."""
    _, memory_B1E = reconstructor.sequence(tf.transpose(outputs_BTO, [1, 0, 2]), lengths_B)
    return reconstructor.output(memory_B1E)
