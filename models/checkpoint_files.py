"""Finds and opens TensorFlow checkpoints: those of this program and those of the authors' program (TensorFlow 1).

A checkpoint is named by its prefix: its files are `PREFIX.index` and `PREFIX.data-…`, or a single file PREFIX, an early
format of TensorFlow 1.
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
    """Returns the prefix of the newest checkpoint in a folder: str, or None if the folder has no checkpoint.

    The newest one is named in the folder's file `checkpoint`. Of the path in that file only the last part is used,
    because the folder may have been copied from another machine. If that file or the checkpoint that it names is
    missing, the checkpoint with the largest step is taken.

    Raises: OSError if there is no such folder, or it cannot be read.
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
    """Returns the step at the end of a prefix (`ckpt-1000`): int, -1 if the prefix does not end in a step."""
    number = re.search(r"-(\d+)$", prefix)
    return int(number[1]) if number else -1


def is_there(prefix):
    """Returns whether the files of a checkpoint exist: bool. Args: prefix: the checkpoint's prefix."""
    return os.path.isfile(prefix + ".index") or os.path.isfile(prefix)


def files(path):
    """Returns the paths of a checkpoint's files: tuple of str, sorted; (the path itself,) if no such files exist.

    Args: path: a prefix, the single file of a checkpoint, or a folder with checkpoints, of which the newest is taken.
    """
    prefix = newest(path) if os.path.isdir(path) else path
    if prefix is None:
        return (path,)
    parts = sorted(glob.glob(glob.escape(prefix) + ".index") + glob.glob(glob.escape(prefix) + ".data-*"))
    return tuple(parts) or (prefix,)


@contextlib.contextmanager
def readable(path):
    """Context manager: yields a path by which TensorFlow can read a checkpoint or folder.

    TensorFlow cannot read a path that is not UTF-8 or that contains a glob character (PATTERN). In place of such a path
    the block gets the path of symbolic links to the files, in a temporary folder that is removed after the block.

    Args: path: a checkpoint's prefix, or a folder.
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
    """Context manager: yields the tf.train.CheckpointReader of a checkpoint.

    Args: path: a prefix, the single file of a checkpoint, or a folder with checkpoints, of which the newest is taken.
    Raises: tf.errors.OpError or ValueError if there is no checkpoint; for a damaged one also AssertionError, IndexError
      or MemoryError.
    """
    prefix = newest(path) or path if os.path.isdir(path) else path
    with readable(prefix) as plain:
        yield tf.train.load_checkpoint(plain)
