"""Drawing objects on a picture, and probabilities of captions."""

import math

import numpy as np
import pytest

from captioning.captioner import Hypothesis
from formats.records import Detection
from web import showing

GREY = np.full((60, 120, 3), 128, np.uint8)


def box(name, *edges, score=0.9):
    return Detection(0, name, score, edges, "test")


def test_a_box_is_drawn_where_it_is():
    drawn = np.asarray(showing.draw_objects(GREY, [box("dog", 0.5, 0.25, 1.0, 0.75)], side=240))
    assert drawn.shape == (120, 240, 3)
    coloured = np.abs(drawn.astype(int) - 128).sum(2) > 20
    rows, columns = np.flatnonzero(coloured.any(1)), np.flatnonzero(coloured.any(0))
    assert columns[0] == 60 and rows[-1] == 119 and 175 <= columns[-1] < 180
    assert coloured[60:120, 60:63].all() and not coloured[75:115, 66:174].any(), "an outline, not a filled box"


@pytest.mark.parametrize("edges", [(0.0, 0.0, 0.01, 0.01), (0.99, 0.99, 1.0, 1.0), (0.5, 0.5, 0.5, 0.5)])
def test_boxes_at_the_edge_and_without_area(edges):
    assert showing.draw_objects(GREY, [box("a very long name of an object", *edges)]).size == (480, 240)


def test_a_classifiers_objects_have_no_box():
    drawn = np.asarray(showing.draw_objects(GREY, [box("dog", 0.0, 0.0, 1.0, 1.0)]))
    assert (drawn == 128).all()


def test_chances():
    whole, word = showing.chances(Hypothesis("a dog", (2, 3, 1), 3 * math.log(0.5), 0.0))
    assert whole == pytest.approx(0.125) and word == pytest.approx(0.5)
