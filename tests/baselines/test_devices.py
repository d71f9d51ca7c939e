"""One device or two: the supervised updates are the same (two logical CPUs in a process of their own)."""

import subprocess
import sys

import numpy as np
import pytest

SCRIPT = """
import sys
import numpy as np
import tensorflow as tf
from baselines.supervised import settings
from baselines.show_attend_tell.objective import ShowAttendTellObjective
from baselines.show_tell.objective import ShowTellObjective

system, replicas, output = sys.argv[1], int(sys.argv[2]), sys.argv[3]
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(replicas)])
shared = dict(emb_dim=6, mem_dim=8, keep_prob=1.0, lr=0.1, clip_norm=0.2, optimizer="sgd", semantics="reference")
random = np.random.default_rng(0)
image = random.normal(size=[8, 5, 6]).astype(np.float32)
with strategy.scope():
    if system == "show_tell":
        options = settings.ShowTell(cell="lstm_two_biases", batch_norm=True, start_from_image=True, **shared)
        objective, image = ShowTellObjective(options, 31, 6, 100), image[:, 0]
    else:
        options = settings.ShowAttendTell(cell_dim=5, attention_units=4, **shared)
        objective = ShowAttendTellObjective(options, 31, 6, 100)
length = np.array([9, 9, 8, 9, 3, 4, 3, 3], np.int32)  # the replicas' shares hold unequal numbers of words
sentence = np.where(np.arange(9)[None] < length[:, None], random.integers(2, 31, [8, 9]), 0).astype(np.int32)
batch = {"image": image, "sentence": sentence, "length": length}
share = 8 // replicas

def part(context):
    first = context.replica_id_in_sync_group * share
    return {name: tf.constant(array[first : first + share]) for name, array in batch.items()}

@tf.function
def step(batch, seed):
    metrics = strategy.run(objective.update, (batch, seed))
    return {name: [strategy.reduce("SUM", one, None) for one in pair] for name, pair in metrics.items()}

losses = []
for index in range(3):
    shares = strategy.experimental_distribute_values_from_function(part)
    metrics = step(shares, tf.constant([index, 0]))
    losses.append([float(metrics[name][0] / metrics[name][1]) for name in sorted(metrics)])
np.savez(output, losses=losses, *[variable.numpy() for variable in objective.generator.variables])
"""


@pytest.mark.parametrize("system", ["show_tell", pytest.param("show_attend_tell", marks=pytest.mark.slow)])
def test_one_device_and_two(tmp_path, system):
    found = []
    for replicas in (1, 2):
        output = tmp_path / f"{replicas}.npz"
        subprocess.run([sys.executable, "-c", SCRIPT, system, str(replicas), output], check=True, capture_output=True)
        found.append(np.load(output))
    one, two = found
    np.testing.assert_allclose(one["losses"], two["losses"], rtol=1e-5)
    assert one.files == two.files and len(one.files) > 10
    for name in one.files:  # the running averages of the batch normalisation among them
        assert np.abs(one[name] - two[name]).max() <= 1e-6 * max(np.abs(one[name]).max(), 1.0), name
