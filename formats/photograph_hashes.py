"""Computes the sha256 of photographs without reading unchanged files again.

A hash is stored with the size and the modification time of the file, in a hidden file of the data folder. A photograph
that is replaced by another one of the same size has another time and is read again; with `--verify` a stage reads all
photographs again.
"""

import concurrent.futures
import hashlib
import json
import os

import cli
from formats import images, sidecars

CACHE = ".photograph_hashes.json"
THREADS = 4  # hashing waits for the disk, and releases Python's lock


def hashes_of(folder, names, data_dir, verify=False):
    """Returns dict name -> sha256 (hex) of each photograph, "" for one that does not exist or cannot be read.

    New hashes are stored in the data folder, so that later calls read only changed photographs.

    Args:
      folder: folder of the photographs.
      names: list of file names in it or in its direct subfolders.
      data_dir: the data folder, in which the hashes are stored.
      verify: read every file, even if a hash is stored.

    Raises: cli.UserError if the hashes cannot be stored, or a photograph exists in two subfolders.
    """
    folder = os.path.abspath(folder)
    known = {} if verify else _kept(data_dir, folder)
    paths = {name: images.locate(folder, name) for name in names}
    states = {name: _state(path) for name, path in paths.items()}
    todo = [name for name in names if states[name] and known.get(name, [])[:2] != states[name]]
    cache = os.path.join(data_dir, CACHE)
    with cli.tried(files=(cache,) if todo else ()), concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        read = pool.map(lambda name: _hash(paths[name]), todo)
        new = dict(zip(todo, cli.progress(read, "reading photographs", len(todo)), strict=True))
    found = {name: new.get(name) or (known[name][2] if states[name] else "") for name in names}
    if new:
        entries = {name: [*states[name], found[name]] for name in names if found[name]}
        sidecars.write_json(cache, {"folder": folder, "photographs": entries})
    return found


def digest(hashes, names):
    """Returns the sha256 (hex) over the names and contents of a set of photographs.

    Args:
      hashes: dict name -> sha256, from `hashes_of`.
      names: names of the photographs in the set, in any order.
    """
    lines = "".join(f"{name}\t{hashes[name]}\n" for name in sorted(names))
    return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()


def _kept(data_dir, folder):
    """Returns the hashes that an earlier call stored: dict name -> [size, time in ns, sha256]; {} without any."""
    try:
        with open(os.path.join(data_dir, CACHE)) as file:
            content = json.load(file)
        return content["photographs"] if content["folder"] == folder else {}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}


def _state(path):
    """Returns [size, time of the last change in ns] of a file; None if it does not exist."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def _hash(path):
    """Returns the sha256 (hex) of a file; "" if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
