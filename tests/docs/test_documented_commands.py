"""documented_commands: every command that README and the manual print is one that its program takes.

Read from the text itself (printed_commands.py): a flag, value, recipe, module or script that is gone is named.
"""

import argparse
import dataclasses
import functools
import pathlib
import re
import runpy
import sys
import typing
from unittest import mock

import pytest
from absl import flags

import cli
import registry
from tests.docs import printed_commands
from tests.docs.printed_commands import PAGES, ROOT
from tests.docs.test_named_files import FILES, FOLDERS
from tests.scripts import dry_run

PLACEHOLDER = re.compile(r"[A-Z][A-Z0-9_]*(/[A-Z]+)?")  # R, ROW, EXPERIMENT/ROW: the reader's own
PACKAGES = ("preprocessing", "initialization", "evaluation", "baselines")
MODULES = {pathlib.PurePath(path) for path in FILES if path.endswith(".py")}
SHORT_NAMES = {path.stem: f"python -m {path.parts[0]}.{path.stem}" for path in MODULES if path.parts[0] in PACKAGES}
SHORT_NAMES |= {path.name: f"python {path}" for path in MODULES if len(path.parts) == 1}


class _Parsed(BaseException):
    """Raised in the place of what a program does after it has read its arguments."""


def root_of(module, path):
    """The folder that a module is in: one that PYTHONPATH names or the root; None where it is none of this program."""
    roots = [ROOT / part for part in path.split(":") if part] + [ROOT]
    return next((root for root in roots if dry_run.path_of(module, root).is_file()), None)


@functools.cache
def handed_over(module, root):
    """(options class, recipes) of a command of this program, None for one that does not use cli.run."""
    if not re.search(r"^    (cli\.)?run\(", dry_run.path_of(module, root).read_text(), re.M):
        return None
    with mock.patch.object(sys, "path", [str(root), *sys.path]), mock.patch("cli.run") as run:
        runpy.run_path(str(dry_run.path_of(module, root)), run_name="__main__")
    _, options_class, *recipes = run.call_args.args
    return options_class, (recipes or [None])[0]


def without_placeholders(options_class, recipes, arguments):
    """The arguments without those flags whose value is the reader's own (`--recipe R`) and is no free text."""
    hints = typing.get_type_hints(options_class)
    free = {item.name for item in dataclasses.fields(options_class) if str in (cli.flag_type(hints[item.name])[0],)}
    free -= {item.name for item in dataclasses.fields(options_class) if item.metadata.get("choices")}
    known, kept, left = set(hints) | ({"recipe"} if recipes else set()), [], list(arguments)
    while left:
        word = left.pop(0)
        name, is_joined, value = word.removeprefix("--").partition("=")
        value = value if is_joined else left[0] if left else ""
        own = word.startswith("--") and PLACEHOLDER.fullmatch(value) and name in known
        if own and (name not in free or name == "recipe"):
            left = left if is_joined else left[1:]
        else:
            kept.append(word)
    return kept


def check(call, is_mention=False):
    """Raises AssertionError where a program does not take such a call.

    Args: is_mention: whether its last flag may be named without a value, as in a sentence.
    """
    words = list(call.words)
    if call.program == "curl":
        paths = re.findall(r"127\.0\.0\.1:\d+(/\w*)", " ".join(words))
        routes = set(re.findall(r'@routes\.\w+\("(/\w+)"', (ROOT / "web" / "endpoint.py").read_text()))
        assert (paths or is_mention) and set(paths) <= routes, f"{call}: expected one of {sorted(routes)}"
    elif call.program == "pip":
        assert words[0] == "install" and len(words) > 1, f"{call}: expected pip install"
        required = [after for before, after in zip(words, words[1:], strict=False) if before == "-r"]
        assert set(required) <= FILES, f"{call}: no such file"
    elif call.program == "mkdocs":
        assert words[0] in ("build", "serve") and "mkdocs.yml" in FILES, str(call)
    elif call.program.startswith("python"):
        check_python(call, words, is_mention)


def check_python(call, words, is_mention):
    """As `check`, of `python -m MODULE …`, `python FILE.py …`, `python -c CODE`."""
    if words[0] == "-":
        return  # what a script of scripts/ computes
    if words[0] == "-c":
        compile(words[1], "-c", "exec")
        return
    module, arguments = dry_run.split(words)
    root = root_of(module, call.path)
    if root is None:  # of another program (mkdocs, pytest), which need not be installed here
        known = words[0] == "-m" and module.split(".")[0] not in FOLDERS
        assert known, f"{call}: there is no {module}"
        return
    command = handed_over(module, root)
    if command is None:
        check_argparse(call, module, arguments)
        return
    options_class, recipes = command
    if is_mention and re.fullmatch(r"--\w+", arguments[-1] if arguments else ""):
        name = arguments.pop().removeprefix("--").removeprefix("no")
        fields = {item.name for item in dataclasses.fields(options_class)}
        assert {name, f"no{name}"} & fields, f"{call}: there is no such flag"
    try:
        cli.parse(options_class, without_placeholders(options_class, recipes, arguments), recipes)
    except (flags.Error, cli.UserError) as error:
        raise AssertionError(f"{call}: {error}") from error


def check_argparse(call, module, arguments):
    """As `check`, of a program that reads its arguments by argparse, or takes none."""
    path = dry_run.path_of(module)
    if not arguments:
        assert '__name__ == "__main__"' in path.read_text(), f"{call}: {path} is no program"
        return
    read = argparse.ArgumentParser.parse_args

    def parse_args(self, given=None, namespace=None):
        read(self, given, namespace)
        raise _Parsed

    with mock.patch.object(argparse.ArgumentParser, "parse_args", parse_args):
        with mock.patch.object(sys, "argv", [module, *arguments]):
            try:
                runpy.run_path(str(path), run_name="__main__")
            except _Parsed:
                return
            except SystemExit as error:
                raise AssertionError(f"{call}: {error}") from error
    raise AssertionError(f"{call}: {path} reads no arguments")


def faults(text, folder):
    """What is wrong with the commands of a page: list of lines."""
    found = [(call, False) for call in printed_commands.calls(folder, "\n".join(printed_commands.blocks(text)))]
    for command in printed_commands.inline(text, SHORT_NAMES):
        found += [(call, True) for call in printed_commands.calls(folder, command, may_lack=True)]
    wrong = []
    for call, is_mention in dict.fromkeys(found):
        try:
            check(call, is_mention)
        except AssertionError as error:
            wrong.append(f"{call.script}: {error}")
    return wrong


@pytest.fixture(autouse=True)
def surroundings(monkeypatch):
    """A folder of real data by its name alone; systems of examples stay among themselves."""
    monkeypatch.setenv("UIC_REALDATA", "REAL")
    monkeypatch.setattr(registry, "SYSTEMS", dict(registry.SYSTEMS))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_passes_its_own_parser(page, tmp_path):
    assert faults(page.read_text(), tmp_path) == []


# --------------------------------------------------------------------------------------------------------------
# That a stale line fails, and that nothing is passed over


@pytest.mark.parametrize(
    "line, message",
    [
        ("python train.py --no_such_flag 3", "no_such_flag"),
        ("python train.py --max_steps many", "max_steps"),
        ("python train.py --semantics quick", "semantics"),
        ("python train.py --recipe miniature/none", "miniature/none"),
        ("python -m preprocessing.process_images --recipe nowhere", "nowhere"),
        ("python -m preprocessing.no_such_stage --data_dir D", "there is no preprocessing.no_such_stage"),
        ("python no_such_file.py", "there is no no_such_file"),
        ("python -m tests.kills --no_such_flag", "tests.kills --no_such_flag"),
        ("python eval_val.py runs/full", "unexpected argument"),
        ("pip install -r requirements-none.txt", "no such file"),
        ("curl http://127.0.0.1:7860/none", "expected one of"),
        ("D=data/mine\npython train.py --data_dir $D \\\n  --no_such_flag", "--data_dir data/mine --no_such_flag"),
        ("scripts/launch_workers.sh 2 python train.py --no_such_flag", "scripts/launch_workers.sh: .*no_such_flag"),
        ("srun scripts/slurm_worker.sh python train.py --no_such_flag", "scripts/slurm_worker.sh: .*no_such_flag"),
    ],
)
def test_a_stale_line_is_named(line, message, tmp_path):
    for text in (
        f"Text.\n\n```bash\n{line}\n```\n",
        "Text.\n\n" + re.sub("^", "    ", line, flags=re.M) + "\n\nText.\n",
    ):
        found = faults(text, tmp_path)
        assert len(found) >= 1 and re.search(message, found[0])
    if "\n" not in line:
        assert faults(f"Text, then `{line}`, and text.\n", tmp_path)


@pytest.mark.parametrize(
    "line", ["scripts/demo.sh --no_such_flag", "scripts/no_such_script.sh", "no_such_program\npip install x"]
)
def test_what_a_shell_does_not_understand_is_an_error(line, tmp_path):
    with pytest.raises(AssertionError, match="no_such"):
        faults(f"```bash\n{line}\n```\n", tmp_path)


def test_sentences_and_alternatives(tmp_path):
    """What a table or a sentence says in short; every alternative is looked at."""
    text = (
        "`process_images --overwrite` `extract_features --encoder` `caption.py --nbest 3` "
        "`python -m evaluation.report RUN [RUN…]` `scripts/flickr8k.sh --corpus coco\\|flickr30k` "
        "`train.py` `scripts/demo.sh` `python -m` `python`\n"
        "`python train.py --recipe R --max_steps N --semantics fixed|reference …`"
    )
    found = printed_commands.inline(text, SHORT_NAMES)
    assert found == [
        "python -m preprocessing.process_images --overwrite",
        "python -m preprocessing.extract_features --encoder",
        "python caption.py --nbest 3",
        "python -m evaluation.report RUN RUN",
        "scripts/flickr8k.sh --corpus coco",
        "scripts/flickr8k.sh --corpus flickr30k",
        "python train.py --recipe R --max_steps N --semantics fixed",
        "python train.py --recipe R --max_steps N --semantics reference",
    ]
    assert faults(text, tmp_path) == []
    assert faults("`process_images --no_such_flag`", tmp_path)
    assert faults("`python train.py --semantics fixed|quick`", tmp_path)


def test_nothing_is_passed_over(tmp_path):
    """As many calls as before, and every line of a page that begins with `python` is among them."""
    count = 0
    for number, page in enumerate(PAGES):
        (folder := tmp_path / str(number)).mkdir()
        lines = "\n".join(printed_commands.blocks(page.read_text()))
        printed = re.findall(r"^\s*(?:\$ )?(python \S.*?)(?:\s+#.*|\s*\\)?$", page.read_text(), re.M)
        found = " ".join(lines.split())
        for line in printed:
            assert " ".join(line.split()) in found, f"{page}: {line}"
        count += len(printed_commands.calls(folder, lines))
    assert count > 300
