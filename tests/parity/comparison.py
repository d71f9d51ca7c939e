"""Comparisons with golden arrays. Each records the largest deviation, which conftest.py reports.

Deviations are relative to the largest magnitude of the golden array, except those of variables, which are absolute.
"""

import keras
import numpy as np
import tensorflow as tf

from training.optimization import EPSILON, apply_gradients

TOLERANCE = 1e-5
# Float32 rounding in both programs: each is within 8e-7 of the same gradient in float64.
GRADIENT_NOISE = 2e-6
BETA2 = 0.999
CLIP = 10.0  # norm at which the authors clip

noted = {}  # quantity -> largest deviation in the running test


def note(quantity, deviation):
    noted[quantity] = max(noted.get(quantity, 0.0), float(deviation))


def assert_close(ours, golden, quantity, name="", tolerance=TOLERANCE, scale=0.0):
    """Asserts deviations of at most `tolerance` times the largest magnitude of the golden array (or `scale`)."""
    ours, golden = np.asarray(ours, np.float64), np.asarray(golden, np.float64)
    assert ours.shape == golden.shape, f"{quantity} {name}: shape {ours.shape}, golden {golden.shape}"
    scale = max(np.abs(golden).max(initial=0.0), float(scale), 1e-30)
    deviation = np.abs(ours - golden).max(initial=0.0) / scale
    note(quantity, deviation)
    assert deviation <= tolerance, f"{quantity} {name}: {deviation:.2e} of the largest magnitude {scale:.3g}"


def names_of(*networks):
    return [variable.name.split(":")[0] for network in networks for variable in network.trainable_variables]


class Recorder:
    """An optimizer that records the gradients it is given."""

    def apply(self, gradients, variables):
        self.gradients = gradients


def assert_gradients(golden, prefix, variables, gradients, options):
    """Compares raw gradients, the global norm, and the clipped gradients that reach the optimizer.

    We clip by the norm of the dense gradients (`global_norm_dense`), the authors by that of un-summed rows
    (`global_norm_used`). So their clipped gradients are compared after multiplying by the ratio of the norms.
    """
    names = [variable.name.split(":")[0] for variable in variables]
    for name, gradient in zip(names, gradients, strict=True):
        key = f"{prefix}/before_clip/{name}"
        key = key if key in golden.files else f"{prefix}/raw/{name}"
        assert_close(tf.convert_to_tensor(gradient), golden[key], "raw gradients", key)
    recorder = Recorder()
    norm = apply_gradients(recorder, gradients, variables, options.clip_norm)
    assert_close(norm, golden[f"{prefix}/global_norm_dense"], "global norm", prefix)
    used, dense_norm = float(golden[f"{prefix}/global_norm_used"]), float(golden[f"{prefix}/global_norm_dense"])
    factor = min(1.0, CLIP / dense_norm) / min(1.0, CLIP / used)
    for name, gradient in zip(names, recorder.gradients, strict=True):
        assert_close(gradient, golden[f"{prefix}/clip/{name}"] * factor, "clipped gradients", name)


def adam_step(gradient, learning_rate):
    """Returns the size of Adam's first step: the learning rate for every element, unless the gradient is near zero."""
    return learning_rate * gradient / (np.abs(gradient) + EPSILON / np.sqrt(1 - BETA2))


def assert_adam(golden, prefix, names, before, after, learning_rate):
    """Asserts that Adam with the authors' applied gradients gives their variables to 2e-6 absolute, everywhere."""
    ours = [tf.Variable(golden[f"{before}/{name}"]) for name in names]
    optimizer = keras.optimizers.Adam(learning_rate, float(golden["cfg/beta1"]), BETA2, EPSILON)
    optimizer.apply([tf.constant(golden[f"{prefix}/clip/{name}"]) for name in names], ours)
    for name, variable in zip(names, ours, strict=True):
        deviation = np.abs(variable.numpy() - golden[f"{after}/{name}"]).max()
        note("Adam on the golden gradient", deviation)
        assert deviation <= 2e-6, f"{after}/{name}: {deviation:.2e}"


def assert_variable(variable, golden, bound, name, share):
    """Asserts deviations of at most `bound` everywhere, and of at most 1e-5 except for a `share` of the elements."""
    deviation = np.abs(variable.numpy() - golden)
    beyond = np.sum(deviation > TOLERANCE)
    note("variables, all", deviation.max())
    note("variables, share beyond 1e-5", beyond / deviation.size)
    worst = np.unravel_index((deviation - bound).argmax(), deviation.shape)
    assert np.all(deviation <= bound), f"{name}{worst}: {deviation[worst]:.2e} > {bound[worst]:.2e}"
    assert beyond <= max(1, share * deviation.size), f"{name}: {beyond} of {deviation.size} beyond {TOLERANCE}"


def assert_first_step(golden, variables, prefix, after, learning_rate):
    """Compares the variables after our own gradient, clip and first Adam step to 1e-5 absolute.

    The first step divides a gradient by its own size. Where a gradient is so small that float32 rounding changes the
    result of that division, the bound grows by the largest effect of the rounding: the difference of `adam_step` at
    both ends of the rounding interval. Still 99 % of an array must be within 1e-5, and all elements without a gradient.
    """
    for name, variable in variables.items():
        bound = np.full(variable.shape, TOLERANCE)
        if f"{prefix}/clip/{name}" in golden.files:
            gradient = golden[f"{prefix}/clip/{name}"].astype(np.float64)
            rounding = GRADIENT_NOISE * np.abs(gradient).max()
            step = adam_step(gradient, learning_rate)
            higher = adam_step(gradient + rounding, learning_rate) - step
            lower = step - adam_step(gradient - rounding, learning_rate)
            bound += np.where(gradient != 0, np.maximum(higher, lower), 0)
        assert_variable(variable, golden[f"{after}/{name}"], bound, name, 0.01)


def assert_later_steps(golden, variables, optimizers, after, slots, learning_rate, steps):
    """Compares variables and Adam's moments after several steps that were clipped by the authors' norm.

    The variables must agree to 1e-5 absolute in 95 % of every array. They may differ more only where rounding can
    change a step by more: where the root mean square of the gradients is below
    `learning_rate * steps * rounding / 1e-5`.

    Args:
      variables: dict name -> tf.Variable. optimizers: list of (its variables' names, optimizer).
      after, slots: prefixes of the golden variables and moments. steps: steps of each optimizer.
    """
    for names, optimizer in optimizers:
        moments = optimizer.variables[2:]  # the first two are step and learning rate, then pairs (m, v)
        for name, m, v in zip(names, moments[0::2], moments[1::2], strict=True):
            golden_v = golden[f"{slots}/{name}/Adam_1"]
            # Deviations of several steps add up; Keras and TensorFlow 1 also round 1 - 0.999 differently: 1.3e-5.
            assert_close(m, golden[f"{slots}/{name}/Adam"], "first moments", name, 1e-4)
            assert_close(v, golden_v, "second moments", name, 1e-4)
            size = np.sqrt(golden_v / (1 - BETA2**steps))
            uncertain = size < learning_rate * steps * GRADIENT_NOISE * size.max() / TOLERANCE
            bound = np.where(uncertain, 2 * steps * learning_rate, TOLERANCE)
            assert_variable(variables[name], golden[f"{after}/{name}"], bound, name, 0.05)
