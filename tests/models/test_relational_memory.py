"""The relational memory against its equations (docs/method.md, R2 to R4), written again in NumPy in float64."""

import numpy as np
import pytest
import tensorflow as tf

from baselines.r2m.relational_memory import Attention, RelationalMemory

SEED = tf.constant([3, 4], tf.int32)
SETTINGS = [
    {"slots": 1},
    {"slots": 2},
    {"slots": 4, "gates": "slot", "forget_bias": 0.5, "input_bias": -0.3},
]


def count(network):
    return sum(int(tf.size(variable)) for variable in network.trainable_variables)


# --------------------------------------------------------------------------------------------------------------
# The equations, row by row and head by head


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def norm(x, parameters, name):
    centred = x - x.mean(-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return centred / deviation * parameters[f"{name}/scale"] + parameters[f"{name}/offset"]


def linear(x, parameters, name):
    return x @ parameters[f"{name}/weights"] + parameters[f"{name}/biases"]


def attention(rows, parameters, name, heads):
    """Returns (attended rows, weights [H, R, R]) of one example."""
    qkv = norm(linear(rows, parameters, f"{name}/projection"), parameters, f"{name}/norm")
    attended, weights = [], []
    for of_head in np.split(qkv, heads, axis=1):
        q, k, v = np.split(of_head, 3, axis=1)
        scores = np.exp(q @ k.T / np.sqrt(q.shape[1]))
        weights.append(scores / scores.sum(1, keepdims=True))
        attended.append(weights[-1] @ v)
    return np.concatenate(attended, 1), np.stack(weights)


def cell(x, memory, parameters, heads, forget_bias, input_bias):
    """Returns (new memory, weights, input gate, forget gate) of one example."""
    e = linear(x, parameters, "input")
    p = np.concatenate([memory, e[None]])
    attended, weights = attention(p, parameters, "attention", heads)
    p1 = norm(p + attended, parameters, "norm_1")
    hidden = np.maximum(linear(p1, parameters, "mlp_1"), 0)
    p2 = norm(p1 + linear(hidden, parameters, "mlp_2"), parameters, "norm_2")
    gates = linear(e, parameters, "gates_of_input") + linear(np.tanh(memory), parameters, "gates_of_memory")
    i, f = np.split(gates, 2, axis=1)
    i, f = sigmoid(i + input_bias), sigmoid(f + forget_bias)
    return i * np.tanh(p2[: len(memory)]) + f * memory, weights, i, f


def with_random_variables(network, seed=0):
    """Assigns random values to every variable, as new ones are zeros and ones. Returns dict short name -> float64."""
    rng, found = np.random.default_rng(seed), {}
    for variable in network.trainable_variables:
        variable.assign(variable + rng.normal(0, 0.3, variable.shape))
        found[variable.name.split(":")[0].removeprefix("M/")] = variable.numpy().astype(np.float64)
    return found


def make(input_dim=5, heads=2, head_size=3, **settings):
    network = RelationalMemory(input_dim, SEED, "M", heads=heads, head_size=head_size, **settings)
    return network, with_random_variables(network)


@pytest.mark.parametrize("settings", SETTINGS)
def test_steps_equal_the_equations(settings):
    network, parameters = make(**settings)
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(4, 3, 5)).astype(np.float32)  # time, examples
    biases = settings.get("forget_bias", 1.0), settings.get("input_bias", 0.0)
    memory = network.initial_memory(3)
    expected = np.zeros(memory.shape)
    for x in inputs:
        memory, looks = network.step(network.project(x), memory)
        steps = [cell(x[b].astype(np.float64), expected[b], parameters, 2, *biases) for b in range(3)]
        expected = np.stack([step[0] for step in steps])
        slots = network.slots
        np.testing.assert_allclose(memory, expected, atol=1e-6)
        np.testing.assert_allclose(looks.weights, np.stack([step[1][:, :slots] for step in steps]), atol=1e-6)
        np.testing.assert_allclose(looks.input_gate, np.stack([step[2] for step in steps]), atol=1e-6)
        np.testing.assert_allclose(looks.forget_gate, np.stack([step[3] for step in steps]), atol=1e-6)
    np.testing.assert_array_equal(network.output(memory), np.reshape(memory, [3, -1]))


def test_all_rows_attend_to_all_rows():
    network = Attention(6, 2, 3, SEED, "M/attention")
    parameters = with_random_variables(network)
    rows = np.random.default_rng(2).normal(size=(3, 2, 6)).astype(np.float32)
    attended, weights = network(rows)
    for b in range(3):
        wanted = attention(rows[b].astype(np.float64), parameters, "attention", 2)
        np.testing.assert_allclose(attended[b], wanted[0], atol=1e-6)
        np.testing.assert_allclose(weights[b], wanted[1], atol=1e-6)
    np.testing.assert_allclose(tf.reduce_sum(weights, -1), 1.0, atol=1e-6)


def test_a_sequence_is_its_steps_and_ends_at_each_length():
    network, _ = make(slots=2)
    inputs = tf.random.stateless_normal([4, 3, 5], SEED)
    lengths = [4, 2, 0]
    outputs, last = tf.function(network.sequence)(inputs, tf.constant(lengths))
    memory = network.initial_memory(3)
    memories = [memory]
    for x in inputs:
        memories.append(network.step(network.project(x), memories[-1])[0])
    for b, length in enumerate(lengths):
        np.testing.assert_allclose(last[b], memories[length][b], atol=1e-6)
        for t in range(4):
            wanted = np.reshape(memories[t + 1][b], -1) if t < length else np.zeros(12)
            np.testing.assert_allclose(outputs[t, b], wanted, atol=1e-6)


def test_gradients_are_those_of_the_steps():
    network, _ = make(slots=2)
    inputs = tf.random.stateless_normal([3, 2, 5], SEED)
    weights = tf.random.stateless_normal([3, 2, 12], SEED + 1)

    @tf.function
    def of_sequence():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(weights * network.sequence(inputs, tf.constant([3, 3]))[0])
        return tape.gradient(loss, network.trainable_variables)

    with tf.GradientTape() as tape:
        memory, loss = network.initial_memory(2), 0.0
        for t in range(3):
            memory, _ = network.step(network.project(inputs[t]), memory)
            loss += tf.reduce_sum(weights[t] * network.output(memory))
    for ours, plain in zip(of_sequence(), tape.gradient(loss, network.trainable_variables), strict=True):
        np.testing.assert_allclose(ours, plain, atol=2e-5)


# --------------------------------------------------------------------------------------------------------------
# Properties: gates, parameter counts, the first step


@pytest.mark.parametrize("input_dim, parameters", [(512, 2_631_680), (1024, 2_893_824)])
def test_parameters(input_dim, parameters):
    assert count(RelationalMemory(input_dim, SEED, "M")) == parameters


@pytest.mark.parametrize("slots", [1, 2, 4])
def test_shapes(slots):
    network = RelationalMemory(10, SEED, "M", slots=slots, heads=2, head_size=256)
    memory, looks = network.step(network.project(tf.ones([3, 10])), network.initial_memory(3))
    assert memory.shape == (3, slots, 512) and network.output(memory).shape == (3, slots * 512)
    assert looks.weights.shape == (3, 2, slots, slots + 1)
    assert looks.input_gate.shape == looks.forget_gate.shape == (3, slots, 512)


def test_the_first_step_from_an_empty_memory():
    """f = sigmoid(1 + the input's part of the gate), and the new memory is i tanh(m^) alone."""
    network, parameters = make()
    x = np.random.default_rng(5).normal(size=(1, 5)).astype(np.float32)
    memory, looks = network.step(network.project(x), network.initial_memory(1))
    e = linear(x[0].astype(np.float64), parameters, "input")
    gates = linear(e, parameters, "gates_of_input") + parameters["gates_of_memory/biases"]
    np.testing.assert_allclose(looks.forget_gate[0, 0], sigmoid(1 + gates[6:]), atol=1e-6)
    assert np.all(np.abs(memory) < looks.input_gate), "tanh is less than 1"
