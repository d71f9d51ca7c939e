"""Distribution strategies for one or many devices and machines, and the division of a batch among replicas."""

import json
import os
import sys

import numpy as np
import tensorflow as tf

import cli


def make_strategy(options):
    """Returns the distribution strategy of the settings. Call it before any TensorFlow operation.

    TF_CONFIG in the environment: MultiWorkerMirroredStrategy. `--devices`: a MirroredStrategy of these. `--multi_gpu`:
    one of all visible GPUs. Otherwise TensorFlow's default strategy: one device.

    Raises: cli.UserError for a TF_CONFIG or a device that cannot be used.
    """
    if os.environ.get("TF_CONFIG"):
        check_cluster(os.environ["TF_CONFIG"])
        print("waiting for the other processes of TF_CONFIG", file=sys.stderr, flush=True)
        waiting = tf.distribute.experimental.CommunicationOptions(timeout_seconds=options.worker_timeout)
        return tf.distribute.MultiWorkerMirroredStrategy(communication_options=waiting)
    return local_strategy(options)


def local_strategy(options):
    """Returns the strategy of `--devices` or `--multi_gpu` on this machine."""
    if options.devices:
        there = [device.name.removeprefix("/device:") for device in tf.config.list_logical_devices()]
        missing = [name for name in options.devices if name.removeprefix("/").removeprefix("device:") not in there]
        if missing:
            raise cli.UserError(f"--devices {','.join(options.devices)}: no {missing[0]}; found {', '.join(there)}")
        return tf.distribute.MirroredStrategy(list(options.devices))
    if options.multi_gpu:
        if not tf.config.list_logical_devices("GPU"):
            raise cli.UserError("--multi_gpu: TensorFlow finds no GPU. Omit the flag to train on the CPU.")
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def check_cluster(text):
    """Raises cli.UserError unless TF_CONFIG (an environment variable) describes a cluster and a task in it."""
    expected = '{"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type": "worker", "index": 0}}'
    try:
        found = json.loads(text)
        addresses = found["cluster"][found["task"]["type"]]
        if not 0 <= int(found["task"]["index"]) < len(addresses):
            raise ValueError(f"task {found['task']['index']} of {len(addresses)}")
    except (ValueError, KeyError, TypeError) as error:
        raise cli.UserError(f"TF_CONFIG={text}: not a cluster ({error!r}); expected {expected}") from error


def spans_processes(strategy):
    """Returns whether training runs in several processes."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def is_chief(strategy):
    """Returns whether this process writes checkpoints and logs."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return True
    return (resolver.task_type, resolver.task_id) in (("chief", 0), ("worker", 0))


def make_total(strategy):
    """Returns a function that sums a number over all replicas of a cluster; in one process it returns the number."""
    if not spans_processes(strategy):
        return lambda number: number

    @tf.function
    def total(shares):
        return strategy.reduce(tf.distribute.ReduceOp.SUM, shares, axis=None)

    def of_all(number):
        shares = strategy.experimental_distribute_values_from_function(lambda context: tf.constant(number, tf.float64))
        return float(total(shares))

    return of_all


# --------------------------------------------------------------------------------------------------------------
# Division of a batch among replicas


def replica_rows(rows, replica, replicas, per_step=1):
    """Returns the row indices of one replica's share of a step's examples: int [rows / replicas].

    Each of the `per_step` batches is divided evenly, so a replica's share has its part of every one of them.
    """
    size = rows // per_step
    share = size // replicas
    return np.concatenate([np.arange(share) + part * size + replica * share for part in range(per_step)])


class Shares:
    """The rows of a step that this process needs, and their division among its replicas."""

    def __init__(self, strategy, examples, per_step=1):
        """Args: examples: rows of a step. per_step: number of batches that are concatenated in a step."""
        replicas = strategy.num_replicas_in_sync
        batch_size = examples // per_step
        if batch_size % replicas:
            raise cli.UserError(
                f"--batch_size {batch_size} cannot be divided among {replicas} devices; "
                f"{batch_size - batch_size % replicas or replicas} can"
            )
        self.strategy, self.size, self.replicas = strategy, examples // replicas, []
        strategy.experimental_distribute_values_from_function(self._note)
        self.rows = np.concatenate([replica_rows(examples, r, replicas, per_step) for r in self.replicas])

    def _note(self, context):
        self.replicas.append(context.replica_id_in_sync_group)
        return tf.zeros([])

    def deal(self, stack):
        """Returns a stack of batches of `rows` as tensors, or as per-replica values if there are several replicas.

        Args: stack: dict of numpy arrays [steps, rows, ...].
        """
        if self.strategy.num_replicas_in_sync == 1:
            return {name: tf.convert_to_tensor(values) for name, values in stack.items()}
        return {name: self._dealt(values) for name, values in stack.items()}

    def _dealt(self, values):
        def share(context):
            place = self.replicas.index(context.replica_id_in_sync_group) * self.size
            return tf.convert_to_tensor(values[:, place : place + self.size])

        return self.strategy.experimental_distribute_values_from_function(share)
