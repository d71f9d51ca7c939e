"""How captions are decoded: the flags, and the name by which a decoding is stored with its results.

The name is a value of `--decode` with all settings that differ from their defaults, for example
`sample5,temperature=0.7,top_p=0.9` or `beam3,no_repeat_ngram=3`. It names the row of the table, the captions file and
the folder of the rankings, so that results of different decodings are never mixed. This module does not import
TensorFlow.
"""

import dataclasses
import hashlib
import math
import re

import numpy as np

import cli

EXPECTED = "expected greedy, beamK or sampleN, for example beam3; settings may follow, for example beam3,min_length=8"
OF_SAMPLES = ("temperature", "top_k", "top_p", "sample_seed")
OF_WORDS = ("min_length", "no_repeat_ngram", "repetition_penalty")
SETTINGS = ("length_normalization", *OF_SAMPLES, *OF_WORDS, "consensus_weight")
RANGES = {  # setting -> (lowest, highest value, text of the range)
    "length_normalization": (0, math.inf, "at least 0"),
    "temperature": (1e-3, 1e3, "0.001 to 1000"),
    "top_k": (0, 2**31 - 1, "at least 0; 0 draws from all words"),
    "top_p": (1e-6, 1, "above 0 and at most 1; 1 draws from all words"),
    "sample_seed": (0, 2**63 - 1, "at least 0"),
    "min_length": (0, 1000, "0 to 1000"),
    "no_repeat_ngram": (0, 1000, "0 to 1000; 0 is off"),
    "repetition_penalty": (1, 1e3, "1 to 1000; 1 is off"),
    "consensus_weight": (0, 1e9, "0 to 1e9; 0 is off"),
}


@dataclasses.dataclass(frozen=True)
class Decoding:
    """A method of decoding with its settings.

    Attributes:
      method: "greedy", "beam" or "sample". size: K of beam search, the number of samples, 1 for greedy decoding.
      length_normalization: exponent a: finished captions of a beam are sorted by log p / length^a.
      temperature, top_k, top_p, sample_seed: how words are drawn (models/sampling.py); for "sample" alone.
      min_length, no_repeat_ngram, repetition_penalty: rules on the words (models/word_rules.py).
      consensus_weight: weight w: the captions of a beam, or the samples, are sorted by log p + w fit, the fit to the
        predicted caption embedding of their image (captioning/reranking.py).
    """

    method: str = "beam"
    size: int = 3
    length_normalization: float = 0.0
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    sample_seed: int = 0
    min_length: int = 0
    no_repeat_ngram: int = 0
    repetition_penalty: float = 1.0
    consensus_weight: float = 0.0

    @property
    def is_sampled(self):
        """Whether words are drawn at random: bool."""
        return self.method == "sample"

    @property
    def has_rules(self):
        """Whether a rule on the words is set: bool."""
        return bool(self.min_length or self.no_repeat_ngram or self.repetition_penalty != 1)

    @property
    def name(self):
        """The value of --decode that stands for this decoding: str, e.g. "beam3" or "sample5,top_p=0.9"."""
        base = "greedy" if self.method == "greedy" else f"{self.method}{self.size}"
        changed = [name for name in SETTINGS if getattr(self, name) != DEFAULTS[name]]
        return ",".join([base, *(f"{name}={_text(getattr(self, name))}" for name in changed)])


DEFAULTS = {item.name: item.default for item in dataclasses.fields(Decoding)}


def _text(number):
    """Returns a number as text without a trailing ".0"."""
    return str(number).removesuffix(".0")


def parse_decode(decode):
    """Returns the Decoding that a value of --decode names, e.g. "greedy", "beam3" or "sample5,top_p=0.9".

    Args: decode: str; a Decoding is returned as it is.
    Raises: cli.UserError for other values.
    """
    if isinstance(decode, Decoding):
        return decode
    base, *parts = decode.split(",")
    method = next((one for one in ("beam", "sample") if base.startswith(one)), base)
    size = base.removeprefix(method) if method != "greedy" else "1"
    known = method in ("greedy", "beam", "sample")
    if not known or not re.fullmatch("[0-9]{1,6}", size) or int(size) < 1:
        raise cli.UserError(f"--decode {decode}: {EXPECTED}")
    given = {}
    for part in parts:
        name, _, value = part.partition("=")
        if name not in SETTINGS or name in given:
            raise cli.UserError(f"--decode {decode}: {part!r} is not a setting, or is given twice; {EXPECTED}")
        try:
            given[name] = type(DEFAULTS[name])(value)
        except ValueError as error:
            raise cli.UserError(f"--decode {decode}: {name} must be {RANGES[name][2]}") from error
    return checked(Decoding(method, int(size), **given))


def file_stem(stem, decode):
    """Returns the first part of the name of a file of a decoding: `stem` for beam3, else stem_DECODE.

    Args: stem: str. decode: name of the decoding; None for captions that are not decoded, as for beam3.
    """
    return stem if decode in (None, Decoding().name) else f"{stem}_{decode}"


def checked(decoding):
    """Returns the Decoding itself.

    Raises: cli.UserError if a setting is out of its range or belongs to another method.
    """
    for name in SETTINGS:
        value, (lowest, highest, expected) = getattr(decoding, name), RANGES[name]
        if not lowest <= value <= highest:  # NaN is in no range
            raise cli.UserError(f"--{name} {value}: expected {expected}")
    if not decoding.is_sampled:
        if given := [name for name in OF_SAMPLES if getattr(decoding, name) != DEFAULTS[name]]:
            raise cli.UserError(
                f"--{given[0]} is for captions drawn at random, but {decoding.method} decoding draws none; expected "
                "--samples N beside it"
            )
    if decoding.consensus_weight and decoding.method == "greedy":
        raise cli.UserError(
            "--consensus_weight chooses among several captions, but greedy decoding has one; expected --decode beamK, "
            "for example beam10, or --samples N"
        )
    if decoding.length_normalization and decoding.method != "beam":
        raise cli.UserError(
            f"--length_normalization sorts the captions of beam search; expected --decode beamK, not {decoding.name}"
        )
    return decoding


# --------------------------------------------------------------------------------------------------------------
# Flags


@dataclasses.dataclass(frozen=True)
class DecodingFlags:
    """Base class with the flags that choose a decoding; `decoding_of` reads them."""

    decode: str = cli.field("beam3", "greedy, beamK or sampleN; settings may follow, e.g. beam3,no_repeat_ngram=3")
    length_normalization: float = cli.field(0.0, "exponent a: finished captions are sorted by log p / length^a")
    samples: int | None = cli.field(None, "draw this number of captions at random, in place of --decode")
    temperature: float | None = cli.field(
        None, "samples: the logits are divided by it, default 1; below 1 fewer improbable words are drawn"
    )
    top_k: int | None = cli.field(None, "samples: draw from the K most probable words only; default 0, from all")
    top_p: float | None = cli.field(
        None, "samples: draw from the fewest words whose probabilities sum to this only; default 1, from all"
    )
    sample_seed: int | None = cli.field(None, "samples: seed of the random numbers, default 0")
    min_length: int | None = cli.field(None, "minimum number of words of a caption, default 0")
    no_repeat_ngram: int | None = cli.field(None, "no n-gram of this many words twice in a caption; default 0, off")
    repetition_penalty: float | None = cli.field(
        None, "makes words that the caption has already less probable, by this factor of their logit; default 1, off"
    )
    consensus_weight: float | None = cli.field(
        None, "weight w: captions are sorted by log p + w fit to the predicted caption embedding; default 0, off"
    )


def of_run(content):
    """Returns the decoding that caption.py and serve.py use for a run by default: a value of --decode, e.g. "beam3".

    Args: content: dict of the run's config.json; runs of earlier versions have no such setting.
    """
    return content["settings"].get("decode") or DecodingFlags.decode


def decoding_of(options):
    """Returns the Decoding that flags choose.

    Args: options: DecodingFlags, or another object with `decode` (None for beam3) and any of its other fields.
    Raises: cli.UserError if a value is wrong, or settings contradict each other.
    """
    decode, samples = options.decode or DecodingFlags.decode, getattr(options, "samples", None)
    if samples is not None:
        if samples < 1:
            raise cli.UserError(f"--samples {samples}: expected at least 1")
        if decode == DecodingFlags.decode:
            decode = f"sample{samples}"
        elif decode.split(",")[0] != f"sample{samples}":
            raise cli.UserError(f"--samples {samples} is in place of --decode {decode}; expected one of the two")
    decoding = parse_decode(decode)
    given = {name: getattr(options, name, None) for name in SETTINGS}
    given = {name: value for name, value in given.items() if value not in (None, getattr(DecodingFlags, name))}
    return checked(dataclasses.replace(decoding, **given))


# --------------------------------------------------------------------------------------------------------------
# Random numbers of samples


def random_numbers(seed, names, shape):
    """Returns the random numbers of images, float64 [N, *shape] in 0 to 1: functions of their name and the seed alone.

    So the samples of an image depend neither on the other images nor on the batch. With more samples, the first ones
    stay the same.

    Args: seed: int, at least 0. names: of the N images, values of any type that have a text. shape: of one image.
    """
    keys = [hashlib.sha256(str(name).encode("utf-8", "surrogatepass")).digest() for name in names]
    return np.stack([np.random.default_rng([seed, int.from_bytes(key[:16], "big")]).random(shape) for key in keys])
