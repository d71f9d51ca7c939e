"""A small batch for every objective."""

import numpy as np
import pytest
import tensorflow as tf

V, D, ROWS, WORDS, OBJECTS = 31, 6, 10, 9, 4


@pytest.fixture
def batch():
    random = np.random.default_rng(0)
    length = random.integers(3, WORDS + 1, ROWS).astype(np.int32)
    sentence = random.integers(2, V, [ROWS, WORDS]).astype(np.int32)
    sentence[:, 0] = 0
    sentence[np.arange(ROWS), length - 1] = 1
    sentence[np.arange(WORDS)[None] >= length[:, None]] = 0
    num = random.integers(0, OBJECTS + 1, ROWS).astype(np.int32)
    arrays = {
        "image": random.normal(size=[ROWS, D]).astype(np.float32),
        "classes": random.integers(2, V, [ROWS, OBJECTS]).astype(np.int32),
        "scores": random.uniform(0.3, 1, [ROWS, OBJECTS]).astype(np.float32),
        "num": num,
        "sentence": sentence,
        "length": length,
        "key": random.integers(2, V, [ROWS, OBJECTS]).astype(np.int32),
        "key_length": np.maximum(num, 1),
    }
    return {name: tf.constant(array) for name, array in arrays.items()}
