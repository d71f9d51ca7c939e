import random

import numpy as np
import pytest

from evaluation.consensus import Consensus

WORDS = "a the dog cat man runs red on".split()


def sentence(generator, longest=12):
    return " ".join(generator.choices(WORDS, k=generator.randint(1, longest)))


@pytest.mark.parametrize("seed", range(5))
def test_equals_pycocoevalcap_on_random_sentences(seed):
    """The vocabulary is small, so that n-grams repeat in captions and references and clipping has an effect."""
    from pycocoevalcap.cider.cider import Cider

    generator = random.Random(seed)
    references = {i: [sentence(generator) for _ in range(generator.randint(1, 4))] for i in range(12)}
    candidates = [sentence(generator, 15) for _ in range(60)]
    candidates += ["", "a", "dog dog dog dog dog", "unseen words only", "a dog unseen unseen", references[0][0]]
    ours = Consensus(list(references.values())).scores(candidates)
    theirs = [Cider().compute_score(references, dict.fromkeys(references, [text]))[0] for text in candidates]
    np.testing.assert_allclose(ours, 100 * np.array(theirs), rtol=1e-9, atol=1e-9)
    assert ours.max() > 1.0


def test_references_of_one_word_and_two_images():
    scores = Consensus([["dog"], ["cat", "the cat"]]).scores(["dog", "cat", "x"])
    assert scores[0] == pytest.approx(1000 / 4 / 2)  # one of four orders, one of two images
    assert scores[2] == 0.0


def test_no_sentences():
    assert Consensus([["a dog"], ["a cat"]]).scores([]).shape == (0,)
