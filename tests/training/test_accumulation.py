"""An update in micro-batches equals the update by the whole batch: metrics, gradient norms, weights after SGD."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import cli
from baselines.supervised import settings
from baselines.supervised import train as supervised
from tests import tiny_world
from tests.training import replicas
from training import accumulation, distribution
from training.loop import make_run_steps

STEPS = 2


# --------------------------------------------------------------------------------------------------------------
# Parts of the mechanism


def test_sums_values_and_seeds_of_micro_batches():
    """Rows 0 to 5 in three micro-batches: the function sees each pair of rows, and the sum over all six."""
    made = []

    def function(batch, seed):
        made.append("call")
        doubled_B = accumulation.kept(lambda: {"twice": 2.0 * batch["x"]})["twice"]
        total, count = accumulation.global_sum([tf.reduce_sum(doubled_B), tf.constant(2.0)])
        share = tf.reduce_sum(doubled_B) / total
        place = tf.one_hot(accumulation.place(), 3)
        return {"share": (share, count)}, [place * share, None, tf.cast(seed[0] != 5, tf.float32)]

    batch = {"x": tf.constant([0.0, 1.0, 2.0, 3.0, 4.0, 5.0])}
    metrics, (places, nothing, other_seeds) = accumulation.accumulated(function, batch, tf.constant([5, 0]), 3)
    assert float(metrics["share"][0]) == 1.0 and float(metrics["share"][1]) == 3 * 6.0
    np.testing.assert_allclose(places, [1 / 15, 5 / 15, 9 / 15], rtol=1e-6)
    assert nothing is None and float(other_seeds) == 3.0
    assert len(made) == 2, "one computation for each of the two runs"
    assert accumulation.parts() == 1 and accumulation.global_sum(batch) is batch


def test_one_micro_batch_only_calls_the_function():
    given = {"x": tf.constant([1.0])}, tf.constant([1, 2])
    assert accumulation.accumulated(lambda *arguments: arguments, *given, 1) == given


def test_sparse_gradients_are_added_as_dense_ones():
    embedding = tf.Variable(tf.ones([3, 2]))

    def function(batch, seed):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.gather(embedding, batch["ids"]))
        return tape.gradient(loss, [embedding])

    (gradient,) = accumulation.accumulated(function, {"ids": tf.constant([0, 0, 0, 2])}, tf.constant([1, 2]), 2)
    np.testing.assert_array_equal(gradient, [[3, 3], [0, 0], [1, 1]])


def test_a_batch_that_cannot_be_divided():
    strategy = tf.distribute.get_strategy()
    with pytest.raises(cli.UserError, match="64 cannot be divided among 3 micro-batches .--accumulate.; 63 can"):
        distribution.Shares(strategy, 64, accumulate=3)


def test_batch_normalisation_is_refused(tmp_path):
    world = tiny_world.make(str(tmp_path / "world"))
    options = settings.ShowTell(
        data_dir=world, captions=f"pairs:{world}/word_counts.txt", batch_norm=True, accumulate=2
    )
    with pytest.raises(cli.UserError, match="--accumulate 2 cannot be used with --batch_norm"):
        supervised.check(options)


# --------------------------------------------------------------------------------------------------------------
# The trainers


def updated(name, world, accumulate):
    """Returns dict name -> array: metrics of two steps (SGD), variables after them."""
    strategy = tf.distribute.get_strategy()
    options, objective, batches = replicas.make_case(name, world, ())
    objective.options = dataclasses.replace(options, accumulate=accumulate)
    shares = distribution.Shares(strategy, batches.examples, batches.examples // batches.batch_size, accumulate)
    run_steps, names = make_run_steps(objective, strategy, options.seed)
    phase = objective.phase(0)[0]
    stack = [batches.batch(step) for step in range(STEPS)]
    stack = {key: np.stack([batch[key] for batch in stack]) for key in stack[0]}
    values = run_steps(shares.deal(stack), tf.constant(0), tf.constant(STEPS), phase).numpy()
    found = {metric: values[:, i, 0] / values[:, i, 1] for i, metric in enumerate(names[phase])}
    for key, trackable in objective.checkpointed().items():
        for i, variable in enumerate(trackable.variables):
            found[f"variable {key} {i}"] = tf.convert_to_tensor(variable).numpy()
    return found


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return tiny_world.make(str(tmp_path_factory.mktemp("world") / "world"))


@pytest.mark.parametrize(
    "name",
    [
        "im_caption sgd reference",
        pytest.param("full sgd fixed", marks=pytest.mark.slow),
        pytest.param("full sgd reference", marks=pytest.mark.slow),
        pytest.param("r2m sgd fixed", marks=pytest.mark.slow),
    ],
)
def test_micro_batches_equal_the_batch(world, name, monkeypatch):
    """Without dropout and with given captions; captions and sentences have unequal lengths."""
    monkeypatch.setitem(replicas.CASES, "full sgd reference", ("full", "sgd", "reference"))
    whole, divided = updated(name, world, 1), updated(name, world, 4)
    assert whole.keys() == divided.keys() and any("variable" in key for key in whole)
    for key, value in whole.items():
        if not key.startswith("unique/"):  # counted within a micro-batch
            assert np.abs(value - divided[key]).max() <= 1e-6 * (np.abs(value).max() or 1.0), key


SCRIPT = """
import sys
import numpy as np
import config
from objectives.im_caption import ImageCaptionObjective
from tests.objectives import two_devices

image = np.random.default_rng(1).normal(size=[8, 6]).astype(np.float32)
shared = dict(emb_dim=8, mem_dim=8, keep_prob=1.0, lr=0.1, clip_norm=0.2, optimizer="sgd")
for replicas, accumulate, output in (1, 1, sys.argv[1]), (2, 2, sys.argv[2]):
    options = config.ImageCaption(accumulate=accumulate, **shared)
    two_devices.run(replicas, output, lambda: ImageCaptionObjective(options, 31, 6), image)
"""


def test_two_devices_with_micro_batches_equal_one_device(tmp_path):
    outputs = [tmp_path / "one.npz", tmp_path / "several.npz"]
    subprocess.run([sys.executable, "-c", SCRIPT, *outputs], check=True, capture_output=True)
    one, several = (np.load(output) for output in outputs)
    np.testing.assert_allclose(one["losses"], several["losses"], rtol=1e-5)
    for name in one.files:
        assert np.abs(one[name] - several[name]).max() <= 1e-6 * max(np.abs(one[name]).max(), 1.0), name
