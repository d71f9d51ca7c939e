"""Reads the outputs of commands in a form that is equal for two runs of the same command."""

import glob
import hashlib
import json
import os
import re

import numpy as np

from formats import sidecars

OF_THE_CALL = (
    "command",
    "image_dir",
    "minutes",
    "checksum",
)  # fields that differ between calls
# A lock file left by a killed process locks nothing; the next process that takes the lock removes it.
NOT_COMPARED = re.compile(r"(\.photograph_hashes\.json|timing\.jsonl|lock|\..*\.lock|events\.out.*)")
CHECKPOINT = re.compile(r"(ckpt-\d+)\.(index|data-.*)")


def contents(root):
    """Returns dict path below `root` -> digest of the file, for checkpoints of their tensors.

    JSON files are read without the fields OF_THE_CALL and without the path of `root`; rows of a table are sorted.
    """
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            if NOT_COMPARED.fullmatch(name):
                continue
            if match := CHECKPOINT.fullmatch(name):
                found[os.path.relpath(os.path.join(folder, match[1]), root)] = _tensors(os.path.join(folder, match[1]))
            else:
                found[os.path.relpath(path, root)] = _digest(path, str(root))
    return found


def _digest(path, root):
    if not path.endswith(".json"):
        return sidecars.fingerprint(path)["sha256"]
    with open(path) as file:
        text = file.read()
    try:
        value = _stripped(json.loads(text.replace(root, "ROOT")))
    except ValueError:
        return f"not JSON: {text}"
    if os.path.basename(path) == "table.json":
        value = sorted(value, key=json.dumps)
    return json.dumps(value, sort_keys=True)


def _stripped(value):
    if isinstance(value, list):
        return [_stripped(item) for item in value]
    if isinstance(value, dict):
        return {name: _stripped(item) for name, item in value.items() if name not in OF_THE_CALL}
    return value


def _tensors(prefix):
    """Returns the digest of all tensors of a checkpoint, without the description of its objects."""
    import tensorflow as tf

    try:
        reader = tf.train.load_checkpoint(prefix)
        names = sorted(name for name in reader.get_variable_to_shape_map() if name != "_CHECKPOINTABLE_OBJECT_GRAPH")
        digest = hashlib.sha256()
        for name in names:
            digest.update(name.encode() + np.asarray(reader.get_tensor(name)).tobytes())
        return digest.hexdigest()
    except (tf.errors.OpError, ValueError) as error:
        return f"unreadable: {error}"


def differences(found, expected):
    """Returns the differences between two results of `contents` as lines; none when they are equal."""
    unequal = sorted(path for path in found.keys() | expected.keys() if found.get(path) != expected.get(path))
    kinds = {(True, True): "another content", (True, False): "not expected", (False, True): "missing"}
    return [f"{path}: {kinds[path in found, path in expected]}" for path in unequal]


def damages(root):
    """Returns the faults of the outputs that have a sidecar: list of texts."""
    paths = glob.glob(os.path.join(glob.escape(str(root)), "**", "*.json"), recursive=True)
    found = []
    for path in sorted(paths):
        with open(path) as file:
            content = json.load(file)
        if isinstance(content, dict) and "files" in content and "settings" in content:
            found.append(sidecars.damaged_file(path, checksums=True))
    return [damage for damage in found if damage]
