"""The LSTM of the authors' program: one layer, gates in the order i, j, f, o, forget bias added at run time.

j is the candidate, often called g. The gradient of the recurrence is written by hand: the loop over time does only the
sequential work, and the gradient of the recurrent kernel is one matrix product over all steps instead of one small
product and one addition per step. Rows are sorted by length inside, so that a step computes only the rows that have
not ended.

Shapes: B batch, T time, E input, H hidden, G = 4H gates. Sequences inside are time-major (TB..).
"""

import tensorflow as tf

from models.precision import matmul
from models.randomness import fold_in

FORGET_BIAS = 1.0  # added to the gate at run time, never stored in the bias


class BasicLSTM(tf.Module):
    """One LSTM cell whose variables have the shapes and names of the authors' checkpoints.

    Args: input_dim: E. hidden_dim: H. seed: int32 [2] of the initial weights. scope: prefix of the variables' names.
    """

    def __init__(self, input_dim, hidden_dim, seed, scope):
        super().__init__()
        shape = [input_dim + hidden_dim, 4 * hidden_dim]
        limit = (6.0 / sum(shape)) ** 0.5  # glorot-uniform
        kernel = tf.random.stateless_uniform(shape, seed, -limit, limit)
        self.kernel = tf.Variable(kernel, name=f"{scope}/basic_lstm_cell/kernel")
        self.bias = tf.Variable(tf.zeros([4 * hidden_dim]), name=f"{scope}/basic_lstm_cell/bias")
        self.input_dim, self.hidden_dim = input_dim, hidden_dim

    @property
    def gate_bias(self):
        """The bias of the gates, without FORGET_BIAS: float32 [4H]."""
        return self.bias

    def zero_state(self, batch):
        """Returns the state (c, h) of zeros, each float32 [B, H]. Args: batch: B."""
        return tf.zeros([batch, self.hidden_dim]), tf.zeros([batch, self.hidden_dim])

    def step(self, inputs_BE, state):
        """Runs one step. Returns the new state (c, h), each float32 [B, H]; h is the output.

        Args: inputs_BE: float32. state: (c, h) before the step.
        """
        gates_BG = tf.nn.bias_add(matmul(tf.concat([inputs_BE, state[1]], 1), self.kernel), self.gate_bias)
        return _cell(gates_BG, state[0])[:2]

    def sequence(self, inputs_TBE, lengths_B, state=None):
        """Runs the cell over a padded sequence.

        Args:
          inputs_TBE: float32. lengths_B: int32, number of valid steps of each row.
          state: (c, h) before the first step, each float32 [B, H]; None for zeros.

        Returns: (outputs float32 [T, B, H], exactly zero past a row's length; state (c, h) after each row's last step).
        """
        shape = tf.shape(inputs_TBE)
        steps, batch = shape[0], shape[1]
        c_BH, h_BH = state if state is not None else self.zero_state(batch)
        flat = tf.reshape(inputs_TBE, [steps * batch, self.input_dim])
        projected = tf.nn.bias_add(matmul(flat, self.kernel[: self.input_dim]), self.gate_bias)
        projected_TBG = tf.reshape(projected, [steps, batch, 4 * self.hidden_dim])
        order_B = tf.argsort(lengths_B, direction="DESCENDING", stable=True)
        rows_T = tf.reduce_sum(tf.cast(tf.range(steps)[:, None] < lengths_B[None, :], tf.int32), 1)
        recurrent = self.kernel[self.input_dim :]
        outputs_TBH, c_BH, h_BH = _recurrence(projected_TBG, order_B, rows_T, recurrent, c_BH, h_BH)
        return outputs_TBH, (c_BH, h_BH)


class TwoBiasLSTM(BasicLSTM):
    """PyTorch's LSTM cell: a second bias, no forget bias, all weights uniform in +-1/sqrt(H).

    The second bias changes nothing but the number of parameters (4H more), so that the recipe
    show_tell_resnet152/show_tell has as many as the PyTorch tutorial that it reproduces.

    Args: input_dim: E. hidden_dim: H. seed: int32 [2] of the initial weights. scope: prefix of the variables' names.
    """

    def __init__(self, input_dim, hidden_dim, seed, scope):
        super().__init__(input_dim, hidden_dim, seed, scope)
        limit = hidden_dim**-0.5
        self.recurrent_bias = tf.Variable(tf.zeros([4 * hidden_dim]), name=f"{scope}/basic_lstm_cell/recurrent_bias")
        for number, variable in enumerate((self.kernel, self.bias, self.recurrent_bias)):
            variable.assign(tf.random.stateless_uniform(variable.shape, fold_in(seed, number), -limit, limit))
        one = tf.one_hot(2, 4, FORGET_BIAS)  # cancels what `_cell` adds to the forget gate
        self._no_forget_bias = tf.repeat(one, hidden_dim)

    @property
    def gate_bias(self):
        return self.bias + self.recurrent_bias - self._no_forget_bias


def _cell(gates_BG, c_BH):
    """Returns (new c, new h, activated gates (i, j, f, o)) of one step, each float32 [B, H]."""
    i, j, f, o = tf.split(gates_BG, 4, axis=1)
    i, j, f, o = tf.sigmoid(i), tf.tanh(j), tf.sigmoid(f + FORGET_BIAS), tf.sigmoid(o)
    new_c = c_BH * f + i * j
    return new_c, tf.tanh(new_c) * o, (i, j, f, o)


@tf.custom_gradient
def _recurrence(projected_TBG, order_B, rows_T, kernel_HG, c_BH, h_BH):
    """Runs the sequential part of the LSTM: gates = projected_TBG[t] + h kernel_HG.

    Args:
      projected_TBG: float32, inputs times their part of the kernel, plus bias.
      order_B: int32, row indices sorted by length, longest first.
      rows_T: int32, number of rows that have a word at each step: the first ones of `order_B`. Only they are computed.
      kernel_HG: float32, recurrent part of the kernel. c_BH, h_BH: float32, state before the first step.

    Returns: (outputs [T, B, H], zero past a row's length; c and h after each row's last step, each [B, H]).
    """
    steps = tf.shape(projected_TBG)[0]
    place_B = tf.math.invert_permutation(order_B)
    new_array = lambda: tf.TensorArray(tf.float32, steps, element_shape=None)  # noqa: E731
    zeros_BG = tf.zeros_like(projected_TBG[0])
    zeros_BH = tf.zeros_like(h_BH)

    def filled(first, rest):  # replaces the first rows of `rest`
        return tf.ensure_shape(tf.concat([first, rest[tf.shape(first)[0] :]], 0), rest.shape)

    def back(values):  # from the order by length to the caller's order
        return tf.gather(values, place_B)

    def forward(t, c, h, outputs, gates, cells):
        n = rows_T[t]
        here = tf.gather(projected_TBG[t], order_B[:n])
        new_c, new_h, activated = _cell(here + matmul(h[:n], kernel_HG), c[:n])
        gates, cells = gates.write(t, filled(tf.concat(activated, 1), zeros_BG)), cells.write(t, c)
        outputs = outputs.write(t, back(filled(new_h, zeros_BH)))
        return t + 1, filled(new_c, c), filled(new_h, h), outputs, gates, cells

    start = (0, tf.gather(c_BH, order_B), tf.gather(h_BH, order_B), new_array(), new_array(), new_array())
    _, last_c, last_h, outputs, gates, cells = tf.while_loop(lambda t, *_: t < steps, forward, start)
    outputs_TBH, gates_TBG, cells_TBH = outputs.stack(), gates.stack(), cells.stack()
    outputs_TBH.set_shape([projected_TBG.shape[0], projected_TBG.shape[1], kernel_HG.shape[0]])

    def gradient(d_outputs_TBH, d_last_c, d_last_h):
        def backward(t, dc, dh, d_gates):
            n = rows_T[t]
            c = cells_TBH[t][:n]
            i, j, f, o = tf.split(gates_TBG[t][:n], 4, axis=1)
            tanh_c = tf.tanh(c * f + i * j)
            d_new_h = dh[:n] + tf.gather(d_outputs_TBH[t], order_B[:n])
            d_new_c = dc[:n] + d_new_h * o * (1 - tanh_c * tanh_c)
            d_gate = tf.concat(
                [
                    d_new_c * j * i * (1 - i),
                    d_new_c * i * (1 - j * j),
                    d_new_c * c * f * (1 - f),
                    d_new_h * tanh_c * o * (1 - o),
                ],
                1,
            )
            dc, dh = filled(d_new_c * f, dc), filled(matmul(d_gate, kernel_HG, transpose_b=True), dh)
            return t - 1, dc, dh, d_gates.write(t, back(filled(d_gate, zeros_BG)))

        start = (steps - 1, tf.gather(d_last_c, order_B), tf.gather(d_last_h, order_B), new_array())
        _, dc, dh, d_gates = tf.while_loop(lambda t, *_: t >= 0, backward, start)
        d_gates_TBG = d_gates.stack()
        previous_TBH = tf.concat([h_BH[None], outputs_TBH[:-1]], 0)
        d_kernel = matmul(
            tf.reshape(previous_TBH, [-1, kernel_HG.shape[0]]),
            tf.reshape(d_gates_TBG, [-1, kernel_HG.shape[1]]),
            transpose_a=True,
        )
        return d_gates_TBG, None, None, d_kernel, back(dc), back(dh)

    return (outputs_TBH, back(last_c), back(last_h)), gradient
