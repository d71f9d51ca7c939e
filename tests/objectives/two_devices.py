"""Three updates of an objective on one device or on two: logical CPUs, which are set up before anything else runs.

For scripts that tests run in a process of their own; `run` is the whole of them.
"""

import numpy as np
import tensorflow as tf

ROWS, WORDS = 8, 9


def run(replicas, output, make, image, name="image"):
    """Writes the metrics of three updates and the objective's variables after them to an .npz file.

    Args:
      replicas: 1 or 2. make: function -> objective, called in the strategy's scope.
      image: float32 [8, ...], what the objective's batches call `name`.
    """
    cpu = tf.config.list_physical_devices("CPU")[0]
    if tf.config.get_logical_device_configuration(cpu) is None:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(replicas)])
    with strategy.scope():
        objective = make()
    random = np.random.default_rng(0)
    length = np.array([9, 9, 8, 9, 3, 4, 3, 3], np.int32)  # the replicas' shares hold unequal numbers of words
    inside = np.arange(WORDS)[None] < length[:, None]
    sentence = np.where(inside, random.integers(2, 31, [ROWS, WORDS]), 0).astype(np.int32)
    batch, share = {name: image, "sentence": sentence, "length": length}, ROWS // replicas

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
    variables = [*objective.generator.variables, *objective.encoder_updates.variables]
    np.savez(output, *[variable.numpy() for variable in variables], losses=losses)
