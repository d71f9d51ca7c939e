"""Inception-v4 compared with slim's network: weights by a rule, two inputs (golden/inception_v4_golden.npz)."""

import json

import numpy as np
import pytest

from models.encoders import inception_v4
from tests.parity import golden_files
from tests.parity.comparison import assert_close


@pytest.fixture(scope="module", params=golden_files.sets("inception_v4_golden.npz"), ids=lambda path: path.parent.name)
def golden(request):
    return np.load(request.param)


@pytest.fixture(scope="module")
def weights(golden):
    seed = int(golden["weight_seed"])
    return inception_v4.rule_weights(seed if seed >= 0 else None, aux=True)


@pytest.fixture(scope="module")
def network(weights):
    return inception_v4.InceptionV4(weights)


@pytest.fixture(scope="module")
def noise(golden):
    images = np.random.default_rng(int(golden["input_seed"])).uniform(-1, 1, [2, 299, 299, 3]).astype(np.float32)
    np.testing.assert_allclose(images.ravel()[:10], golden["input_first10"])
    return images


@pytest.fixture(scope="module")
def sine(golden):
    b, y, x, c = np.ogrid[:2, :299, :299, :3]
    waves = np.sin(2 * np.pi * (y * (b + 1) / 37 + x * (c + 1) / 53) + float(golden["structured/phase"]))
    return waves.astype(np.float32)


def assert_sample(endpoint, golden, name):
    """Compares the 16 values an image that the golden file has, relative to the magnitude of the whole endpoint.

    After a ReLU all 16 can be near zero, so relative to their own largest magnitude the rounding would be large.
    """
    flat = endpoint.reshape(len(endpoint), -1)
    sample = flat[:, np.linspace(0, flat.shape[1] - 1, 16).astype(int)]
    assert_close(sample, golden, "samples of endpoints", name, scale=np.abs(endpoint).max())


def test_variables(weights):
    """Names, shapes and order of the variables are equal, and so are the weights by the rule."""
    listed = json.loads((golden_files.sets("inception_v4_variables.json")[0]).read_text())["variables"]
    assert [variable["name"] for variable in listed] == list(weights)
    for variable in listed:
        array = weights[variable["name"]]
        assert list(array.shape) == variable["shape"], variable["name"]
        np.testing.assert_allclose(array.ravel()[:3], variable["first3"], rtol=1e-6)
        np.testing.assert_allclose(array.sum(dtype=np.float64), variable["sum64"], rtol=1e-6, atol=1e-9)


def test_endpoints_of_noise(golden, network, noise):
    endpoints = {name: value.numpy() for name, value in network.endpoints(noise).items()}
    assert sorted(endpoints) == sorted(golden["endpoint_names"])
    for name, value in endpoints.items():
        assert list(value.shape) == list(golden[f"shape/{name}"]), name
        assert_sample(value, golden[f"sample/{name}"], name)
        if f"permean/{name}" in golden:
            cells = tuple(range(1, value.ndim - 1))  # the axes of the cells; a vector has none
            means = value.mean(axis=cells, dtype=np.float64)
            assert_close(means, golden[f"permean/{name}"], "channel means", name)
    for name in ("PreLogitsFlatten", "Logits", "Predictions", "AuxLogits"):
        assert_close(endpoints[name], golden[name], "outputs", name)


def test_endpoints_of_sine(golden, network, sine):
    endpoints = {name: value.numpy() for name, value in network.endpoints(sine).items()}
    for name, value in endpoints.items():
        assert_sample(value, golden[f"structured/sample/{name}"], name)
    for name in ("Logits", "AuxLogits"):
        assert_close(endpoints[name], golden[f"structured/{name}"], "outputs", name)


def test_pooled(golden, network, noise, sine):
    """The compiled function that captioners use, also for a batch size other than the one traced first."""
    assert_close(network.pooled(noise), golden["pooled"], "pooled", "noise")
    assert_close(network.pooled(sine), golden["structured/pooled"], "pooled", "sine")
    assert_close(network.pooled(noise[:1]), golden["pooled"][:1], "pooled", "one image")
