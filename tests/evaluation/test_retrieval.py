import itertools
import random

import pytest

from evaluation import retrieval


def fit(words, found, bonus):
    return sum(found[word] + bonus if word in found else -bonus for word in words)


def test_best_sets_equal_the_formula():
    generator = random.Random(3)
    words = "dog cat man ball horse car".split()
    sets = [group for k in range(5) for group in itertools.combinations(words, k)]
    sets = sorted(generator.sample(sets, 30))
    images = [
        {w: generator.uniform(0.1, 1) for w in generator.sample(words, generator.randint(0, 4))} for _ in range(150)
    ]
    images[0] = {"unicorn": 0.9}  # a word that no sentence has
    for found, best in zip(images, retrieval.best_fitting_sets(sets, images, 0.7), strict=True):
        fits = [fit(group, found, 0.7) for group in sets]
        assert best == tuple(i for i, value in enumerate(fits) if value >= max(fits) - 1e-9)


def test_typical_is_the_consensus():
    texts = ["an odd one out here", "a dog runs on the grass", "a dog runs on the green grass", "a dog runs on sand"]
    assert retrieval.most_typical(texts) == "a dog runs on the grass"
    assert retrieval.most_typical(texts[:1]) == retrieval.most_typical(texts[:2]) == "an odd one out here"


def test_large_groups_are_thinned(monkeypatch):
    monkeypatch.setattr(retrieval, "GROUP_LIMIT", 10)
    seen = []

    class Spy(retrieval.Consensus):
        def __init__(self, references):
            seen.append(len(references))
            super().__init__(references)

    monkeypatch.setattr(retrieval, "Consensus", Spy)
    assert retrieval.most_typical([f"dog number {i}" for i in range(95)]).startswith("dog")
    assert seen == [10]


@pytest.fixture
def corpus():
    texts = ["a dog sits", "a dog runs fast", "a dog runs", "a cat sleeps", "a dog and a cat", "nothing at all"]
    keys = [("dog",), ("dog",), ("dog",), ("cat",), ("cat", "dog"), ()]
    return texts, keys


def test_sentences_fit_the_images(corpus):
    images = [{"dog": 0.9}, {"cat": 0.6}, {"cat": 0.6, "dog": 0.9}, {}, {"horse": 0.9}]
    captions = retrieval.retrieve(*corpus, images)
    assert captions[0] in corpus[0][:3] and captions[1:] == [
        "a cat sleeps",
        "a dog and a cat",
        "nothing at all",
        "nothing at all",
    ]
    assert captions == retrieval.retrieve(*corpus, images)


def test_bonus_decides_about_an_undetected_word():
    texts, keys = ["a dog and a horse", "a plain wall"], [("dog", "horse"), ()]
    assert retrieval.retrieve(texts, keys, [{"dog": 0.5}], bonus=2.0) == ["a dog and a horse"]
    texts, keys = ["a dog a horse a cat", "a plain wall"], [("cat", "dog", "horse"), ()]
    assert retrieval.retrieve(texts, keys, [{"dog": 0.5}], bonus=2.0) == ["a plain wall"]
