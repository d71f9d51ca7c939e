"""Show, Attend and Tell's network: its equations, decoding and teacher forcing agree, quirks."""

import types

import numpy as np
import pytest
import tensorflow as tf

from baselines.show_attend_tell.network import ShowAttendTell
from models import layers
from models.generator import shift_right

C, D, V = 6, 5, 11


def network(semantics="fixed", attend_word=False):
    options = types.SimpleNamespace(
        emb_dim=4,
        mem_dim=7,
        cell_dim=3,
        attention_units=8,
        attention_scale=2.0,
        keep_prob=0.5,
        semantics=semantics,
        attend_word=attend_word,
    )
    return ShowAttendTell(V, D, options, tf.constant([3, 4]))


def grids(batch=4):
    return tf.random.stateless_normal([batch, C, D], [1, 1])


@pytest.mark.parametrize("attend_word", [False, True])
def test_one_word_is_the_equations(attend_word):
    net = network(attend_word=attend_word)
    a = np.maximum(grids().numpy() @ net.projection.weights.numpy(), 0)
    h, (word,) = np.random.default_rng(0).normal(size=(4, 7)).astype(np.float32), net.embedding.numpy()[2:3]
    attention = net.attention
    w1, w2, v = (layer.weights.numpy() for layer in (attention.keys_layer, attention.query_layer, attention.score))
    query = np.concatenate([h, np.tile(word, (4, 1))], 1) if attend_word else h
    score = 2.0 * np.tanh(a @ w1 + (query @ w2)[:, None]) @ v
    alpha = np.exp(score[..., 0]) / np.exp(score).sum(1)
    context = np.einsum("bc,bca->ba", alpha, a)
    x = np.concatenate([context, np.tile(word, (4, 1))], 1)
    expected = net.cell.step(tf.constant(x, tf.float32), (tf.constant(h),))[0]
    state = (tf.constant(h), tf.constant(a), net.attention.keys(tf.constant(a)))
    output, new = net.step(tf.tile(net.embedding[2:3], [4, 1]), state)
    np.testing.assert_allclose(new[0], expected, atol=1e-5)
    np.testing.assert_allclose(output, expected @ net.hidden_layer.weights, atol=1e-5)


@pytest.mark.parametrize(("semantics", "attend_word"), [("fixed", False), ("reference", False), ("fixed", True)])
@pytest.mark.parametrize("dropout", [False, True])
def test_teacher_forcing_repeats_what_decoding_did(semantics, attend_word, dropout):
    net = network(semantics, attend_word)
    feature = net.image_feature(grids())
    masks = net.masks(4, 9, tf.constant([5, 6]) if dropout else None)
    state = net.initial_state(feature, masks)
    words = net.decode(state, 9, masks)
    lengths = layers.sequence_lengths(words)
    hidden = net.hidden_states(state, shift_right(words), lengths, masks)
    best = tf.argmax(net.logits(tf.reshape(hidden, [-1, 7])), 1, tf.int32)
    valid = tf.reshape(layers.mask_of(lengths, 9), [-1]) > 0
    np.testing.assert_array_equal(best[valid], tf.reshape(words, [-1])[valid])
    assert np.all(hidden.numpy()[~tf.sequence_mask(lengths, 9).numpy()] == 0)


def test_rows_of_attention_sum_to_one_on_a_grid_of_64_cells():
    net = network()
    net.attention.score.weights.assign(net.attention.score.weights * 50)  # peaked
    grid = 10 * tf.random.stateless_normal([3, 64, D], [1, 2])
    weights = net.attention_weights(net.image_feature(grid), tf.constant([[0, 2, 3], [0, 4, 5], [0, 9, 1]]))
    assert weights.shape == (3, 3, 64)
    np.testing.assert_allclose(tf.reduce_sum(weights, 2), 1.0, atol=1e-5)
    assert weights.numpy().max() > 0.5


def test_where_it_looks_depends_on_the_cells_not_on_their_places():
    net, order = network(), [3, 1, 5, 0, 2, 4]
    tokens = tf.constant([[0, 2, 3, 4]] * 4)
    weights = net.attention_weights(net.image_feature(grids()), tokens)
    moved = net.attention_weights(net.image_feature(tf.gather(grids(), order, axis=1)), tokens)
    np.testing.assert_allclose(tf.gather(weights, order, axis=2), moved, atol=1e-6)


def test_under_reference_the_gru_forgets():
    """The tutorial's GRU gets the state only through attention; with equal grid cells the state has no effect."""
    equal = tf.tile(grids()[:, :1], [1, C, 1])
    outputs = {}
    for semantics in ("fixed", "reference"):
        net = network(semantics)
        state, lengths = net.initial_state(net.image_feature(equal)), tf.constant([3] * 4)
        first = net.hidden_states(state, tf.constant([[0, 2, 3]] * 4), lengths)[:, -1]
        second = net.hidden_states(state, tf.constant([[0, 5, 3]] * 4), lengths)[:, -1]
        outputs[semantics] = np.abs(first - second).max()
    assert outputs["reference"] < 1e-6 < 1e-3 < outputs["fixed"]
