"""How much of the captions stands word for word in the corpus, and how their words and lengths are distributed."""

import collections

import numpy as np

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # odd, so that hashes of different words stay different


def words_of(text):
    """Returns the words of a tokenized text: without tokens that hold neither letter nor digit."""
    return [token for token in text.split() if any(map(str.isalnum, token))]


def measure(tokens, sentences):
    """Returns how much of captions stands in a corpus.

    Args:
      tokens: dict image -> tokens of its caption.
      sentences: list of tokenized sentences of the corpus, in lower case; punctuation is not compared.

    Returns: dict: "in_corpus": share of captions that are a sentence of the corpus, word for word; "common_run": mean
      over the captions of the number of consecutive words that they share with some sentence.
    """
    captions = [words_of(" ".join(caption)) for caption in tokens.values()]
    corpus = [words_of(sentence) for sentence in sentences]
    whole = {tuple(sentence) for sentence in corpus}
    runs = longest_runs(captions, corpus)
    count = len(captions)
    return {
        "in_corpus": sum(tuple(caption) in whole for caption in captions) / count if count else None,
        "common_run": float(np.mean(runs)) if count else None,
    }


def longest_runs(captions, corpus):
    """Returns for each caption the length of its longest run of words that stands in one sentence: int [captions].

    Args: captions, corpus: lists of lists of words.
    """
    ids = {word: number for number, word in enumerate(dict.fromkeys(w for text in corpus for w in text), 1)}
    own, theirs = _flat(captions, ids), _flat(corpus, ids)
    caption_of = np.repeat(np.arange(len(captions)), [len(caption) + 1 for caption in captions])
    result = np.zeros(len(captions), np.int64)
    alive, there = np.flatnonzero(own), np.flatnonzero(theirs)  # where a run of this length begins
    own_hash, their_hash = own.copy(), theirs.copy()
    length = 1
    while True:
        alive = alive[np.isin(own_hash[alive], their_hash[there])]
        if not alive.size:
            return result
        result[caption_of[alive]] = length
        there = there[np.isin(their_hash[there], own_hash[alive])]
        alive, there = (_continued(found, flat, length) for found, flat in ((alive, own), (there, theirs)))
        own_hash[alive] = own_hash[alive] * MULTIPLIER + own[alive + length]
        their_hash[there] = their_hash[there] * MULTIPLIER + theirs[there + length]
        length += 1


def _flat(texts, ids):
    """Returns the words of texts as numbers, each text followed by 0; words that the corpus does not have are 0."""
    return np.array([ids.get(word, 0) for text in texts for word in (*text, "")], np.uint64)


def _continued(begins, flat, length):
    """Returns those beginnings of runs whose next word is in the same text and known."""
    return begins[flat[begins + length] > 0]


def vocabulary(tokens):
    """Returns the number of distinct words of captions (dict image -> tokens)."""
    return len({word for caption in tokens.values() for word in caption})


def lengths(tokens):
    """Returns dict number of words -> number of captions, from the shortest to the longest."""
    return dict(sorted(collections.Counter(map(len, tokens.values())).items()))
