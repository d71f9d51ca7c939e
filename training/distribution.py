"""One device, many devices, many machines: which strategy, and how a global batch is dealt out to its replicas."""

import os

import numpy as np
import tensorflow as tf


def make_strategy(options):
    """The strategy that the settings ask for.

    TF_CONFIG in the environment: MultiWorkerMirroredStrategy. `--devices`: a MirroredStrategy of these. `--multi_gpu`:
    one of all visible GPUs. Otherwise TensorFlow's default strategy: one device.
    """
    if os.environ.get("TF_CONFIG"):
        return tf.distribute.MultiWorkerMirroredStrategy()
    if options.devices:
        return tf.distribute.MirroredStrategy(list(options.devices))
    if options.multi_gpu:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def replica_rows(rows, replica, replicas, per_step=1):
    """Row numbers of one replica's share of a step's examples.

    Each of the `per_step` batches is dealt out evenly, so a replica's share holds its part of every one of them.
    """
    size = rows // per_step
    share = size // replicas
    return np.concatenate([np.arange(share) + part * size + replica * share for part in range(per_step)])


def deal(strategy, stack, per_step=1):
    """A stack of global batches as per-replica values.

    Args:
      stack: dict of numpy arrays [steps, rows, ...].

    Returns: dict of tensors, or of per-replica values with this process's shares.
    """
    replicas = strategy.num_replicas_in_sync
    if replicas == 1:
        return {name: tf.convert_to_tensor(values) for name, values in stack.items()}

    def share_of(values):
        def share(context):
            rows = replica_rows(values.shape[1], context.replica_id_in_sync_group, replicas, per_step)
            return tf.convert_to_tensor(values[:, rows])

        return strategy.experimental_distribute_values_from_function(share)

    return {name: share_of(values) for name, values in stack.items()}


def is_chief(strategy):
    """Whether this process writes checkpoints and logs."""
    resolver = strategy.cluster_resolver
    return (
        resolver is None
        or not resolver.task_type
        or (resolver.task_type, resolver.task_id)
        in (
            ("chief", 0),
            ("worker", 0),
        )
    )
