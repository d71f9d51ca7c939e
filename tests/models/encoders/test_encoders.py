"""Encoders: preprocessing, features, and rebuilding the same encoder from a run directory."""

import json
import os
import pathlib
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from models import encoders
from models.encoders import base, compact, image_ops, inception_v4, registry, saved
from models.encoders.tflite import TFLiteModel
from tests import small_networks
from tests.models.encoders import compact_files

REALDATA = pathlib.Path(os.environ.get("UIC_REALDATA", pathlib.Path(__file__).resolve().parents[4] / "shared/realdata"))
HALF = 2.0**-11  # rounding to float16, relative


def photograph(height=40, width=60, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def tflite_file(tmp_path_factory):
    return small_networks.encoder(tmp_path_factory.mktemp("tflite") / "small.tflite")


@pytest.fixture(scope="module")
def compact_file(tmp_path_factory):
    return compact_files.write(tmp_path_factory.mktemp("compact") / "compact.npz")


@pytest.fixture(scope="module")
def inception():
    return encoders.load_encoder("inception_v4:rule")


# --------------------------------------------------------------------------------------------------------------
# Inception-v4


def test_inception_crops(inception):
    image = photograph()
    crops = inception.crops(image, 3, seed=5)
    assert crops.shape == (4, 299, 299, 3) and crops.dtype == np.float32
    resized = image_ops.legacy_resize(image_ops.to_unit(image)[None], 346)
    np.testing.assert_array_equal(crops[0], image_ops.to_signed(resized[:, 23:322, 23:322])[0])
    whole = image_ops.to_signed(resized)[0].numpy()
    for crop in crops[1:]:
        corners = [(y, x) for y in range(48) for x in range(48) if (whole[y, x] == crop[0, 0]).all()]
        assert any(np.array_equal(whole[y : y + 299, x : x + 299], crop) for y, x in corners)
    np.testing.assert_array_equal(crops, inception.crops(image, 3, seed=5))
    assert not np.array_equal(crops[1], inception.crops(image, 3, seed=6)[1])
    assert len(inception.crops(image, 0, seed=5)) == 1


def test_inception_modern_resize_differs(inception):
    image = photograph(500, 400)
    modern = encoders.load_encoder("inception_v4:rule", "modern")
    assert np.abs(modern.crops(image, 0, 0) - inception.crops(image, 0, 0)).max() > 0.1
    assert modern.preprocessing["resize"] == "modern" and inception.preprocessing["resize"] == "legacy"


def test_inception_from_a_checkpoint(tmp_path, inception):
    path, weights = str(tmp_path / "inception_v4.ckpt"), inception_v4.rule_weights()
    tf.raw_ops.Save(filename=path, tensor_names=list(weights), data=list(weights.values()))
    encoder = encoders.load_encoder(f"inception_v4:{path}")
    assert encoder.files == (path,)
    batch = inception.crops(photograph(), 0, seed=0)
    features = encoder.encode(batch)
    assert features.shape == (1, encoder.dim) == (1, 1536) and features.dtype == np.float32
    np.testing.assert_array_equal(features, base.as_banked(inception_v4.InceptionV4(weights).pooled(batch)))
    saved.save_encoder(encoder.describe(), str(tmp_path / "run"))
    assert os.listdir(tmp_path / "run") == ["encoder.json"], "a file of 170 MB must not be copied"
    again = registry.load_encoder_from(str(tmp_path / "run"))
    assert again.files == encoder.files and again.describe() == encoder.describe()


# --------------------------------------------------------------------------------------------------------------
# TensorFlow Lite


def test_tflite_output(tflite_file):
    encoder = encoders.load_encoder(f"tflite:{tflite_file}")
    assert (encoder.dim, encoder.cells, encoder.image_size) == (6, None, small_networks.SIDE)
    batch = np.stack([photograph(8, 8, seed) for seed in range(3)])
    expected = batch.astype(np.float64).mean(axis=(1, 2))
    np.testing.assert_allclose(encoder.encode(batch), np.hstack([expected, 255 - expected]), rtol=HALF)


def test_tflite_grid_by_number(tflite_file):
    numbers = [n for n, d in TFLiteModel(tflite_file).tensors().items() if list(d["shape"]) == [1, 4, 4, 6]]
    encoder = encoders.load_encoder(f"tflite:{tflite_file}#{numbers[0]}")
    assert (encoder.dim, encoder.cells) == (6, 16)
    image = photograph(8, 8)
    grid = encoder.encode(image[None])
    assert grid.shape == (1, 16, 6)
    cells = image.astype(np.float64).reshape(4, 2, 4, 2, 3).mean(axis=(1, 3)).reshape(16, 3)
    np.testing.assert_allclose(grid[0, :, :3], cells, rtol=HALF)


def test_tflite_quantised_numbers_become_real_ones(tmp_path):
    encoder = encoders.load_encoder("tflite:" + small_networks.quantised_encoder(tmp_path / "quantised.tflite"))
    levels = np.array([0, 51, 153, 255], np.uint8)
    batch = np.ones((4, 8, 8, 3), np.uint8) * levels[:, None, None, None]
    np.testing.assert_allclose(encoder.encode(batch)[:, 0], 1 + levels / 255, atol=0.01)


def test_tflite_says_which_tensor_it_takes_and_the_vectors_before_the_classes(tflite_file, tmp_path):
    encoder = encoders.load_encoder(f"tflite:{tflite_file}")
    assert "takes tensor" in encoder.note and "no tensor with a vector of another size" in encoder.note
    path = small_networks.classifier_with_vector(tmp_path / "net.tflite")
    encoder = encoders.load_encoder(f"tflite:{path}")
    assert encoder.dim == 4 and "[1, 4], the network's first output" in encoder.note
    number = re.search(r"vectors before it, to be named behind the file: .*#(\d+) \[1, 1, 1, 6\]", encoder.note)[1]
    vector = encoders.load_encoder(f"tflite:{path}#{number}")
    assert (vector.dim, vector.cells, vector.note) == (6, None, "")
    with pytest.raises(ValueError, match=r"tensor \d+ has shape \[1, 16, 7\], expected \[1, D\] or a grid"):
        encoders.load_encoder(f"tflite:{small_networks.class_logits(tmp_path / 'logits.tflite')}")


def test_tflite_errors(tflite_file, tmp_path):
    with pytest.raises(ValueError, match=r"no tensor 999; the last tensors are .*\[1, 4, 4, 6\]"):
        encoders.load_encoder(f"tflite:{tflite_file}#999")
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(pathlib.Path(tflite_file).read_bytes()[:700])
    for path in (cut, tmp_path / "absent.tflite"):
        with pytest.raises(ValueError, match=path.name):
            encoders.load_encoder(f"tflite:{path}")


def test_mobilenet_vector_is_the_mean_of_its_grid():
    """On the real network: tensor 172 is the spatial mean of tensor 171, in steps of 0.0191 up to 255 of them."""
    path = REALDATA / "models/tf2_mobilenet_v2_1.0_224_ptq.tflite"
    if not path.exists():
        pytest.skip(f"{path} is not here (set UIC_REALDATA)")
    vector, grid = (encoders.load_encoder(f"tflite:{path}#{number}") for number in (172, 171))
    assert (vector.dim, vector.cells, grid.dim, grid.cells) == (1280, None, 1280, 49)
    crops = vector.crops(photograph(224, 224), 1, seed=0)
    features = vector.encode(crops)
    assert features.std() > 0.1
    means = np.minimum(grid.encode(crops).mean(axis=1), 255 * 0.0190778)
    assert np.abs(features - means).max() < 0.0191


# --------------------------------------------------------------------------------------------------------------
# The others


def test_compact(compact_file):
    encoder = encoders.load_encoder(f"compact:{compact_file}")
    network = compact.load(compact_file)
    crops = encoder.crops(photograph(), 2, seed=1)
    assert crops.shape == (3, 32, 32, 3) and crops.dtype == np.uint8
    np.testing.assert_array_equal(encoder.encode(crops), base.as_banked(network(image_ops.to_unit(crops))))
    grid = encoders.load_encoder(f"compact:{compact_file}#grid")
    assert grid.cells == network.cells
    np.testing.assert_allclose(grid.encode(crops).mean(axis=1), encoder.encode(crops), rtol=2 * HALF, atol=1e-6)


def test_keras_application(tmp_path):
    network = keras.applications.MobileNetV2(include_top=False, pooling="avg", weights=None, input_shape=(224, 224, 3))
    path = str(tmp_path / "mobilenet.weights.h5")
    network.save_weights(path)
    encoder = encoders.load_encoder(f"keras:MobileNetV2#{path}")
    crops = encoder.crops(photograph(), 0, seed=0)
    expected = network(crops.astype(np.float32) / 127.5 - 1, training=False)
    np.testing.assert_allclose(encoder.encode(crops), expected, rtol=HALF, atol=1e-6)
    with pytest.raises(ValueError, match="NoSuchNet"):
        encoders.load_encoder("keras:NoSuchNet#weights.h5")


def stand_in(include_top, weights, pooling=None, input_shape=(224, 224, 3)):
    """Returns a tiny network with the call signature of keras.applications and fixed weights."""
    inputs, constant = keras.Input(input_shape), keras.initializers.Constant
    outputs = keras.layers.Conv2D(5, 32, 32, name="cells", kernel_initializer=constant(1 / 1024))(inputs)
    if include_top:
        outputs = keras.layers.Dense(6, name="fc2", kernel_initializer=constant(1 / 64))(
            keras.layers.Flatten()(outputs)
        )
        outputs = keras.layers.Dense(3)(outputs)
    elif pooling == "avg":
        outputs = keras.layers.GlobalAveragePooling2D()(outputs)
    network = keras.Model(inputs, outputs)
    if weights != "imagenet":
        raise ValueError(f"no file {weights}")
    return network


@pytest.mark.parametrize(
    ("kind", "module", "name", "side", "dim", "cells"),
    [
        ("inception_v3", keras.applications.inception_v3, "InceptionV3", 299, 5, 81),
        ("resnet152", keras.applications.resnet, "ResNet152", 224, 5, 49),
        ("vgg16", keras.applications.vgg16, "VGG16", 224, 6, 49),  # its vector is that of the layer fc2
    ],
)
def test_encoders_by_name(monkeypatch, tmp_path, kind, module, name, side, dim, cells):
    monkeypatch.setattr(module, name, stand_in)
    vector, grid = encoders.load_encoder(f"{kind}:imagenet"), encoders.load_encoder(f"{kind}:imagenet#grid")
    assert (vector.image_size, vector.dim, vector.cells) == (side, dim, None)
    assert (grid.image_size, grid.dim, grid.cells) == (side, 5, cells)
    crops = vector.crops(photograph(), 1, seed=0)
    assert crops.shape == (2, side, side, 3)
    found, sums = (
        grid.encode(crops),
        module.preprocess_input(crops.astype(np.float32))[:, :32, :32].sum((1, 2, 3)) / 1024,
    )
    np.testing.assert_allclose(found[:, 0, 0], sums, rtol=HALF, atol=1e-5)  # the first cell is the upper left corner
    pooled = found.sum((1, 2)) / 64 if kind == "vgg16" else found.mean(1)[:, 0]
    np.testing.assert_allclose(vector.encode(crops)[:, 0], pooled, rtol=HALF, atol=1e-2)
    saved.save_encoder(grid.describe(), tmp_path / "run")
    assert registry.load_encoder_from(str(tmp_path / "run")).cells == cells
    with pytest.raises(ValueError, match=f"{kind}:WEIGHTS.h5, or take a network .* no download, tflite:FILE#TENSOR"):
        encoders.load_encoder(f"{kind}:absent.h5")


@pytest.mark.parametrize("spec", ["", "vgg:file", "tflite:", "compact:absent.npz", "inception_v4:absent.ckpt"])
def test_bad_specs(spec):
    with pytest.raises(ValueError, match="expected|absent"):
        encoders.load_encoder(spec)


# --------------------------------------------------------------------------------------------------------------
# Crops of whole images


def test_first_crop_is_the_whole_image(tflite_file):
    encoder = encoders.load_encoder(f"tflite:{tflite_file}")
    image = photograph(8, 8)
    np.testing.assert_array_equal(encoder.crops(image, 2, seed=3)[0], image)
    large = photograph(80, 64)
    expected = np.rint(image_ops.modern_resize(large[None].astype(np.float32), 8)[0])
    np.testing.assert_array_equal(encoder.crops(large, 0, seed=3)[0], expected)


def test_windows_keep_85_to_100_percent_and_lie_inside():
    windows = np.array(encoders.random_windows(200, 100, 3000, seed=2))
    top, left, bottom, right = windows.T
    assert (top >= 0).all() and (left >= 0).all() and (bottom <= 200).all() and (right <= 100).all()
    rows, columns = bottom - top, right - left
    assert rows.min() == 170 and rows.max() == 200 and columns.min() == 85 and columns.max() == 100
    assert top.max() == 30 and left.max() == 15
    assert len(set(zip(rows, top, strict=True))) > 400
    assert encoders.random_windows(1, 1, 2, seed=0) == [(0, 0, 1, 1)] * 2


# --------------------------------------------------------------------------------------------------------------
# Run directories


def test_run_directory_holds_the_encoder(tflite_file, tmp_path):
    number = max(TFLiteModel(tflite_file).tensors())
    encoder = encoders.load_encoder(f"tflite:{tflite_file}#{number}", "legacy")
    saved.save_encoder(encoder.describe(), str(tmp_path / "run"))
    assert sorted(os.listdir(tmp_path / "run")) == ["encoder.json", "small.tflite"]
    os.rename(tmp_path / "run", tmp_path / "moved")
    again = registry.load_encoder_from(str(tmp_path / "moved"))
    assert again.preprocessing["resize"] == "legacy"
    image = photograph(50, 50)
    np.testing.assert_array_equal(again.encode(again.crops(image, 2, 1)), encoder.encode(encoder.crops(image, 2, 1)))
    assert encoders.identity(again.describe()) == encoders.identity(encoder.describe())


def test_description_rebuilds_and_refuses_another_file(tflite_file, tmp_path):
    description = json.loads(json.dumps(encoders.load_encoder(f"tflite:{tflite_file}").describe()))
    assert registry.load_encoder_from(description).dim == 6
    other = small_networks.classifier(tmp_path / "other.tflite")
    with pytest.raises(ValueError, match="not the one that the features were made with"):
        registry.load_encoder_from(description, spec=f"tflite:{other}")
    with pytest.raises(ValueError, match="encoder.json"):
        registry.load_encoder_from(str(tmp_path))


def test_joined_vectors_stand_one_behind_the_other(tflite_file, compact_file, tmp_path):
    specs = f"tflite:{tflite_file}", f"compact:{compact_file}"
    first, second = (encoders.load_encoder(spec) for spec in specs)
    joined = encoders.load_encoder("+".join(specs))
    assert joined.dim == first.dim + second.dim and joined.cells is None
    image = photograph()
    vectors = joined.encode(joined.crops(image, 2, 7))
    expected = [member.encode(member.crops(image, 2, 7)) for member in (first, second)]
    np.testing.assert_array_equal(vectors, np.concatenate(expected, 1))
    saved.save_encoder(joined.describe(), str(tmp_path / "run"))
    assert sorted(os.listdir(tmp_path / "run")) == ["compact.npz", "encoder.json", "small.tflite"]
    again = registry.load_encoder_from(str(tmp_path / "run"))
    np.testing.assert_array_equal(again.encode(again.crops(image, 2, 7)), vectors)
    assert encoders.identity(again.describe()) == encoders.identity(joined.describe())
    with pytest.raises(ValueError, match="not the one that the features were made with"):
        registry.load_encoder_from(str(tmp_path / "run"), spec=specs[0])
    turned = encoders.load_encoder("+".join(reversed(specs)))
    assert encoders.identity(turned.describe()) != encoders.identity(joined.describe())


def test_joined_files_of_one_name_stay_where_they_are(tflite_file, tmp_path):
    os.makedirs(tmp_path / "other")
    other = small_networks.classifier(tmp_path / "other" / "small.tflite")
    joined = encoders.load_encoder(f"tflite:{tflite_file}+tflite:{other}")
    saved.save_encoder(joined.describe(), str(tmp_path / "run"))
    assert os.listdir(tmp_path / "run") == ["encoder.json"]
    assert registry.load_encoder_from(str(tmp_path / "run")).dim == joined.dim


def test_joined_grids_are_refused(compact_file):
    with pytest.raises(ValueError, match="must give pooled vectors"):
        encoders.load_encoder(f"compact:{compact_file}+compact:{compact_file}#grid")


def test_tflite_largest_value_of_each_channel(tflite_file):
    model = TFLiteModel(tflite_file, keep_all=True)
    number = next(n for n, details in model.tensors().items() if len(details["shape"]) == 4 and details["shape"][1] > 1
                  and n != model.input["index"] and details["shape"][0] == 1)  # fmt: skip
    grid = encoders.load_encoder(f"tflite:{tflite_file}#{number}")
    largest = encoders.load_encoder(f"tflite:{tflite_file}#{number}@max")
    assert largest.cells is None and largest.dim == grid.dim
    picture = grid.crops(photograph(), 0, 0)
    np.testing.assert_array_equal(largest.encode(picture), grid.encode(picture).max(1))
    with pytest.raises(ValueError, match="@mean is unknown"):
        encoders.load_encoder(f"tflite:{tflite_file}#{number}@mean")
