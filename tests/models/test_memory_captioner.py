"""R2M's networks: sizes, step-by-step decoding against teacher forcing, effect of the order of concepts."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from baselines.r2m import memory_captioner
from baselines.r2m.memory_captioner import Sizes
from models.decoding import beam_search
from models.generator import END_ID

SEED = tf.constant([3, 4], tf.int32)
SIZES = Sizes(8, 1, 2, "unit", 1.0, "attention", False)
VOCABULARY = 13


def count(*networks):
    return sum(int(tf.size(variable)) for network in networks for variable in network.trainable_variables)


def test_parameters_of_the_authors_model():
    encoder, decoder, reconstructor = memory_captioner.build(
        18_680, Sizes(512, 1, 2, "unit", 1.0, "attention", False), 0.8, SEED
    )
    assert count(encoder, decoder, reconstructor) == 27_562_744
    assert count(encoder, decoder) == 24_931_064
    assert count(decoder.fusion) == 791_040


@pytest.fixture(params=[{}, {"mem_slots": 3, "fm_residual": True}, {"fusion": "concat", "gates": "slot"}])
def networks(request):
    sizes = dataclasses.replace(SIZES, **request.param)
    encoder, decoder, reconstructor = memory_captioner.build(VOCABULARY, sizes, 0.8, SEED)
    decoder.output_words.assign(decoder.output_words * 20.0)  # so that words differ in probability
    return encoder, decoder, reconstructor


KEY, LENGTHS = tf.constant([[3, 4, 5], [6, 0, 0], [0, 0, 0]]), tf.constant([3, 1, 0])


def test_v_has_length_1_and_depends_on_the_order(networks):
    v = networks[0](KEY, LENGTHS)
    np.testing.assert_allclose(tf.norm(v, axis=1), [1, 1, 0], atol=1e-6)
    other = networks[0](tf.constant([[4, 3, 5]]), tf.constant([3]))
    assert np.abs(other - v[:1]).max() > 1e-3
    assert np.abs(networks[0](KEY, LENGTHS, SEED) - v).max() > 1e-3, "dropout"


def test_greedy_words_are_the_likeliest_under_teacher_forcing(networks):
    encoder, decoder, _ = networks
    v = encoder(KEY, LENGTHS)
    words = decoder.decode(decoder.initial_state(v), 7, input_embedding=encoder.embedding)
    outputs = memory_captioner.read_words(decoder, v, words, tf.fill([3], 7), encoder.embedding)
    assert outputs.shape == (3, 7, decoder.memory.output_dim)
    likeliest = tf.argmax(decoder.logits(tf.reshape(outputs, [21, -1])), 1, tf.int32)
    for row, wanted in zip(words.numpy(), tf.reshape(likeliest, [3, 7]).numpy(), strict=True):
        end = row.tolist().index(END_ID) + 1 if END_ID in row else 7
        np.testing.assert_array_equal(row[:end], wanted[:end])


def test_beam_search_sums_the_log_probabilities_of_teacher_forcing(networks):
    encoder, decoder, _ = networks
    v = encoder(KEY, LENGTHS)
    found = beam_search(decoder, decoder.initial_state(v), 2, 6, input_embedding=encoder.embedding)
    words, lengths = found.words[:, 0], found.lengths[:, 0]
    outputs = memory_captioner.read_words(decoder, v, words, lengths, encoder.embedding)
    log_p = tf.nn.log_softmax(decoder.logits(tf.reshape(outputs, [-1, decoder.memory.output_dim])))
    picked = tf.reshape(tf.gather(log_p, tf.reshape(words, [-1]), batch_dims=1), words.shape)
    summed = tf.reduce_sum(picked * tf.sequence_mask(lengths, 5, tf.float32), 1)
    np.testing.assert_allclose(summed, found.log_probs[:, 0], atol=1e-4)


def test_the_reconstruction_is_the_last_output(networks):
    encoder, decoder, reconstructor = networks
    outputs = tf.random.stateless_normal([2, 4, decoder.memory.output_dim], SEED)
    whole = memory_captioner.reconstruct(reconstructor, outputs, tf.constant([4, 2]))
    assert whole.shape == (2, 8), "one slot whatever the decoder has"
    cut = memory_captioner.reconstruct(reconstructor, outputs[1:, :2], tf.constant([2]))
    np.testing.assert_allclose(whole[1:], cut, atol=1e-6)
