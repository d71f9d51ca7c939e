"""Gradient accumulation: an update whose batch is computed in K micro-batches, one after the other (--accumulate K).

A micro-batch is computed like the batch of a replica: its share of the loss is divided by counts over the global batch.
These counts are sums over micro-batches that come later, so the micro-batches are run twice:
    1. each computes its terms of the sums (`global_sum`), and the values that are wanted again (`kept`), no gradients;
    2. each computes its gradients with the finished sums and the kept values; the gradients are added up.
The first run builds the whole computation, but TensorFlow only executes what the sums and kept values depend on. No sum
may depend on another one. The micro-batches of a replica are consecutive rows of its batch.
"""

import threading

import tensorflow as tf

from models.randomness import fold_in

_running = threading.local()  # tf.distribute builds every replica in a thread of its own


class _MicroBatch:
    """The micro-batch that is being computed; a context manager, inside which `global_sum` and `kept` refer to it.

    Args: index: int32 scalar. count: number of micro-batches of a replica. sums, stacks: results of the first run, None
      in the first run.

    Attributes: sums, stacks: in the first run, the lists that the calls of `global_sum` and `kept` have filled.
    """

    def __init__(self, index, count, sums=None, stacks=None):
        self.index, self.count, self.first_run = index, count, sums is None
        self.sums, self.stacks = ([], []) if sums is None else (list(sums), list(stacks))

    def __enter__(self):
        _running.micro_batch = self
        return self

    def __exit__(self, *error):
        _running.micro_batch = None

    def sum(self, value):
        """Returns the finished sum; in the first run it records the term and returns it, with the right shape only."""
        if not self.first_run:
            return self.sums.pop(0)
        self.sums.append(value)
        return value

    def keep(self, make):
        """Returns make(), computed in the first run."""
        if not self.first_run:
            return tf.nest.map_structure(lambda stack: stack[self.index], self.stacks.pop(0))
        self.stacks.append(make())
        return self.stacks[-1]


def _current():
    """Returns the _MicroBatch that is being computed; None without accumulation."""
    return getattr(_running, "micro_batch", None)


def global_sum(value):
    """Returns the sum over all replicas and micro-batches of a tensor, or of each tensor in a list.

    Must be called in every replica, inside `strategy.run`. With one replica and no micro-batches it returns its
    argument.

    Args: value: tensor or list of tensors of this replica, or of the micro-batch that is being computed.
    """
    if _current():
        return _current().sum(value)
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return value
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, value)


def kept(make):
    """Returns make(); with accumulation its value is computed in the first run and used again in the second one.

    Args: make: function without arguments that returns a tensor or a structure of tensors, without gradient.
    """
    return _current().keep(make) if _current() else make()


def parts():
    """Returns the number of parts of the global batch: int. A part is a micro-batch, or the batch of a replica."""
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    return replicas * _current().count if _current() else replicas


def place():
    """Returns the index, in the order of the rows, of the part of the global batch that is being computed: int32."""
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    return replica * _current().count + _current().index if _current() else replica


def accumulated(function, batch, seed, count):
    """Returns function(batch, seed), computed in `count` micro-batches whose results are added up.

    Must be called in every replica. With one micro-batch it only calls the function.

    Args:
      function: function (batch, seed) -> structure of tensors and None: gradients of this part's share of the loss, and
        metrics as (sum, count). It may use `global_sum`, `kept`, `parts` and `place`.
      batch: dict of tensors of this replica; their first dimension is a multiple of `count`.
      seed: int32 [2]; each micro-batch has a seed made from it and the micro-batch's index.
      count: number of micro-batches.

    Returns: the structure that the function returns; sparse gradients are converted to dense ones.
    """
    if count == 1:
        return function(batch, seed)
    divided = {name: tf.reshape(value, [count, -1, *_rest(value)]) for name, value in batch.items()}

    def run(micro_batch):
        with micro_batch:
            rows = {name: value[micro_batch.index] for name, value in divided.items()}
            return function(rows, fold_in(seed, micro_batch.index))

    def first(index):
        micro_batch = _MicroBatch(index, count)
        run(micro_batch)
        return micro_batch.sums, micro_batch.stacks

    def second(index):
        return tf.nest.map_structure(_dense, run(_MicroBatch(index, count, sums, stacks))), []

    terms, stacks = _looped(first, count)
    sums = [global_sum(term) for term in terms]
    return _looped(second, count)[0]


def _rest(value):
    """Returns the dimensions of a tensor after the first: list of int, or scalar tensors where they are unknown."""
    dynamic = tf.shape(value)
    return [dynamic[i] if size is None else size for i, size in enumerate(value.shape)][1:]


def _dense(value):
    """Returns a value as a dense tensor; None stays None."""
    return None if value is None else tf.convert_to_tensor(value)


def _looped(step, count):
    """Runs the micro-batches one after the other, so that only one is in memory.

    Args: step: function index -> (structure of tensors or None to add up, structure of tensors to stack).
    Returns: (sums over the micro-batches, stacks of their values: one more dimension, the first), in these structures.
    """
    traced = tf.function(step).get_concrete_function(tf.TensorSpec([], tf.int32))
    added, stacked = traced.structured_outputs
    tensors = lambda structure: [leaf for leaf in tf.nest.flatten(structure) if leaf is not None]  # noqa: E731

    def body(index, sums, arrays):
        more, values = (tensors(structure) for structure in traced(index))
        sums = [total + value for total, value in zip(sums, more, strict=True)]
        return index + 1, sums, [array.write(index, value) for array, value in zip(arrays, values, strict=True)]

    zeros = [tf.zeros(spec.shape, spec.dtype) for spec in tensors(added)]
    arrays = [tf.TensorArray(spec.dtype, count, element_shape=spec.shape) for spec in tensors(stacked)]
    start = (tf.constant(0), zeros, arrays)
    _, sums, arrays = tf.while_loop(lambda index, *_: index < count, body, start, parallel_iterations=1)
    found = iter(sums)
    sums = tf.nest.map_structure(lambda leaf: None if leaf is None else next(found), added)
    return sums, tf.nest.pack_sequence_as(stacked, [array.stack() for array in arrays])
