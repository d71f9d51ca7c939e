"""Selection of the concept words that obj2sen reads (quirk Q7)."""

import numpy as np

from models import concepts

CLASSES = np.array([[11, 12, 13, 14, 15, 16, 17], [5, 6, 0, 0, 0, 0, 0], [0] * 7], np.int32)
SCORES = np.array([[0.3, 0.9, 0.4, 0.8, 0.5, 0.6, 0.7], [0.9, 0.3, 0, 0, 0, 0, 0], [0] * 7], np.float32)
NUM = np.array([7, 2, 0], np.int32)


def test_first_concepts():
    """The record a b c d e f g gives e d c b a."""
    keys, lengths = concepts.first_concepts(CLASSES, NUM)
    np.testing.assert_array_equal(keys, [[15, 14, 13, 12, 11], [6, 5, 0, 0, 0], [0] * 5])
    np.testing.assert_array_equal(lengths, [5, 2, 0])


def test_best_concepts():
    keys, lengths = concepts.best_concepts(CLASSES, SCORES, NUM)
    np.testing.assert_array_equal(keys, [[15, 16, 17, 14, 12], [6, 5, 0, 0, 0], [0] * 5])
    np.testing.assert_array_equal(lengths, [5, 2, 0])


def test_a_word_is_told_once_by_score_but_as_often_as_stored_by_order():
    classes, scores, num = np.array([[7, 8, 7, 9]]), np.array([[0.5, 0.6, 0.9, 0.6]]), np.array([4])
    np.testing.assert_array_equal(concepts.best_concepts(classes, scores, num)[0], [[9, 8, 7, 0, 0]])
    np.testing.assert_array_equal(concepts.first_concepts(classes, num)[0], [[9, 7, 8, 7, 0]])
