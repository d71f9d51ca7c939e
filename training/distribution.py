"""Distribution strategies for one or many devices and machines, and the division of a batch among replicas.

A replica is the copy of the networks on one device; all replicas of all processes are numbered from 0.
"""

import json
import os
import sys

import numpy as np
import tensorflow as tf

import cli


def make_strategy(options):
    """Returns the tf.distribute.Strategy that the settings ask for. Must be called before any TensorFlow operation.

    If TF_CONFIG is set in the environment: MultiWorkerMirroredStrategy. With `--devices`: MirroredStrategy on these
    devices. With `--multi_gpu`: MirroredStrategy on all visible GPUs. Otherwise: TensorFlow's default strategy, one
    device.

    Args: options: config.Trainer.
    Raises: cli.UserError for a TF_CONFIG or a device that cannot be used.
    """
    if os.environ.get("TF_CONFIG"):
        check_cluster(os.environ["TF_CONFIG"])
        print("waiting for the other processes of TF_CONFIG", file=sys.stderr, flush=True)
        waiting = tf.distribute.experimental.CommunicationOptions(timeout_seconds=options.worker_timeout)
        return tf.distribute.MultiWorkerMirroredStrategy(communication_options=waiting)
    return local_strategy(options)


def local_strategy(options):
    """Returns the tf.distribute.Strategy for `--devices` or `--multi_gpu` on this machine, by default one device.

    Args: options: settings with `devices` (tuple of device names, () for none) and `multi_gpu` (bool).
    Raises: cli.UserError for a device that does not exist.
    """
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
    """Checks that the value of the environment variable TF_CONFIG describes a cluster and a task in it.

    Args: text: the value. Raises: cli.UserError if it does not.
    """
    expected = '{"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type": "worker", "index": 0}}'
    try:
        found = json.loads(text)
        addresses = found["cluster"][found["task"]["type"]]
        if not 0 <= int(found["task"]["index"]) < len(addresses):
            raise ValueError(f"task {found['task']['index']} of {len(addresses)}")
    except (ValueError, KeyError, TypeError) as error:
        raise cli.UserError(f"TF_CONFIG={text}: not a cluster ({error!r}); expected {expected}") from error


def spans_processes(strategy):
    """Returns whether training runs in a cluster of processes (TF_CONFIG). Args: strategy: tf.distribute.Strategy."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def is_chief(strategy):
    """Returns whether this process is the one that writes checkpoints and logs; true if there is only one process.

    Args: strategy: tf.distribute.Strategy.
    """
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return True
    return (resolver.task_type, resolver.task_id) in (("chief", 0), ("worker", 0))


def make_total(strategy):
    """Returns a function number -> float that sums the numbers of all processes of a cluster.

    All processes must call the function at the same point of the program, each with its own number, which is added once
    for each of its replicas. If training runs in one process, the function returns its argument.

    Args: strategy: tf.distribute.Strategy.
    """
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

    Each of the `per_step` concatenated batches is divided evenly, so the share contains a part of every batch.

    Args: rows: number of examples of a step. replica: index of the replica, 0 to replicas - 1. replicas: number of
      replicas. per_step: number of batches that are concatenated in a step.
    """
    size = rows // per_step
    share = size // replicas
    return np.concatenate([np.arange(share) + part * size + replica * share for part in range(per_step)])


class Shares:
    """The rows of a step that this process needs, and their division among the replicas of this process.

    Attributes:
      rows: int array, indices of this process's rows among the examples of a step, replica after replica.
      replicas: list of the indices of this process's replicas.
      size: number of rows of one replica.
    """

    def __init__(self, strategy, examples, per_step=1, accumulate=1):
        """Computes the shares.

        Args:
          strategy: tf.distribute.Strategy.
          examples: number of rows of a step, over all replicas.
          per_step: number of batches that are concatenated in a step.
          accumulate: number of micro-batches into which each replica divides its share of a batch.

        Raises: cli.UserError if the batch size is not a multiple of the number of replicas times `accumulate`.
        """
        replicas = strategy.num_replicas_in_sync
        batch_size = examples // per_step
        parts = replicas * accumulate
        if batch_size % parts:
            among = f"{replicas} devices" if replicas > 1 else f"{accumulate} micro-batches (--accumulate)"
            if replicas > 1 < accumulate:
                among += f" with {accumulate} micro-batches each (--accumulate)"
            raise cli.UserError(
                f"--batch_size {batch_size} cannot be divided among {among}; "
                f"{batch_size - batch_size % parts or parts} can"
            )
        self.strategy, self.size, self.replicas = strategy, examples // replicas, []
        strategy.experimental_distribute_values_from_function(self._note)
        self.rows = np.concatenate([replica_rows(examples, r, replicas, per_step) for r in self.replicas])

    def _note(self, context):
        """Records the index of a replica of this process; TensorFlow calls it once for each of them.

        Args: context: tf.distribute.experimental.ValueContext. Returns: a tensor that is not used.
        """
        self.replicas.append(context.replica_id_in_sync_group)
        return tf.zeros([])

    def deal(self, stack):
        """Converts the batches of several steps to the arguments of `strategy.run`.

        Args: stack: dict name -> numpy array [steps, rows, ...], with the rows of this process in the order of `rows`.

        Returns: dict name -> tensor [steps, rows, ...]; with several replicas dict name -> tf.distribute's per-replica
          value of tensors [steps, size, ...].
        """
        if self.strategy.num_replicas_in_sync == 1:
            return {name: tf.convert_to_tensor(values) for name, values in stack.items()}
        return {name: self._dealt(values) for name, values in stack.items()}

    def _dealt(self, values):
        """Returns a per-replica value whose tensors [steps, size, ...] are the replicas' shares of an array.

        Args: values: numpy array [steps, rows, ...].
        """

        def share(context):
            place = self.replicas.index(context.replica_id_in_sync_group) * self.size
            return tf.convert_to_tensor(values[:, place : place + self.size])

        return self.strategy.experimental_distribute_values_from_function(share)
