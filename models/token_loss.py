"""Cross entropy over the vocabulary without storing the logits of all tokens.

The output matrix is the embedding (tied weights). The weight of every token in the loss is known before the product
with the vocabulary (1/count for cross entropy, -advantage/count for the policy gradient). So one pass over a chunk of
rows computes both loss and gradients, and only one chunk of logits exists at a time.

Shapes: N tokens, H hidden, V vocabulary.
"""

import tensorflow as tf

from models.precision import matmul
from models.sampling import best_and_largest

LARGEST = 80_000_000  # maximum number of logits in a chunk


def weighted_cross_entropy(hidden_NH, embedding_VH, bias_V, targets_N, weights_N, chunk=None):
    """Returns the weighted cross entropy sum_n weights_n * -log p(target_n), and statistics of the tokens.

    Args:
      hidden_NH: float32, outputs of the network; N may be 0.
      embedding_VH: float32, output matrix.
      bias_V: float32, bias of the logits.
      targets_N: int32.
      weights_N: float32, constants: no gradient flows into them.
      chunk: number of rows of a chunk; None: 4,096, or fewer if these would have more than LARGEST logits.

    Returns: a tuple of
      loss: float32 scalar, differentiable with respect to hidden_NH, embedding_VH and bias_V.
      log_probs_N: float32, log p(target), no gradient.
      entropy_N: float32, entropy of the distribution in nats, no gradient.
      best_N: int32, the most probable token, no gradient.
    """
    embedding_VH, bias_V = tf.convert_to_tensor(embedding_VH), tf.convert_to_tensor(bias_V)
    chunk = chunk or _rows_of_a_chunk(embedding_VH)

    @tf.custom_gradient
    def forward(hidden, embedding, bias):
        results = _chunks(hidden, embedding, bias, targets_N, tf.stop_gradient(weights_N), chunk)
        loss, log_probs, entropy, best, d_hidden, d_embedding, d_bias = results

        def gradient(upstream, *_):
            return upstream * d_hidden, upstream * d_embedding, upstream * d_bias

        return (loss, log_probs, entropy, best), gradient

    loss, log_probs_N, entropy_N, best_N = forward(hidden_NH, embedding_VH, bias_V)
    return loss, tf.stop_gradient(log_probs_N), tf.stop_gradient(entropy_N), best_N


def _rows_of_a_chunk(embedding_VH):
    """Returns the number of rows of a chunk: 4,096, or fewer if these would have more than LARGEST logits."""
    return min(4096, max(256, LARGEST // embedding_VH.shape[0]))


def _chunks(hidden_NH, embedding_VH, bias_V, targets_N, weights_N, chunk):
    """Returns (loss, log_probs_N, entropy_N, best_N, gradients of the loss with respect to hidden, embedding and bias).

    They are accumulated over chunks of rows. Args: chunk: number of rows of a chunk.
    """
    rows = tf.shape(hidden_NH)[0]
    count = tf.maximum(1, (rows + chunk - 1) // chunk)
    new_array = lambda dtype: tf.TensorArray(dtype, count, infer_shape=False, element_shape=[None])  # noqa: E731
    hidden_array = tf.TensorArray(tf.float32, count, infer_shape=False, element_shape=[None, hidden_NH.shape[1]])

    def body(k, loss, log_probs, entropy, best, d_hidden, d_embedding, d_bias):
        first, last = k * chunk, tf.minimum((k + 1) * chunk, rows)
        h, target, weight = hidden_NH[first:last], targets_N[first:last], weights_N[first:last]
        logits = tf.nn.bias_add(matmul(h, embedding_VH, transpose_b=True), bias_V)
        best_word, largest = best_and_largest(logits)
        e = tf.exp(logits - largest[:, None])
        total = tf.reduce_sum(e, 1)
        picked = tf.gather(logits, target, batch_dims=1) - largest - tf.math.log(total)
        # d loss / d logits = weight (p - onehot), p = e / total. It is never formed: the factors of the rows multiply
        # the smaller operands of the two products, and the terms of `onehot` are subtracted from the results.
        scale = (weight / total)[:, None]
        vectors = matmul(e, embedding_VH)
        d_h = scale * vectors - weight[:, None] * tf.gather(embedding_VH, target)
        # mean logit under p, for the entropy: reuses `vectors`, so that only the bias needs one more product
        mean = (tf.einsum("nh,nh->n", h, vectors) + tf.linalg.matvec(e, bias_V)) / total
        return (
            k + 1,
            loss - tf.reduce_sum(weight * picked),
            log_probs.write(k, picked),
            entropy.write(k, tf.math.log(total) + largest - mean),
            best.write(k, best_word),
            d_hidden.write(k, d_h),
            d_embedding + matmul(e, scale * h, transpose_a=True),
            d_bias + matmul(e, scale, transpose_a=True)[:, 0],
        )

    start = (
        tf.constant(0),
        tf.constant(0.0),
        new_array(tf.float32),
        new_array(tf.float32),
        new_array(tf.int32),
        hidden_array,
        tf.zeros_like(embedding_VH),
        tf.zeros_like(bias_V),
    )
    _, loss, log_probs, entropy, best, d_hidden, d_embedding, d_bias = tf.while_loop(
        lambda k, *_: k < count, body, start, parallel_iterations=1
    )
    d_embedding = tf.tensor_scatter_nd_sub(d_embedding, targets_N[:, None], weights_N[:, None] * hidden_NH)
    d_bias = tf.tensor_scatter_nd_sub(d_bias, targets_N[:, None], weights_N)
    return loss, log_probs.concat(), entropy.concat(), best.concat(), d_hidden.concat(), d_embedding, d_bias


def divergence(target, hidden_NH, embedding_VH, bias_V, chunk=None):
    """Returns the sum over tokens of KL(target distribution || predicted distribution): float32 scalar.

    As in `weighted_cross_entropy` one pass over chunks of rows computes value and gradients, and only one chunk of
    logits exists at a time. It is differentiable with respect to hidden_NH, embedding_VH and bias_V.

    Args:
      target: (hidden_NH, embedding_VH, bias_V) of the target distributions; no gradient flows into them.
      hidden_NH, embedding_VH, bias_V: float32, the same of the predicted distributions; N may be 0.
      chunk: number of rows of a chunk; None: 4,096, or fewer if these would have more than LARGEST logits.
    """
    embedding_VH, bias_V = tf.convert_to_tensor(embedding_VH), tf.convert_to_tensor(bias_V)
    wanted_NH, wanted_VH, wanted_V = map(tf.convert_to_tensor, target)
    chunk = chunk or _rows_of_a_chunk(embedding_VH)

    def log_probabilities(hidden, matrix, bias):
        return tf.nn.log_softmax(tf.nn.bias_add(matmul(hidden, matrix, transpose_b=True), bias))

    @tf.custom_gradient
    def forward(hidden, embedding, bias):
        rows = tf.shape(hidden)[0]

        def body(first, total, d_hidden, d_embedding, d_bias):
            part = slice(first, tf.minimum(first + chunk, rows))
            wanted = log_probabilities(wanted_NH[part], wanted_VH, wanted_V)
            found = log_probabilities(hidden[part], embedding, bias)
            total += tf.reduce_sum(tf.exp(wanted) * (wanted - found))
            slope = tf.exp(found) - tf.exp(wanted)  # with respect to the logits
            d_hidden = d_hidden.write(first // chunk, matmul(slope, embedding))
            d_embedding += matmul(slope, hidden[part], transpose_a=True)
            return first + chunk, total, d_hidden, d_embedding, d_bias + tf.reduce_sum(slope, 0)

        count = tf.maximum(1, (rows + chunk - 1) // chunk)
        array = tf.TensorArray(tf.float32, count, infer_shape=False, element_shape=[None, hidden.shape[1]])
        start = (tf.constant(0), tf.constant(0.0), array, tf.zeros_like(embedding), tf.zeros_like(bias))
        _, total, d_hidden, d_embedding, d_bias = tf.while_loop(
            lambda first, *_: first < tf.maximum(rows, 1), body, start, parallel_iterations=1
        )

        def gradient(upstream):
            return upstream * d_hidden.concat(), upstream * d_embedding, upstream * d_bias

        return total, gradient

    return forward(hidden_NH, embedding_VH, bias_V)
