"""Warm start: initialises networks from a run of an earlier stage, after checking that its data and settings agree."""

import os

import cli
from formats import sidecars
from models import layers
from models.encoders.in_step import trained_in
from training import checkpoints
from training.run_directory import read_config

SAME_FACTS = ("vocabulary", "image_dim", "encoder")  # compared if both runs have them


def warm_start(run, network, path, wanted=lambda name: True):
    """Initialises a network from the best checkpoint of a run, from one of our checkpoints, or from a TF1 checkpoint.

    Args:
      run: RunDirectory of the new run; its file started_from.json records the source.
      network: tf.Module whose variables have the names of the authors' program; its attribute `weights_depend_on`, if
        any, lists settings that must be the same in both runs, because the weights were trained for them.
      path: the source: a run directory, or the path of one of our checkpoints or a TF1 checkpoint without its ending.
      wanted: function variable name -> bool that selects the variables to initialise, by default all; the others keep
        their values.

    Raises: cli.UserError if there is no such checkpoint, if it lacks a variable, or if it has another vocabulary, other
      image vectors, other sizes or other values of the settings in `weights_depend_on`.
    """
    prefix, _, why = checkpoints.choose(path)
    variables = {name: variable for name, variable in layers.named_variables(network).items() if wanted(name)}
    _check_source(run, prefix, getattr(network, "weights_depend_on", ()))
    names = checkpoints.assign_variables(variables, checkpoints.read_variables(prefix), prefix)
    run.log(f"initialised from {prefix} ({why}): {', '.join(names)}")
    if run.writes:
        target = run.file("started_from.json")
        sources = sidecars.read_sidecar(target) if os.path.exists(target) else {}
        names = sorted({*names, *sources.get(prefix, {}).get("variables", [])})
        entry = {"chosen": why, "digest": checkpoints.digest(prefix), "variables": names}
        sidecars.write_json(target, sources | {prefix: entry})


def warm_start_encoder(run, encode, path):
    """Initialises the trained blocks of the image encoder from a run that trained them too; other runs change nothing.

    Args: run: RunDirectory of the new run. encode: models.encoders.in_step.InStepEncoder, or None with a feature bank.
      path: the source, as of `warm_start`.
    Raises: cli.UserError if the source trained blocks that the new run does not train.
    """
    prefix = checkpoints.choose(path).prefix
    found, ours = trained_in(checkpoints.read_variables(prefix)), encode.weights if encode else {}
    if any(name not in ours or ours[name].shape != array.shape for name, array in found.items()):
        raise cli.UserError(
            f"cannot initialise from {prefix}: the last blocks of its image encoder were trained with it. Train as "
            "many here: --images records --inc_ckpt ENCODER --train_encoder N; --encoder_lr 0 keeps them as they are"
        )
    for name, array in found.items():
        ours[name].assign(array)
    if found:
        run.log(f"initialised from {prefix}: {len(found)} weights of the image encoder")


def _check_source(run, prefix, settings):
    """Raises cli.UserError if the run of a checkpoint has another vocabulary, other image vectors or other `settings`.

    Nothing is compared if the checkpoint is not in a run directory; a value that one of the runs lacks is not compared.

    Args: run: RunDirectory of the new run. prefix: path of the checkpoint without its ending. settings: names of the
      settings that must be the same.
    """
    source = read_config(os.path.dirname(prefix), missing_ok=True)
    if source is None:  # the authors' checkpoints; only their shapes are compared
        return
    compared = [("facts", name) for name in SAME_FACTS] + [("settings", name) for name in settings]
    for part, name in compared:
        theirs, ours = source[part].get(name), run.content[part].get(name)
        if theirs is not None and ours is not None and theirs != ours:
            mend = f"give --{name} {theirs}" if part == "settings" else "train it on the data of this run"
            raise cli.UserError(
                f"cannot initialise from {prefix}: {name} differs: {_short(theirs)} there, expected {_short(ours)}; "
                f"{mend}, or initialise from another checkpoint"
            )


def _short(value):
    """Returns str(value), cut to 80 characters, for a message."""
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."
