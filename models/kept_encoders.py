"""Encoders as a run or a feature bank keeps them: their description, and their files where these are small.

    save_encoder(encoder, RUN/encoder); load_encoder_from(RUN/encoder, or the description in a features sidecar)

An encoder that is loaded again is compared with its description, so features and run always belong to the same one.
"""

import json
import os
import shutil

import extensions
from models import encoders

COPY_LIMIT = 50 << 20  # bytes; larger files stay where they are and are recorded by path and sha256


def save_encoder(encoder, folder):
    """Keeps an encoder with a run: `folder/encoder.json`, and beside it its files if they are below 50 MB.

    Larger files stay where they are: path and sha256 are recorded.
    """
    os.makedirs(folder, exist_ok=True)
    description = encoder.describe()
    small = sum(entry["bytes"] for entry in description["files"]) < COPY_LIMIT
    small = small and not extensions.is_file(encoder.spec.partition(":")[0])  # a run brings no program with it
    names = [entry["name"] for entry in description["files"]]
    small = small and len(set(names)) == len(names)
    for path, entry in zip(encoder.files, description["files"], strict=True):
        if small:
            target = os.path.join(folder, entry["name"])
            shutil.copyfile(path, target + ".part")
            os.replace(target + ".part", target)
        else:
            entry["path"] = os.path.abspath(path)
    target = os.path.join(folder, "encoder.json")
    with open(target + ".part", "w") as file:
        json.dump(description, file, indent=1)
    os.replace(target + ".part", target)


def load_encoder_from(source, spec=None):
    """The encoder that a run directory or a features sidecar describes.

    Args:
      source: folder with `encoder.json` (see `save_encoder`), or a description as `Encoder.describe` returns it.
      spec: where the encoder is now, if its files have moved.

    Raises:
      ValueError: its files are not there, or are not the ones that the features were made with.
    """
    folder = None
    if isinstance(source, dict):
        description = source
    else:
        folder, path = source, os.path.join(source, "encoder.json")
        try:
            with open(path) as file:
                description = json.load(file)
        except (OSError, json.JSONDecodeError) as error:
            raise ValueError(f"{path}: no readable description of an encoder ({error})") from error
    if spec is None:
        encoder = _load(description, folder)
    else:
        alone = not {"members", "base"} & set(description)
        encoder = encoders.load_encoder(spec, description["preprocessing"]["resize"] if alone else None)
    found, wanted = encoders.identity(encoder.describe()), encoders.identity(description)
    different = [name for name in wanted if found.get(name) != wanted[name]]
    if different:
        name = different[0]
        raise ValueError(
            f"encoder {encoder.spec!r} is not the one that the features were made with: {name} is {found.get(name)}, "
            f"expected {wanted[name]}. Point --encoder at {description['spec']!r}"
        )
    return encoder


def _load(description, folder):
    """The encoder of a description, from its files in `folder` or where they were."""
    if "members" in description:
        return encoders.JoinedEncoder([_load(member, folder) for member in description["members"]])
    spec = _located(description, folder)
    if "base" in description:
        return encoders.NeighboursEncoder(spec, spec.partition(":")[2], None, _load(description["base"], folder))
    return encoders.load_encoder(spec, description["preprocessing"]["resize"])


def _located(description, folder):
    """The spec with the path at which the file is now: in the run directory if it was copied there."""
    kind, _, argument = description["spec"].partition(":")
    if not description["files"]:
        return description["spec"]
    entry = description["files"][0]
    if extensions.is_file(kind):
        return _own_file(kind, argument, entry)
    if folder is not None and "path" not in entry:
        path = os.path.join(folder, entry["name"])
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


def _own_file(kind, argument, entry):
    """The spec of a part in a Python file, which is executed only where it is the very file that was used."""
    path = entry.get("path", kind)
    if not os.path.isfile(path) or encoders.fingerprint(path)["sha256"] != entry["sha256"]:
        raise ValueError(f"encoder {kind}: {path} is gone or has changed; say by --encoder FILE.py:… where it is now")
    return f"{path}:{argument}"
