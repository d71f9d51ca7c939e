import random

from evaluation import novelty

CORPUS = ["the dog runs .", "a dog , sleeping", "dog runs fast"]


def test_by_hand():
    tokens = {1: "the dog runs".split(), 2: "a dog runs fast".split(), 3: ["zebra"], 4: "dog sleeping".split()}
    corpus = [novelty.words_of(text) for text in CORPUS]
    assert novelty.longest_runs(list(tokens.values()), corpus).tolist() == [3, 3, 0, 2]
    assert novelty.measure(tokens, CORPUS) == {"in_corpus": 1 / 4, "common_run": 2.0}
    assert novelty.vocabulary(tokens) == 7 and novelty.lengths(tokens) == {1: 1, 2: 1, 3: 1, 4: 1}


def test_runs_equal_those_of_a_search():
    rng = random.Random(3)
    draw = lambda count: [[rng.choice("abc") for _ in range(rng.randint(0, 9))] for _ in range(count)]  # noqa: E731
    captions, corpus = draw(40), draw(15)

    def longest(caption):
        runs = (caption[i:k] for i in range(len(caption)) for k in range(i + 1, len(caption) + 1))
        stands = lambda run: any(run == text[i : i + len(run)] for text in corpus for i in range(len(text)))  # noqa: E731
        return max((len(run) for run in runs if stands(run)), default=0)

    assert novelty.longest_runs(captions, corpus).tolist() == [longest(caption) for caption in captions]


def test_nothing():
    assert novelty.measure({}, CORPUS) == {"in_corpus": None, "common_run": None}
    assert novelty.measure({1: []}, ["."]) == {"in_corpus": 1.0, "common_run": 0.0}
