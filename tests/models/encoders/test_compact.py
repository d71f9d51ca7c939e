"""The compact encoder: shapes, pooled vector and grid, saving and loading, training."""

import numpy as np
import pytest
import tensorflow as tf

from models.encoders import compact
from preprocessing import make_miniature, train_compact
from preprocessing.miniature.things import NAMES

SIDE = compact.IMAGE_SIZE


@pytest.fixture(scope="module")
def trained():
    """Returns (encoder, head, images, labels) after a short training on four distinct classes."""
    images = np.concatenate([make_miniature.draw_singles((7, start, start + 300, SIDE)) for start in (0, 300)])
    labels = np.arange(600) % len(NAMES)
    chosen = [NAMES.index(name) for name in ("tree", "house", "boat", "bus")]
    keep = np.isin(labels, chosen)
    images, labels = (
        np.concatenate([images[keep]] * 6),
        np.concatenate([np.searchsorted(sorted(chosen), labels[keep])] * 6),
    )
    kernels, biases, head = train_compact.train(images, labels, 4, epochs=4, seed=3)
    return compact.CompactEncoder(kernels, biases, SIDE, **train_compact.INPUT), head, images, labels


def test_shapes(trained):
    encoder = trained[0]
    images = np.zeros([3, SIDE, SIDE, 3], np.float32)
    assert encoder(images).shape == (3, encoder.dim) and encoder(images).dtype == tf.float32
    assert encoder.grid(images).shape == (3, encoder.cells, encoder.grid_dim)
    assert encoder.cells == 64 and 128 <= encoder.dim <= 256


def test_the_pooled_vector_is_the_mean_of_the_cells(trained):
    encoder, _, images, _ = trained
    batch = images[:5].astype(np.float32) / 255
    np.testing.assert_allclose(encoder(batch), np.mean(encoder.grid(batch), axis=1), rtol=1e-5)


def test_the_grid_is_read_row_by_row(trained):
    """A change in the lower right corner of the picture reaches the last cell and not the first."""
    encoder, _, images, _ = trained
    batch = images[:1].astype(np.float32) / 255
    changed = batch.copy()
    changed[:, -6:, -6:] = 1 - changed[:, -6:, -6:]
    difference = np.abs(encoder.grid(batch) - encoder.grid(changed)).max(axis=2)[0]
    assert difference[0] == 0 and difference[-1] > 0


def test_training_beats_chance(trained):
    encoder, head, images, labels = trained
    assert train_compact.accuracy(encoder, head, images, labels) > 0.5  # chance is 0.25


def test_folding_keeps_the_logits():
    """Convolutions with a batch's moments folded in equal batch normalisation on that batch."""
    network = compact.TrainableCompact(5, seed=1)
    images = np.random.default_rng(0).random([4, SIDE, SIDE, 3], np.float32)
    scaled = (images - train_compact.MEAN) * train_compact.SCALE
    logits, moments = network.logits(tf.constant(scaled))
    kernels, biases = network.folded([[value.numpy() for value in pair] for pair in moments])
    encoder = compact.CompactEncoder(kernels, biases, SIDE, **train_compact.INPUT)
    folded = tf.matmul(encoder(images), network.weight) + network.bias
    np.testing.assert_allclose(folded, logits, atol=1e-4)


def test_training_twice_gives_the_same_bits():
    images = make_miniature.draw_singles((1, 0, 96, SIDE))
    labels = np.arange(96) % len(NAMES)
    runs = [train_compact.train(images, labels, len(NAMES), epochs=1, seed=5) for _ in range(2)]
    for first, second in zip(runs[0][0] + runs[0][1], runs[1][0] + runs[1][1], strict=True):
        np.testing.assert_array_equal(first, second)


def test_save_and_load(trained, tmp_path):
    encoder, _, images, _ = trained
    path = str(tmp_path / "compact.npz")
    compact.save(path, encoder.kernels, encoder.biases, **train_compact.INPUT, classes=["a"])
    again = compact.load(path)
    assert (again.image_size, again.dim, again.cells) == (encoder.image_size, encoder.dim, encoder.cells)
    batch = images[:2].astype(np.float32) / 255
    np.testing.assert_array_equal(again(batch), encoder(batch))


def test_another_file_is_refused(tmp_path):
    path = str(tmp_path / "other.npz")
    np.savez(path, weights=np.zeros(3))
    with pytest.raises(ValueError, match="expected the arrays"):
        compact.load(path)
