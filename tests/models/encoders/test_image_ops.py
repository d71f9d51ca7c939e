"""Resizing and cropping against small cases that can be worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf

from models.encoders import image_ops


def ramp(size):
    """[1, size, size, 3] whose first channel is the row, second the column, third 0."""
    rows, columns = np.mgrid[:size, :size].astype(np.float32)
    return np.stack([rows, columns, np.zeros_like(rows)], axis=-1)[None]


def test_legacy_resize_keeps_the_first_pixel():
    """Without half-pixel centres, output pixel i lies at i * in / out: 0, 0.5, 1, then the edge is repeated."""
    resized = image_ops.legacy_resize(ramp(2), 4)[0].numpy()
    np.testing.assert_allclose(resized[:, 0, 0], [0, 0.5, 1, 1])
    np.testing.assert_allclose(resized[0, :, 1], [0, 0.5, 1, 1])


def test_legacy_resize_does_not_smooth():
    """Shrinking by four takes every fourth pixel unchanged."""
    image = np.random.default_rng(0).random((1, 8, 8, 3), np.float32)
    np.testing.assert_array_equal(image_ops.legacy_resize(image, 2), image[:, ::4, ::4])


def test_modern_resize_is_centred_and_smooths():
    enlarged = image_ops.modern_resize(ramp(2), 4)[0].numpy()
    np.testing.assert_allclose(enlarged[:, 0, 0], [0, 0.25, 0.75, 1], atol=1e-6)
    stripes = np.tile(np.array([0.0, 1.0], np.float32), 8)[None, :, None, None] * np.ones((1, 16, 16, 3), np.float32)
    shrunk = image_ops.modern_resize(stripes, 4).numpy()
    np.testing.assert_allclose(shrunk, 0.5, atol=0.05)
    assert image_ops.legacy_resize(stripes, 4).numpy().max() == 0  # the legacy one sees every fourth row only


def test_resize_by_name():
    image = np.random.default_rng(0).random((1, 7, 9, 3), np.float32)
    np.testing.assert_array_equal(image_ops.resize(image, 5, "legacy"), image_ops.legacy_resize(image, 5))
    np.testing.assert_array_equal(image_ops.resize(image, 5, "modern"), image_ops.modern_resize(image, 5))
    with pytest.raises(ValueError, match="bicubic.*legacy, modern"):
        image_ops.resize(image, 5, "bicubic")


def test_centre_crop_is_rows_23_to_321():
    crop = image_ops.crop_299(ramp(346), tf.constant([[image_ops.CENTRE] * 2]))[0].numpy()
    assert crop.shape == (299, 299, 3)
    assert crop[0, 0].tolist() == [23, 23, 0]
    assert crop[-1, -1].tolist() == [321, 321, 0]


def test_crops_at_offsets():
    images = np.concatenate([ramp(346), ramp(346) + 1000])
    crops = image_ops.crop_299(images, tf.constant([[0, 47], [5, 0]]))
    assert crops.shape == (2, 299, 299, 3)
    assert crops[0, 0, 0].numpy().tolist() == [0, 47, 0]
    assert crops[0, -1, -1].numpy().tolist() == [298, 345, 0]
    assert crops[1, 0, 0].numpy().tolist() == [1005, 1000, 1000]


def test_scaling():
    assert image_ops.to_unit(np.array([0, 255], np.uint8)).numpy().tolist() == [0, 1]
    assert image_ops.to_signed(np.array([0.0, 0.5, 1.0])).tolist() == [-1, 0, 1]


@pytest.mark.parametrize("shape", [(48, 80), (128, 96), (64, 64), (200, 30)])
@pytest.mark.parametrize("mode", image_ops.RESIZE_MODES)
def test_the_portable_resize_is_the_resize_up_to_rounding(shape, mode):
    pixels = np.random.default_rng(0).integers(0, 256, (1, *shape, 3)).astype(np.float32)
    expected = image_ops.resize(pixels, 64, mode)
    np.testing.assert_allclose(image_ops.portable_resize(tf.constant(pixels), 64, mode), expected, atol=1e-2)
