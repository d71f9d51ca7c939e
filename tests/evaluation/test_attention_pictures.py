"""Attention figures and the map of words: the content of the drawings."""

import numpy as np
import pytest
from PIL import Image

import cli
from evaluation.report import attention_pictures, word_map
from formats.vocabulary import Vocabulary


def test_the_smooth_map_is_brightest_where_the_weight_is():
    weights = np.full(16, 0.01)
    weights[1 * 4 + 2] = 0.85  # second row, third column
    drawn = attention_pictures.smooth_map(weights, 80, 40)
    assert drawn.shape == (40, 80)
    row, column = np.unravel_index(drawn.argmax(), drawn.shape)
    assert 10 <= row < 20 and 40 <= column < 60
    assert drawn.max() == pytest.approx(1, abs=0.02) and drawn[35, 5] < 0.05
    # smooth: differences between neighbouring pixels are those of bicubic interpolation, not 1 as at a block's edge
    assert np.abs(np.diff(drawn, axis=1)).max() < 0.15
    np.testing.assert_allclose(attention_pictures.smooth_map(np.full(9, 1 / 9), 30, 30), 1.0, atol=1e-5)


def test_a_grid_that_is_not_square_is_an_error():
    with pytest.raises(cli.UserError, match="50 cells"):
        attention_pictures.smooth_map(np.ones(50), 10, 10)


def test_the_share_on_a_box_counts_parts_of_cells():
    weights = np.zeros(16)
    weights[0], weights[5] = 0.5, 0.5
    for box, weight, area in (
        ((0, 0, 0.25, 0.25), 0.5, 1 / 16),
        ((0, 0, 0.5, 0.5), 1.0, 1 / 4),
        ((0, 0, 0.125, 0.25), 0.25, 1 / 32),
    ):
        covered = attention_pictures.covered_cells(16, box)
        assert (covered @ weights, covered.mean()) == pytest.approx((weight, area))
    assert attention_pictures.covered_cells(49, (0.1, 0.3, 0.8, 0.9)).mean() == pytest.approx(0.42)


def test_one_panel_a_word_and_the_photograph(tmp_path):
    image = np.full((60, 90, 3), 200, np.uint8)
    weights = np.full((6, 9), 1 / 9)
    drawing = attention_pictures.figure(image, ["a", "dog", "runs", "on", "the", "grass"], weights)
    titles = [panel.get_title().split(" ")[0] for panel in drawing.axes]
    assert titles[:7] == ["", "a", "dog", "runs", "on", "the", "grass"] and len(drawing.axes) == 10
    attention_pictures.save(tmp_path / "sub" / "x.png", image, ["one"], weights[:1])
    assert Image.open(tmp_path / "sub" / "x.png").width > 100
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["x.png"]


# --------------------------------------------------------------------------------------------------------------
# Words


def vectors():
    """Returns word vectors in two clusters, along two axes; markers and the unknown word are in between."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(13, 6)) * 0.05
    rows[2:7, 0] += 1.0
    rows[7:12, 1] += 2.0
    rows[[0, 1, 12]] = [1, 1, 0, 0, 0, 0]
    return rows


def test_neighbours_are_the_nearest_by_cosine():
    found = word_map.neighbours(vectors(), [3, 9], count=4)
    assert {i for i, _ in found[3]} == {2, 4, 5, 6} and {i for i, _ in found[9]} == {7, 8, 10, 11}
    cosines = [cosine for _, cosine in found[3]]
    assert cosines == sorted(cosines, reverse=True) and cosines[0] <= 1
    assert [len(several) for several in word_map.neighbours(vectors(), [3], count=50).values()] == [9]


@pytest.mark.parametrize("method", word_map.METHODS)
def test_the_plane_keeps_bundles_apart(method):
    points = word_map.project(vectors()[2:12], method)
    assert points.shape == (10, 2)
    within = np.linalg.norm(points[:5] - points[:5].mean(0), axis=1).max()
    assert np.linalg.norm(points[:5].mean(0) - points[5:].mean(0)) > 2 * within
    np.testing.assert_allclose(points, word_map.project(vectors()[2:12], method))


def test_the_map_names_the_captions_words_and_their_neighbours():
    words = ["<S>", "</S>", "cat", "dog", "cow", "horse", "sheep", "red", "blue", "green", "black", "white"]
    drawing = word_map.figure(vectors(), Vocabulary(words), [0, 3, 1, 12], count=4)
    named = sorted(text.get_text() for text in drawing.axes[0].texts)
    assert named == ["cat", "cow", "dog", "horse", "sheep"]
    with pytest.raises(cli.UserError, match="umap"):
        word_map.figure(vectors(), Vocabulary(words), [3], "umap")
