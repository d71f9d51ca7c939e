"""Encoders as a run or a feature bank keeps them: their description, and their files where these are small.

    save_encoder(description, RUN/encoder); load_encoder_from(RUN/encoder)

Nothing is loaded in order to be kept. An encoder that is loaded again is compared with its description, so features and
run always belong to the same one. A Python file is never executed because a description names it (extensions.py).
"""

import json
import os
import shutil

import config
import extensions
from formats import readers, writing
from models.encoders import registry
from models.encoders.base import fingerprint, identity

FILE = {  # what is kept about a file of an encoder
    "name": lambda value: readers.is_text(value) and os.path.basename(value) == value,
    "bytes": readers.is_count,
    "sha256": readers.is_text,
    "path": readers.optional(readers.is_text),
}
COPY_LIMIT = 50 << 20  # bytes; larger files stay where they are and are recorded by path and sha256


def save_encoder(description, folder):
    """Keeps an encoder with a run: `folder/encoder.json`, and beside it its files if they are below 50 MB together.

    Larger files stay where they are: path and sha256 are recorded. Of a Python file only name and sha256 are.

    Args: description: as `Encoder.describe` returns it or the sidecar of a feature bank holds it.
    Raises: ValueError: a file is gone, or is not the one that is described.
    """
    os.makedirs(folder, exist_ok=True)
    data = [entry for leaf in _leaves(description) if not _is_code(leaf) for entry in _own_files(leaf)]
    names = [entry["name"] for entry in data]
    small = sum(entry["bytes"] for entry in data) < COPY_LIMIT and len(set(names)) == len(names)

    def keep(path, entry):
        known = os.path.isfile(path) and entry["name"] == os.path.basename(path)
        if not known or fingerprint(path)["sha256"] != entry["sha256"]:
            raise ValueError(f"encoder file {path} is gone or is not the one that the features were made with")
        if not small:
            return entry | {"path": os.path.abspath(path)}
        with writing.replacing(os.path.join(folder, entry["name"])) as part:
            shutil.copyfile(path, part)
        return {key: value for key, value in entry.items() if key != "path"}

    content = _with_files(description, keep)
    with writing.replacing(os.path.join(folder, "encoder.json")) as part, open(part, "w") as file:
        json.dump(content, file, indent=1)


def _leaves(description):
    """The descriptions inside a description, each with files of its own."""
    if "members" in description:
        return [leaf for member in description["members"] for leaf in _leaves(member)]
    return [description] + (_leaves(description["base"]) if "base" in description else [])


def _own_files(leaf):
    """The entries of a leaf's own files; of `neighbours:` the first, the others are its base's."""
    return leaf["files"][:1] if "base" in leaf else leaf["files"]


def _is_code(leaf):
    return extensions.is_file(leaf["spec"].partition(":")[0])


def _paths(leaf):
    """Where the files of a leaf were when it was described, in the order of its entries."""
    kind, _, argument = leaf["spec"].partition(":")
    if kind == "inception_v4":
        return registry.checkpoint_files(argument)
    if kind == "keras":
        return (argument.removesuffix("#grid").partition("#")[2],)
    return (argument.partition("#")[0],)


def _with_files(description, keep):
    """A description whose file entries are replaced by `keep(path, entry)`; those of Python files stay as they are."""
    if "members" in description:
        members = [_with_files(member, keep) for member in description["members"]]
        return description | {"members": members, "files": [entry for member in members for entry in member["files"]]}
    own = _own_files(description)
    if own and not _is_code(description):
        recorded = [entry.get("path", path) for path, entry in zip(_paths(description), own, strict=True)]
        own = [keep(path, entry) for path, entry in zip(recorded, own, strict=True)]
    if "base" not in description:
        return description | {"files": own}
    base = _with_files(description["base"], keep)
    return description | {"base": base, "files": [*own, *base["files"]]}


# --------------------------------------------------------------------------------------------------------------
# Loading


def load_encoder_from(source, spec=None):
    """The encoder that a run directory, a features sidecar or a file of `neighbours:` describes.

    Args:
      source: folder with `encoder.json` (see `save_encoder`), or a description as `Encoder.describe` returns it.
      spec: what the user names by --encoder: the encoder where it is now, or the base of a `neighbours:` one.

    Raises:
      ValueError: its files are not there, or are not the ones that the features were made with.
      extensions.StoredCodeError: part of it is a Python file and `spec` does not name it.
    """
    folder, path = None, "the description of the encoder"
    if isinstance(source, dict):
        description = source
    else:
        folder, path = source, os.path.join(source, "encoder.json")
    try:
        description = source if folder is None else readers.read_json(path)
        _check(description, path)
    except config.UserError as error:
        raise ValueError(f"no readable description of an encoder ({error})") from error
    try:
        encoder = _named_or_stored(description, folder, spec)
    except extensions.StoredCodeError:
        raise
    except ValueError as error:
        raise ValueError(f"{error} (from {path})" if spec is None else f"{error}") from error
    found, wanted = identity(encoder.describe()), identity(description)
    different = [name for name in wanted if found.get(name) != wanted[name]]
    if different:
        name = different[0]
        raise ValueError(
            f"encoder {encoder.spec!r} is not the one that the features were made with: {name} is {found.get(name)}, "
            f"expected {wanted[name]} ({path}). Point --encoder at {description['spec']!r}"
        )
    return encoder


def _named_or_stored(description, folder, spec):
    """The encoder that the user names, else the stored one."""
    if spec is None:
        _refuse_code(description, folder)
        return _load(description, folder)
    if "base" in description and not spec.startswith("neighbours:"):
        located = _located(description, folder)
        return registry.NeighboursEncoder(located, located.partition(":")[2], None, registry.load_encoder(spec))
    alone = not {"members", "base"} & set(description)
    return registry.load_encoder(spec, description["preprocessing"].get("resize") if alone else None)


def _refuse_code(description, folder):
    """Raises extensions.StoredCodeError where part of an encoder is a Python file."""
    code = [leaf["spec"] for leaf in _leaves(description) if _is_code(leaf)]
    if not code:
        return
    named = description["base"] if "base" in description else description
    parts = named["members"] if "members" in named else [named]
    specs = "+".join(leaf["spec"] if _is_code(leaf) else _located(leaf, folder) for leaf in parts)
    raise extensions.StoredCodeError(folder or "the description of the encoder", code[0], "--encoder", specs)


def _check(description, path):
    """Raises config.UserError unless a description, and those of the encoders in it, have what `describe` gives."""
    fields = {
        "spec": readers.is_text,
        "dim": readers.is_count,
        "cells": readers.optional(readers.is_count),
        "image_size": lambda value: readers.optional(readers.is_count)(value) or readers.is_list(value),
        "preprocessing": lambda value: (
            readers.is_object(value) and readers.optional(readers.is_text)(value.get("resize"))
        ),
        "files": readers.is_list,
        "members": readers.optional(readers.is_list),
        "base": readers.optional(readers.is_object),
    }
    readers.check_fields(description, fields, path, "no description of an encoder")
    resize = {"resize": readers.optional(readers.is_text)}
    readers.check_fields(description["preprocessing"], resize, path, "no description of an encoder")
    if not {"cells", "image_size"} <= description.keys():  # which may be null, but are there
        raise config.UserError(f"{path}: cells or image_size is missing; no description of an encoder")
    for entry in description["files"]:
        readers.check_fields(entry, FILE, f"{path}: files", "no description of an encoder")
    for part in [*description.get("members", ()), *([description["base"]] if "base" in description else ())]:
        _check(part, path)


def _load(description, folder):
    """The encoder of a description without code, from its files in `folder` or where they were."""
    if "members" in description:
        return registry.JoinedEncoder([_load(member, folder) for member in description["members"]])
    spec = _located(description, folder)
    if "base" in description:
        return registry.NeighboursEncoder(spec, spec.partition(":")[2], None, _load(description["base"], folder))
    return registry.load_data_encoder(spec, description["preprocessing"].get("resize"))


def _located(description, folder):
    """The spec with the path at which the file is now: in the run directory if it was copied there."""
    kind, _, argument = description["spec"].partition(":")
    if not description["files"]:
        return description["spec"]
    entry = description["files"][0]
    if folder is not None and "path" not in entry:
        path = os.path.join(folder, os.path.basename(entry["name"]))
    else:
        path = entry.get("path")
    if path is None:
        return description["spec"]
    if kind == "inception_v4":
        return f"{kind}:{path.removesuffix('.index').partition('.data-')[0]}"
    if kind == "keras":
        return f"{kind}:{argument.partition('#')[0]}#{path}" + ("#grid" if argument.endswith("#grid") else "")
    tensor = argument.partition("#")[2]
    return f"{kind}:{path}" + (f"#{tensor}" if tensor else "")
