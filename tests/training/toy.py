"""A tiny objective with random draws, two networks and Adam, which the tests of the loop train in under a second.

Shapes: B batch, D inputs.
"""

import dataclasses

import numpy as np
import tensorflow as tf

import config
from input_pipeline import Stream, generator_of
from models import layers
from models.randomness import dropout_mask, fold_in
from training import checkpoints, distribution
from training.loop import Loop
from training.optimization import apply_gradients, make_optimizer
from training.run_directory import RunDirectory

DIM, EXAMPLES = 4, 50


class ToyObjective:
    """Linear regression with dropout on its inputs, in two phases; the second one trains a bias as well."""

    def __init__(self, options, warmup=0):
        self.options, self.warmup = options, warmup
        self.network = layers.Linear(DIM, 1, tf.constant([options.seed, 1]), "toy")
        self.optimizer = make_optimizer(options, 0.01, 0.5, self.network)

    def checkpointed(self):
        return {"network": self.network, "network_optimizer": self.optimizer}

    def phase(self, step):
        return ("first", self.warmup) if step < self.warmup else ("second", None)

    def update(self, batch, seed, phase):
        mask = dropout_mask(tf.shape(batch["x"]), 0.8, fold_in(seed, "inputs"))
        rows = float(self.options.batch_size)
        with tf.GradientTape() as tape:
            errors_B1 = self.network(batch["x"] * mask) - batch["y"]
            loss = tf.reduce_sum(errors_B1**2) / rows
        gradients = tape.gradient(loss, self.network.trainable_variables)
        norm = apply_gradients(self.optimizer, gradients, self.network.trainable_variables, 10.0)
        metrics = {"loss": (loss, 1.0), "gradient_norm": (norm, tf.ones_like(norm))}
        if phase == "second":
            metrics["a_second"] = (tf.constant(3.0), tf.constant(1.0))  # sorts before the others
        return metrics


class ToyBatches:
    """Rows of a fixed table; records the requested ones. Args: poison: a step with targets that are not finite."""

    def __init__(self, options, poison=None, value=np.nan):
        self.batch_size = self.examples = options.batch_size
        self.stream, self.poison, self.value = Stream(EXAMPLES, options.seed, "toy"), poison, value
        table = generator_of(7, "table", 0)
        self.x = table.normal(size=(EXAMPLES, DIM)).astype(np.float32)
        self.y = self.x.sum(1, keepdims=True)
        self.asked = []

    def batch(self, step, rows=slice(None)):
        indices = self.stream.indices(step * self.examples, self.examples)[rows]
        self.asked.append((step, indices.tolist()))
        y = self.y[indices].copy()
        if step == self.poison:
            y[0] = self.value
        return {"x": self.x[indices], "y": y}

    def names(self, step):
        return [f"example {i}" for i in self.stream.indices(step * self.examples, self.examples)]


def options(job_dir, **changes):
    """Returns the settings of a short run: 30 steps, metrics every 10, checkpoints every 10."""
    base = config.Trainer(
        job_dir=str(job_dir),
        batch_size=8,
        max_steps=30,
        save_checkpoint_steps=10,
        save_summary_steps=10,
        steps_per_loop=4,
    )
    return dataclasses.replace(base, **changes)


def make(settings, evaluate=None, warmup=0, **batches):
    """Returns the toy's loop, ready to train."""
    strategy = distribution.make_strategy(settings)
    with strategy.scope():
        objective = ToyObjective(settings, warmup)
    run = RunDirectory(settings, {"toy": 1})
    return Loop(settings, objective, ToyBatches(settings, **batches), strategy, run, evaluate)


def train(settings, **arguments):
    """Trains the toy; returns the loop."""
    loop = make(settings, **arguments)
    loop.train()
    return loop


def tensors(job_dir, step):
    """Returns all arrays of a checkpoint: dict name -> array."""
    reader = tf.train.load_checkpoint(checkpoints.prefix_of(str(job_dir), step))
    names = [name for name in reader.get_variable_to_shape_map() if name != "_CHECKPOINTABLE_OBJECT_GRAPH"]
    return {name: reader.get_tensor(name) for name in names}


def assert_same(first, second):
    """Asserts that two dicts of arrays are equal bit for bit."""
    assert first.keys() == second.keys()
    for name in first:
        assert np.array_equal(first[name], second[name]), name
