"""Retrieval by consensus: similarities against a plain computation, and what own detections and neighbours decide."""

import collections
import math

import numpy as np
import pytest

from initialization.consensus_retrieval import ConsensusRetrieval, sentence_vectors, set_weights

WORDS = {word: i for i, word in enumerate("a man rides wave dog runs on grass the cat sleeps here".split())}


def ids(text):
    return np.array([WORDS[word] for word in text.split()], np.int32)


def plain_similarity(one, other, sentences):
    """Mean over n of the cosines of tf-idf n-gram vectors."""
    grams_of = lambda text, n: collections.Counter(zip(*(text.split()[i:] for i in range(n)), strict=False))  # noqa: E731
    total = 0.0
    for n in (1, 2, 3, 4):
        seen = collections.Counter(gram for text in sentences for gram in grams_of(text, n))
        vector = lambda text: {g: c * math.log(len(sentences) / seen[g]) for g, c in grams_of(text, n).items()}  # noqa: E731, B023
        a, b = vector(one), vector(other)
        norm = lambda v: math.sqrt(sum(x * x for x in v.values())) or 1.0  # noqa: E731
        total += sum(a[g] * b.get(g, 0.0) for g in a) / norm(a) / norm(b)
    return total / 4


def test_similarities_are_the_cosines_of_tf_idf_ngrams():
    texts = ["a man rides a wave", "a dog runs on grass", "a man runs on the grass", "a cat sleeps", "man rides"]
    vectors = sentence_vectors([ids(text) for text in texts])
    found = (vectors @ vectors.T).toarray()
    for i, one in enumerate(texts):
        for j, other in enumerate(texts):
            if i != j:  # with itself the n-grams that are left out would count
                assert found[i, j] == pytest.approx(plain_similarity(one, other, texts), abs=1e-6)


def test_set_weights_are_a_softmax_over_sentences():
    sizes, fits = np.array([1, 3]), np.array([0.4, 0.0])
    [weights] = set_weights(sizes, [fits], 0.2).toarray()
    assert weights == pytest.approx(np.array([math.exp(2.0), 3.0]) / (math.exp(2.0) + 3.0))
    [weights] = set_weights(sizes, [fits], 0.2, set_power=0.5).toarray()
    assert weights == pytest.approx(np.array([math.exp(2.0), 3**0.5]) / (math.exp(2.0) + 3**0.5))


def test_what_the_corpus_often_says_counts_for_less_with_a_small_set_power():
    """Unsure whether man or dog: of four sentences about men and one about a dog."""
    texts = ["a man rides a wave", "the man rides a wave", "a man rides grass", "a man rides on grass", "a dog runs"]
    keys = [(WORDS["man"],)] * 4 + [(WORDS["dog"],)]
    detections = [{WORDS["man"]: 0.5, WORDS["dog"]: 0.6}]
    for power, first in ((1.0, "man"), (0.0, "dog")):
        retrieval = ConsensusRetrieval([ids(t) for t in texts], keys, detections, neighbours=0, set_power=power)
        [weights] = retrieval.weights_IC.toarray()
        assert {WORDS["man"]: "man", WORDS["dog"]: "dog"}[sorted(set(keys))[int(weights.argmax())][0]] == first


def corpus():
    texts = ["a man rides a wave", "the man rides a wave", "a man runs", "a dog runs on grass", "the dog runs on grass"]
    texts += ["a dog sleeps here", "the cat sleeps"]
    keys = [tuple(sorted(WORDS[w] for w in text.split() if w in ("man", "dog", "cat"))) for text in texts]
    return texts, [ids(text) for text in texts], keys


def test_the_most_typical_of_the_sentences_that_fit():
    texts, sentences, keys = corpus()
    retrieval = ConsensusRetrieval(sentences, keys, [{WORDS["man"]: 0.9}, {WORDS["dog"]: 0.9}], neighbours=0)
    chosen = retrieval.retrieve(np.array([0, 1]), 2)
    assert [{texts[i] for i in row} for row in chosen] == [set(texts[0:2]), set(texts[3:5])]


def test_an_image_without_detections_follows_its_neighbours():
    texts, sentences, keys = corpus()
    vectors = np.array([[1, 0.1], [1, 0], [1, 0.2], [-1, 0], [-1, 0.1]], np.float32)
    dog, man = {WORDS["dog"]: 0.9}, {WORDS["man"]: 0.9}
    retrieval = ConsensusRetrieval(sentences, keys, [{}, dog, dog, man, man], vectors, neighbours=2, own_share=0.2)
    [[chosen]] = retrieval.retrieve(np.array([0]), 1)
    assert texts[chosen] in texts[3:5]
    alone = ConsensusRetrieval(sentences, keys, [{}, dog, dog, man, man], vectors, neighbours=2, own_share=1.0)
    [[chosen]] = alone.retrieve(np.array([3]), 1)
    assert texts[chosen] in texts[:2]


def test_the_order_of_the_images_does_not_matter():
    _, sentences, keys = corpus()
    vectors = np.random.default_rng(1).normal(size=(30, 4)).astype(np.float32)
    detections = [{WORDS[("man", "dog", "cat")[i % 3]]: 0.5 + i / 100} for i in range(30)]
    retrieval = ConsensusRetrieval(sentences, keys, detections, vectors, neighbours=5)
    together = retrieval.retrieve(np.arange(30), 3)
    apart = np.concatenate([retrieval.retrieve(np.array([i]), 3) for i in range(30)])
    np.testing.assert_array_equal(together, apart)


def test_no_sentence_is_dealt_to_more_images_than_allowed():
    texts, sentences, keys = corpus()
    man = {WORDS["man"]: 0.9}
    retrieval = ConsensusRetrieval(sentences, keys, [man] * 6, neighbours=0)
    free = retrieval.retrieve(np.arange(6), 1)[:, 0]
    assert len(set(free.tolist())) == 1
    dealt = retrieval.deal(1, 2)[:, 0].tolist()
    assert sorted(np.bincount(dealt)[np.unique(dealt)].tolist()) == [2, 2, 2] and set(free.tolist()) < set(dealt)
    several = retrieval.deal(2, 6)
    assert all(len(set(row)) == 2 for row in several.tolist()) and {texts[i] for i in several[0]} == set(texts[:2])
    assert (retrieval.deal(8, 6) == -1).sum() == 6  # seven sentences, eight places


def test_a_sentence_goes_to_the_image_that_gives_up_most_without_it():
    _, sentences, keys = corpus()
    detections = [{WORDS["man"]: 0.9}, {WORDS["dog"]: 0.9}]
    retrieval = ConsensusRetrieval(sentences, keys, detections, neighbours=0)
    np.testing.assert_array_equal(retrieval.deal(1, 1), retrieval.retrieve(np.arange(2), 1))


def test_contrast_takes_off_what_suits_all_images():
    texts, sentences, keys = corpus()
    detections = [{WORDS["man"]: 0.9}] * 9 + [{WORDS["dog"]: 0.9}]
    plain = ConsensusRetrieval(sentences, keys, detections, neighbours=0)
    contrast = ConsensusRetrieval(sentences, keys, detections, neighbours=0, contrast=0.5)
    [(_, before)], [(_, after)] = plain.expected(np.arange(10)), contrast.expected(np.arange(10))
    assert after == pytest.approx(before - 0.5 * before.mean(0), abs=1e-6)
