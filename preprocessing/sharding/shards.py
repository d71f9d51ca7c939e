"""Splitting heavy stages: a stage is a function of one task that writes one output file whole.

Text goes through two passes. The first reads the input piece by piece (a piece is a whole file or a range of its
bytes) and deals the lines out into buckets by a stable hash; the second takes one bucket from all pieces. Each pass is
a list of independent tasks, so the bytes of the outputs depend on the input alone and not on the number of processes,
and a stage that was killed goes on with the tasks that are not finished.
"""

import codecs
import concurrent.futures
import dataclasses
import hashlib
import itertools
import json
import multiprocessing
import os
import shutil
import threading

import cli
from formats import file_names, readers, sidecars, texts, writing

BYTES_PER_SHARD = 8 << 20  # the size of a shard when --shards is 0: a few seconds of work
BYTES_PER_PIECE = 64 << 20  # the most that one task of the first pass holds in memory


def digest_of(text):
    """A number below 2^64 that depends on the text alone (Python's own hash differs from process to process)."""
    data = text if isinstance(text, bytes) else file_names.to_bytes(text)
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")


def shard_of(text, shards):
    """The shard, 0 .. shards - 1, that a text (or name) belongs to."""
    return digest_of(text) * shards >> 64


def shard_path(data_dir, stem, index, shards, extension=".tfrec"):
    """`stem-00000-of-00016.tfrec` in `data_dir`; a single shard is `stem.tfrec`."""
    name = stem if shards == 1 else f"{stem}-{index:05d}-of-{shards:05d}"
    return os.path.join(data_dir, name + extension)


def shard_count(asked, total_bytes):
    """The number of shards: as asked for, or chosen from the size of the input when 0 was given."""
    return asked or max(1, -(-total_bytes // BYTES_PER_SHARD))


# --------------------------------------------------------------------------------------------------------------
# Running tasks


def process_count(asked):
    """The number of processes: as asked for, or every core this process may use when 0 was given."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count())  # Linux only
    return asked or len(allowed)


def compute_with_one_thread():
    """TensorFlow computes with one thread in this process; must come before its first operation.

    With more threads the last bits of a sum may depend on their number; processes share the work instead.
    """
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError as error:  # only where TensorFlow was at work before, as in a notebook
        print(f"NOTE: {error}; the last bits of the results may differ from those of a fresh process")


def processes_on_devices(asked):
    """The number of processes for a network: 1 where there is a graphics card, which brings its own parallelism.

    (Not run on one.)
    """
    import tensorflow as tf

    return 1 if tf.config.list_physical_devices("GPU") else asked


def _end_with_parent(locks):
    """Ends a worker when the process that started it is gone, also when that was killed. Args: locks: writing.Locks."""

    def wait():
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


RUNNER = 'run the shards on an Apache Beam runner instead, with its options: local, "FlinkRunner --flink_master=H:8081"'


def where(options):
    """The arguments of `map_shards` that an entry point's settings `processes` and `runner` give.

    Raises: cli.UserError when the runner cannot be used.
    """
    if options.runner:
        from preprocessing.sharding import beam

        beam.parse(options.runner)
    return {"processes": options.processes, "runner": options.runner}


def map_shards(function, tasks, *, processes, description, runner=None):
    """Runs `function(task)` for every task in a pool of processes, or on a Beam runner, and shows the progress.

    Args:
      function: a module-level function of one task; it writes one file whole and skips it when it is there.
      tasks: list of picklable tasks.
      processes: number of processes, 0 for all cores; 1 runs in this process.
      description: what the progress bar says.
      runner: what was given as --runner (see beam.py), which makes `processes` meaningless; None for local processes.
    Returns: the list of results in the order of the tasks.
    Raises: the first failure, after the tasks that had not begun were cancelled; cli.UserError when a worker died.
    """
    if runner:
        from preprocessing.sharding import beam

        return beam.map_tasks(function, tasks, runner, description)
    processes = min(process_count(processes), len(tasks))
    if processes <= 1:
        return [function(task) for task in cli.progress(tasks, description)]
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(processes, context, _end_with_parent, (writing.Locks(),)) as pool:
        futures = [pool.submit(function, task) for task in tasks]
        try:
            for future in cli.progress(concurrent.futures.as_completed(futures), description, len(futures)):
                future.result()
        except concurrent.futures.process.BrokenProcessPool as error:
            raise cli.UserError(
                f"{description}: a worker process was killed (out of memory?). Run the same command again with "
                "a smaller --processes; what is finished is kept."
            ) from error
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return [future.result() for future in futures]


def write_once(path, write):
    """Writes one output file whole unless it is there already.

    Args:
      path: the file.
      write: function of a temporary path that writes the file there and returns a JSON-able result.
    Returns: the result, kept beside the file so that a later run has it too.
    """
    if not os.path.exists(path):
        with writing.replacing(path) as part:
            result = write(part)
            sidecars.write_json(path + ".json", result)
    return result_of(path)


def result_of(path):
    """The result that `write_once` kept beside a finished file."""
    return readers.read_json(path + ".json", f"what was counted for {path}; remove both to make them again", dict)


def is_unfinished(path, plan):
    """Whether the work folder `path` holds work of the same plan (what shapes the work, JSON-able).

    Raises: cli.UserError when it is a link.
    """
    if os.path.islink(path):
        raise cli.UserError(
            f"{path}: a link, expected a folder of this stage's own (what it points to would be emptied); remove it"
        )
    plan_path = os.path.join(path, "plan.json")
    if not os.path.exists(plan_path):
        return False
    return texts.read_bytes(plan_path) == json.dumps(plan, sort_keys=True).encode()


def begin(path, plan):
    """Makes an empty work folder for a plan; what another plan has left there is removed."""
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    sidecars.write_whole(os.path.join(path, "plan.json"), json.dumps(plan, sort_keys=True))


def discard(path, plan):
    """Removes what is left of a work folder whose output is complete; unfinished work of another plan stays."""
    if is_unfinished(path, plan) or not os.path.exists(os.path.join(path, "plan.json")):
        shutil.rmtree(path, ignore_errors=True)


# --------------------------------------------------------------------------------------------------------------
# Pieces of the input


@dataclasses.dataclass(frozen=True)
class Piece:
    """The lines of a file that begin at the bytes start .. end - 1.

    Attributes: name: of the file that this one was made from, for messages; None if it is the original.
    """

    path: str
    start: int
    end: int
    name: str | None = None

    @property
    def shown(self):
        return self.name or self.path


def cut(paths, piece_bytes, is_whole=lambda path: False):
    """Cuts files into pieces of at most about `piece_bytes`; a file for which `is_whole` holds stays in one piece."""
    pieces = []
    for path in paths:
        size = os.path.getsize(path)
        step = max(1, size if is_whole(path) else min(piece_bytes, BYTES_PER_PIECE))
        pieces += [Piece(path, start, min(start + step, size)) for start in range(0, size, step)]
    return pieces


def lines_of(piece):
    """Yields the lines of a piece as bytes, without a mark before and the end behind them (`\\n`, `\\r\\n`, `\\r`)."""
    with open(piece.path, "rb") as file:
        if piece.start:
            file.seek(piece.start - 1)
            file.readline()  # the rest of the line that began in an earlier piece
        position = file.tell()
        while position < piece.end:
            line = file.readline()
            position += len(line)
            yield from _lines_in(line)


def _lines_in(line):
    """The lines in what ends with `\\n`: more than one where `\\r` ends them."""
    lines = line.removesuffix(b"\n").removesuffix(b"\r").split(b"\r")
    return [line.removeprefix(codecs.BOM_UTF8) for line in lines]


def line_number(piece, index):
    """The number in its file, counted from 1, of line `index` of a piece; reads the file, so only for messages."""
    with open(piece.path, "rb") as file:
        before, position = 0, 0
        for line in file:
            if position >= piece.start:
                break
            before, position = before + len(_lines_in(line)), position + len(line)
    return before + index + 1


OFFSET = 8  # bytes of an offset at the head of a file of buckets


def write_buckets(path, lines, shards):
    """Deals lines out into one file of `shards` buckets, one behind the other, after a table of where they begin.

    Args:
      path: the file to write.
      lines: iterable of bytes without line ends inside.
      shards: number of buckets; a line's bucket is `shard_of(line, shards)`.
    """
    buckets = [[] for _ in range(shards)]
    for line in lines:
        buckets[shard_of(line, shards)].append(line)
    sizes = [sum(map(len, bucket)) + len(bucket) for bucket in buckets]
    starts = itertools.accumulate(sizes, initial=OFFSET * (shards + 1))
    with open(path, "wb") as file:
        file.writelines(start.to_bytes(OFFSET, "little") for start in starts)
        for bucket in buckets:
            file.writelines(line + b"\n" for line in bucket)


def read_bucket(path, shard):
    """The lines of one bucket of a file that `write_buckets` wrote; reads no other part of it."""
    with open(path, "rb") as file:
        file.seek(OFFSET * shard)
        start, end = (int.from_bytes(file.read(OFFSET), "little") for _ in range(2))
        file.seek(start)
        return file.read(end - start).split(b"\n")[:-1]
