"""Simulated corpora: the same bytes from the same seed, Zipf's law, lengths, repetitions, object words."""

import collections
import dataclasses
import json

import numpy as np
import pytest

import cli
from scripts import simulate_corpus


def make(folder, **changes):
    options = simulate_corpus.Options(data_dir=str(folder), sentences=50_000, words=30_000)
    options = dataclasses.replace(options, **changes)
    simulate_corpus.main(options)
    return (folder / f"corpus.{options.format}").read_text()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make(tmp_path_factory.mktemp("corpus"))


def test_bytes_depend_on_the_settings_alone(corpus, tmp_path):
    assert make(tmp_path) == corpus
    assert make(tmp_path, seed=2, overwrite=True) != corpus


def test_a_smaller_corpus_is_the_beginning_of_a_larger_one(corpus, tmp_path):
    small = make(tmp_path, sentences=25_000)
    assert small.count("\n") == 25_000 and corpus.startswith(small)


def test_lengths(corpus):
    lengths = np.array([len(line.split()) for line in corpus.splitlines()])
    assert len(lengths) == 50_000 and abs(lengths.mean() - 17.3) < 0.3
    assert 3 <= lengths.min() <= 6 and 50 <= lengths.max() <= 80


def test_words_follow_zipfs_law(corpus):
    """log count against log (rank + shift) is a line of slope -1."""
    counts = collections.Counter(corpus.split())
    assert [word for word, _ in counts.most_common(3)] == [",", ".", "on"]
    found = np.array([counts[simulate_corpus.word(rank)] for rank in range(2000)])
    slope = np.polyfit(np.log(np.arange(1, 2001) + simulate_corpus.SHIFT), np.log(found), 1)[0]
    assert abs(slope + 1) < 0.05


def test_spelled_words_are_distinct():
    words = [simulate_corpus.word(rank) for rank in range(200_000)]
    assert len(set(words)) == len(words)


def test_repetitions(corpus, tmp_path):
    lines = corpus.splitlines()
    # The first block of 20,000 has no repetitions.
    assert len(lines) - len(set(lines)) == pytest.approx(0.07 * 30_000, rel=0.1)
    alone = make(tmp_path, repeated=0.0).splitlines()
    assert len(set(alone)) == len(alone)


def test_object_words(corpus, tmp_path):
    words = collections.Counter(corpus.split())
    objects = simulate_corpus.object_words("data/coco_names.txt")
    assert sum(words[name] for name in set(objects)) / 50_000 == pytest.approx(0.6, rel=0.1)
    assert words["buses"] > 50 and words["bus"] > words["buses"]
    assert "umbrella" not in make(tmp_path, class_names="").split()


def test_json_lines(corpus, tmp_path):
    lines = make(tmp_path, format="jsonl").splitlines()
    assert [json.loads(line)["description"] for line in lines] == corpus.splitlines()


@pytest.mark.parametrize("changes", [{"sentences": 0}, {"words": 2}, {"repeated": 2.0}, {"mean_tokens": 500.0}])
def test_wrong_settings(tmp_path, changes):
    with pytest.raises(cli.UserError, match=f"--{next(iter(changes))}"):
        make(tmp_path, **changes)


def test_what_is_there_is_kept(tmp_path):
    make(tmp_path, sentences=10)
    with pytest.raises(cli.UserError, match="Add --overwrite to replace it"):
        make(tmp_path, sentences=20)
