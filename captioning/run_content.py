"""Opens a run for captioning: its settings, which are checked before networks are built from them, and its encoder.

Without the checks, a damaged number in config.json could make a network allocate all memory, and a value of a wrong
type could raise an error anywhere.
"""

import math
import os
import typing

import cli
import registry
from formats import readers
from formats.vocabulary import Vocabulary
from models import encoders
from models.encoders.in_step import assign_trained
from training import checkpoints
from training.run_directory import read_config

MEND = "restore it from a backup"
LONGEST_CAPTION = 1000  # limit of max_caption_length, in words
# Settings that determine the sizes of networks; each stage has some of them.
NETWORK = ("emb_dim", "mem_dim", "cell_dim", "attention_units", "mem_slots", "num_heads")
NEEDED = (*NETWORK, "semantics", "feature_scale", "gates", "forget_bias", "fusion", "fm_residual", "seed")


def open_run(job_dir, checkpoint="newest"):
    """Returns (content, vocabulary, prefix) of a run.

    `content` is the dict in config.json with "stage", "settings" and "facts"; `vocabulary` a Vocabulary; `prefix` the
    path of the chosen checkpoint without its ending.

    Args: job_dir: run directory. checkpoint: "best", "newest", a step, or the path of a checkpoint.

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
    """Raises cli.UserError unless every setting has the type of its field in the dataclass of the run's stage.

    The fact "image_dim" must be a non-negative integer or null.

    Args: content: dict, the content of config.json. path: of config.json, for the message.
    """
    hints = typing.get_type_hints(registry.system_of(content, os.path.dirname(path)).load("settings"))
    fields = {name: _fits(hint) for name, hint in hints.items() if name in content["settings"] or name in NEEDED}
    readers.check_fields(content["settings"], fields, path, MEND)
    image_dim = content["facts"].get("image_dim")
    readers.check_fields({"image_dim": image_dim}, {"image_dim": readers.optional(readers.is_count)}, path, MEND)


def _fits(hint):
    """Returns a function value -> bool that says whether a JSON value has the type of a setting.

    Args: hint: type hint of the setting's field, for example int or tuple[str, ...].
    """
    kind, can_be_none, is_tuple = cli.flag_type(hint)
    checks = {bool: lambda value: isinstance(value, bool), int: _is_integer, float: readers.is_number}
    fits = checks.get(kind, readers.is_text)
    if is_tuple:
        return lambda value: isinstance(value, list) and all(map(fits, value))
    return readers.optional(fits) if can_be_none else fits


def _is_integer(value):
    """Returns whether a JSON value is an integer; true and false are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def _check_sizes(content, vocabulary_size, prefix, path):
    """Raises cli.UserError if a checkpoint is too small for the network that the settings describe.

    The file must have at least the bytes of the largest tensor. A size below 1, or a maximum caption length that is too
    large, is an error too.

    Args: content: dict, the content of config.json. vocabulary_size: number of words. prefix: path of the checkpoint
      without its ending. path: path of config.json, for the message.
    """
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


# --------------------------------------------------------------------------------------------------------------
# The image encoder


def encoder_of_run(job_dir, checkpoint, spec=None):
    """Returns the encoder saved with a run, or the one named by `spec`, as an encoders.Encoder.

    If the run trains blocks of the encoder, they have the weights of the checkpoint.

    Args: job_dir: run directory. checkpoint: "best", "newest", a step, or the path of a checkpoint. spec: name of the
      encoder as in --encoder, needed if the run has no copy or its files have moved; else None.
    Raises: cli.UserError if it cannot be loaded, has another dimension than the run, or does not fit the checkpoint.
    """
    encoder = _untrained_encoder(job_dir, spec)
    if trains_encoder(read_config(job_dir)):
        prefix = checkpoints.choose(job_dir, checkpoint).prefix
        assign_trained(encoder, checkpoints.read_variables(prefix), prefix)
    return encoder


def trains_encoder(content):
    """Returns whether a run trains blocks of its image encoder: bool. Args: content: dict of its config.json."""
    trained = content["settings"].get("train_encoder")  # `open_run` refuses another type
    return _is_integer(trained) and trained > 0


def _untrained_encoder(job_dir, spec):
    """Returns the encoder of a run with the weights of its files. Args and Raises: as of `encoder_of_run`."""
    saved = os.path.join(job_dir, "encoder")
    try:
        if os.path.exists(os.path.join(saved, "encoder.json")):
            return encoders.load_encoder_from(saved, spec)
        if not spec:
            raise cli.UserError(
                f"{job_dir} has no saved encoder (no encoder/encoder.json): name the one that it was trained with by "
                "--encoder"
            )
        encoder, dim = encoders.load_encoder(spec), read_config(job_dir)["facts"]["image_dim"]
    except ValueError as error:
        raise cli.UserError(f"{error}") from error
    if encoder.dim != dim:
        raise cli.UserError(f"--encoder {spec} has {encoder.dim} dimensions, expected the {dim} of {job_dir}")
    return encoder
