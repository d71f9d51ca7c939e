"""Parts of one's own, in a Python file outside of this project, named on the command line as FILE.py:ARGUMENT.

    --dataset FILE.py:ARGUMENT      load(argument, with_train_captions) -> preprocessing.sources.datasets.Dataset
    --detector FILE.py:ARGUMENT     class Detector(part, settings), see preprocessing/detection/detectors.py
    --encoder FILE.py:ARGUMENT      class Encoder(spec, argument, resize), see models/encoders/
    --reward FILE.py:ARGUMENT       make(argument, options) -> reward(tokens_BT, mask_BT, batch) -> [B, T] or [B]

docs/extending.md has a worked example of each. The file is executed: name only files that you trust. SavedModels,
frozen graphs and hub handles are programs as well. None of them is ever loaded because a stored file (a run directory,
a data folder, an .npz) names it, only because the command line of this very call does.
"""

import functools
import importlib.util
import os
import shlex

import cli


def is_file(kind):
    """Whether the part before the colon names a Python file."""
    return kind.endswith(".py")


class StoredCodeError(ValueError):
    """A stored file names a program where only the command line may do so."""

    def __init__(self, stored_in, found, flag, spec):
        super().__init__(
            f"{stored_in} names {found}, a program. Programs are never run because a stored file names them; if you "
            f"trust it, name it yourself: {cli.command_line()} {flag} {shlex.quote(spec)}"
        )


def load(path, name):
    """The function or class `name` of a Python file; each file is executed once in a process.

    Raises: ValueError when the file is not there, cannot be executed, or defines no such name.
    """
    module = _module(os.path.abspath(path))
    if not callable(getattr(module, name, None)):
        raise ValueError(f"{path} defines no {name}; docs/extending.md says what is expected of it")
    return getattr(module, name)


@functools.cache
def _module(path):
    if not os.path.isfile(path):
        raise ValueError(f"{path} is no file; expected a Python file with a part of your own (docs/extending.md)")
    spec = importlib.util.spec_from_file_location("extension_" + os.path.basename(path).removesuffix(".py"), path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever a stranger's file may raise
        raise ValueError(f"{path} cannot be used: {type(error).__name__}: {error}") from error
    return module
