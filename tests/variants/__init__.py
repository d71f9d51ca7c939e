"""Inputs in every spelling that people bring: encodings, line ends, marks, delimiters, placeholders, forms.

`python -m tests.variants` reads all of them; each is right, or a clear error that names the file and the place.
"""

import bz2
import codecs
import dataclasses
import gzip
import lzma
import random

MARKS = {
    "utf-8": b"",
    "utf-8-sig": b"",
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
    "utf-16-le without a mark": b"",
}
ENDS = {"unix": "\n", "windows": "\r\n", "macintosh": "\r"}
PACKERS = {"": lambda data: data, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


@dataclasses.dataclass(frozen=True)
class Variant:
    """One input.

    Attributes:
      name: says what is peculiar about it. files: dict path below a folder -> bytes.
      read: function of that folder that returns what was read.
      right: what it must return, or None where the input is wrong and an error is expected.
      places: what the message of an error must say beside the name of one of the files: texts that all stand in it.
    """

    name: str
    files: dict
    read: object
    right: object
    places: tuple = ()


def written(text, encoding="utf-8", end="\n", packing="", last=True):
    """The bytes of a text. Args: end: of the lines. last: whether the last line has one."""
    text = text if last else text.removesuffix("\n")
    data = MARKS[encoding] + text.replace("\n", end).encode(encoding.partition(" ")[0])
    return PACKERS[packing](data)


def outfits(count, seed, packed=True):
    """`count` ways to write a file: dicts for `written`, each encoding and line end among them, if count allows it."""
    drawn = random.Random(seed)
    packings = list(PACKERS) if packed else [""]
    every = [
        {"encoding": encoding, "end": end, "packing": packing, "last": last}
        for encoding in MARKS
        for end in ENDS.values()
        for packing in packings
        for last in (True, False)
    ]
    drawn.shuffle(every)
    plain, others = ([outfit for outfit in every if (outfit["packing"] == "") == flag] for flag in (True, False))
    every = [outfit for three in zip(plain[::2], plain[1::2], others, strict=False) for outfit in three]  # a third
    return every[:count] if packed else plain[:count]


def shown(outfit):
    """An outfit in a few words."""
    end = next(name for name, end in ENDS.items() if end == outfit["end"])
    return f"{outfit['encoding']} {end}{outfit['packing']}{'' if outfit['last'] else ' no last end'}"
