"""training.setup.configure: what the settings of a trainer turn on in TensorFlow."""

import pytest
import tensorflow as tf

import config
from formats import inventory
from training import setup


@pytest.mark.parametrize("deterministic", [True, False])
def test_determinism_is_a_setting(deterministic, monkeypatch):
    monkeypatch.setattr(inventory, "require_fit", lambda *_: None)
    calls = []
    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", lambda: calls.append(1))
    setup.configure(config.FullModel(deterministic=deterministic))
    assert calls == [1] * deterministic
    assert config.FullModel().deterministic
