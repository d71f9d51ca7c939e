"""The files of TensorFlow's checkpoints, ours and the authors': which are there, and how they are read.

A checkpoint is named by its prefix: `PREFIX.index` with `PREFIX.data-…`, or one file PREFIX (TensorFlow 1).
"""

import contextlib
import glob
import os
import re
import tempfile

import tensorflow as tf

PATTERN = re.compile(r"[*?[\\]")  # what TensorFlow takes for a pattern when it reads a prefix


def newest(folder):
    """The prefix of the newest TF1 checkpoint in a folder; None where there is none.

    It is the one that the file `checkpoint` names; of the path there only the name counts, which holds on another
    machine as well. Without such a file, or where it names one that is not there, the largest number counts.
    """
    state = None
    if os.path.isfile(os.path.join(folder, "checkpoint")):
        with contextlib.suppress(ValueError, tf.errors.OpError):  # a damaged file names nothing
            state = tf.train.get_checkpoint_state(folder)
    if state is not None:
        named = os.path.join(folder, os.path.basename(state.model_checkpoint_path))
        if is_there(named):
            return named
    found = {
        os.path.join(folder, os.path.splitext(name)[0])
        for name in os.listdir(folder)
        if name.endswith((".index", ".meta"))
    }
    found = sorted(filter(is_there, found), key=lambda prefix: (_number(prefix), prefix))
    return found[-1] if found else None


def _number(prefix):
    number = re.search(r"-(\d+)$", prefix)
    return int(number[1]) if number else -1


def is_there(prefix):
    """Whether a prefix names a checkpoint."""
    return os.path.isfile(prefix + ".index") or os.path.isfile(prefix)


def files(path):
    """The files of a checkpoint given as a prefix, a single file, or a folder with TF1 checkpoints."""
    prefix = newest(path) if os.path.isdir(path) else path
    if prefix is None:
        return (path,)
    parts = sorted(glob.glob(glob.escape(prefix) + ".index") + glob.glob(glob.escape(prefix) + ".data-*"))
    return tuple(parts) or (prefix,)


@contextlib.contextmanager
def readable(path):
    """Gives a path of the same checkpoint, or folder, that TensorFlow reads: no pattern, and UTF-8.

    It is `path` itself where nothing stands against it, else the path of links to its files, which go with the block.
    """
    if not PATTERN.search(path) and path.isprintable():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="links-") as folder:
        link = os.path.join(folder, "ckpt")
        for file in [path] * os.path.exists(path) + glob.glob(glob.escape(path) + ".*"):
            os.symlink(os.path.abspath(file), link + file.removeprefix(path))
        yield link


@contextlib.contextmanager
def reader(path):
    """Gives TensorFlow's reader of a checkpoint. Args: path: as `files` takes it."""
    prefix = newest(path) or path if os.path.isdir(path) else path
    with readable(prefix) as plain:
        yield tf.train.load_checkpoint(plain)
