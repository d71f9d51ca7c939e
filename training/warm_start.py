"""Weights of an earlier stage: which are taken over, and whether they mean the same in the run that begins."""

import os

import cli
from formats import sidecars
from models import layers
from training import checkpoints
from training.run_directory import read_config

SAME_FACTS = ("vocabulary", "image_dim", "encoder")  # compared where both runs have them


def warm_start(run, network, path, wanted=lambda name: True):
    """Hands variables over to `network` from the best checkpoint of a run, from one of our checkpoints or a TF1 prefix.

    Args:
      run: the RunDirectory of the run that begins; RUN/started_from.json keeps what it began with.
      network: tf.Module with the authors' variable names; its `weights_depend_on`, where it has some, names settings
        that must be the same in both runs, because the weights were trained for them.
      wanted: which of its variables are taken over; the others stay fresh.

    Raises: cli.UserError when the source was made with another dictionary, other image vectors or other sizes.
    """
    prefix, _, why = checkpoints.choose(path)
    variables = {name: variable for name, variable in layers.named_variables(network).items() if wanted(name)}
    _check_source(run, prefix, getattr(network, "weights_depend_on", ()))
    names = checkpoints.assign_variables(variables, checkpoints.read_variables(prefix), prefix)
    run.log(f"{prefix} ({why}): took over {', '.join(names)}")
    if run.writes:
        target = run.file("started_from.json")
        sources = sidecars.read_sidecar(target) if os.path.exists(target) else {}
        names = sorted({*names, *sources.get(prefix, {}).get("variables", [])})
        entry = {"chosen": why, "digest": checkpoints.digest(prefix), "variables": names}
        sidecars.write_json(target, sources | {prefix: entry})


def _check_source(run, prefix, settings):
    """Raises cli.UserError where the source's run says that its weights mean something else than ours.

    Args: settings: names of those that must be the same.
    """
    source = read_config(os.path.dirname(prefix), missing_ok=True)
    if source is None:  # the authors' checkpoints: their sizes are compared
        return
    compared = [("facts", name) for name in SAME_FACTS] + [("settings", name) for name in settings]
    for part, name in compared:
        theirs, ours = source[part].get(name), run.content[part].get(name)
        if theirs is not None and ours is not None and theirs != ours:
            mend = f"give --{name} {theirs}" if part == "settings" else "train it on the data of this run"
            raise cli.UserError(
                f"{prefix}: cannot be handed over, its {name} is another one: {_short(theirs)} there, {_short(ours)} "
                f"expected here; {mend}, or hand over another checkpoint"
            )


def _short(value):
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."
