"""Parses names of encoders: `KIND:FILE[#PART]`, several joined by `+`. models/encoders/registry.py describes the kinds.

This module does not need TensorFlow.
"""

import os
import re
import typing

import aliases
import extensions
from formats import paths

KINDS = {  # kinds whose files are data (not code) -> form of their names
    "inception_v4": "inception_v4:CHECKPOINT",
    "tflite": "tflite:FILE[#TENSOR[@max]]",
    "compact": "compact:FILE.npz[#grid]",
    "keras": "keras:NAME[#WEIGHTS.h5][#grid]",
    "inception_v3": "inception_v3:WEIGHTS.h5[#grid]",
    "vgg16": "vgg16:WEIGHTS.h5[#grid]",
    "resnet152": "resnet152:WEIGHTS.h5[#grid]",
}
NETWORKS = {"inception_v3": "InceptionV3", "vgg16": "VGG16", "resnet152": "ResNet152"}  # of keras.applications
CAPTION_EMBEDDINGS = "caption_embeddings"
BEGINS = re.compile(
    rf"(?:{'|'.join((*KINDS, CAPTION_EMBEDDINGS, *aliases.ENCODERS))}|[^+:]+\.py):"
)  # the beginning of a name
USAGE = f"{', '.join(KINDS.values())} or FILE.py:ARGUMENT; several pooled ones joined by +"


class EncoderName(typing.NamedTuple):
    """The parts of the name of one encoder.

    Attributes:
      kind: one of KINDS, CAPTION_EMBEDDINGS, or a Python file. argument: all that follows the colon.
      file: path of its file, "" without one. network: its name in keras.applications, "" for other kinds.
      part: output of the network: number of a tensor (with @max), "grid", or "" for its pooled vector.
    """

    kind: str
    argument: str
    file: str
    network: str = ""
    part: str = ""

    @property
    def is_code(self):
        """Returns whether it is a Python file, which only the command line may name (extensions.py)."""
        return extensions.is_file(self.kind)

    def at(self, path):
        """Returns the name of the same encoder with its file at another path."""
        before = f"{self.network}#" if self.kind == "keras" else ""
        return f"{self.kind}:{before}{path}" + (f"#{self.part}" if self.part else "")


def parse(name):
    """Returns the EncoderName of the name of one encoder; a name without a colon is a kind without argument."""
    kind, _, argument = name.partition(":")
    kind = aliases.ENCODERS.get(kind, kind)
    if extensions.is_file(kind):
        return EncoderName(kind, argument, kind)
    if kind in ("inception_v4", CAPTION_EMBEDDINGS):
        return EncoderName(kind, argument, argument)
    if kind == "keras":
        network, _, rest = argument.partition("#")
        file, part = ("", rest) if rest == "grid" else paths.cut(rest, "#", _is_part)
        return EncoderName(kind, argument, file, network, part)
    file, part = paths.cut(argument, "#", _is_part)
    return EncoderName(kind, argument, file, NETWORKS.get(kind, ""), part)


def _is_part(text):
    return bool(re.fullmatch(r"grid|\d+(@\w*)?", text))


def split(name):
    """Returns the names of the encoders that are joined by `+`, in order; a path may contain a + as well."""
    return paths.split(name, "+", _is_there, BEGINS.match) or [name]


def _is_there(name):
    found = parse(name)
    if found.is_code:
        return os.path.isfile(found.file) and "+" not in found.argument
    return os.path.isfile(found.file) and (not found.part or _is_part(found.part))


def is_name(text):
    """Returns whether a text names encoders that can be run on photographs, each by a known kind and an argument."""
    parts = [parse(part) for part in split(text)]
    return all((part.kind in KINDS or part.is_code) and part.argument for part in parts)
