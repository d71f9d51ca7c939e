"""The comparisons of the parity tests pass for equal arrays, also if all are zero, and fail for different ones."""

import numpy as np
import pytest
import tensorflow as tf

from tests.parity.comparison import assert_close, assert_first_step, assert_later_steps, assert_variable


class Arrays(dict):
    """Golden arrays by name, with the attribute `files` of an .npz."""

    @property
    def files(self):
        return list(self)


def test_equal_arrays_are_equal():
    for golden in (np.zeros([2, 3]), np.zeros(0), np.float32(0), np.full(3, 1e-20), np.array([0, -2.5])):
        assert_close(golden, golden, "equal")


@pytest.mark.parametrize(
    ("ours", "golden"),
    [(1e-20, 0.0), (0.0, 1e-20), ([1, 2.0001], [1, 2]), ([[0.0]], [0.0]), (np.nan, 0.0), (np.nan, 1.0), (np.inf, 1.0)],
)
def test_different_arrays_are_not(ours, golden):
    with pytest.raises(AssertionError):
        assert_close(ours, golden, "different")


def test_scale_is_for_sums_that_nearly_vanish():
    assert_close(1e-6, 0.0, "terms of size 1", scale=1.0)
    with pytest.raises(AssertionError):
        assert_close(1e-4, 0.0, "terms of size 1", scale=1.0)


def test_variables_without_a_gradient():
    """Variables without a gradient must not change, although Adam would divide zero by zero."""
    zeros = np.zeros([2, 3], np.float32)
    golden = Arrays({"grad/clip/w": zeros, "after/w": zeros, "slot/w/Adam": zeros, "slot/w/Adam_1": zeros})
    variable = tf.Variable(zeros)
    assert_first_step(golden, {"w": variable}, "grad", "after", 1e-3)

    class Moments:
        variables = [None, None, zeros, zeros]

    assert_later_steps(golden, {"w": variable}, [(["w"], Moments)], "after", "slot", 1e-3, steps=5)
    variable.assign_add(zeros + 1e-3)
    with pytest.raises(AssertionError):
        assert_first_step(golden, {"w": variable}, "grad", "after", 1e-3)


def test_variable_that_is_no_number():
    with pytest.raises(AssertionError):
        assert_variable(tf.Variable([np.nan]), np.zeros(1), np.ones(1), "w", 1.0)
