"""The rewards of the full model, a list: what `--reward` names, what each of them reads, what a run keeps of it.

    --reward consensus:weight=100,contrast=0.85     a reward of this program: a row of KINDS with its settings
    --reward FILE.py:ARGUMENT                       a reward of your own (docs/extending.md)

The paper's three stand first; their weights are flags (--w_adv, --w_obj, --w_mse), which weigh losses as well. A reward
gives either float32 [B, T], a number for each word, or float32 [B], one for each sentence (models/rewards.py says how
they become returns). Everybody who has to know what a reward needs asks this list. Nothing here loads TensorFlow or a
file: a reward's computation is imported when the objective is built.
"""

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
    """A reward of this program.

    Attributes:
      make: `module:function`, a function (options, image_dim, **settings) -> function of models.rewards.Captions.
      flag: the setting that holds its weight; "" where `--reward` names it.
      settings: what `--reward` may give, with defaults; `weight` among them.
      needs: outputs of the data folder (formats/inventory.py) that it reads beside what every run reads.
      reads_vectors: whether it reads the image vectors of the data folder.
    """

    make: str
    flag: str = ""
    settings: dict = dataclasses.field(default_factory=dict)
    needs: tuple = ()
    reads_vectors: bool = False


KINDS = {
    "adversarial": Kind("models.rewards:make_adversarial", "w_adv"),
    "concept": Kind("models.rewards:make_concept", "w_obj"),
    "image": Kind("models.rewards:make_image", "w_mse"),
    "consensus": Kind(
        "models.consensus.consensus_reward:make",
        settings={"weight": 100.0, "contrast": 0.85},
        needs=("neighbours",),
        reads_vectors=True,
    ),
}


@dataclasses.dataclass(frozen=True)
class Reward:
    """A reward of a run.

    Attributes:
      name: of its curve, `reward/NAME`. flag: what asked for it, for messages. weight: factor on what it gives.
      make: function (options, image_dim) -> function of models.rewards.Captions.
      file: path of the Python file that it comes from, None for one of this program.
      needs, reads_vectors: see Kind.
    """

    name: str
    flag: str
    weight: float
    make: Callable
    file: str | None = None
    needs: tuple = ()
    reads_vectors: bool = False

    def check(self, options):
        """What can be said before TensorFlow starts. Args: options: config.FullModel. Raises: cli.UserError."""
        if self.file and not os.path.isfile(self.file):
            raise UserError(f"{self.flag}: {self.file} is missing; expected a Python file (docs/extending.md)")
        if self.weight and self.reads_vectors and (options.inc_ckpt or options.images == "records"):
            raise UserError(
                f"{self.flag} reads the image vectors of the data folder: expected --images bank, no --inc_ckpt"
            )


# --------------------------------------------------------------------------------------------------------------
# What --reward names


def parse(spec):
    """(name, settings) of a reward of this program, defaults filled in.

    Args: spec: NAME or NAME:SETTING=NUMBER,… Raises: cli.UserError.
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
    return ",".join(f"{key}={value:.12g}" for key, value in settings.items())


def canonical(specs):
    """`--reward` as runs are compared: one spelling, every setting written down.

    A later reward of this program takes the place of an earlier one of the same name, weight 0 takes it out; an empty
    text takes out all before it.

    Args: specs: texts, each NAME:SETTINGS or FILE.py:ARGUMENT. Returns: tuple of texts. Raises: cli.UserError.
    """
    found = {}  # what can be there once -> spec
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
    return extensions.is_file(spec.partition(":")[0])


def of(options):
    """The rewards of a run, in the order in which they are added: tuple of Reward.

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
    """`name`, or `name_2`, `name_3`, … where it is taken."""
    tries = (f"{name}_{number}" if number > 1 else name for number in range(1, len(taken) + 2))
    return next(each for each in tries if each not in taken)


def needs(options):
    """Outputs of the data folder that the rewards of a run read beside what every run reads: tuple of names."""
    return tuple(dict.fromkeys(name for reward in of(options) for name in reward.needs))


# --------------------------------------------------------------------------------------------------------------
# Their computation


def _make(target, settings, options, image_dim):
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)(options, image_dim, **settings)


def _make_own(spec, file, argument, options, image_dim):
    """A reward of one's own sees words, mask and batch alone. Raises: cli.UserError."""
    try:
        reward = extensions.load(file, "make")(argument, options)
    except ValueError as error:
        raise UserError(f"--reward {spec}: {error}") from error
    return lambda captions: reward(captions.tokens_BT, captions.mask_BT, captions.batch)
