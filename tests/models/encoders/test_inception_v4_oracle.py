"""Inception-v4 against timm's independent implementation; scripts/inception_v4_oracle.py makes the file."""

import os

import numpy as np
import pytest

from models.encoders import inception_v4


def test_equals_timm():
    path = os.environ.get("UIC_INCEPTION_ORACLE")
    if not path:
        pytest.skip("UIC_INCEPTION_ORACLE names no file; scripts/inception_v4_oracle.py makes one")
    oracle = np.load(path)
    scopes = [
        name.removesuffix("/weights")
        for name in inception_v4.variable_shapes()
        if name.endswith("/weights") and "Logits" not in name
    ]
    assert len(scopes) == 149
    weights = {}
    for i, scope in enumerate(scopes):
        weights[f"{scope}/weights"] = oracle[f"{i:03d}/weights"]
        for part in ("beta", "moving_mean", "moving_variance"):
            weights[f"{scope}/BatchNorm/{part}"] = oracle[f"{i:03d}/{part}"]
    for part in ("weights", "biases"):
        weights[f"InceptionV4/Logits/Logits/{part}"] = oracle[f"logits/{part}"]
    endpoints = inception_v4.InceptionV4(weights).endpoints(oracle["input"])
    for name, ours in (("pooled", np.mean(endpoints["Mixed_7d"], (1, 2))), ("Logits", endpoints["Logits"])):
        deviation = np.abs(ours - oracle[name]).max() / np.abs(oracle[name]).max()
        assert deviation <= 1e-5, f"{name}: {deviation:.1e}"
