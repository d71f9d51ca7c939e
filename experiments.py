"""Loads the experiments of configs/ by name: the settings that `--recipe` gives to a command.

A module configs/EXPERIMENT.py holds all settings of one experiment in two dicts:

    DATA   name of a data stage -> dict of its settings, for `--recipe EXPERIMENT`; a key STAGE/VARIANT has the settings
           for `--recipe EXPERIMENT/VARIANT`, if the stage runs a second time on another data folder
    ROWS   row of the results table -> settings of its trainer, for `--recipe EXPERIMENT/ROW`; a stage that has no row
           in the table has its own name as key

Text values may contain ${NAME}. NAME is data_dir (the command's --data_dir), runs (the parent folder of its --job_dir),
or an environment variable.
"""

import dataclasses
import importlib
import os
import pkgutil
import re

import aliases
from cli import UserError


def names():
    """Returns the names of all experiments: list of str, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(importlib.import_module("configs").__path__))


def load(name, recipe=None):
    """Returns the Python module of an experiment.

    Args: name: EXPERIMENT. recipe: the value of --recipe, for the message; None: `name`.
    Raises: UserError if there is no such experiment; the message lists all.
    """
    if name not in names():
        raise UserError(
            f"--recipe {recipe or name}: no such experiment in configs/; expected one of {', '.join(names())}"
        )
    return importlib.import_module(f"configs.{name}")


# --------------------------------------------------------------------------------------------------------------
# Recipes of a command, for cli.run


class Recipes:
    """Base class of a command's recipes; subclasses have the methods `help()` and `settings(recipe, options_class)`."""

    def fill_in(self, options, given, recipe):
        """Returns a copy of `options` with ${NAME} replaced in all text values that come from the recipe.

        Args: options: the command's settings. given: set or dict of the names of settings from the command line, which
          are not changed. recipe: value of --recipe, for the message.
        Raises: UserError if ${NAME} is an environment variable that is not set.
        """
        runs = os.path.dirname(os.path.normpath(getattr(options, "job_dir", "")))
        folders = {"data_dir": getattr(options, "data_dir", ""), "runs": runs}

        def value_of(match):
            name = match[1]
            if name not in folders and name not in os.environ:
                raise UserError(
                    f"--recipe {recipe} reads files below ${name}, which is not set; expected a folder: "
                    f"export {name}=DIR"
                )
            return folders[name] if name in folders else os.environ[name]

        texts = {
            item.name: getattr(options, item.name)
            for item in dataclasses.fields(options)
            if item.name not in given and isinstance(getattr(options, item.name), str)
        }
        filled = {name: re.sub(r"\$\{(\w+)\}", value_of, text) for name, text in texts.items()}
        return dataclasses.replace(options, **filled)


@dataclasses.dataclass(frozen=True)
class Stage(Recipes):
    """The recipes of a data stage. Args: name: the stage's name in DATA, e.g. "process_images"."""

    name: str

    def help(self):
        """Returns the text of `--recipe` in `--help`: str."""
        return (
            f"EXPERIMENT of configs/: its settings of {self.name}, which single flags override; one of "
            f"{', '.join(names())}; or EXPERIMENT/VARIANT if it has several"
        )

    def settings(self, recipe, options_class):
        """Returns the settings of a recipe, an instance of `options_class`, with ${NAME} not yet replaced.

        Args: recipe: EXPERIMENT or EXPERIMENT/VARIANT. options_class: the dataclass of the command's settings.
        Raises: UserError if there is no such recipe.
        """
        experiment, _, variant = recipe.partition("/")
        data = load(experiment, recipe).DATA
        name = f"{self.name}/{variant}" if variant else self.name
        if name not in data:
            raise UserError(
                f"--recipe {recipe}: no settings of {name} in configs/{experiment}.py; it has: {', '.join(data)}"
            )
        return options_class(**data[name])


@dataclasses.dataclass(frozen=True)
class Rows(Recipes):
    """The recipes of the trainers: all entries of ROWS; a trainer takes those whose settings are of its class."""

    def help(self):
        """Returns the text of `--recipe` in `--help`: str."""
        return (
            "EXPERIMENT/ROW of configs/, e.g. miniature/full: its settings, which single flags override; experiments "
            f"are {', '.join(names())}; EXPERIMENT alone lists its rows for this trainer"
        )

    def settings(self, recipe, options_class):
        """Returns the settings of a recipe, an instance of `options_class`, with ${NAME} not yet replaced.

        Args: recipe: EXPERIMENT/ROW, or an old name, for which the present one is printed.
          options_class: class of the trainer's settings.
        Raises: UserError if there is no such recipe; the message lists the existing ones.
        """
        return row(recipe, options_class)


def row(recipe, settings_class=None):
    """Returns the settings of a row of ROWS as a dataclass, in whose field `recipe` is EXPERIMENT/ROW.

    ${NAME} is not yet replaced in them.

    Args:
      recipe: EXPERIMENT/ROW, or an old name, for which the present one is printed.
      settings_class: class that the settings must have; None for any.

    Raises: UserError if there is no such row; the message lists the existing ones.
    """
    recipe, changes = current_name(recipe)
    experiment, _, name = recipe.partition("/")
    rows = load(experiment, recipe).ROWS
    fitting = [key for key, value in rows.items() if settings_class in (None, type(value))]
    if name not in fitting:
        of_whom = f" with settings {settings_class.__name__}" if settings_class else ""
        raise UserError(
            f"--recipe {recipe}: expected EXPERIMENT/ROW; rows of {experiment}{of_whom}: {', '.join(fitting) or 'none'}"
        )
    return dataclasses.replace(rows[name], recipe=recipe, **changes)


def current_name(recipe):
    """Returns (EXPERIMENT/ROW, dict setting -> value) for a value of --recipe.

    For an old name the present one is printed, and the dict has the settings in which the old recipe differs from the
    row; they override those of the row. For any other value the dict is empty, and whether the row exists is not
    checked.
    """
    if recipe not in aliases.RECIPES:
        return recipe, {}
    now = aliases.RECIPES[recipe]
    now, changes = (now, {}) if isinstance(now, str) else now
    flags = "".join(f" --{name}={'' if value is None else value}" for name, value in changes.items())
    aliases.note(f"--recipe {recipe}", f"--recipe {now}{flags}")
    return now, changes
