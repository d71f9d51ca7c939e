"""Diversity of several captions of an image against its definition."""

import math

import numpy as np
import pytest

from evaluation import variety

REFERENCES = {
    "1": [["a", "dog", "runs", "on", "grass"]],
    "2": [["two", "cats", "sleep", "in", "a", "box"]],
    "3": [["people", "walk", "by", "the", "sea"]],
}
DOG, CATS, SEA = (REFERENCES[name][0] for name in "123")


def test_equal_captions_have_no_diversity_and_are_each_others_bleu():
    found = variety.of_samples({"1": [DOG] * 3, "2": [CATS] * 3}, REFERENCES)
    assert found["self-CIDEr"] == pytest.approx(0, abs=1e-6) and found["mBLEU-4"] == pytest.approx(100)


def test_captions_without_a_common_word_are_as_different_as_can_be():
    different = [DOG, ["two", "cats", "sleep", "inside"], SEA]
    found = variety.of_samples({"1": different}, REFERENCES)
    assert found["self-CIDEr"] == pytest.approx(1) and found["mBLEU-4"] == pytest.approx(0, abs=1e-3)


def test_two_captions_by_hand():
    """With similarity s of two captions the eigenvalues are 1 + s and 1 - s."""
    one, two = ["dog", "runs", "on", "grass"], ["dog", "runs", "on", "sand"]
    # Each n-gram is in one of three references or in none: the weight is log 3 in both cases.
    cosines = [(4 - n) / (5 - n) for n in (1, 2, 3)] + [0.0]
    s = np.mean(cosines)
    roots = np.sqrt([1 + s, 1 - s])
    wanted = -math.log2(roots.max() / roots.sum())
    assert variety.self_cider({"1": [one, two]}, REFERENCES) == pytest.approx(wanted)


def test_words_of_all_references_do_not_count():
    everywhere = {name: [["a", *caption[0]]] for name, caption in REFERENCES.items()}
    one = variety.self_cider({"1": [["a"], ["dog"]]}, everywhere)
    assert one == pytest.approx(0), "of two captions only one has a vector that is not zero"
    assert variety.self_cider({"1": [["a"], ["a"]]}, everywhere) == 0 == variety.self_cider({"1": [[], []]}, everywhere)
