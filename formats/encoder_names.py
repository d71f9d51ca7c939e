"""Parses names of encoders: `KIND:FILE[#PART]`, several joined by `+`. models/encoders/registry.py describes the kinds.

`PART` names the output of the network that is used. This module does not need TensorFlow.
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
    "scene": "scene:FILE[#TENSOR[@max]]",
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
      kind: one of KINDS, CAPTION_EMBEDDINGS, or the path of a Python file.
      argument: all text after the first colon.
      file: path of the encoder's file; "" if it has none.
      network: its class name in keras.applications; "" for other kinds.
      part: output of the network: number of a tensor (with @max), "grid" for its cells, or "" for its pooled vector.
    """

    kind: str
    argument: str
    file: str
    network: str = ""
    part: str = ""

    @property
    def is_code(self):
        """Returns whether the encoder is a Python file.

        Only the command line, and no stored file, may name such an encoder (extensions.py).
        """
        return extensions.is_file(self.kind)

    def at(self, path):
        """Returns the name (str) of the same encoder and part with another path of its file.

        Args: path: the new path.
        """
        before = f"{self.network}#" if self.kind == "keras" else ""
        return f"{self.kind}:{before}{path}" + (f"#{self.part}" if self.part else "")


def parse(name):
    """Returns the parts of the name of one encoder as an EncoderName.

    Neither the kind nor the existence of the file is checked. A name without a colon is a kind without argument.
    """
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
    """Returns whether a text has the form of a PART: "grid", or the number of a tensor, optionally with @max."""
    return bool(re.fullmatch(r"grid|\d+(@\w*)?", text))


def split(name):
    """Splits a name of encoders joined by `+` into a list of str, each the name of one encoder.

    A `+` inside the path of an existing file does not split it.
    """
    return paths.split(name, "+", _is_there, BEGINS.match) or [name]


def _is_there(name):
    """Returns whether the file of an encoder exists and its part has the right form.

    Args: name: name of one encoder.
    """
    found = parse(name)
    if found.is_code:
        return os.path.isfile(found.file) and "+" not in found.argument
    return os.path.isfile(found.file) and (not found.part or _is_part(found.part))


def is_name(text):
    """Returns whether a text names encoders that can be run on photographs, each with a known kind and an argument."""
    parts = [parse(part) for part in split(text)]
    return all((part.kind in KINDS or part.is_code) and part.argument for part in parts)
