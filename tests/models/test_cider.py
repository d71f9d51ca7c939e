"""CIDEr-D of word ids against pycocoevalcap's on the same words, end token included."""

import numpy as np
import pytest
import tensorflow as tf
from pycocoevalcap.cider.cider import Cider

import cli
from baselines.supervised.cider import CiderD, DocumentFrequencies

VOCABULARY = 9
WIDTH = 12


def random_captions(rng, images):
    """Returns random captions: one to four for each image, of one to ten words, with some words frequent."""
    weights = np.array([8, 4, 2, 1, 1, 1, 1]) / 18
    return [
        [rng.choice(np.arange(2, 9), rng.integers(1, 11), p=weights) for _ in range(rng.integers(1, 5))]
        for _ in range(images)
    ]


def padded(rows, width=WIDTH):
    """Rows with their end token, zero padded, and their lengths."""
    ended = [[*row, 1] for row in rows]
    out = np.zeros((len(rows), width), np.int32)
    for row, ids in zip(out, ended, strict=True):
        row[: len(ids)] = ids
    return out, np.array([len(ids) for ids in ended], np.int32)


def references_of(captions):
    """int32 [B, R, S] with end tokens and lengths int32 [B, R], 0 where an image has fewer."""
    most = max(map(len, captions))
    words, lengths = np.zeros((len(captions), most, WIDTH), np.int32), np.zeros((len(captions), most), np.int32)
    for image, several in enumerate(captions):
        words[image, : len(several)], lengths[image, : len(several)] = padded(several)
    return words, lengths


def text(ids):
    return " ".join(f"w{i}" for i in [*ids, 1])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_is_pycocoevalcaps(seed):
    rng = np.random.default_rng(seed)
    captions = random_captions(rng, 20)
    ours = [several[0] if i % 5 == 0 else found[0] for i, (several, found) in
            enumerate(zip(captions, random_captions(rng, 20), strict=True))]  # fmt: skip
    references = {i: [text(ids) for ids in several] for i, several in enumerate(captions)}
    _, expected = Cider().compute_score(references, {i: [text(ids)] for i, ids in enumerate(ours)})
    cider = CiderD(DocumentFrequencies.of(captions, VOCABULARY), VOCABULARY)
    words, lengths = padded(ours)
    found = tf.function(cider)(tf.constant(words), tf.constant(lengths), *map(tf.constant, references_of(captions)))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    assert expected.max() > 1 and expected.min() < 0.5


def test_ending_is_rewarded():
    captions = [[[2, 3, 4]], [[5, 3, 4]], [[6, 7]]]
    cider = CiderD(DocumentFrequencies.of(captions, VOCABULARY), VOCABULARY)
    references = [tf.constant(part[:1]) for part in references_of(captions)]
    words = tf.constant([[2, 3, 4, 1]])
    whole = cider(words, tf.constant([4]), *references)
    broken_off = cider(words, tf.constant([3]), *references)
    assert whole.numpy()[0] == pytest.approx(10.0)
    assert broken_off.numpy()[0] < 9


def test_document_frequencies_count_images_once_and_are_kept(tmp_path):
    captions = [[[2, 2, 3], [2, 3]], [[2]], []]
    found = DocumentFrequencies.of(captions, VOCABULARY)
    assert found.images == 2  # images without captions are not counted
    unigrams = dict(zip(found.keys[0].tolist(), found.counts[0].tolist(), strict=True))
    assert unigrams == {1: 2, 2: 2, 3: 1}
    bigrams = dict(zip(found.keys[1].tolist(), found.counts[1].tolist(), strict=True))
    assert bigrams == {2 * 9 + 2: 1, 2 * 9 + 3: 1, 3 * 9 + 1: 1, 2 * 9 + 1: 1}
    path = str(tmp_path / "frequencies.npz")
    DocumentFrequencies.cached(path, "one", captions, VOCABULARY)
    again = DocumentFrequencies.cached(path, "one", None, VOCABULARY)  # from the cache: no captions are given
    assert again.images == 2 and all(np.array_equal(a, b) for a, b in zip(found.keys, again.keys, strict=True))
    other = DocumentFrequencies.cached(path, "two", captions[:1], VOCABULARY)
    assert other.images == 1
    with open(path, "wb") as file:
        file.write(b"broken")
    assert DocumentFrequencies.cached(path, "two", captions[:1], VOCABULARY).images == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["frequencies.npz"]


def test_a_dictionary_that_is_too_large_is_an_error():
    with pytest.raises(cli.UserError, match="64 bits"):
        DocumentFrequencies.of([[[2]]], 60_000)
