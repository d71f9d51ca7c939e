"""The LSTM of the authors' program: one layer, gate order i, j, f, o, forget bias added at run time.

Shapes: B batch, T time, E input, H hidden, G = 4H gates. Sequences inside are time-major (TB..).
The recurrence has a hand-written gradient: the loop over time keeps only what is sequential, and the gradient of the
recurrent kernel is one matrix product over all steps instead of one small product and one addition per step.
"""

import tensorflow as tf

from models.randomness import fold_in

FORGET_BIAS = 1.0  # added to the gate at run time, never stored in the bias (UIC spec 7.2)


class BasicLSTM(tf.Module):
    """Variables of one LSTM cell, laid out and named as in the authors' checkpoints (UIC spec 7.4)."""

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
        """What is added to the gates beside the forget bias: float32 [4H]."""
        return self.bias

    def zero_state(self, batch):
        """(c, h) of zeros, each float32 [B, H]."""
        return tf.zeros([batch, self.hidden_dim]), tf.zeros([batch, self.hidden_dim])

    def step(self, inputs_BE, state):
        """One step. Returns the new state (c, h), each float32 [B, H]; h is the output."""
        gates_BG = tf.matmul(tf.concat([inputs_BE, state[1]], 1), self.kernel) + self.gate_bias
        return _cell(gates_BG, state[0])[:2]

    def sequence(self, inputs_TBE, lengths_B, state=None):
        """Runs the cell over a padded sequence.

        Args:
          inputs_TBE: float32 [T, B, E].
          lengths_B: int32 [B], valid steps of each row.
          state: (c, h) before the first step, zeros if None.

        Returns:
          outputs float32 [T, B, H], exactly zero past a row's length; the state (c, h) after each row's last step.
        """
        shape = tf.shape(inputs_TBE)
        steps, batch = shape[0], shape[1]
        c_BH, h_BH = state if state is not None else self.zero_state(batch)
        flat = tf.reshape(inputs_TBE, [steps * batch, self.input_dim])
        projected = tf.matmul(flat, self.kernel[: self.input_dim]) + self.gate_bias
        projected_TBG = tf.reshape(projected, [steps, batch, 4 * self.hidden_dim])
        mask_TB1 = tf.cast(tf.range(steps)[:, None] < lengths_B[None, :], tf.float32)[:, :, None]
        outputs_TBH, c_BH, h_BH = _recurrence(projected_TBG, mask_TB1, self.kernel[self.input_dim :], c_BH, h_BH)
        return outputs_TBH, (c_BH, h_BH)


class TwoBiasLSTM(BasicLSTM):
    """The cell as PyTorch has it: a second bias, no forget bias, all weights uniform in +-1/sqrt(H).

    The second bias adds nothing but its 4H parameters (the ResNet-152 tutorial counts them, spec 3.2).
    """

    def __init__(self, input_dim, hidden_dim, seed, scope):
        super().__init__(input_dim, hidden_dim, seed, scope)
        limit = hidden_dim**-0.5
        self.recurrent_bias = tf.Variable(tf.zeros([4 * hidden_dim]), name=f"{scope}/basic_lstm_cell/recurrent_bias")
        for number, variable in enumerate((self.kernel, self.bias, self.recurrent_bias)):
            variable.assign(tf.random.stateless_uniform(variable.shape, fold_in(seed, number), -limit, limit))
        one = tf.one_hot(2, 4, FORGET_BIAS)  # what `_cell` adds to the forget gate is taken off
        self._no_forget_bias = tf.repeat(one, hidden_dim)

    @property
    def gate_bias(self):
        return self.bias + self.recurrent_bias - self._no_forget_bias


def _cell(gates_BG, c_BH):
    """New (c, h) and the activated gates (i, j, f, o) of one step."""
    i, j, f, o = tf.split(gates_BG, 4, axis=1)
    i, j, f, o = tf.sigmoid(i), tf.tanh(j), tf.sigmoid(f + FORGET_BIAS), tf.sigmoid(o)
    new_c = c_BH * f + i * j
    return new_c, tf.tanh(new_c) * o, (i, j, f, o)


@tf.custom_gradient
def _recurrence(projected_TBG, mask_TB1, kernel_HG, c_BH, h_BH):
    """The sequential part of the LSTM: gates = projected input + h K. Returns outputs [T,B,H], last c, last h."""
    steps = tf.shape(projected_TBG)[0]
    new_array = lambda: tf.TensorArray(tf.float32, steps, element_shape=None)  # noqa: E731

    def forward(t, c, h, outputs, gates, cells):
        new_c, new_h, activated = _cell(projected_TBG[t] + tf.matmul(h, kernel_HG), c)
        m = mask_TB1[t]
        gates, cells = gates.write(t, tf.concat(activated, 1)), cells.write(t, c)
        outputs = outputs.write(t, m * new_h)
        return t + 1, m * new_c + (1 - m) * c, m * new_h + (1 - m) * h, outputs, gates, cells

    _, last_c, last_h, outputs, gates, cells = tf.while_loop(
        lambda t, *_: t < steps, forward, (0, c_BH, h_BH, new_array(), new_array(), new_array())
    )
    outputs_TBH, gates_TBG, cells_TBH = outputs.stack(), gates.stack(), cells.stack()
    outputs_TBH.set_shape([projected_TBG.shape[0], projected_TBG.shape[1], kernel_HG.shape[0]])

    def gradient(d_outputs_TBH, d_last_c, d_last_h):
        def backward(t, dc, dh, d_gates):
            m, c = mask_TB1[t], cells_TBH[t]
            i, j, f, o = tf.split(gates_TBG[t], 4, axis=1)
            tanh_c = tf.tanh(c * f + i * j)
            d_new_h = (dh + d_outputs_TBH[t]) * m
            d_new_c = dc * m + d_new_h * o * (1 - tanh_c * tanh_c)
            d_gate = tf.concat(
                [
                    d_new_c * j * i * (1 - i),
                    d_new_c * i * (1 - j * j),
                    d_new_c * c * f * (1 - f),
                    d_new_h * tanh_c * o * (1 - o),
                ],
                1,
            )
            dc = d_new_c * f + dc * (1 - m)
            dh = tf.matmul(d_gate, kernel_HG, transpose_b=True) + dh * (1 - m)
            return t - 1, dc, dh, d_gates.write(t, d_gate)

        _, dc, dh, d_gates = tf.while_loop(lambda t, *_: t >= 0, backward, (steps - 1, d_last_c, d_last_h, new_array()))
        d_gates_TBG = d_gates.stack()
        previous_TBH = tf.concat([h_BH[None], outputs_TBH[:-1]], 0)
        d_kernel = tf.matmul(
            tf.reshape(previous_TBH, [-1, kernel_HG.shape[0]]),
            tf.reshape(d_gates_TBG, [-1, kernel_HG.shape[1]]),
            transpose_a=True,
        )
        return d_gates_TBG, None, d_kernel, dc, dh

    return (outputs_TBH, last_c, last_h), gradient
