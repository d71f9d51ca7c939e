"""Relational memory: a recurrent cell whose memory slots attend to each other and to the input (Santoro et al. 2018).

Shapes: B batch, T time, I input, M memory width = heads x head size, S slots, R attended rows, H heads, D head size,
G gate units. Sequences inside are time-major (TB..).

One step of the cell, input x and memory m [S, M] (docs/method.md, R2 to R4):
    e = W x + b;  P = [m ; e];  [q, k, v] = LN(P W + b), head by head;  A = softmax(q k' / sqrt(D)) v
    P1 = LN(P + A);  P2 = LN(P1 + MLP(P1));  m^ = the first S rows of P2
    [i, f] = W e + b + W tanh(m) + b;  m' = sigmoid(i + input bias) tanh(m^) + sigmoid(f + forget bias) m;  o = flat m'
The last row of P, that of the input, is used as key and value only, so it needs no query.
"""

import dataclasses

import tensorflow as tf

from models import layers
from models.randomness import fold_in

EPSILON = 1e-5  # of the layer norms


class LayerNorm(tf.Module):
    """Layer normalisation: (x - mean) / std along the last axis, then a trained scale and offset.

    Called with a float32 tensor [..., dim], it returns one of the same shape.

    Args: dim: size of the last axis. scope: prefix of the variables' names.
    """

    def __init__(self, dim, scope):
        super().__init__()
        self.scale = tf.Variable(tf.ones([dim]), name=f"{scope}/scale")
        self.offset = tf.Variable(tf.zeros([dim]), name=f"{scope}/offset")

    def __call__(self, values):
        mean, variance = tf.nn.moments(values, -1, keepdims=True)
        return (values - mean) * tf.math.rsqrt(variance + EPSILON) * self.scale + self.offset


def on_rows(linear, values, dim):
    """Applies a linear layer to the last axis of a tensor of any rank: float32 [..., dim].

    Args: linear: layers.Linear. values: float32 [..., inputs of the layer]. dim: number of outputs of the layer.
    """
    flat = linear(tf.reshape(values, [-1, values.shape[-1]]))
    return tf.reshape(flat, tf.concat([tf.shape(values)[:-1], [dim]], 0))


class Attention(tf.Module):
    """Multi-head dot-product attention with a layer norm on queries, keys and values; no output projection, no mask.

    Args: input_dim: I. heads: H. head_size: D. seed: int32 [2], seed of the initial weights. scope: prefix of the
      variables' names.
    """

    def __init__(self, input_dim, heads, head_size, seed, scope):
        super().__init__()
        self.heads, self.head_size = heads, head_size
        self.projection = layers.Linear(input_dim, 3 * heads * head_size, seed, f"{scope}/projection")
        self.norm = LayerNorm(3 * heads * head_size, f"{scope}/norm")

    def project(self, rows_BRI):
        """Returns (queries, keys, values) of the input rows, each float32 [B, H, R, D]. Args: rows_BRI: float32."""
        projected = self.norm(on_rows(self.projection, rows_BRI, 3 * self.heads * self.head_size))
        shape = tf.concat([tf.shape(rows_BRI)[:2], [self.heads, 3 * self.head_size]], 0)
        return tf.split(tf.transpose(tf.reshape(projected, shape), [0, 2, 1, 3]), 3, axis=-1)

    def attend(self, queries_BHSD, keys_BHRD, values_BHRD):
        """Returns (concatenated heads float32 [B, S, H D], weights float32 [B, H, S, R] that sum to 1 over R).

        Args: queries_BHSD, keys_BHRD, values_BHRD: float32, of S attending and R attended rows, from `project`.
        """
        scores = tf.matmul(queries_BHSD, keys_BHRD, transpose_b=True) * self.head_size**-0.5
        weights_BHSR = tf.nn.softmax(scores)
        attended = tf.transpose(tf.matmul(weights_BHSR, values_BHRD), [0, 2, 1, 3])
        return tf.reshape(attended, tf.concat([tf.shape(attended)[:2], [self.heads * self.head_size]], 0)), weights_BHSR

    def __call__(self, rows_BRI):
        """Lets every row attend to all rows. Returns (outputs float32 [B, R, H D], weights float32 [B, H, R, R]).

        Args: rows_BRI: float32.
        """
        return self.attend(*self.project(rows_BRI))


@dataclasses.dataclass
class Looks:
    """Attention weights and gates of one step of the relational memory, for inspection.

    Attributes:
      weights: float32 [B, H, S, S + 1], the attention of each slot to the S slots and, last, to the input; sums to 1
        over the last axis.
      input_gate, forget_gate: float32 in 0 to 1, [B, S, M]; with one gate for each slot [B, S, 1].
    """

    weights: tf.Tensor
    input_gate: tf.Tensor
    forget_gate: tf.Tensor


class RelationalMemory(tf.Module):
    """The recurrent cell of the module docstring.

    Its state is the memory, float32 [B, S, M]; its output is the memory flattened to [B, S M].

    Attributes: slots: S. width: M. output_dim: S M.
    """

    def __init__(
        self,
        input_dim,
        seed,
        scope,
        slots=1,
        heads=2,
        head_size=256,
        gates="unit",
        forget_bias=1.0,
        input_bias=0.0,
    ):
        """Builds the cell with new weights.

        Args:
          input_dim: I. seed: int32 [2], seed of the initial weights. scope: prefix of the variables' names.
          slots: S. heads: H. head_size: D.
          gates: "unit" for one input gate and one forget gate for each unit of a slot, "slot" for one of each for each
            slot.
          forget_bias, input_bias: constants added to the gates before the sigmoid.
        """
        super().__init__()
        width = heads * head_size
        self.slots, self.width, self.output_dim = slots, width, slots * width
        self.forget_bias, self.input_bias = forget_bias, input_bias
        self.gate_dim = 2 * width if gates == "unit" else 2
        linear = lambda inputs, outputs, name: layers.Linear(  # noqa: E731
            inputs, outputs, fold_in(seed, name), f"{scope}/{name}"
        )
        self.input = linear(input_dim, width, "input")
        self.attention = Attention(width, heads, head_size, fold_in(seed, "attention"), f"{scope}/attention")
        self.norm_1, self.norm_2 = LayerNorm(width, f"{scope}/norm_1"), LayerNorm(width, f"{scope}/norm_2")
        self.mlp_1, self.mlp_2 = linear(width, width, "mlp_1"), linear(width, width, "mlp_2")
        self.gates_of_input = linear(width, self.gate_dim, "gates_of_input")
        self.gates_of_memory = linear(width, self.gate_dim, "gates_of_memory")

    def initial_memory(self, batch):
        """Returns the memory before the first step, zeros as in the authors' program: float32 [B, S, M].

        Args: batch: B.
        """
        return tf.zeros([batch, self.slots, self.width])

    def project(self, inputs_BI):
        """Returns the projections of an input: (key [B, H, 1, D], value [B, H, 1, D], term of the gates [B, 1, G]).

        All are float32. They do not depend on the memory, so they are computed for a whole sequence at once.

        Args: inputs_BI: float32.
        """
        e_B1M = self.input(inputs_BI)[:, None]
        _, key, value = self.attention.project(e_B1M)
        return key, value, on_rows(self.gates_of_input, e_B1M, self.gate_dim)

    def step(self, projected, memory_BSM):
        """Runs one step. Returns (new memory float32 [B, S, M], Looks).

        Args: projected: the result of `project` for the input of this step. memory_BSM: float32, the memory before it.
        """
        key, value, gates_of_input = projected
        queries, keys, values = self.attention.project(memory_BSM)
        attended, weights = self.attention.attend(queries, tf.concat([keys, key], 2), tf.concat([values, value], 2))
        p1 = self.norm_1(memory_BSM + attended)
        p2 = self.norm_2(p1 + on_rows(self.mlp_2, tf.nn.relu(on_rows(self.mlp_1, p1, self.width)), self.width))
        gates = gates_of_input + on_rows(self.gates_of_memory, tf.tanh(memory_BSM), self.gate_dim)
        i, f = tf.split(gates, 2, axis=-1)
        i, f = tf.sigmoid(i + self.input_bias), tf.sigmoid(f + self.forget_bias)
        new_BSM = tf.ensure_shape(i * tf.tanh(p2) + f * memory_BSM, [None, self.slots, self.width])
        return new_BSM, Looks(weights, i, f)

    def output(self, memory_BSM):
        """Returns the output of the cell for a memory, its slots concatenated: float32 [B, S M]."""
        return tf.reshape(memory_BSM, [-1, self.output_dim])

    def sequence(self, inputs_TBI, lengths_B, memory_BSM=None):
        """Runs the cell over a padded sequence.

        Args:
          inputs_TBI: float32.
          lengths_B: int32, number of valid steps in each row.
          memory_BSM: float32, the memory before the first step; None for zeros.

        Returns: (outputs float32 [T, B, S M], zero past a row's length; memory [B, S, M] after each row's last valid
          step).
        """
        steps, batch = tf.shape(inputs_TBI)[0], tf.shape(inputs_TBI)[1]
        memory_BSM = self.initial_memory(batch) if memory_BSM is None else memory_BSM
        in_time = lambda part: tf.reshape(part, tf.concat([[steps, batch], tf.shape(part)[1:]], 0))  # noqa: E731
        projected = [in_time(part) for part in self.project(tf.reshape(inputs_TBI, [-1, inputs_TBI.shape[-1]]))]
        valid_TB = tf.range(steps)[:, None] < lengths_B[None, :]

        def body(t, memory, outputs):
            new, _ = self.step([part[t] for part in projected], memory)
            valid = valid_TB[t][:, None, None]
            outputs = outputs.write(t, self.output(tf.where(valid, new, 0.0)))
            return t + 1, tf.where(valid, new, memory), outputs

        outputs = tf.TensorArray(tf.float32, steps, element_shape=[None, self.output_dim])
        _, memory_BSM, outputs = tf.while_loop(lambda t, *_: t < steps, body, (0, memory_BSM, outputs))
        outputs_TBO = outputs.stack()
        outputs_TBO.set_shape([inputs_TBI.shape[0], inputs_TBI.shape[1], self.output_dim])
        return outputs_TBO, memory_BSM
