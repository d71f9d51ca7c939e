"""Checkpoints: writes them atomically, restores the newest readable one, chooses one, reads variables by name.

`RUN/ckpt-STEP.index` and `RUN/ckpt-STEP.data-…` are TensorFlow's; `RUN/ckpt-STEP.json` holds the Python state of the
loop. All are written to a temporary folder, `part-STEP`; the checkpoint is complete when this folder has been renamed
to `ready-STEP`. Then the files are moved to RUN.

A prefix is the path of a checkpoint without its ending, RUN/ckpt-STEP. `job_dir` is the path of a run directory RUN.
The parts of a checkpoint are a dict name -> network or optimizer; the name of an optimizer is "optimizer" or ends in
"_optimizer".
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
    """Returns the steps of the complete checkpoints in a run directory: list of int, ascending."""
    return [step for step, endings in _found(job_dir).items() if "index" in endings]


def _found(job_dir):
    """Returns the checkpoint files in a run directory: dict step -> set of endings, in ascending order of steps.

    An ending is `index`, `json`, or `data-00000-of-00001`.
    """
    found = {}
    for path in glob.glob(os.path.join(glob.escape(job_dir), "ckpt-*")):
        match = FILE.fullmatch(os.path.basename(path))
        if match:
            found.setdefault(int(match[1]), set()).add(match[2])
    return dict(sorted(found.items()))


def prefix_of(job_dir, step):
    """Returns the prefix of a run's checkpoint of a step, RUN/ckpt-STEP, whether or not the checkpoint exists."""
    return os.path.join(job_dir, f"ckpt-{step}")


def save(job_dir, step, parts, state):
    """Writes a checkpoint and returns its prefix. If it fails, it leaves no files.

    Args: job_dir: run directory. step: int, number of finished training steps. parts: dict name -> trackable object
      (network or optimizer). state: dict that JSON can hold, the Python state of the training loop.
    Raises: OSError or tf.errors.OpError if a file cannot be written.
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
    """Repairs a run directory after an interrupted `save`.

    A checkpoint that was complete, so that only its files had to be moved, is completed; an incomplete one is removed.
    """
    for ready in _folders(job_dir, "ready"):
        files = [name for name in os.listdir(ready) if FILE.fullmatch(name)]
        for name in sorted(files, key=lambda name: name.endswith(".index")):  # the index last
            os.replace(os.path.join(ready, name), os.path.join(job_dir, name))
        shutil.rmtree(ready)
    for part in _folders(job_dir, "part"):
        shutil.rmtree(part)


def _folders(job_dir, kind):
    """Returns the paths of the folders `KIND-STEP` in a run directory as a list sorted by name, without links.

    Args: kind: "part" or "ready".
    """
    if not os.path.isdir(job_dir):
        return []
    with os.scandir(job_dir) as entries:
        return [
            entry.path
            for entry in sorted(entries, key=lambda entry: entry.name)
            if re.fullmatch(rf"{kind}-\d+", entry.name) and entry.is_dir(follow_symlinks=False)
        ]


def remove_superseded(job_dir, keep_last, keep_every):
    """Removes old checkpoints of a run.

    Args: keep_last: number of newest checkpoints to keep. keep_every: checkpoints at multiples of this step are kept as
      well; 0 for none.
    """
    for step in list(_found(job_dir))[:-keep_last]:
        if not keep_every or step % keep_every:
            files = glob.glob(glob.escape(prefix_of(job_dir, step)) + ".*")
            for path in sorted(files, key=lambda path: not path.endswith(".index")):
                os.remove(path)


def restore(prefix, parts):
    """Restores networks and optimizers from a checkpoint, which must contain all their variables and may have more.

    Args: prefix: path of the checkpoint without its ending. parts: dict name -> trackable object, changed in place.
    Raises: cli.UserError if the checkpoint cannot be read, or lacks a variable or has another shape of it.
    """
    try:
        with checkpoint_files.readable(prefix) as plain:
            tf.train.Checkpoint(**parts).read(plain).assert_existing_objects_matched().expect_partial()
    except UNREADABLE as error:
        first_line = str(error).strip().splitlines()[0]
        raise cli.UserError(f"{prefix}: cannot be restored ({first_line})") from error


def restore_newest(job_dir, parts, warn):
    """Restores networks and optimizers, in place, from the newest readable checkpoint of a run.

    Args: parts: dict name -> trackable object. warn: function(message), called for each damaged checkpoint, which is
      skipped.

    Returns: (its step, the dict `state` that was given to `save`), or (0, {}) if the run has no checkpoint; `parts` are
      unchanged then.
    Raises: cli.UserError if all checkpoints are damaged: training never silently starts from the beginning.
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
    """Returns whether a JSON value is the metrics of an unfinished summary interval: dict name -> [sum, count]."""
    return isinstance(value, dict) and all(readers.are_numbers(p) and len(p) == 2 for p in value.values())


def not_finite(parts):
    """Returns the names of the variables that contain a NaN or an infinity, as a list of texts PART/VARIABLE.

    Args: parts: dict name -> network or optimizer.
    """
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
    """The result of `choose`.

    Attributes:
      prefix: path of the checkpoint without its ending.
      step: its step; None if it was given by a path, or found in a folder of TF1 checkpoints.
      why: text for messages, the reason why it was chosen, for example "newest" or "as given".
    """

    prefix: str
    step: int | None
    why: str

    @property
    def name(self):
        """The name of the checkpoint for users: its step as text, or the prefix if `step` is None."""
        return self.prefix if self.step is None else str(self.step)


def choose(path, which="best", ranked=None):
    """Returns the checkpoint that a command uses, as `Chosen`. All commands choose by this function.

    Args:
      path: a run directory, the path of one of our checkpoints, a TF1 prefix, or a folder of TF1 checkpoints.
      which: the value of `--checkpoint`, one of
        "best": the last entry of b34.json (eval_val.py), else the step of best.json (minimum validation loss), else the
                newest;
        "newest": the checkpoint of the highest step;
        a step, as int or text;
        a path of a kind listed for `path`, which is used instead of it; of a run directory the newest checkpoint.
      ranked: folder whose b34.json alone determines the best checkpoint; None to use that of the run directory, or what
        "best" falls back on.

    Raises: cli.UserError if there is no such checkpoint, or the best one was removed; the message lists the existing
      steps.
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
    """Returns (step, reason as text) of a run's best checkpoint; (None, "newest") if no file names one.

    The file is b34.json or, if it does not exist or has no scores, best.json.

    Args: ranked: folder whose b34.json must name the best checkpoint; None for that of the run, which may be absent.
    Raises: cli.UserError if a file is damaged, or `ranked` has no b34.json with scores.
    """
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
    """Returns the total size of a checkpoint's files in bytes; a TF1 checkpoint may be a single file.

    Args: prefix: path of the checkpoint without its ending. Raises: cli.UserError if a file cannot be read.
    """
    files = glob.glob(glob.escape(prefix) + ".*") + glob.glob(glob.escape(prefix))
    try:
        return sum(os.path.getsize(path) for path in files)
    except OSError as error:
        raise cli.UserError(f"{error.filename}: cannot be read ({error.strerror})") from error


def digest(prefix):
    """Returns the first 16 hexadecimal digits of the sha256 of a checkpoint's index; "" if there is no index.

    The index contains checksums of all variables, so the digest identifies the content of the checkpoint.

    Args: prefix: path of the checkpoint without its ending.
    """
    if not os.path.exists(prefix + ".index"):
        return ""
    with open(prefix + ".index", "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def read_variables(path):
    """Returns the variables of a checkpoint: dict name as in the authors' program -> numpy array; no optimizer slots.

    Args: path: a run directory (its newest checkpoint is read), the prefix of one of our checkpoints, the prefix of a
      TF1 checkpoint, or a folder of TF1 checkpoints (the newest is read).
    Raises: cli.UserError if there is no checkpoint or it cannot be read.
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


def variables_of(parts):
    """Returns the variables of networks by the names that `read_variables` gives them: dict name -> tf.Variable.

    Args: parts: dict name -> trackable object, as for `restore`.
    """
    found, seen = {}, set()

    def walk(node, path):
        if isinstance(node, tf.Variable):
            found.setdefault(aliases.current_variable(path), node)
        elif id(node) not in seen:
            seen.add(id(node))
            for name, child in tf.train.TrackableView.children(node).items():
                walk(child, f"{path}/{name}")

    for name, part in parts.items():
        if not is_optimizer(name):
            walk(part, name.capitalize())
    return found


def is_optimizer(part):
    """Returns whether a part of a checkpoint is an optimizer; all other parts are networks. Args: part: its name."""
    return part == "optimizer" or part.endswith("_optimizer")


def _network_keys(reader):
    """Returns the network variables in one of our checkpoints: dict name as in the authors' program -> key in it.

    The keys alone are not sufficient: TensorFlow names a variable by the shortest path to it, which may go through an
    optimizer. So this function traverses the object graph, beginning at the networks.

    Args: reader: TensorFlow's checkpoint reader, from `checkpoint_files.reader`.
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
    """Assigns the arrays of a checkpoint to variables. Returns the names of the assigned variables as a list.

    Args:
      variables: dict name -> tf.Variable, from models.layers.named_variables.
      arrays: dict name -> numpy array, from `read_variables`; arrays without a variable are ignored.
      source: path of the checkpoint, for messages.
      wanted: function name -> bool that selects the variables to assign, by default all; `arrays` must contain these.

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
