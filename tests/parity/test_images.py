"""Decoding, resizing and cropping compared with the authors' program in TensorFlow 1 (golden/misc_golden.npz)."""

import numpy as np
import pytest
import tensorflow as tf

from formats import images
from models.encoders import image_ops
from tests.parity import golden_files

TOLERANCE = 1e-6

PICTURES = [
    (path, index)
    for path in golden_files.sets("misc_golden.npz")
    for index in range(sum(name.startswith("jpeg_") for name in np.load(path).files))
]


@pytest.fixture(scope="module", params=PICTURES, ids=lambda item: f"{item[0].parent.name}-{item[1]}")
def picture(request):
    path, index = request.param
    arrays = np.load(path)
    return {name.removesuffix(f"_{index}"): arrays[name] for name in arrays.files if name.endswith(f"_{index}")} | {
        "index": index
    }


@pytest.fixture(scope="module")
def decoded(picture):
    return images.read_image(picture["jpeg"].tobytes())


@pytest.fixture(scope="module")
def resized(decoded):
    return image_ops.legacy_resize(image_ops.to_unit(decoded)[None], image_ops.RESIZED)


def test_decoded(picture, decoded):
    assert list(decoded.shape) == list(picture["decoded_shape"])
    np.testing.assert_array_equal(decoded[::7, ::7], picture["decoded_uint8"])
    np.testing.assert_array_equal(decoded.sum(axis=(0, 1), dtype=np.int64), picture["decoded_sum"])


def test_resized(picture, resized):
    np.testing.assert_allclose(resized[0, ::15, ::15], picture["resized346_sub15"], atol=TOLERANCE, rtol=0)


def test_evaluation_image(picture, resized):
    image = image_ops.to_signed(image_ops.crop_299(resized, tf.constant([[image_ops.CENTRE] * 2])))[0].numpy()
    assert list(image.shape) == list(picture["read_image_shape"])
    np.testing.assert_allclose(image[::13, ::13], picture["read_image_sub13"], atol=TOLERANCE, rtol=0)
    np.testing.assert_allclose([image.mean(), image.std()], picture["read_image_mean_std"], atol=1e-5)
    corners = [image[y : y + 4 or None, x : x + 4 or None] for y in (0, -4) for x in (0, -4)]
    np.testing.assert_allclose(corners, picture["read_image_corners"], atol=TOLERANCE, rtol=0)


def test_training_crop(picture, resized):
    offsets = tf.constant(picture["train_crop_offset_example"][None].astype(np.int32))
    crop = image_ops.to_signed(image_ops.crop_299(resized, offsets))[0]
    np.testing.assert_allclose(crop[::13, ::13], picture["train_crop_sub13"], atol=TOLERANCE, rtol=0)
