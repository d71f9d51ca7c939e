"""Finds which commands a shell script would run, with which settings, without running them."""

import os
import pathlib
import runpy
import shutil
import subprocess
import sys
import unittest.mock

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Replaces the interpreter: writes its arguments, one a line, followed by an empty line.
PYTHON = 'python() { printf "%s\\n" "$@" "" >> "$COMMANDS"; }; export -f python; exec bash "$@"'


def commands(folder, script, *arguments, **environment):
    """Returns the arguments that a script of scripts/ passes to `python`, in order: list of lists of str.

    Args:
      folder: an empty pathlib.Path, in which a copy of the scripts is run.
      script: its file name, or the text of a script.
      arguments: arguments of the script.
      environment: variables of its environment.
    """
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    (folder / "scripts" / "setup.sh").write_text("")  # no installation
    for world in ("data/miniature", "data/r2m_smoke", "data/flickr8k_supervised"):  # folders that the scripts require
        (folder / world / "raw").mkdir(parents=True)
        (folder / world / "raw" / "classes.txt").write_text("Dog\n")
        (folder / world / "features_train.json").write_text("{}")
    log = folder / "commands"
    if not script.endswith(".sh"):
        script, text = "commands.sh", script
        (folder / "scripts" / script).write_text(text)
    done = subprocess.run(
        ["bash", "-c", PYTHON, "bash", f"scripts/{script}", *arguments],
        cwd=folder,
        env=os.environ | {"COMMANDS": str(log)} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return [command.split("\n") for command in log.read_text().removesuffix("\n\n").split("\n\n")]


def split(command):
    """Returns (module, flags) of the arguments of `python`: ["-m", MODULE, ...] or ["FILE.py", ...]."""
    if command[0] == "-m":
        return command[1], command[2:]
    return command[0].removesuffix(".py"), command[1:]


def handed_over(module, root=ROOT):
    """Returns the arguments that a command passes to cli.run: (main, options class, ...); `root` is its folder."""
    with unittest.mock.patch("cli.run") as run, unittest.mock.patch.object(sys, "argv", [module]):
        runpy.run_path(str(path_of(module, root)), run_name="__main__")
    return run.call_args.args


def path_of(module, root=ROOT):
    """The file that `python -m MODULE` runs; of a package its __main__.py."""
    path = root / module.replace(".", "/")
    return path / "__main__.py" if path.is_dir() else path.with_suffix(".py")
