"""Splits heavy stages into tasks, each of which writes one complete output file.

Text is processed in two passes. The first reads the input piece by piece (a piece is a whole file or a range of its
bytes) and distributes the lines to buckets by a stable hash; the second reads one bucket of all pieces. Each pass is a
list of independent tasks. So the bytes of the outputs depend on the input alone and not on the number of processes, and
a stage that was killed continues with the unfinished tasks.
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
BYTES_PER_PIECE = 64 << 20  # the most bytes that one task of the first pass holds in memory


def digest_of(text):
    """Returns a hash (int, 0 to 2^64 - 1) of a text or bytes; unlike Python's it is the same in all processes."""
    data = text if isinstance(text, bytes) else file_names.to_bytes(text)
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")


def shard_of(text, shards):
    """Returns the index of the shard, 0 to `shards` - 1, to which a text or name belongs; it depends on its hash."""
    return digest_of(text) * shards >> 64


def shard_path(data_dir, stem, index, shards, extension=".tfrec"):
    """Returns the path of shard `index` in `data_dir`: `STEM-00000-of-00016.tfrec`, or `STEM.tfrec` of a single one."""
    name = stem if shards == 1 else f"{stem}-{index:05d}-of-{shards:05d}"
    return os.path.join(data_dir, name + extension)


def shard_count(asked, total_bytes):
    """Returns the number of shards: `asked`; if this is 0, one for every BYTES_PER_SHARD bytes of input."""
    return asked or max(1, -(-total_bytes // BYTES_PER_SHARD))


# --------------------------------------------------------------------------------------------------------------
# Running tasks


def process_count(asked):
    """Returns the number of processes: `asked`; if this is 0, the number of cores that this process may use."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count())  # Linux only
    return asked or len(allowed)


def compute_with_one_thread():
    """Makes TensorFlow compute with one thread in this process; must be called before its first operation.

    With more threads the last bits of a sum can depend on their number. Several processes share the work instead. If
    TensorFlow was used before, a note is printed and nothing changes.
    """
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError as error:  # only if TensorFlow was used before, as in a notebook
        print(f"NOTE: {error}; the last bits of the results may differ from those of a new process")


def processes_on_devices(asked):
    """Returns the number of processes for a network: 1 with a graphics card, which computes in parallel, else `asked`.

    (Not run on a graphics card.)
    """
    import tensorflow as tf

    return 1 if tf.config.list_physical_devices("GPU") else asked


def _end_with_parent(locks):
    """Initialises a worker process: a thread ends it when its parent process has ended or was killed.

    Args: locks: writing.Locks; unpickling it makes the worker hold the locks of the parent.
    """

    def wait():
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


RUNNER = (
    "run the shards on a cluster instead: dask:ADDRESS of a Dask scheduler, spark:MASTER, or an Apache Beam runner "
    'with its options: local, "FlinkRunner --flink_master=H:8081"'
)


def where(options):
    """Returns {"processes", "runner"}, the arguments of `map_shards` with these names, from the settings of a stage.

    Args: options: the settings, an object with the fields `processes` and `runner` (str or None).
    Raises: cli.UserError when the runner cannot be used.
    """
    if options.runner:
        from preprocessing.sharding import engines

        engines.check(options.runner)
    return {"processes": options.processes, "runner": options.runner}


def map_shards(function, tasks, *, processes, description, runner=None):
    """Runs `function(task)` for every task in a pool of processes or on a cluster, and shows the progress.

    Args:
      function: a module-level function of one task; it writes one complete file, unless the file exists.
      tasks: list of picklable tasks.
      processes: number of processes, 0 for all cores; 1 runs the tasks in this process.
      description: text of the progress bar.
      runner: value of --runner (see engines.py), with which `processes` is ignored; None for local processes.

    Returns: list of the results in the order of the tasks.
    Raises: the first failure of a task, after cancelling the tasks that have not started; cli.UserError when a worker
      process was killed.
    """
    if runner:
        from preprocessing.sharding import engines

        return engines.map_tasks(function, tasks, runner, description)
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
                "a smaller --processes; finished files are kept."
            ) from error
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return [future.result() for future in futures]


def write_once(path, write):
    """Writes one output file atomically unless it exists.

    Args:
      path: the file.
      write: function of a temporary path; writes the file there and returns a dict that JSON can store.

    Returns: the dict as JSON returns it (lists for tuples); it is stored in PATH.json, and read there in later runs.
    Raises: cli.UserError if the folder was emptied meanwhile: a worker may outlive its command, and another command may
      use the folder for other work.
    """
    if not os.path.exists(path):
        with writing.replacing(path) as part:
            mine = os.stat(part)
            result = write(part)
            if not (os.path.exists(part) and os.path.samestat(mine, os.stat(part))):
                raise cli.UserError(f"{path}: another command emptied its folder while the file was written")
            sidecars.write_json(path + ".json", result)
    return result_of(path)


def result_of(path):
    """Returns the dict that `write_once` stored for a finished file.

    Raises: cli.UserError if it is missing or damaged.
    """
    return readers.read_json(path + ".json", f"what was counted for {path}; remove both to make them again", dict)


def is_unfinished(path, plan):
    """Returns whether the work folder `path` holds unfinished work of the same plan; False if it does not exist.

    Args: plan: JSON-able description of the settings and inputs.
    Raises: cli.UserError when the folder is a link.
    """
    if os.path.islink(path):
        raise cli.UserError(
            f"{path}: a link, expected a folder of this stage (the target of the link would be emptied); remove it"
        )
    plan_path = os.path.join(path, "plan.json")
    if not os.path.exists(plan_path):
        return False
    return texts.read_bytes(plan_path) == json.dumps(plan, sort_keys=True).encode()


def begin(path, plan):
    """Makes the empty work folder `path` for a plan, after removing all that is in it.

    Args: plan: JSON-able description of the settings and inputs; `is_unfinished` compares it later.
    Raises: OSError if the folder cannot be written.
    """
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    sidecars.write_whole(os.path.join(path, "plan.json"), json.dumps(plan, sort_keys=True))


def discard(path, plan):
    """Removes the work folder `path` of a complete output, unless it holds unfinished work of another plan.

    Args: plan: JSON-able description of the settings and inputs of the complete output.
    """
    if is_unfinished(path, plan) or not os.path.exists(os.path.join(path, "plan.json")):
        shutil.rmtree(path, ignore_errors=True)


# --------------------------------------------------------------------------------------------------------------
# Pieces of the input


@dataclasses.dataclass(frozen=True)
class Piece:
    """The lines of a file that start in a range of its bytes.

    Attributes:
      path: the file.
      start, end: byte offsets; lines that start at start, ..., end - 1 belong to the piece.
      name: for a file that was converted, the original file, which messages name; None for an original file.
    """

    path: str
    start: int
    end: int
    name: str | None = None

    @property
    def shown(self):
        """Returns the path that messages name."""
        return self.name or self.path


def cut(paths, piece_bytes, is_whole=lambda path: False):
    """Cuts files into pieces of about `piece_bytes` bytes, at most BYTES_PER_PIECE; returns a list of Piece.

    An empty file has no piece.

    Args: paths: iterable of paths. is_whole: function of a path that returns whether the file must be one piece.
    """
    pieces = []
    for path in paths:
        size = os.path.getsize(path)
        step = max(1, size if is_whole(path) else min(piece_bytes, BYTES_PER_PIECE))
        pieces += [Piece(path, start, min(start + step, size)) for start in range(0, size, step)]
    return pieces


def lines_of(piece):
    """Yields the lines of a Piece as bytes, without byte order mark and line end (`\\n`, `\\r\\n`, `\\r`)."""
    with open(piece.path, "rb") as file:
        if piece.start:
            file.seek(piece.start - 1)
            file.readline()  # the rest of a line that started in an earlier piece
        position = file.tell()
        while position < piece.end:
            line = file.readline()
            position += len(line)
            yield from _lines_in(line)


def _lines_in(line):
    """Splits bytes that end with `\\n` at each `\\r` that ends a line; returns a list of lines without line ends."""
    lines = line.removesuffix(b"\n").removesuffix(b"\r").split(b"\r")
    return [line.removeprefix(codecs.BOM_UTF8) for line in lines]


def line_number(piece, index):
    """Returns the number in its file, from 1, of line `index` (from 0) of a Piece.

    It reads the file: only for messages.
    """
    with open(piece.path, "rb") as file:
        before, position = 0, 0
        for line in file:
            if position >= piece.start:
                break
            before, position = before + len(_lines_in(line)), position + len(line)
    return before + index + 1


OFFSET = 8  # bytes of an offset at the beginning of a file of buckets


def write_buckets(path, lines, shards):
    """Distributes lines to buckets and writes all buckets to one file, after a table of their byte offsets.

    Args:
      path: the file to write.
      lines: iterable of bytes without line ends.
      shards: number of buckets; a line is in bucket `shard_of(line, shards)`.
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
    """Returns the lines (list of bytes) of bucket `shard` in a file of `write_buckets`; reads no other bucket."""
    with open(path, "rb") as file:
        file.seek(OFFSET * shard)
        start, end = (int.from_bytes(file.read(OFFSET), "little") for _ in range(2))
        file.seek(start)
        return file.read(end - start).split(b"\n")[:-1]
