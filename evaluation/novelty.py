"""Measures which share of captions is copied from the corpus, their number of distinct words, and their lengths."""

import collections

import numpy as np

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # odd, so that hashes of different words stay different


def words_of(text):
    """Returns the list of words of a tokenized text: its tokens that have a letter or a digit."""
    return [token for token in text.split() if any(map(str.isalnum, token))]


def measure(tokens, sentences):
    """Measures how much of the captions is copied from the corpus.

    Args:
      tokens: dict image -> list of tokens of its caption.
      sentences: list of tokenized sentences of the corpus, in lower case; punctuation is not compared.

    Returns: dict: "in_corpus": share (0 to 1) of captions that are, word for word, a sentence of the corpus;
      "common_run": mean over the captions of the largest number of consecutive words that they share with one sentence.
      Both are None without captions.
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
    """Returns for each caption the length, in words, of its longest run of words that a corpus sentence contains.

    It is 0 if no word of the caption is in the corpus. Runs are found by hashes that are extended word by word.

    Args: captions, corpus: lists of lists of words.
    Returns: int64 [number of captions], in the order of `captions`.
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
    """Returns the ids of all words of `texts` in one array uint64, with a 0 after each text.

    Args: texts: list of lists of words. ids: dict word -> id above 0; other words become 0.
    """
    return np.array([ids.get(word, 0) for text in texts for word in (*text, "")], np.uint64)


def _continued(begins, flat, length):
    """Returns the first positions of the runs whose next word is known and in the same text: int array.

    Args: begins: int array, positions in `flat` of the first words. flat: from `_flat`. length: words of each run.
    """
    return begins[flat[begins + length] > 0]


def vocabulary(tokens):
    """Returns the number of distinct words of captions. Args: tokens: dict image -> list of tokens of its caption."""
    return len({word for caption in tokens.values() for word in caption})


def lengths(tokens):
    """Returns dict number of tokens -> number of captions of this length, shortest length first.

    Args: tokens: dict image -> list of tokens of its caption.
    """
    return dict(sorted(collections.Counter(map(len, tokens.values())).items()))
