"""The generator: sizes, reused dropout masks, decoding against a step-by-step loop."""

import numpy as np
import pytest
import tensorflow as tf

from models import layers, sampling
from models.generator import Generator, Masks, shift_right
from models.token_loss import weighted_cross_entropy

V, D, H, B, T = 23, 7, 8, 40, 12
SEED = tf.constant([1, 2], tf.int32)
DRAW = tf.constant([3, 4], tf.int32)


@pytest.fixture
def generator():
    """Large weights, so that dropout and words matter."""
    generator = Generator(V, D, H, H, 0.8, SEED)
    generator.embedding.assign(tf.random.stateless_normal([V, H], SEED))
    generator.basic_lstm_cell.kernel.assign(tf.random.stateless_normal([2 * H, 4 * H], SEED))
    return generator


@pytest.fixture
def feature(generator):
    return generator.image_feature(tf.random.stateless_normal([B, D], [9, 9]))


def step_by_step(generator, feature, masks, draw_seed):
    """Returns (words [B, T], log-probabilities [B, T]) of the sampler, computed step by step."""
    state = generator.initial_state(feature, masks)
    word, words, log_probs = tf.zeros([B], tf.int32), [], []
    for t in range(T):
        inputs = tf.gather(generator.embedding, word) * masks.inputs_TBE[t]
        state = generator.basic_lstm_cell.step(inputs, state)
        logits = generator.logits(state[1] * masks.outputs_TBH[t])
        word = sampling.drawn(logits, sampling.uniforms(draw_seed, T, B)[t])
        words.append(word)
        log_probs.append(tf.gather(tf.nn.log_softmax(logits), word, batch_dims=1))
    return tf.stack(words, 1), tf.stack(log_probs, 1)


def second_pass(generator, feature, sample, lengths, masks):
    """Returns log p of the given words by one teacher-forced pass: float32 [B, T], zero past the lengths."""
    state = generator.initial_state(feature, masks)
    hidden = generator.hidden_states(state, shift_right(sample), lengths, masks)
    weights = tf.reshape(layers.mask_of(lengths, T), [-1])
    flat = tf.reshape(hidden, [-1, H]), generator.embedding, generator.softmax_b, tf.reshape(sample, [-1]), weights
    return tf.reshape(weighted_cross_entropy(*flat)[1] * weights, [B, T])


def test_parameters_of_the_paper():
    generator = Generator(18669, 1536, 512, 512, 0.8, SEED)
    assert sum(int(tf.size(variable)) for variable in generator.trainable_variables) == 12_463_341


def test_initial_weights(generator):
    fresh = Generator(300, D, H, H, 0.8, SEED)
    assert 0.07 < np.abs(fresh.embedding).max() <= 0.08
    assert 0.09 < np.abs(fresh.softmax_b).max() <= 0.1  # sqrt(3 / 300): the bias does not start at zero


def test_unequal_sizes_are_refused():
    with pytest.raises(ValueError, match="emb_dim 8 and mem_dim 9"):
        Generator(V, D, 8, 9, 0.8, SEED)


def test_sample_equals_step_by_step(generator, feature):
    masks = generator.masks(B, T, DRAW)
    state = generator.initial_state(feature, masks)
    sample = generator.decode(state, T, masks, DRAW, at_least_B=tf.fill([B], T))
    np.testing.assert_array_equal(sample, step_by_step(generator, feature, masks, DRAW)[0])


def test_second_pass_repeats_the_samplers_masks(generator, feature):
    """With dropout on, log-probabilities equal the sampler's to 1e-5; with fresh masks they differ."""
    masks = generator.masks(B, T, DRAW)
    sample, own = step_by_step(generator, feature, masks, DRAW)
    lengths = layers.sequence_lengths(sample)
    assert len(set(lengths.numpy())) > 3
    own *= layers.mask_of(lengths, T)
    np.testing.assert_allclose(second_pass(generator, feature, sample, lengths, masks), own, atol=1e-5, rtol=1e-5)
    fresh = generator.masks(B, T, DRAW + 1)
    assert np.abs(second_pass(generator, feature, sample, lengths, fresh) - own).max() > 0.1


def test_masks(generator):
    """Inverted dropout with an independent mask for every step, row and position."""
    masks = generator.masks(B, T, DRAW)
    drawn = [masks.image_BE.numpy(), masks.inputs_TBE.numpy(), masks.outputs_TBH.numpy()]
    for mask in drawn:
        assert set(np.unique(mask)) == {0.0, 1.25}
        assert abs(np.mean(mask > 0) - 0.8) < 0.05
    assert np.any(drawn[1][0] != drawn[1][1]) and np.any(drawn[1] != drawn[2])
    assert generator.masks(B, T, None).inputs_TBE is None
    assert Generator(V, D, H, H, 1.0, SEED).masks(B, T, DRAW).outputs_TBH is None


def test_decoding_stops_at_the_end_token(generator, feature):
    """Words after the end token are 0; with `at_least_B` they are decoded up to that length."""
    state = generator.initial_state(feature)
    everything = generator.decode(state, T, None, DRAW, tf.fill([B], T)).numpy()
    lengths = layers.sequence_lengths(everything).numpy()
    assert lengths.min() < T
    column = np.arange(T)[None]
    stopped = np.where(column < lengths[:, None], everything, 0)
    np.testing.assert_array_equal(generator.decode(state, T, None, DRAW), stopped)
    at_least = np.arange(B) % T
    longer = np.where(column < np.maximum(lengths, at_least)[:, None], everything, 0)
    np.testing.assert_array_equal(generator.decode(state, T, None, DRAW, tf.constant(at_least, tf.int32)), longer)


@pytest.mark.parametrize("goes_on", [False, True])
@pytest.mark.parametrize("compiled", [False, True])
def test_sample_and_greedy_are_those_of_two_decodings(generator, feature, goes_on, compiled):
    """The captions are equal also where rows end at different steps and drop out of the loop."""
    masks, others = generator.masks(B, T, DRAW), generator.masks(B, T, DRAW + 1)
    state = generator.initial_state(feature, masks)
    sample = generator.decode(state, T, masks, DRAW)
    lengths = layers.sequence_lengths(sample)
    assert len(set(lengths.numpy())) > 3
    greedy = generator.decode(state, T, others, None, lengths if goes_on else None)
    both = lambda: generator.sample_and_greedy(state, T, masks, others, DRAW, goes_on)  # noqa: E731
    found = (tf.function(both) if compiled else both)()
    np.testing.assert_array_equal(found[0], sample)
    np.testing.assert_array_equal(found[1], greedy)


def test_forced_lengths(generator, feature):
    """Every caption ends at its forced length; the benchmark uses this."""
    generator.forced_lengths_B = tf.constant(1 + np.arange(B) % T, tf.int32)
    state = generator.initial_state(feature)
    for words in generator.sample_and_greedy(state, T, Masks(), Masks(), DRAW):
        np.testing.assert_array_equal(layers.sequence_lengths(words), generator.forced_lengths_B)
        assert np.all((words.numpy() > 0) == (np.arange(T)[None] < generator.forced_lengths_B.numpy()[:, None]))


def test_greedy_takes_the_most_probable_word(generator, feature):
    words = generator.decode(generator.initial_state(feature), T)
    lengths = layers.sequence_lengths(words)
    state = generator.initial_state(feature)
    hidden = generator.hidden_states(state, shift_right(words), lengths)
    best = tf.argmax(generator.logits(tf.reshape(hidden, [-1, H])), 1, tf.int32)
    best = tf.reshape(best, [B, T]) * tf.sequence_mask(lengths, T, tf.int32)
    np.testing.assert_array_equal(words, best)


def test_input_embedding(generator, feature):
    """A given embedding for the inputs, the network's own for the outputs (quirk Q8)."""
    other = tf.random.stateless_normal([V, H], [5, 5])
    state = generator.initial_state(feature)
    own, given = generator.decode(state, T), generator.decode(state, T, input_embedding=other)
    assert np.any(own != given)
    same = generator.decode(state, T, input_embedding=tf.convert_to_tensor(generator.embedding))
    np.testing.assert_array_equal(own, same)


def test_feature_scale_enters_the_lstm_alone():
    plain, scaled = (Generator(V, D, H, H, 1.0, SEED, scale) for scale in (1.0, 3.0))
    image = tf.random.stateless_normal([B, D], [9, 9])
    np.testing.assert_array_equal(plain.image_feature(image), scaled.image_feature(image))
    np.testing.assert_allclose(tf.norm(scaled.image_feature(image), axis=1), np.ones(B), rtol=1e-5)
    expected = plain.initial_state(3.0 * plain.image_feature(image))
    np.testing.assert_allclose(scaled.initial_state(scaled.image_feature(image)), expected, atol=1e-6)
