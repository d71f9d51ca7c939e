"""One device or two: the cross-entropy update is the same (two logical CPUs in a process of their own)."""

import subprocess
import sys

import numpy as np

SCRIPT = """
import sys
import numpy as np
import tensorflow as tf
import config
from objectives.im_caption import ImageCaptionObjective

replicas, optimizer, output = int(sys.argv[1]), sys.argv[2], sys.argv[3]
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(replicas)])
options = config.ImageCaption(
    emb_dim=8, mem_dim=8, keep_prob=1.0, lr=0.1 if optimizer == "sgd" else 0.01, clip_norm=0.2, optimizer=optimizer
)
with strategy.scope():
    objective = ImageCaptionObjective(options, 31, 6)
random = np.random.default_rng(0)
length = np.array([9, 9, 8, 9, 3, 4, 3, 3], np.int32)  # the replicas' shares hold unequal numbers of words
sentence = np.where(np.arange(9)[None] < length[:, None], random.integers(2, 31, [8, 9]), 0).astype(np.int32)
batch = {"image": random.normal(size=[8, 6]).astype(np.float32), "sentence": sentence, "length": length}
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
np.savez(output, losses=losses, *[variable.numpy() for variable in objective.trainable_variables])
"""


def run(tmp_path, replicas, optimizer):
    output = tmp_path / f"{optimizer}{replicas}.npz"
    subprocess.run([sys.executable, "-c", SCRIPT, str(replicas), optimizer, output], check=True, capture_output=True)
    return np.load(output)


def test_one_device_and_two(tmp_path):
    for optimizer, tolerance in (("sgd", 1e-6), ("adam", 1e-5)):
        one, two = (run(tmp_path, replicas, optimizer) for replicas in (1, 2))
        np.testing.assert_allclose(one["losses"], two["losses"], rtol=1e-5)
        for name in one.files:
            scale = np.abs(one[name]).max()
            assert np.abs(one[name] - two[name]).max() <= tolerance * max(scale, 1.0), (optimizer, name)
