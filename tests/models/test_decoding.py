"""The batched beam search against the authors' procedure, one image at a time (quirk Q22)."""

import heapq

import numpy as np
import pytest
import tensorflow as tf

from models.decoding import beam_search
from models.generator import Generator

V, D, H, B = 19, 5, 6, 12


class Best:
    """Keeps the `size` best entries seen so far; ties keep the earlier one."""

    def __init__(self, size):
        self.size, self.heap = size, []

    def push(self, score, entry):
        item = (score, -len(self.heap), entry)
        if len(self.heap) < self.size:
            heapq.heappush(self.heap, item)
        else:
            heapq.heappushpop(self.heap, item)

    def extract(self):
        return [entry for _, _, entry in sorted(self.heap, key=lambda item: item[0], reverse=True)]


def one_image(generator, state, beam_size, max_length, normalization, suppress_unknown, embedding):
    """Returns [(words, log p, score)] of one image, best first: plain Python, float64 scores."""
    partial, finished = [([0], 0.0, state)], Best(beam_size)
    for _ in range(max_length - 1):
        following = Best(beam_size)
        for words, log_p, (c, h) in partial:
            c, h = generator.basic_lstm_cell.step(tf.gather(embedding, words[-1:]), (c, h))
            p = tf.nn.softmax(generator.logits(h))[0].numpy()
            if suppress_unknown:
                p[-1] = 0.0
            for word in np.argsort(-p, kind="stable")[:beam_size]:
                if p[word] < 1e-12:
                    continue
                longer, total = [*words, int(word)], log_p + np.log(np.float64(p[word]))
                if word == 1:
                    score = total / len(longer) ** normalization if normalization > 0 else total
                    finished.push(score, (longer, total, score))
                else:
                    following.push(total, (longer, total, (c, h)))
        partial = following.extract()
        if not partial:
            break
    if finished.heap:
        return finished.extract()
    return [(words, log_p, log_p) for words, log_p, _ in partial]


def make_generator(seed, scale, end_bias):
    """Returns a random network; `scale` sets how peaked its distributions are, `end_bias` how long its captions."""
    generator = Generator(V, D, H, H, 0.8, tf.constant([seed, 0], tf.int32))
    for index, variable in enumerate(generator.trainable_variables):
        variable.assign(scale * tf.random.stateless_normal(variable.shape, [seed, index]))
    generator.softmax_b[1].assign(end_bias)
    return generator


CASES = [
    # seed, scale, end_bias, beam_size, max_length, length normalization, suppress_unknown
    (1, 1.0, 0.0, 3, 20, 0.0, True),
    (2, 1.0, 1.0, 3, 20, 0.7, True),
    (3, 2.0, 0.0, 5, 12, 0.0, False),
    (4, 0.5, -1.0, 3, 6, 0.0, True),
    (5, 2.0, -30.0, 2, 8, 0.0, True),  # nothing ever ends
    (6, 4.0, 3.0, 4, 15, 1.0, True),
    (7, 1.0, 0.5, 1, 20, 0.0, True),
    (8, 30.0, 0.0, 3, 10, 0.0, True),  # many words are less probable than IMPROBABLE
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case)))
@pytest.mark.parametrize("other_inputs", [False, True])
def test_equals_one_image_at_a_time(case, other_inputs):
    seed, scale, end_bias, beam_size, max_length, normalization, suppress = case
    generator = make_generator(seed, scale, end_bias)
    embedding = tf.random.stateless_normal([V, H], [seed, 99]) if other_inputs else generator.embedding
    feature = generator.image_feature(tf.random.stateless_normal([B, D], [seed, 50]))
    c, h = generator.initial_state(feature)
    settings = (beam_size, max_length, normalization, suppress, embedding if other_inputs else None)
    search = tf.function(lambda state: vars(beam_search(generator, state, *settings)))
    beams = {name: value.numpy() for name, value in search((c, h)).items()}
    for row in range(B):
        state = (c[row : row + 1], h[row : row + 1])
        expected = one_image(generator, state, beam_size, max_length, normalization, suppress, embedding)
        assert np.isfinite(beams["log_probs"][row]).sum() == len(expected)
        for place, (words, log_p, score) in enumerate(expected):
            length = beams["lengths"][row, place]
            assert [0, *beams["words"][row, place, :length]] == words
            assert not np.any(beams["words"][row, place, length:])
            assert beams["ended"][row, place] == (words[-1] == 1)
            np.testing.assert_allclose(beams["log_probs"][row, place], log_p, rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(beams["scores"][row, place], score, rtol=1e-5, atol=1e-5)


def test_cases_cover_both_outcomes():
    """The cases above include images with and without a finished caption."""
    ended = []
    for seed, scale, end_bias, beam_size, max_length, *_ in CASES:
        generator = make_generator(seed, scale, end_bias)
        feature = generator.image_feature(tf.random.stateless_normal([B, D], [seed, 50]))
        beams = beam_search(generator, generator.initial_state(feature), beam_size, max_length)
        ended.append(beams.ended[:, 0].numpy())
    assert 0.2 < np.mean(ended) < 0.95


def test_beam_one_is_greedy_search():
    generator = make_generator(7, 1.0, 0.5)
    state = generator.initial_state(generator.image_feature(tf.random.stateless_normal([B, D], [7, 50])))
    beams = beam_search(generator, state, 1, 20, suppress_unknown=False)
    np.testing.assert_array_equal(beams.words[:, 0], generator.decode(state, 19))
