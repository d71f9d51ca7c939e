"""Saves encoders with a run: their description, and their files if these are small.

    save_encoder(description, RUN/encoder)

Saving does not load the encoder. registry.load_encoder_from loads a saved one.
A description is the dict from `Encoder.describe`. Its leaves are the descriptions of the single encoders inside it: the
members of joined encoders; a `caption_embeddings:` encoder, and its base.
"""

import json
import os

import cli
from formats import encoder_names, readers, writing
from models import checkpoint_files
from models.encoders.base import fingerprint

FILE = {  # checks of a file's entry in a description
    "name": lambda value: readers.is_text(value) and os.path.basename(value) == value,
    "bytes": readers.is_count,
    "sha256": readers.is_text,
    "path": readers.optional(readers.is_text),
}
COPY_LIMIT = 100 << 20  # bytes; a run copies its encoder, and its detector, if their files are smaller together


def save_encoder(description, folder):
    """Writes `folder/encoder.json`, and copies the encoder's files into the folder if they are below 100 MB together.

    Of larger files only path and sha256 are recorded, of a Python file only name and sha256.

    Args: description: dict from `Encoder.describe`, e.g. from the sidecar of a feature bank. folder: is created.
    Raises: ValueError: a file is missing, or is not the described one.
    """
    os.makedirs(folder, exist_ok=True)
    data = [entry for leaf in leaves(description) if not is_code(leaf) for entry in _own_files(leaf)]
    names = [entry["name"] for entry in data]
    small = sum(entry["bytes"] for entry in data) < COPY_LIMIT and len(set(names)) == len(names)

    def keep(path, entry):
        known = os.path.isfile(path) and entry["name"] == os.path.basename(path)
        if not known or fingerprint(path)["sha256"] != entry["sha256"]:
            raise ValueError(f"encoder file {path} is missing or is not the one that the features were made with")
        if not small:
            return entry | {"path": os.path.abspath(path)}
        writing.copy_file(path, os.path.join(folder, entry["name"]))
        return {key: value for key, value in entry.items() if key != "path"}

    content = _with_files(description, keep)
    with writing.replacing(os.path.join(folder, "encoder.json")) as part, open(part, "w") as file:
        json.dump(content, file, indent=1)


def leaves(description):
    """Returns the descriptions of all single encoders inside a description: list of dict, each with its own files."""
    if "members" in description:
        return [leaf for member in description["members"] for leaf in leaves(member)]
    return [description] + (leaves(description["base"]) if "base" in description else [])


def _own_files(leaf):
    """Returns a leaf's own file entries: list of dict; for `caption_embeddings:` without those of its base."""
    return leaf["files"][:1] if "base" in leaf else leaf["files"]


def is_code(leaf):
    """Returns whether the encoder of a leaf is a Python file: bool."""
    return encoder_names.parse(leaf["spec"]).is_code


def _paths(leaf):
    """Returns the paths of a leaf's files according to its spec: tuple of str, in the order of its file entries."""
    name = encoder_names.parse(leaf["spec"])
    return checkpoint_files.files(name.file) if name.kind == "inception_v4" else (name.file,)


def _with_files(description, keep):
    """Returns a copy of a description in which file entries are replaced, except those of Python files.

    Args: keep: function (path, entry: dict) -> new entry.
    """
    if "members" in description:
        members = [_with_files(member, keep) for member in description["members"]]
        return description | {"members": members, "files": [entry for member in members for entry in member["files"]]}
    own = _own_files(description)
    if own and not is_code(description):
        recorded = [entry.get("path", path) for path, entry in zip(_paths(description), own, strict=True)]
        own = [keep(path, entry) for path, entry in zip(recorded, own, strict=True)]
    if "base" not in description:
        return description | {"files": own}
    base = _with_files(description["base"], keep)
    return description | {"base": base, "files": [*own, *base["files"]]}


def check(description, path):
    """Checks that a description, and those of the encoders inside it, have the fields that `Encoder.describe` writes.

    Args: description: JSON value. path: of its file, for the message. Raises: cli.UserError naming what is wrong.
    """
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
    readers.check_fields(description, fields, path, "not a description of an encoder")
    resize = {"resize": readers.optional(readers.is_text)}
    readers.check_fields(description["preprocessing"], resize, path, "not a description of an encoder")
    if not {"cells", "image_size"} <= description.keys():  # which may be null, but are there
        raise cli.UserError(f"{path}: cells or image_size is missing; not a description of an encoder")
    for entry in description["files"]:
        readers.check_fields(entry, FILE, f"{path}: files", "not a description of an encoder")
    for part in [*description.get("members", ()), *([description["base"]] if "base" in description else ())]:
        check(part, path)
