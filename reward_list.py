"""The list of rewards of the full model: the names that `--reward` takes, and the data that each reward needs.

    --reward consensus:weight=100,contrast=0.85     a reward of this program: a row of KINDS with its settings
    --reward FILE.py:ARGUMENT                       a reward of your own (docs/extending.md)

The paper's three rewards come first; their weights have flags of their own (--w_adv, --w_obj, --w_mse), because they
are weights of losses as well. A reward returns float32 [B, T], one value for each word, or float32 [B], one for each
sentence (B captions of T words); models/rewards.py computes returns from them. This module imports neither TensorFlow
nor a reward's function: that is imported when the objective is built.
"""

import contextlib
import dataclasses
import functools
import importlib
import math
import os
from collections.abc import Callable

import extensions
from cli import UserError


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of reward that `--reward` or a weight's flag can request: a row of KINDS.

    Attributes:
      make: `module:function`, a function (options, image_dim, **settings without `weight`) -> function of
        models.rewards.Captions.
      flag: name of the setting that is its weight, without --; "" if the reward is requested by `--reward`.
      help: what it rewards, for `--help`.
      settings: dict of its settings in `--reward` with their defaults; `weight` is one of them.
      needs: names of the outputs of the data folder (formats/inventory.py) that it reads, besides those that every run
        reads.
      reads_vectors: whether it reads the image vectors of the data folder.
    """

    make: str
    flag: str = ""
    help: str = ""
    settings: dict = dataclasses.field(default_factory=dict)
    needs: tuple = ()
    reads_vectors: bool = False


KINDS = {
    "adversarial": Kind("models.rewards:make_adversarial", "w_adv"),
    "concept": Kind("models.rewards:make_concept", "w_obj"),
    "image": Kind("models.rewards:make_image", "w_mse"),
    "consensus": Kind(
        "models.consensus.consensus_reward:make",
        help="CIDEr-D of a caption against the predicted caption embedding of the image, for vectors of "
        "initialization.predict_caption_embeddings",
        settings={"weight": 100.0, "contrast": 0.85},
        needs=("neighbours",),
        reads_vectors=True,
    ),
    "sentence_vectors": Kind(
        "models.consensus.sentence_reward:make",
        help="cosine of a caption's sentence vector and the one predicted for the image, for vectors of "
        "initialization.predict_caption_embeddings --sentence_encoder",
        settings={"weight": 10.0},
        needs=("neighbours",),
        reads_vectors=True,
    ),
}


@dataclasses.dataclass(frozen=True)
class Reward:
    """A reward that a run uses, with its weight and settings: one of this program or of an extension.

    Attributes:
      name: NAME of its metric, `reward/NAME`.
      flag: the flag that requested it, with its value, for messages.
      weight: factor on the reward.
      make: function (options, image_dim) -> function of models.rewards.Captions.
      file: path of its Python file; None for a reward of this program.
      needs: names of the outputs of the data folder that it reads, besides those that every run reads.
      reads_vectors: whether it reads the image vectors of the data folder.
    """

    name: str
    flag: str
    weight: float
    make: Callable
    file: str | None = None
    needs: tuple = ()
    reads_vectors: bool = False

    def check(self, options):
        """Checks that the reward can be computed, before TensorFlow starts.

        Args: options: config.FullModel.
        Raises: cli.UserError if its file is missing, or it reads image vectors and the run does not.
        """
        if self.file and not os.path.isfile(self.file):
            raise UserError(f"{self.flag}: {self.file} is missing; expected a Python file (docs/extending.md)")
        if self.weight and self.reads_vectors and (options.inc_ckpt or options.images == "records"):
            raise UserError(
                f"{self.flag} reads the image vectors of the data folder: expected --images bank, no --inc_ckpt"
            )


# --------------------------------------------------------------------------------------------------------------
# Values of --reward


def help_text():
    """Returns the text of `--reward` in `--help`: str."""
    named = [f"{name}:{_written(kind.settings)}: {kind.help}. " for name, kind in KINDS.items() if not kind.flag]
    return (
        f"a further reward; may be repeated. {''.join(named)}weight=0 removes that of a recipe. FILE.py:ARGUMENT: a "
        "reward of your own, per word or per sentence (docs/extending.md)"
    )


def parse(spec):
    """Returns (name, settings) of a reward of this program; settings are a dict name -> float, with all defaults.

    Args: spec: NAME or NAME:SETTING=NUMBER,… Raises: cli.UserError if the name, a setting or a number is wrong.
    """
    name, _, text = spec.partition(":")
    kind = KINDS.get(name)
    if kind is None or kind.flag:
        named = [f"{other}:{_written(kind.settings)}" for other, kind in KINDS.items() if not kind.flag]
        found = f"its weight is --{kind.flag}" if kind else "there is no such reward"
        raise UserError(f"--reward {spec}: {found}; expected {', '.join(named)} or FILE.py:ARGUMENT")
    settings = dict(kind.settings)
    for part in text.split(",") if text else ():
        key, _, number = part.partition("=")
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if key not in settings or not math.isfinite(value):
            raise UserError(
                f"--reward {spec}: {part!r} is not understood; expected e.g. {name}:{_written(kind.settings)}"
            )
        settings[key] = value
    return name, settings


def _written(settings):
    """Returns settings (dict name -> number) as they are written in `--reward`: SETTING=NUMBER,…"""
    return ",".join(f"{key}={value:.12g}" for key, value in settings.items())


def canonical(specs):
    """Returns the values of `--reward` in canonical form, with every setting written out: tuple of str.

    A later reward of this program replaces an earlier one of the same name, and weight 0 removes it; an empty text
    removes all rewards before it.

    Args: specs: iterable of str, each NAME:SETTINGS or FILE.py:ARGUMENT.
    Raises: cli.UserError if one is wrong.
    """
    found = {}  # name, or spec of an extension -> spec
    for spec in specs:
        if not spec:
            found = {}
        elif _is_own(spec):
            found[spec] = spec
        else:
            name, settings = parse(spec)
            found[name] = f"{name}:{_written(settings)}"
            if not settings["weight"]:
                del found[name]
    return tuple(found.values())


def _is_own(spec):
    """Returns whether a value of `--reward` names a Python file: bool."""
    return extensions.is_file(spec.partition(":")[0])


def of(options):
    """Returns the rewards of a run, in the order in which they are added up: tuple of Reward.

    Those of the paper come first, also with weight 0, then those of --reward.
    Args: options: config.FullModel or config.SentenceGan.
    """
    found = []
    for name, kind in KINDS.items():
        if kind.flag:
            weight = getattr(options, kind.flag)
            found.append(Reward(name, f"--{kind.flag} {weight:g}", weight, functools.partial(_make, kind.make, {})))
    for spec in canonical(options.reward):
        if _is_own(spec):
            file, _, argument = spec.partition(":")
            name = _unused(os.path.basename(file).removesuffix(".py"), {reward.name for reward in found})
            make = functools.partial(_make_own, spec, file, argument)
            found.append(Reward(name, f"--reward {spec}", 1.0, make, file))
        else:
            name, settings = parse(spec)
            kind, weight = KINDS[name], settings.pop("weight")
            make = functools.partial(_make, kind.make, settings)
            found.append(
                Reward(name, f"--reward {spec}", weight, make, needs=kind.needs, reads_vectors=kind.reads_vectors)
            )
    return tuple(found)


def _unused(name, taken):
    """Returns `name`, or the first of `name_2`, `name_3`, … that is not in `taken` (a set of names)."""
    tries = (f"{name}_{number}" if number > 1 else name for number in range(1, len(taken) + 2))
    return next(each for each in tries if each not in taken)


def needs(options):
    """Returns the names of the data folder's outputs that the rewards read, besides those that every run reads.

    Returns: tuple of str, keys of formats.made_by.OUTPUTS, each once.
    Args: options: config.FullModel or config.SentenceGan.
    """
    return tuple(dict.fromkeys(name for reward in of(options) for name in reward.needs))


# --------------------------------------------------------------------------------------------------------------
# Functions of the rewards


def _make(target, settings, options, image_dim):
    """Returns the function of a reward of this program: models.rewards.Captions -> float32 [B, T] or [B].

    Args: target: `module:function`, the attribute `make` of a Kind, which is called. settings: dict of its keyword
      arguments. options: config.FullModel or config.SentenceGan. image_dim: dimension of the image vectors, or None.
    """
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)(options, image_dim, **settings)


def _make_own(spec, file, argument, options, image_dim):
    """Returns the function of an extension's reward: models.rewards.Captions -> float32 [B, T] or [B].

    It passes only words, mask and batch to the extension.
    Args: spec: value of --reward. file, argument: its parts. options: config.FullModel. image_dim: not used.
    Raises: cli.UserError if the file cannot be used.
    """
    with _own_errors(spec):
        reward = extensions.load(file, "make")(argument, options)

    def compute(captions):
        with _own_errors(spec):
            return reward(captions.tokens_BT, captions.mask_BT, captions.batch)

    return compute


@contextlib.contextmanager
def _own_errors(spec):
    """Context manager: turns every exception of an extension into a cli.UserError of one line.

    Args: spec: the value of --reward that names the extension.
    """
    try:
        yield
    except UserError as error:
        raise UserError(f"--reward {spec}: {error}") from error
    except FileNotFoundError as error:
        raise UserError(f"--reward {spec}: {error.filename or error} is missing") from error
    except Exception as error:  # a foreign file may raise anything
        lines = str(error).strip().splitlines() or [""]
        kind = "" if type(error) is ValueError else f"{type(error).__name__}: "
        raise UserError(f"--reward {spec}: {kind}{lines[0]}") from error
