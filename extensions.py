"""Loads extensions: Python files outside of this project, named on the command line as FILE.py:ARGUMENT.

    --dataset FILE.py:ARGUMENT      load(argument, with_train_captions) -> preprocessing.sources.datasets.Dataset
    --detector FILE.py:ARGUMENT     class Detector(part, settings), see preprocessing/detection/detectors.py
    --encoder FILE.py:ARGUMENT      class Encoder(spec, argument, resize), see models/encoders/
    --tokenizer FILE.py             tokenize(text) -> list of tokens, of extract_descriptions
    --reward FILE.py:ARGUMENT       make(argument, options) -> reward(tokens_BT, mask_BT, batch) -> [B, T] or [B]

docs/extending.md has a worked example of each. The file is executed: name only files that you trust. SavedModels,
frozen graphs and hub handles are programs as well. If a stored file (a run directory, a data folder, an .npz) names a
program, it is not loaded, unless the command line of the same call names it too.
"""

import functools
import importlib.util
import os
import shlex

import cli


def is_file(kind):
    """Returns whether the value of a flag names a Python file: bool. The file need not exist.

    Args: kind: str, the part of the value before the first colon, e.g. FILE.py of FILE.py:ARGUMENT.
    """
    return kind.endswith(".py")


class StoredCodeError(ValueError):
    """Raised if a stored file names a program that the command line does not name."""

    def __init__(self, stored_in, found, flag, spec):
        """Makes the message.

        Args: stored_in: path of the file or folder that names the program. found: the program's name there. flag, spec:
          flag (with --) and value by which the user can name the program on the command line.
        """
        super().__init__(
            f"{stored_in} names {found}, a program. Programs are never run because a stored file names them. If "
            f"you trust it, name it yourself: {cli.command_line()} {flag} {shlex.quote(spec)}"
        )


def load(path, name):
    """Returns the function or class `name` of the Python file `path`.

    Each file is executed once in a process; later calls use the module of the first one.
    Raises: ValueError if the file does not exist, cannot be executed, or does not define the name.
    """
    module = _module(os.path.abspath(path))
    if not callable(getattr(module, name, None)):
        raise ValueError(f"{path} does not define {name}; docs/extending.md describes what is expected")
    return getattr(module, name)


@functools.cache
def _module(path):
    """Returns the Python module that a file defines. Raises: ValueError if it does not exist or cannot be executed."""
    if not os.path.isfile(path):
        raise ValueError(f"{path} is not a file; expected a Python file with an extension (docs/extending.md)")
    spec = importlib.util.spec_from_file_location("extension_" + os.path.basename(path).removesuffix(".py"), path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # a foreign file may raise anything
        raise ValueError(f"{path} cannot be used: {type(error).__name__}: {error}") from error
    return module
