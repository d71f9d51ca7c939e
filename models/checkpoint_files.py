"""Finds and opens TensorFlow's checkpoints, ours and the authors'.

A checkpoint is named by its prefix: `PREFIX.index` with `PREFIX.data-…`, or one file PREFIX (TensorFlow 1).
"""

import contextlib
import glob
import os
import re
import tempfile

import tensorflow as tf

from formats import file_names

PATTERN = re.compile(r"[*?[\\]")  # characters that TensorFlow reads as a glob pattern in a prefix


def newest(folder):
    """Returns the prefix of the newest TF1 checkpoint in a folder, None if there is none.

    It is the one named in the file `checkpoint`, whose folder is ignored because it may be that of another machine.
    Without such a file, or if its checkpoint is missing, it is the one with the largest step.
    """
    state = None
    if os.path.isfile(os.path.join(folder, "checkpoint")):
        with contextlib.suppress(ValueError, tf.errors.OpError):  # a damaged file is ignored
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
    """Returns whether a prefix names an existing checkpoint."""
    return os.path.isfile(prefix + ".index") or os.path.isfile(prefix)


def files(path):
    """Returns the paths of a checkpoint's files. Args: path: a prefix, one file, or a folder of TF1 checkpoints."""
    prefix = newest(path) if os.path.isdir(path) else path
    if prefix is None:
        return (path,)
    parts = sorted(glob.glob(glob.escape(prefix) + ".index") + glob.glob(glob.escape(prefix) + ".data-*"))
    return tuple(parts) or (prefix,)


@contextlib.contextmanager
def readable(path):
    """Yields a path of the same checkpoint, or folder, that TensorFlow can read: UTF-8 without pattern characters.

    It is `path` itself if possible, else the path of temporary links to its files, which are removed after the block.
    """
    if not PATTERN.search(path) and file_names.is_utf8(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="links-") as folder:
        link = os.path.join(folder, "ckpt")
        for file in [path] * os.path.exists(path) + glob.glob(glob.escape(path) + ".*"):
            os.symlink(os.path.abspath(file), link + file.removeprefix(path))
        yield link


@contextlib.contextmanager
def reader(path):
    """Yields TensorFlow's reader of a checkpoint. Args: path: as for `files`."""
    prefix = newest(path) or path if os.path.isdir(path) else path
    with readable(prefix) as plain:
        yield tf.train.load_checkpoint(plain)
