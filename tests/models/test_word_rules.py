"""Sampling and the rules on words against their definitions."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from models import decoding, sampling
from models.decoding import Nucleus
from models.generator import Generator
from models.word_rules import WordRules, penalised

V, D, H, T = 23, 5, 6, 20
PLAIN = WordRules()


@pytest.fixture(scope="module")
def generator():
    found = Generator(V, D, H, H, 1.0, tf.constant([3, 0], tf.int32))
    for index, variable in enumerate(found.trainable_variables):
        variable.assign(0.9 * tf.random.stateless_normal(variable.shape, [3, index]))
    found.softmax_b[1].assign(1.5)
    return found


def states(generator, count):
    """Returns the states of `count` random images."""
    return generator.initial_state(generator.image_feature(tf.random.stateless_normal([count, D], [3, 50])))


def uniforms(*shape):
    return tf.constant(np.random.default_rng(1).random(shape))


def captions(beams):
    """Returns the captions of `Beams` as a list of lists of word ids, without end tokens."""
    found = []
    for words, lengths, log_probs in zip(
        beams.words.numpy(), beams.lengths.numpy(), beams.log_probs.numpy(), strict=True
    ):
        there = [
            row[:length].tolist() for row, length, p in zip(words, lengths, log_probs, strict=True) if np.isfinite(p)
        ]
        found += [[word for word in row if word != 1] for row in there]
    return found


METHODS = {
    "greedy": lambda generator, state, rules: decoding.greedy(generator, state, T, None, rules),
    "beam": lambda generator, state, rules: decoding.beam_search(generator, state, 5, T, rules=rules),
    "sample": lambda generator, state, rules: decoding.sample(
        generator, state, uniforms(200, 5, T), Nucleus(0.5, 10, 0.9), rules
    ),
}


def run(generator, method, rules):
    """Decodes the captions of 200 images by a method: 5 captions of an image, greedy decoding 1. Returns Beams."""
    search = tf.function(lambda state: vars(METHODS[method](generator, state, rules)))
    return decoding.Beams(**search(states(generator, 200)))


def repeats(caption, n):
    """Returns whether an n-gram occurs twice in a caption."""
    ngrams = [tuple(caption[i : i + n]) for i in range(len(caption) - n + 1)]
    return len(set(ngrams)) < len(ngrams)


@pytest.mark.parametrize("method", METHODS)
def test_no_trigram_twice_and_no_caption_too_short(generator, method):
    free, long = (captions(run(generator, method, WordRules(min_length=least))) for least in (0, 7))
    bound = captions(run(generator, method, WordRules(min_length=7, no_repeat_ngram=3)))
    assert len(bound) == (200 if method == "greedy" else 1000)
    assert any(repeats(caption, 3) for caption in long) and min(map(len, free)) < 7, "the rules have something to do"
    assert not any(repeats(caption, 3) for caption in bound) and min(map(len, bound)) >= 7


@pytest.mark.parametrize("n", [1, 2])
def test_other_ngrams(generator, n):
    found = captions(run(generator, "sample", WordRules(no_repeat_ngram=n)))
    assert not any(repeats(caption, n) for caption in found)


def test_rules_that_forbid_nothing_change_nothing(generator):
    for method in ("greedy", "beam"):
        free, ruled = run(generator, method, None), run(generator, method, PLAIN)
        for name in ("words", "lengths", "ended"):
            np.testing.assert_array_equal(getattr(free, name), getattr(ruled, name))
        np.testing.assert_allclose(free.log_probs, ruled.log_probs, rtol=1e-5, atol=1e-5)


def test_a_caption_without_any_word_left_ends():
    """With 4 words of which 2 are markers, no caption of distinct words is longer than 2."""
    generator = Generator(4, D, H, H, 1.0, tf.constant([3, 0], tf.int32))
    state, rules = states(generator, 6), WordRules(min_length=9, no_repeat_ngram=1)
    found = decoding.sample(generator, state, uniforms(6, 2, T), Nucleus(), rules, suppress_unknown=False)
    assert {tuple(sorted(caption)) for caption in captions(found)} == {(2, 3)} and np.all(found.ended)
    beams = decoding.beam_search(generator, state, 2, T, suppress_unknown=False, rules=rules)
    assert np.all(beams.ended[:, 0]) and np.all(np.isfinite(beams.log_probs[:, 0]))


def test_the_penalty_divides_positive_and_multiplies_negative_logits_once():
    logits = tf.constant([[2.0, -3.0, 4.0, -1.0], [2.0, -3.0, 4.0, -1.0]])
    words = tf.constant([[2, 1, 2, 3], [0, 0, 0, 3]])
    found = penalised(logits, words, 3, 2.0)
    np.testing.assert_array_equal(found, [[2.0, -6.0, 2.0, -1.0], [1.0, -3.0, 4.0, -1.0]])


def test_penalised_beams_are_sorted_after_the_penalty_and_report_the_networks_log_probabilities(generator):
    beams = run(generator, "beam", WordRules(min_length=7, repetition_penalty=1.5))
    scores, log_probs = beams.scores.numpy(), beams.log_probs.numpy()
    assert np.all(np.diff(np.where(np.isfinite(scores), scores, -1e9), axis=1) <= 0)
    state = states(generator, 200)
    own = decoding.word_log_probs(generator, state, beams.words[:, 0], beams.lengths[:, 0])
    np.testing.assert_allclose(tf.reduce_sum(own, 1), log_probs[:, 0], atol=1e-4)
    assert np.abs(scores[:, 0] - log_probs[:, 0]).max() > 0.1
    said = [len(caption) - len(set(caption)) for caption in captions(run(generator, "beam", WordRules(min_length=7)))]
    less = [len(caption) - len(set(caption)) for caption in captions(beams)]
    assert sum(less) < sum(said)


# --------------------------------------------------------------------------------------------------------------
# Frequencies


def drawn(logits, nucleus, count=40_000):
    """Returns how often each word is drawn: int [V]."""
    rows = tf.repeat(tf.constant(logits, tf.float32)[None], count, 0)
    return np.bincount(nucleus.drawn(rows, uniforms(count)).numpy(), minlength=len(logits))


def softmax(logits):
    p = np.exp(np.float64(logits) - np.max(logits))
    return p / p.sum()


LOGITS = np.random.default_rng(4).normal(size=V).astype(np.float32) * 1.3


@pytest.mark.parametrize(
    "temperature, top_k, top_p", [(1, None, None), (0.5, None, None), (1, 7, 1), (2, 0, 0.8), (1, 9, 0.7)]
)
def test_sampled_frequencies_are_those_of_the_truncated_softmax(temperature, top_k, top_p):
    p = softmax(LOGITS / temperature)
    order = np.argsort(-p, kind="stable")
    if top_k:
        p[order[top_k:]] = 0
        p /= p.sum()
    if top_p is not None and top_p < 1:  # the smallest number of words whose mass is at least top_p
        masses = np.cumsum(p[order])
        kept = 1 + np.flatnonzero(masses >= top_p)[0]
        assert masses[kept - 1] >= top_p > (masses[kept - 2] if kept > 1 else 0)
        p[order[kept:]] = 0
        p /= p.sum()
    counts = drawn(LOGITS, Nucleus(temperature, top_k, top_p))
    assert not counts[p == 0].any(), "no word outside of the truncated set is drawn"
    assert stats.chisquare(counts[p > 0], counts.sum() * p[p > 0]).pvalue > 1e-3
    wrong = softmax(LOGITS / temperature * 1.1)
    if top_k is None:
        assert stats.chisquare(counts, counts.sum() * wrong).pvalue < 1e-3, "the test would notice another temperature"


def test_first_words_of_sampled_captions_have_the_networks_frequencies(generator):
    state = tuple(part[:1] for part in states(generator, 2))
    found = decoding.sample(generator, state, uniforms(1, 20_000, 2), Nucleus(), PLAIN, suppress_unknown=True)
    counts = np.bincount(found.words.numpy()[0, :, 0], minlength=V)
    output, _ = generator.step(tf.gather(generator.embedding, [0]), state)
    p = softmax(generator.logits(output).numpy()[0])
    p[[0, V - 1]] = 0  # the start token and the unknown word are never drawn
    p /= p.sum()
    assert counts[0] == counts[-1] == 0
    assert stats.chisquare(counts[p > 0], counts.sum() * p[p > 0]).pvalue > 1e-3


def test_the_most_probable_word_is_always_left():
    rows = tf.repeat(tf.constant(LOGITS)[None], 50, 0)
    assert set(sampling.drawn_from_top(rows, uniforms(50), 0, 1e-6).numpy()) == {int(LOGITS.argmax())}
    assert set(sampling.drawn_from_top(rows, uniforms(50), 1, 1.0).numpy()) == {int(LOGITS.argmax())}
