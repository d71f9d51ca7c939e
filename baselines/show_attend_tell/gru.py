"""A GRU cell of two kinds: TensorFlow 1's, and Keras' with the reset gate applied after the matrix product.

Shapes: B batch, T time, E input, H hidden. Both compute the gates r (reset) and u (update) in this order; u is the
share of the old state that is kept.
"""

import tensorflow as tf

from models import layers
from models.randomness import fold_in


class GRU(tf.Module):
    """A GRU cell whose state is the tuple (h,). In the formulas * is elementwise.

    reset_after False: candidate = tanh([x, r * h] W + b), as in TensorFlow 1's GRUCell (img2txt).
    reset_after True: candidate = tanh(x W + b + r * (h U + b')), Keras' default (the attention tutorial); with the
    second bias b' it has (E + H) * 3H + 6H parameters instead of (E + H) * 3H + 3H.

    Args: input_dim: E. hidden_dim: H. seed: int32 [2], seed of the initial weights. reset_after: bool.
    """

    def __init__(self, input_dim, hidden_dim, seed, reset_after):
        super().__init__()
        draw = lambda rows, purpose: layers.glorot_uniform([rows, 3 * hidden_dim], fold_in(seed, purpose))  # noqa: E731
        self.kernel = tf.Variable(draw(input_dim, "kernel"))
        self.recurrent_kernel = tf.Variable(draw(hidden_dim, "recurrent kernel"))
        # TensorFlow 1 initialises the biases of the gates with 1, so that the old state is kept at first.
        gates = 0.0 if reset_after else 1.0
        self.bias = tf.Variable(tf.concat([tf.fill([2 * hidden_dim], gates), tf.zeros([hidden_dim])], 0))
        self.recurrent_bias = tf.Variable(tf.zeros([3 * hidden_dim])) if reset_after else None
        self.hidden_dim, self.reset_after = hidden_dim, reset_after

    def zero_state(self, batch):
        """Returns the zero state (h,), h float32 [B, H]. Args: batch: B."""
        return (tf.zeros([batch, self.hidden_dim]),)

    def step(self, inputs_BE, state):
        """Runs one step. Returns the new state (h,); h, float32 [B, H], is also the output.

        Args: inputs_BE: float32. state: (h,) before the step.
        """
        return (self._step(tf.matmul(inputs_BE, self.kernel) + self.bias, state[0]),)

    def _step(self, projected, h):
        """Returns the new h: float32 [B, H].

        Args: projected: float32 [B, 3H], the product x W + b of the step's input. h: float32 [B, H], the old h.
        """
        size = self.hidden_dim
        if self.reset_after:
            recurrent = tf.matmul(h, self.recurrent_kernel) + self.recurrent_bias
            r, u = tf.split(tf.sigmoid(projected[:, : 2 * size] + recurrent[:, : 2 * size]), 2, axis=1)
            candidate = tf.tanh(projected[:, 2 * size :] + r * recurrent[:, 2 * size :])
        else:
            gates = tf.matmul(h, self.recurrent_kernel[:, : 2 * size])
            r, u = tf.split(tf.sigmoid(projected[:, : 2 * size] + gates), 2, axis=1)
            candidate = tf.tanh(projected[:, 2 * size :] + tf.matmul(r * h, self.recurrent_kernel[:, 2 * size :]))
        return u * h + (1 - u) * candidate

    def sequence(self, inputs_TBE, lengths_B, state=None):
        """Runs the cell over a padded sequence.

        Args:
          inputs_TBE: float32. lengths_B: int32, number of valid steps in each row.
          state: (h,) before the first step; None for zeros.

        Returns: (outputs float32 [T, B, H], zero past a row's length; state (h,) after each row's last valid step).
        """
        shape = tf.shape(inputs_TBE)
        (h_BH,) = state if state is not None else self.zero_state(shape[1])
        flat = tf.reshape(inputs_TBE, [shape[0] * shape[1], inputs_TBE.shape[2]])
        projected = tf.matmul(flat, self.kernel) + self.bias
        projected_TBG = tf.reshape(projected, [shape[0], shape[1], 3 * self.hidden_dim])
        mask_TB1 = tf.cast(tf.range(shape[0])[:, None] < lengths_B[None, :], tf.float32)[:, :, None]

        def body(t, h, outputs):
            m, new = mask_TB1[t], self._step(projected_TBG[t], h)
            return t + 1, m * new + (1 - m) * h, outputs.write(t, m * new)

        outputs = tf.TensorArray(tf.float32, shape[0], element_shape=[None, self.hidden_dim])
        _, h_BH, outputs = tf.while_loop(lambda t, *_: t < shape[0], body, (0, h_BH, outputs))
        return outputs.stack(), (h_BH,)
