"""Checkpoints: written whole or not at all, the newest readable one is restored, the authors' files can be read.

`RUN/ckpt-STEP.index`, `.data-…` are TensorFlow's; `RUN/ckpt-STEP.json` holds the Python state of the loop. They are
written in a folder of their own, `part-STEP`; its renaming to `ready-STEP` makes them a checkpoint.
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

FILE = re.compile(r"ckpt-(\d+)\.(index|json|data-\d+-of-\d+)")  # of a checkpoint
OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
# What TensorFlow raises for files that are absent, cut short (IndexError), whose checksums are wrong, or that claim
# more than the memory holds (MemoryError).
UNREADABLE = (tf.errors.OpError, AssertionError, IndexError, ValueError, MemoryError)


def steps_in(job_dir):
    """Steps of the complete checkpoints in a run directory, ascending."""
    return [step for step, endings in _found(job_dir).items() if "index" in endings]


def _found(job_dir):
    """dict step -> endings of its files (`index`, `data-00000-of-00001`, `json`), ascending."""
    found = {}
    for path in glob.glob(os.path.join(glob.escape(job_dir), "ckpt-*")):
        match = FILE.fullmatch(os.path.basename(path))
        if match:
            found.setdefault(int(match[1]), set()).add(match[2])
    return dict(sorted(found.items()))


def prefix_of(job_dir, step):
    """Path prefix of the checkpoint of a step."""
    return os.path.join(job_dir, f"ckpt-{step}")


def save(job_dir, step, parts, state):
    """Writes a checkpoint of `parts` (dict name -> trackable) and of the loop's Python state (JSON).

    When it fails nothing of it is left behind. Raises: OSError, tf.errors.OpError.
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
    """Completes a save that was killed while its files were put in place, removes one that was killed earlier."""
    for ready in _folders(job_dir, "ready"):
        files = [name for name in os.listdir(ready) if FILE.fullmatch(name)]
        for name in sorted(files, key=lambda name: name.endswith(".index")):  # the index last
            os.replace(os.path.join(ready, name), os.path.join(job_dir, name))
        shutil.rmtree(ready)
    for part in _folders(job_dir, "part"):
        shutil.rmtree(part)


def _folders(job_dir, kind):
    """Paths of the run's folders `KIND-STEP`; a link or a file of such a name is no work of ours and is left alone."""
    if not os.path.isdir(job_dir):
        return []
    with os.scandir(job_dir) as entries:
        return [
            entry.path
            for entry in sorted(entries, key=lambda entry: entry.name)
            if re.fullmatch(rf"{kind}-\d+", entry.name) and entry.is_dir(follow_symlinks=False)
        ]


def remove_superseded(job_dir, keep_last, keep_every):
    """Removes all checkpoints but the newest `keep_last` and those at multiples of `keep_every` (0: no others)."""
    for step in list(_found(job_dir))[:-keep_last]:
        if not keep_every or step % keep_every:
            files = glob.glob(glob.escape(prefix_of(job_dir, step)) + ".*")
            for path in sorted(files, key=lambda path: not path.endswith(".index")):
                os.remove(path)


def restore(prefix, parts):
    """Restores `parts` from a checkpoint; every one of their variables must be in it, which may hold more.

    Raises: cli.UserError naming the checkpoint and what is wrong.
    """
    try:
        with checkpoint_files.readable(prefix) as plain:
            tf.train.Checkpoint(**parts).read(plain).assert_existing_objects_matched().expect_partial()
    except UNREADABLE as error:
        first_line = str(error).strip().splitlines()[0]
        raise cli.UserError(f"{prefix}: cannot be restored ({first_line})") from error


def restore_newest(job_dir, parts, warn):
    """Restores the newest readable checkpoint of a run; returns (step, state), or (0, {}) for a run without any.

    A damaged one is passed over with a warning; when all are damaged this is an error, never a silent fresh start.
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
            warn(f"checkpoint {prefix} is damaged and passed over: {error}")
    if steps:
        raise cli.UserError(
            f"{job_dir}: none of the {len(steps)} checkpoints can be restored. Repair one or start in a new --job_dir."
        )
    return 0, {}


def _are_pending(value):
    """Whether a value is what the loop keeps of metrics that are not yet written: name -> [sum, count]."""
    return isinstance(value, dict) and all(readers.are_numbers(p) and len(p) == 2 for p in value.values())


def not_finite(parts):
    """Names of the variables of `parts` that hold a NaN or an infinity."""
    found = []
    for part, trackable in parts.items():
        for variable in trackable.variables:
            value = tf.convert_to_tensor(variable)
            if value.dtype.is_floating and not bool(tf.reduce_all(tf.math.is_finite(value))):
                found.append(f"{part}/{getattr(variable, 'path', variable.name)}")
    return found


# --------------------------------------------------------------------------------------------------------------
# Which checkpoint is meant


class Chosen(typing.NamedTuple):
    """A checkpoint.

    Attributes: prefix: its path without ending. step: of a run, None where it is given by its path. why: it was taken.
    """

    prefix: str
    step: int | None
    why: str

    @property
    def name(self):
        """What it is called beside the name of its run: the step, or the path."""
        return self.prefix if self.step is None else str(self.step)


def choose(path, which="best", ranked=None):
    """The checkpoint that is meant: `Chosen`. Nobody else decides it.

    Args:
      path: a run directory, one of our checkpoints, a TF1 prefix, or a folder of TF1 checkpoints.
      which: of a run directory (`--checkpoint`): "best" is the last entry of b34.json (eval_val.py), else the step of
        best.json (least validation loss), else the newest; "newest"; a step. Or a path, which then stands for `path`.
      ranked: folder whose b34.json alone says which is best (a score names how its checkpoint was selected).

    Raises: cli.UserError saying what is there instead, or that the best one is not there any more.
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
            f"{prefix_of(path, step)} ({why}) is not there (any more). Name one that is, by --checkpoint or by its "
            f"path: steps {', '.join(map(str, steps)) or 'none'}"
        )
    return Chosen(prefix_of(path, step), step, why)


def _best(job_dir, ranked):
    """(step, why) of the best checkpoint of a run; (None, "newest") where nothing tells."""
    step = rankings.best_step(ranked or job_dir, missing_ok=ranked is None)
    if step is not None:
        return step, "best by BLEU-3 + BLEU-4"
    path = os.path.join(job_dir, "best.json")
    if not os.path.exists(path):
        return None, "newest"
    content = readers.read_json(path, "the best step of a training; remove it", dict)
    readers.check_fields(content, {"step": readers.is_count}, path, "remove it, then the newest checkpoint is taken")
    return content["step"], "least validation loss"


# --------------------------------------------------------------------------------------------------------------
# Reading variables by the authors' names


def bytes_of(prefix):
    """Bytes of the files of a checkpoint, which may be one file (TF1). Raises: cli.UserError."""
    files = glob.glob(glob.escape(prefix) + ".*") + glob.glob(glob.escape(prefix))
    try:
        return sum(os.path.getsize(path) for path in files)
    except OSError as error:
        raise cli.UserError(f"{error.filename}: cannot be read ({error.strerror})") from error


def digest(prefix):
    """16 hex digits that tell the content of a checkpoint (its index holds checksums); empty where there is none."""
    if not os.path.exists(prefix + ".index"):
        return ""
    with open(prefix + ".index", "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def read_variables(path):
    """The variables of a checkpoint by the authors' names (`Generator/embedding`, ...), slots left out.

    Args: path: as `choose` takes it; the newest of a run directory.
    Returns: dict name -> numpy array.
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
    """Whether a part of a checkpoint is an optimizer, by its name; all others are networks."""
    return part == "optimizer" or part.endswith("_optimizer")


def _network_keys(reader):
    """The networks' variables in one of our checkpoints: dict authors' name -> key.

    A key alone does not tell: TensorFlow names a variable by the shortest of the paths that lead to it, which may be an
    optimizer's. So the graph of objects is walked from the networks.
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
    """Hands variables over from a checkpoint.

    Args:
      variables: dict name -> tf.Variable (models.layers.named_variables).
      arrays: dict name -> array (`read_variables`).
      source: path for messages.
      wanted: which of `variables` are taken over; all of these must be there with the right shape.

    Returns: list of the names that were assigned.
    Raises: cli.UserError naming the first variable that is missing or has another shape; nothing is assigned then.
    """
    names = [name for name in variables if wanted(name)]
    for name in names:
        if name not in arrays:
            raise cli.UserError(f"{source}: has no variable {name}; it holds {', '.join(sorted(arrays)[:8])} ...")
        expected, found = tuple(variables[name].shape), np.shape(arrays[name])
        if expected != found:
            raise cli.UserError(
                f"{source}: {name} has shape {found}, expected {expected}: another vocabulary or other sizes "
                "(--emb_dim, --mem_dim, the image vectors)"
            )
    for name in names:
        variables[name].assign(arrays[name])
    return names
