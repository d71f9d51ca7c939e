"""Old names that are still accepted: of settings, recipes, metrics, variables, encoders and commands.

Each kind of name has its table. SETTINGS: settings that were renamed or merged; the old flag is accepted and the
present flags are printed, and config.json of older runs is read under the present names. RECIPES: values of --recipe.
METRICS: names in metrics.jsonl. VARIABLES: names in checkpoints. ENCODERS: kinds of encoders. MODULES: commands.
"""

import dataclasses
import runpy
import sys
from collections.abc import Callable


def note(old, new):
    """Prints to standard error that `old` is an old name, now written `new`. Args: old, new: str."""
    print(f"NOTE: {old} is an old name; now written {new}", file=sys.stderr)


# --------------------------------------------------------------------------------------------------------------
# Settings


def _identity(present, old):
    """Returns the old value unchanged: the `translate` function of a setting that was only renamed."""
    return old


@dataclasses.dataclass(frozen=True)
class OldSetting:
    """A setting that was renamed, merged, or whose values changed their form.

    Attributes:
      name: its old name. new: the setting that replaces it.
      kind: int, float, bool or str, the type of its old flag; None if the flag kept its name and only values stored
        by older runs have another form.
      translate: function (present value of the setting `new`, or None; old value) -> value of the setting `new`; raises
        ValueError if the old value is invalid.
    """

    name: str
    new: str
    kind: type | None = str
    translate: Callable = _identity


def _list_of_rewards(present, old):
    """Returns the setting `reward` in its present form, a list of str.

    Args: present: not used. old: such a list, or the old form: one FILE.py:ARGUMENT or None. Raises: ValueError.
    """
    rewards = old if isinstance(old, list) else [old] if old else []
    if not all(isinstance(reward, str) for reward in rewards):
        raise ValueError(f"reward is {old!r}, expected texts")
    return rewards


def _consensus(setting):
    """Returns a `translate` function for one setting of the consensus reward that used to be a flag of its own.

    The function returns the list of rewards (values of --reward) in which this setting of `consensus` is replaced. The
    other settings of `consensus` keep their values, or have the defaults of that time. Weight 0 removes the reward.

    Args: setting: "weight" or "contrast".
    """

    def translate(present, old):
        values, others = {"weight": "0", "contrast": "0.65"}, []
        for spec in present or ():
            name, _, text = spec.partition(":")
            if name == "consensus":
                values |= dict(part.split("=", 1) for part in text.split(",") if "=" in part)
            else:
                others.append(spec)
        values[setting] = f"{old:.12g}"
        spec = "consensus:" + ",".join(f"{name}={value}" for name, value in values.items())
        return ([spec] if float(values["weight"]) else []) + others

    return translate


SETTINGS = (  # in the order in which they are translated
    OldSetting("reward", "reward", None, _list_of_rewards),
    OldSetting("w_fit", "reward", float, _consensus("weight")),
    OldSetting("w_consensus", "reward", float, _consensus("weight")),
    OldSetting("fit_contrast", "reward", float, _consensus("contrast")),
    OldSetting("consensus_contrast", "reward", float, _consensus("contrast")),
)


def current_settings(settings):
    """Returns the settings of a run under their present names and in their present form: a new dict.

    Args: settings: dict name -> value, from the config.json of a run of any version; it is not changed.
    Raises: ValueError if a value is invalid for the old setting.
    """
    settings = dict(settings)
    for old in SETTINGS:
        if old.name not in settings:
            continue
        value = settings.pop(old.name)
        if old.kind in (int, float) and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ValueError(f"{old.name} is {value!r}, expected a number")
        settings[old.new] = old.translate(settings.get(old.new), value)
    return settings


# --------------------------------------------------------------------------------------------------------------
# Names in stored files

METRICS = {"reward/fit": "reward/consensus"}  # in metrics.jsonl
VARIABLES = {"Standardise/deviation": "Standardise/std"}  # in checkpoints


def current_metric(name):
    """Returns the present name of a metric: str. Args: name: its old name; any other name is returned unchanged."""
    return METRICS.get(name, name)


def current_variable(name):
    """Returns the present name of a variable in a checkpoint: str.

    Args: name: its old name; any other name is returned unchanged.
    """
    return VARIABLES.get(name, name)


# --------------------------------------------------------------------------------------------------------------
# Recipes

NO_DETECTOR = {"detector": "", "labels": None}
RETRIEVED = {"captions": "retrieved"}
NO_CAPTIONS = {"captions": ""}
NO_END = {"max_steps": 1_000_000}

# Name of a recipe -> its name now, or (its name now, settings in which the old one differs).
RECIPES = {
    "miniature_scratch": "miniature/scratch",
    "miniature_scratch_adv": "miniature/scratch_adv",
    "miniature_scratch_con": "miniature/scratch_con",
    "miniature_scratch_im": "miniature/scratch_im",
    "miniature_full": "miniature/full",
    "miniature_adv": "miniature/adv",
    "miniature_con": "miniature/con",
    "miniature_im": "miniature/im",
    "miniature_obj2sen": ("miniature/con2sen", NO_DETECTOR),
    "miniature_im_caption": "miniature/feat2sen",
    "miniature_supervised": ("miniature/supervised_ceiling", RETRIEVED),
    "miniature_sentence_ae": "miniature/sentence_ae",
    "miniature_sentence_gan": "miniature/sentence_gan",
    "miniature_r2m": "miniature/r2m",
    "miniature_show_tell": ("miniature/show_tell", NO_CAPTIONS),
    "miniature_show_attend_tell": ("miniature/show_attend_tell", NO_CAPTIONS),
    "flickr8k_scratch": "flickr8k_coco/scratch",
    "flickr8k_full": "flickr8k_coco/full_without_consensus",
    "flickr8k_full_fit": "flickr8k_coco/full",
    "flickr8k_adv": "flickr8k_coco/adv",
    "flickr8k_con": "flickr8k_coco/con",
    "flickr8k_im": "flickr8k_coco/im",
    "flickr8k_obj2sen": ("flickr8k_coco/con2sen", NO_DETECTOR),
    "flickr8k_im_caption": "flickr8k_coco/feat2sen_retrieved",
    "flickr8k_fit": "flickr8k_coco/feat2sen",
    "flickr8k_supervised": ("flickr8k_coco/supervised_ceiling", RETRIEVED),
    "flickr8k_sentence_ae": "flickr8k_coco/sentence_ae",
    "flickr8k_sentence_gan": "flickr8k_coco/sentence_gan",
    "flickr8k_r2m": ("flickr8k_coco/r2m", NO_DETECTOR),
    "flickr8k_show_tell": ("flickr8k_coco/show_tell", NO_CAPTIONS),
    "flickr8k_show_attend_tell": ("flickr8k_coco/show_attend_tell", NO_CAPTIONS),
    "full_paper": ("coco_shutterstock/full", NO_END),
    "adv_paper": ("coco_shutterstock/adv", NO_END),
    "con_paper": ("coco_shutterstock/con", NO_END),
    "im_paper": ("coco_shutterstock/im", NO_END),
    "obj2sen_paper": "coco_shutterstock/con2sen",
    "im_caption_paper": "coco_shutterstock/feat2sen",
    "sentence_ae_paper": "coco_shutterstock/sentence_ae",
    "sentence_gan_paper": "coco_shutterstock/sentence_gan",
    "r2m_coco_shutterstock": "r2m_coco_shutterstock/r2m",
    "r2m_flickr30k_coco": "r2m_flickr30k_coco/r2m",
    "r2m_coco_gcc": "r2m_coco_gcc/r2m",
    "show_tell_img2txt": ("show_tell_img2txt/show_tell", NO_CAPTIONS),
    "show_tell_img2txt_gru": ("show_tell_img2txt/show_tell_gru", NO_CAPTIONS),
    "show_tell_resnet": ("show_tell_resnet152/show_tell", NO_CAPTIONS),
    "sat_tf_tutorial": ("attention_tutorial/show_attend_tell", NO_CAPTIONS),
}


# --------------------------------------------------------------------------------------------------------------
# Encoders and stage commands

ENCODERS = {"neighbours": "caption_embeddings"}  # the kind in the name of an encoder

MODULES = {
    "initialization.fit_captions": "initialization.assign_captions",
    "initialization.neighbour_features": "initialization.predict_caption_embeddings",
}


def run_module(old):
    """Runs the present command in place of an old one, with the same flags, and prints the present name.

    Args: old: module name, a key of MODULES.
    """
    note(f"python -m {old}", f"python -m {MODULES[old]}")
    runpy.run_module(MODULES[old], run_name="__main__", alter_sys=True)
