"""Checkpoints: atomic writes, restoring the newest readable one, choosing one, reading the authors' files.

`RUN/ckpt-STEP.index` and `.data-…` are TensorFlow's; `RUN/ckpt-STEP.json` is the Python state of the loop. They are
written to a temporary folder, `part-STEP`; the checkpoint is complete once that is renamed to `ready-STEP`.
"""

import glob
import hashlib
import json
import os
import re
import shutil
import typing

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

import aliases
import cli
from formats import readers
from models import checkpoint_files
from training import rankings

FILE = re.compile(r"ckpt-(\d+)\.(index|json|data-\d+-of-\d+)")  # name of a checkpoint's file
OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
# Raised by TensorFlow for files that are absent, truncated (IndexError), have wrong checksums, or state more bytes than
# fit into memory (MemoryError).
UNREADABLE = (tf.errors.OpError, AssertionError, IndexError, ValueError, MemoryError)


def steps_in(job_dir):
    """Returns the steps of the complete checkpoints in a run directory, ascending."""
    return [step for step, endings in _found(job_dir).items() if "index" in endings]


def _found(job_dir):
    """Returns dict step -> endings of its files (`index`, `data-00000-of-00001`, `json`), ascending."""
    found = {}
    for path in glob.glob(os.path.join(glob.escape(job_dir), "ckpt-*")):
        match = FILE.fullmatch(os.path.basename(path))
        if match:
            found.setdefault(int(match[1]), set()).add(match[2])
    return dict(sorted(found.items()))


def prefix_of(job_dir, step):
    """Returns the path prefix of the checkpoint of a step."""
    return os.path.join(job_dir, f"ckpt-{step}")


def save(job_dir, step, parts, state):
    """Writes a checkpoint of `parts` (dict name -> trackable) and the loop's state (JSON). Returns its prefix.

    If it fails, it leaves no files. Raises: OSError, tf.errors.OpError.
    """
    finish_saves(job_dir)
    part, ready = (os.path.join(job_dir, f"{name}-{step}") for name in ("part", "ready"))
    try:
        os.makedirs(part)
        prefix = prefix_of(part, step)
        tf.train.Checkpoint(**parts).write(prefix)
        with open(prefix + ".json", "w") as file:
            json.dump(state, file)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    os.rename(part, ready)  # from here on it is complete
    finish_saves(job_dir)
    return prefix_of(job_dir, step)


def finish_saves(job_dir):
    """Completes a save that was killed while its files were moved; removes one that was killed before that."""
    for ready in _folders(job_dir, "ready"):
        files = [name for name in os.listdir(ready) if FILE.fullmatch(name)]
        for name in sorted(files, key=lambda name: name.endswith(".index")):  # the index last
            os.replace(os.path.join(ready, name), os.path.join(job_dir, name))
        shutil.rmtree(ready)
    for part in _folders(job_dir, "part"):
        shutil.rmtree(part)


def _folders(job_dir, kind):
    """Returns the paths of the run's folders `KIND-STEP`, without links and files of such names."""
    if not os.path.isdir(job_dir):
        return []
    with os.scandir(job_dir) as entries:
        return [
            entry.path
            for entry in sorted(entries, key=lambda entry: entry.name)
            if re.fullmatch(rf"{kind}-\d+", entry.name) and entry.is_dir(follow_symlinks=False)
        ]


def remove_superseded(job_dir, keep_last, keep_every):
    """Removes all checkpoints except the newest `keep_last` and those at multiples of `keep_every` (0: no others)."""
    for step in list(_found(job_dir))[:-keep_last]:
        if not keep_every or step % keep_every:
            files = glob.glob(glob.escape(prefix_of(job_dir, step)) + ".*")
            for path in sorted(files, key=lambda path: not path.endswith(".index")):
                os.remove(path)


def restore(prefix, parts):
    """Restores `parts` from a checkpoint, which must contain all of their variables and may contain others.

    Raises: cli.UserError naming the checkpoint and the fault.
    """
    try:
        with checkpoint_files.readable(prefix) as plain:
            tf.train.Checkpoint(**parts).read(plain).assert_existing_objects_matched().expect_partial()
    except UNREADABLE as error:
        first_line = str(error).strip().splitlines()[0]
        raise cli.UserError(f"{prefix}: cannot be restored ({first_line})") from error


def restore_newest(job_dir, parts, warn):
    """Restores the newest readable checkpoint of a run. Returns (step, state), or (0, {}) if the run has none.

    Damaged checkpoints are skipped with a warning. If all are damaged, it raises cli.UserError: training never starts
    again silently.
    """
    steps = list(_found(job_dir))
    for step in reversed(steps):
        prefix = prefix_of(job_dir, step)
        try:
            if not os.path.exists(prefix + ".index"):
                raise cli.UserError(f"{prefix}.index is missing")
            state = readers.read_json(prefix + ".json")
            readers.check_fields(state, {"pending": readers.optional(_are_pending)}, prefix + ".json")
            restore(prefix, parts)
            return step, state
        except (cli.UserError, OSError, ValueError) as error:
            warn(f"checkpoint {prefix} is damaged and skipped: {error}")
    if steps:
        raise cli.UserError(
            f"{job_dir}: none of the {len(steps)} checkpoints can be restored. Repair one or start in a new --job_dir."
        )
    return 0, {}


def _are_pending(value):
    """Returns whether a JSON value has the form of the loop's unwritten metrics: name -> [sum, count]."""
    return isinstance(value, dict) and all(readers.are_numbers(p) and len(p) == 2 for p in value.values())


def not_finite(parts):
    """Returns the names of the variables of `parts` with a NaN or an infinity."""
    found = []
    for part, trackable in parts.items():
        for variable in trackable.variables:
            value = tf.convert_to_tensor(variable)
            if value.dtype.is_floating and not bool(tf.reduce_all(tf.math.is_finite(value))):
                found.append(f"{part}/{getattr(variable, 'path', variable.name)}")
    return found


# --------------------------------------------------------------------------------------------------------------
# Choosing a checkpoint


class Chosen(typing.NamedTuple):
    """A checkpoint chosen by `choose`.

    Attributes: prefix: its path without ending. step: its step, None if it was given by a path. why: the reason.
    """

    prefix: str
    step: int | None
    why: str

    @property
    def name(self):
        """The name of the checkpoint within its run: the step, or else the path."""
        return self.prefix if self.step is None else str(self.step)


def choose(path, which="best", ranked=None):
    """Returns the checkpoint that a command uses, as `Chosen`. All commands choose by this function.

    Args:
      path: a run directory, one of our checkpoints, a TF1 prefix, or a folder of TF1 checkpoints.
      which: the value of `--checkpoint`. "best": the last entry of b34.json (eval_val.py), else the step of best.json
        (minimum validation loss), else the newest. "newest". A step. A path, which replaces `path`.
      ranked: folder whose b34.json must decide which is best; None for the run directory, with the fallbacks above.

    Raises: cli.UserError if there is no such checkpoint, or the best one was removed; it names those that exist.
    """
    which = str(which)
    if not which.isdigit() and which not in ("best", "newest"):
        return choose(which, "newest")._replace(step=None)
    if not os.path.isdir(path):
        prefix = re.sub(r"\.(index|meta|data-\d+-of-\d+)$", "", path)
        if not checkpoint_files.is_there(prefix):
            raise cli.UserError(f"{path}: neither a run directory nor a checkpoint (no {prefix}.index)")
        return Chosen(prefix, None, "as given")
    steps = steps_in(path)
    step, why = (int(which), "as given") if which.isdigit() else (None, "newest")
    if which == "best":
        step, why = _best(path, ranked)
    if step is None and not steps:
        if newest := checkpoint_files.newest(path):
            return Chosen(newest, None, "newest")
        raise cli.UserError(f"{path}: a folder without a checkpoint (ckpt-STEP.index or model.ckpt-STEP.index)")
    step = steps[-1] if step is None else step
    if step not in steps:
        raise cli.UserError(
            f"{prefix_of(path, step)} ({why}) does not exist or was removed. Choose another one by --checkpoint or by "
            f"its path; the run has the steps {', '.join(map(str, steps)) or 'none'}"
        )
    return Chosen(prefix_of(path, step), step, why)


def _best(job_dir, ranked):
    """Returns (step, reason) of the best checkpoint of a run; (None, "newest") if no file names it."""
    step = rankings.best_step(ranked or job_dir, missing_ok=ranked is None)
    if step is not None:
        return step, "best by BLEU-3 + BLEU-4"
    path = os.path.join(job_dir, "best.json")
    if not os.path.exists(path):
        return None, "newest"
    content = readers.read_json(path, "the best step of a training; remove it", dict)
    readers.check_fields(content, {"step": readers.is_count}, path, "remove it, then the newest checkpoint is taken")
    return content["step"], "minimum validation loss"


# --------------------------------------------------------------------------------------------------------------
# Reading variables by the authors' names


def bytes_of(prefix):
    """Returns the total bytes of a checkpoint's files; a TF1 checkpoint may be one file. Raises: cli.UserError."""
    files = glob.glob(glob.escape(prefix) + ".*") + glob.glob(glob.escape(prefix))
    try:
        return sum(os.path.getsize(path) for path in files)
    except OSError as error:
        raise cli.UserError(f"{error.filename}: cannot be read ({error.strerror})") from error


def digest(prefix):
    """Returns the short sha256 (16 digits) of a checkpoint's index, which has checksums of its content; "" if none."""
    if not os.path.exists(prefix + ".index"):
        return ""
    with open(prefix + ".index", "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def read_variables(path):
    """Returns the variables of a checkpoint, without optimizer slots: dict authors' name -> numpy array.

    Args: path: as for `choose`; of a run directory the newest checkpoint is read.
    """
    prefix = choose(path, "newest").prefix
    try:
        with checkpoint_files.reader(prefix) as reader:
            keys = reader.get_variable_to_shape_map()
            if OBJECT_GRAPH in keys:
                return {name: reader.get_tensor(key) for name, key in _network_keys(reader).items()}
            return {key: reader.get_tensor(key) for key in keys if not re.search(r"/Adam(_1)?$|_power$", key)}
    except UNREADABLE as error:
        raise cli.UserError(f"{prefix}: cannot be read ({str(error).splitlines()[0]})") from error


def is_optimizer(part):
    """Returns whether a part of a checkpoint is an optimizer, judging by its name; all other parts are networks."""
    return part == "optimizer" or part.endswith("_optimizer")


def _network_keys(reader):
    """Returns the networks' variables in one of our checkpoints: dict authors' name -> key.

    The keys are not sufficient: TensorFlow names a variable by the shortest path to it, which may go through an
    optimizer. So this traverses the object graph from the networks.
    """
    graph = TrackableObjectGraph.FromString(reader.get_tensor(OBJECT_GRAPH))
    found = {}

    def walk(node, path):
        for attribute in node.attributes:
            if attribute.name == "VARIABLE_VALUE":
                found[aliases.current_variable(path)] = attribute.checkpoint_key
        for child in node.children:
            walk(graph.nodes[child.node_id], f"{path}/{child.local_name}")

    for child in graph.nodes[0].children:
        if not is_optimizer(child.local_name):
            walk(graph.nodes[child.node_id], child.local_name.capitalize())
    return found


def assign_variables(variables, arrays, source, wanted=lambda name: True):
    """Assigns the arrays of a checkpoint to variables. Returns the list of assigned names.

    Args:
      variables: dict name -> tf.Variable (models.layers.named_variables).
      arrays: dict name -> array (`read_variables`).
      source: path for messages.
      wanted: function name -> bool that selects `variables`; `arrays` must have all selected ones.

    Raises: cli.UserError naming the first variable that is missing or has another shape; nothing is assigned then.
    """
    names = [name for name in variables if wanted(name)]
    for name in names:
        if name not in arrays:
            raise cli.UserError(f"{source}: has no variable {name}; it has {', '.join(sorted(arrays)[:8])} ...")
        expected, found = tuple(variables[name].shape), np.shape(arrays[name])
        if expected != found:
            raise cli.UserError(
                f"{source}: {name} has shape {found}, expected {expected}: the vocabulary, --emb_dim, --mem_dim or the "
                "dimension of the image vectors differs"
            )
    for name in names:
        variables[name].assign(np.asarray(arrays[name], variables[name].dtype.as_numpy_dtype))  # float16 if exported
    return names
