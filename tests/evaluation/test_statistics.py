import types

import numpy as np
import pytest

from evaluation import metrics, statistics


def test_interval_of_a_constant_and_of_a_normal_sample():
    assert statistics.bootstrap_interval([3.0] * 10) == [3.0, 3.0]
    sample = np.random.default_rng(1).normal(10.0, 2.0, 400)
    low, high = statistics.bootstrap_interval(sample, seed=2)
    error = sample.std() / 20
    assert low == pytest.approx(sample.mean() - 1.96 * error, abs=0.3 * error)
    assert high == pytest.approx(sample.mean() + 1.96 * error, abs=0.3 * error)
    assert [low, high] == statistics.bootstrap_interval(sample, seed=2) != statistics.bootstrap_interval(sample, seed=3)


def test_bleu_from_counts_is_the_corpus_bleu():
    references = {str(i): [f"a man is on the red horse {i}", "the dog runs"] for i in range(5)}
    captions = {str(i): f"a man is on the {'red ' * (i % 3)}horse" for i in range(5)}
    scores = metrics.score(captions, references, ("BLEU",))
    for order in range(1, 5):
        ours = statistics.bleu_from_counts(scores.bleu_counts.sum(0), order)
        assert ours == pytest.approx(scores.values[f"BLEU-{order}"], rel=1e-6)
    nothing = statistics.bleu_from_counts(np.array([0, 0, 0, 0, 5, 4, 3, 2, 5, 5]))
    assert 0 <= nothing < 1e-6


def fake_scores(cider, matched):
    """Returns Scores of N images with given CIDEr and given matches out of ten n-grams of every order."""
    counts = np.array([[m] * 4 + [10] * 4 + [10, 10] for m in matched])
    names = [str(i) for i in range(len(cider))]
    return types.SimpleNamespace(names=names, per_image={"CIDEr": np.array(cider)}, bleu_counts=counts)


def test_intervals_hold_the_score_that_is_printed():
    """METEOR's corpus score is no mean over images; its interval is as wide as that of the mean, around the score."""
    sample = np.random.default_rng(4).normal(13.4, 5.0, 400)
    scores = types.SimpleNamespace(
        names=list(map(str, range(400))), per_image={"METEOR": sample}, values={"METEOR": 12.7}, bleu_counts=None
    )
    low, high = statistics.intervals(scores)["METEOR"]
    assert low < 12.7 < high
    below, above = statistics.bootstrap_interval(sample)
    assert high - low == pytest.approx(above - below) and low - 12.7 == pytest.approx(below - sample.mean())


def test_paired_sees_a_steady_difference_that_unpaired_intervals_hide():
    base = np.random.default_rng(0).uniform(0, 200, 100)
    first, second = fake_scores(base + 1.0, [6] * 100), fake_scores(base, [5] * 100)
    result = statistics.paired(first, second)
    assert result["CIDEr"]["difference"] == pytest.approx(1.0)
    assert result["CIDEr"]["interval"] == pytest.approx([1.0, 1.0])
    assert result["CIDEr"]["p"] == pytest.approx(2 / statistics.RESAMPLES)
    assert result["BLEU-4"]["difference"] == pytest.approx(10.0)
    low, high = statistics.bootstrap_interval(base)
    assert high - low > 10


def test_paired_of_equal_sets_and_of_noise():
    base = np.random.default_rng(0).normal(50, 10, 200)
    same = statistics.paired(fake_scores(base, [5] * 200), fake_scores(base, [5] * 200))
    assert same["CIDEr"]["p"] == same["BLEU-4"]["p"] == 1.0 and same["CIDEr"]["interval"] == [0.0, 0.0]
    other = fake_scores(np.random.default_rng(5).permutation(base), [5] * 200)
    noise = statistics.paired(fake_scores(base, [5] * 200), other)["CIDEr"]
    assert noise["p"] > 0.05 and noise["interval"][0] < 0 < noise["interval"][1]


def test_paired_needs_the_same_images():
    with pytest.raises(ValueError):
        statistics.paired(fake_scores([1.0, 2.0], [5, 5]), fake_scores([1.0], [5]))


def test_diversity_by_hand():
    tokens = {"1": ["a", "dog"], "2": ["a", "dog"], "3": ["a", "a", "a", "cat"], "4": []}
    result = statistics.diversity(tokens)
    assert result["unique"] == 3 / 4 and result["length"] == 8 / 4
    assert result["distinct-1"] == 3 / 8  # a, dog, cat
    assert result["distinct-2"] == 3 / 5  # a dog, a a, a cat
    assert result["longest_run"] == 3


def test_diversity_of_nothing():
    assert statistics.diversity({"1": []}) == {
        "unique": 1.0,
        "length": 0.0,
        "distinct-1": 0.0,
        "distinct-2": 0.0,
        "longest_run": 0,
    }


def test_class_recall_and_precision_by_hand():
    tokens = {"1": ["two", "dogs", "and", "dog"], "2": ["a", "horse", "and", "cat"], "3": ["nothing"]}
    image_words = {"1": {"dog", "ball"}, "2": {"cat"}, "3": set()}
    result = statistics.class_recall_precision(
        tokens, image_words, {"dog", "ball", "cat", "horse"}, {"dogs": "dog", "cats": "cat"}
    )
    assert result == {"class_recall": 2 / 3, "class_precision": 2 / 3}
    assert statistics.class_recall_precision({"3": ["x"]}, {}, {"dog"}, {}) == {
        "class_recall": None,
        "class_precision": None,
    }
