"""The experiments of configs/ by name: the settings that `--recipe` gives to a command.

A module configs/EXPERIMENT.py holds all settings of one experiment in two tables:

    DATA   data stage -> dict of its settings, for `--recipe EXPERIMENT`; STAGE/VARIANT -> the same for
           `--recipe EXPERIMENT/VARIANT`, where a stage runs a second time on another data folder
    ROWS   row of the results table, or name of a stage that has none -> settings of its trainer, for
           `--recipe EXPERIMENT/ROW`

Texts in them may hold ${NAME}: the command's own data_dir, `runs` (the folder around its job_dir), or a variable of the
environment.
"""

import dataclasses
import importlib
import os
import pkgutil
import re

import aliases
from cli import UserError


def names():
    """The names of all experiments, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(importlib.import_module("configs").__path__))


def load(name, recipe=None):
    """The module of an experiment. Args: recipe: what was asked for, for the error. Raises: UserError."""
    if name not in names():
        raise UserError(f"--recipe {recipe or name}: no such experiment in configs/; there are: {', '.join(names())}")
    return importlib.import_module(f"configs.{name}")


# --------------------------------------------------------------------------------------------------------------
# What cli.run is given


class Recipes:
    """What `--recipe` means to a command: `help()`, `settings(recipe, options_class)`, and the texts of a recipe."""

    def fill_in(self, options, given, recipe):
        """`options` with ${NAME} replaced in the texts that come from the recipe.

        Args: given: the settings that the command line gave; they stay as they are. recipe: its name, for the error.

        Raises: UserError naming a variable that is not set.
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
    """The recipes of a data stage. Args: name: of the stage in DATA."""

    name: str

    def help(self):
        """The text of `--help`."""
        return (
            f"EXPERIMENT of configs/: its settings of {self.name}, which single flags override; one of "
            f"{', '.join(names())}; EXPERIMENT/VARIANT where it has several"
        )

    def settings(self, recipe, options_class):
        """The settings of the recipe, texts not filled in.

        Args: recipe: EXPERIMENT or EXPERIMENT/VARIANT. options_class: the dataclass of the command's settings.

        Raises: UserError where there is no such recipe.
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
    """The recipes of a trainer: all rows with its settings class."""

    def help(self):
        """The text of `--help`."""
        return (
            "EXPERIMENT/ROW of configs/, e.g. miniature/full: its settings, which single flags override; experiments "
            f"are {', '.join(names())}; EXPERIMENT alone says which rows of this trainer it has"
        )

    def settings(self, recipe, options_class):
        """As of Stage. Args: recipe: EXPERIMENT/ROW, or an old name, which prints what it is called now."""
        return row(recipe, options_class)


def row(recipe, settings_class=None):
    """The settings of a row, texts not filled in; their `recipe` is EXPERIMENT/ROW.

    Args:
      recipe: EXPERIMENT/ROW, or an old name.
      settings_class: of the trainer; None: of any.

    Raises: UserError naming the rows that there are.
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
    """(EXPERIMENT/ROW, dict of settings that differ from it) of a recipe; an old name is answered by one line."""
    if recipe not in aliases.RECIPES:
        return recipe, {}
    now = aliases.RECIPES[recipe]
    now, changes = (now, {}) if isinstance(now, str) else now
    flags = "".join(f" --{name}={'' if value is None else value}" for name, value in changes.items())
    aliases.note(f"--recipe {recipe}", f"--recipe {now}{flags}")
    return now, changes
