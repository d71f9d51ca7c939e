"""Noised sentences, lengths and the concept reward compared with the authors' program (golden/misc_golden.npz)."""

import numpy as np
import pytest
import tensorflow as tf

from models import layers, noise, rewards
from tests.parity import golden_files
from tests.parity.comparison import assert_close


@pytest.fixture(scope="module", params=golden_files.sets("misc_golden*.npz"), ids=lambda path: path.stem)
def golden(request):
    return np.load(request.param)


def sentences(golden):
    """The sentences of the file: [[tokens, uniforms, shuffled, dropped]]."""
    count = sum(name.startswith("aug_tokens_") for name in golden.files)
    names = ("aug_tokens", "aug_uniform", "controlled_shuffle", "random_drop")
    return [[golden[f"{name}_{index}"] for name in names] for index in range(count)]


def test_noise_one_by_one(golden):
    for tokens, uniforms, shuffled, dropped in sentences(golden):
        row = tokens[None], [len(tokens)], uniforms[None]
        np.testing.assert_array_equal(noise.controlled_shuffle(*row)[0], shuffled)
        kept, lengths = noise.random_drop(*row)
        np.testing.assert_array_equal(kept[0, : lengths[0]], dropped)
        assert not np.any(kept[0, lengths[0] :])


def padded(rows, width, fill=0):
    return np.stack([np.pad(row, (0, width - len(row)), constant_values=fill) for row in rows])


def test_noise_in_a_padded_batch(golden):
    tokens, uniforms, shuffled, dropped = zip(*sentences(golden), strict=True)
    lengths = [len(row) for row in tokens]
    width = max(lengths) + 2
    rows = padded(tokens, width), lengths, padded(uniforms, width, 0.5)
    np.testing.assert_array_equal(noise.controlled_shuffle(*rows), padded(shuffled, width))
    kept, left = noise.random_drop(*rows)
    np.testing.assert_array_equal(kept, padded(dropped, width))
    np.testing.assert_array_equal(left, [len(row) for row in dropped])


def test_lengths(golden):
    np.testing.assert_array_equal(layers.sequence_lengths(golden["get_len_in"]), golden["get_len_out"])


def test_concept_reward(golden):
    names = ("obj_sentence", "obj_mask", "obj_classes", "obj_scores", "obj_num")
    tokens, mask, *objects = (tf.constant(golden[name]) for name in names)
    reward = rewards.concept_reward(tokens, tf.cast(mask, tf.float32), *objects)
    assert_close(reward, golden["obj_rewards"], "concept reward", tolerance=1e-6)
