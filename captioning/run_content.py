"""Opens a run for captioning and checks its settings before networks are built from them.

Otherwise a damaged number in config.json could allocate all memory, and a damaged word could raise anywhere.
"""

import math
import os
import typing

import cli
import registry
from formats import readers
from formats.vocabulary import Vocabulary
from training import checkpoints
from training.run_directory import read_config

MEND = "restore it from a backup"
LONGEST_CAPTION = 1000  # limit of max_caption_length, in words
# Settings that determine the sizes of networks; each stage has some of them.
NETWORK = ("emb_dim", "mem_dim", "cell_dim", "attention_units", "mem_slots", "num_heads")
NEEDED = (*NETWORK, "semantics", "feature_scale", "gates", "forget_bias", "fusion", "fm_residual", "seed")


def open_run(job_dir, checkpoint="newest"):
    """Returns (content of config.json, Vocabulary, prefix of the checkpoint) of a run.

    Args: checkpoint: as for training.checkpoints.choose.

    Raises: cli.UserError if a file is missing or damaged, or if the settings do not agree with the checkpoint.
    """
    content, path = read_config(job_dir), os.path.join(job_dir, "config.json")
    _check_settings(content, path)
    vocabulary = Vocabulary.load(os.path.join(job_dir, "vocabulary.txt"))
    if vocabulary.fingerprint() != content["facts"].get("vocabulary"):
        raise cli.UserError(f"{job_dir}/vocabulary.txt is not the dictionary that the run was trained with; {MEND}")
    prefix = checkpoints.choose(job_dir, checkpoint).prefix
    _check_sizes(content, vocabulary.size, prefix, path)
    return content, vocabulary, prefix


def _check_settings(content, path):
    """Raises cli.UserError unless every setting has the type of its field in the stage's dataclass."""
    hints = typing.get_type_hints(registry.system_of(content, os.path.dirname(path)).load("settings"))
    fields = {name: _fits(hint) for name, hint in hints.items() if name in content["settings"] or name in NEEDED}
    readers.check_fields(content["settings"], fields, path, MEND)
    image_dim = content["facts"].get("image_dim")
    readers.check_fields({"image_dim": image_dim}, {"image_dim": readers.optional(readers.is_count)}, path, MEND)


def _fits(hint):
    """Returns a function that checks whether a JSON value fits a type hint of a setting."""
    kind, can_be_none, is_tuple = cli.flag_type(hint)
    checks = {bool: lambda value: isinstance(value, bool), int: _is_integer, float: readers.is_number}
    fits = checks.get(kind, readers.is_text)
    if is_tuple:
        return lambda value: isinstance(value, list) and all(map(fits, value))
    return readers.optional(fits) if can_be_none else fits


def _is_integer(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _check_sizes(content, vocabulary_size, prefix, path):
    """Raises cli.UserError if the checkpoint has fewer bytes than the largest tensor of a network of these sizes."""
    settings = {name: content["settings"][name] for name in NETWORK if name in content["settings"]}
    longest = content["settings"].get("max_caption_length") or 1
    if not 0 < longest <= LONGEST_CAPTION:
        raise cli.UserError(f"{path}: max_caption_length is {longest}, expected at most {LONGEST_CAPTION}; {MEND}")
    sizes = settings | {"image_dim": content["facts"].get("image_dim") or 1}
    tensors = [(size,) for size in sizes.values()] + [(vocabulary_size, settings["emb_dim"])]
    claimed, there = max(4 * math.prod(shape) for shape in tensors), checkpoints.bytes_of(prefix)
    if min(sizes.values()) < 1 or claimed > there or settings["emb_dim"] % settings.get("num_heads", 1):
        stated = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise cli.UserError(f"{path}: {stated}: such a network does not fit into the {there} bytes of {prefix}; {MEND}")
