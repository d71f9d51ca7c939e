"""The discriminator: sizes, heads, dropout, positions past the end."""

import numpy as np
import pytest
import tensorflow as tf

from models.discriminator import Discriminator

V, H = 23, 8
SEED = tf.constant([1, 2], tf.int32)
TOKENS = tf.constant([[4, 5, 6, 1, 0], [7, 1, 9, 9, 9], [3, 3, 3, 3, 3]])
LENGTHS = tf.constant([4, 2, 5])


@pytest.fixture
def discriminator():
    return Discriminator(V, H, H, 0.8, SEED)


def test_parameters_of_the_paper():
    discriminator = Discriminator(18669, 512, 512, 0.8, SEED)
    assert sum(int(tf.size(variable)) for variable in discriminator.trainable_variables) == 11_920_897


def test_words_past_the_end_have_no_influence(discriminator):
    discriminator.fc.biases.assign([0.7])
    logits, feature = discriminator(TOKENS, LENGTHS, SEED)
    changed = tf.where(tf.sequence_mask(LENGTHS, 5), TOKENS, 2)
    np.testing.assert_array_equal(discriminator(changed, LENGTHS, SEED)[0], logits)
    np.testing.assert_array_equal(discriminator(changed, LENGTHS, SEED)[1], feature)
    np.testing.assert_allclose(logits[1, 2:], [0.7] * 3)  # only the bias of fc is left
    np.testing.assert_allclose(tf.norm(feature, axis=1), np.ones(3), rtol=1e-5)


@pytest.mark.parametrize("seed", [SEED, None])
def test_several_sets_are_read_in_one_pass(discriminator, seed):
    """Sets of different sizes and lengths, each with its own dropout, give the same as reading them one by one."""
    more, lengths = tf.constant([[4, 5, 1], [7, 1, 9]]), tf.constant([3, 2])
    found = discriminator.read_all((TOKENS, LENGTHS, seed), (more, lengths, None if seed is None else seed + 1))
    expected = [
        discriminator.read(TOKENS, LENGTHS, seed)[0],
        discriminator.read(more, lengths, None if seed is None else seed + 1)[0],
    ]
    for one, two in zip(found, expected, strict=True):
        assert one.shape == two.shape
        np.testing.assert_allclose(one, two, atol=1e-6)


def test_feature_comes_from_the_last_dropped_output(discriminator):
    """Quirk Q10: the feature comes from the output after dropout, not from the clean state that `read` also returns."""
    outputs, hidden = discriminator.read(TOKENS, LENGTHS, SEED)
    last = np.stack([outputs[length - 1, row] for row, length in enumerate(LENGTHS.numpy())])
    dropped = last == 0
    assert 0 < dropped.mean() < 0.6
    np.testing.assert_allclose(last[~dropped], 1.25 * hidden.numpy()[~dropped], rtol=1e-6)
    recon = last @ discriminator.recon.weights + discriminator.recon.biases
    expected = recon / np.linalg.norm(recon, axis=1, keepdims=True)
    np.testing.assert_allclose(discriminator.sentence_feature(outputs, LENGTHS), expected, atol=1e-6)


def test_dropout_depends_on_the_seed_and_can_be_off(discriminator):
    judge = lambda seed: discriminator(TOKENS, LENGTHS, seed)[0].numpy()  # noqa: E731
    np.testing.assert_array_equal(judge(SEED), judge(SEED))
    assert np.any(judge(SEED) != judge(SEED + 1))
    np.testing.assert_array_equal(judge(None), Discriminator(V, H, H, 1.0, SEED)(TOKENS, LENGTHS, SEED)[0])


def test_heads():
    names = lambda heads: {  # noqa: E731
        variable.name.split(":")[0].split("/")[1]
        for variable in Discriminator(V, H, H, 0.8, SEED, heads).trainable_variables
    }
    assert names(()) == {"embedding", "rnn"}
    assert names(("fc",)) == {"embedding", "rnn", "fc"}
    assert names(("fc", "recon")) == {"embedding", "rnn", "fc", "recon"}
    logits, feature = Discriminator(V, H, H, 0.8, SEED, ("fc",))(TOKENS, LENGTHS, SEED)
    assert logits.shape == (3, 5) and feature is None
