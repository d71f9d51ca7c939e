"""The commands that the texts of the programs suggest, taken from the code itself."""

import ast
import functools
import re

from tests import project_files
from tests.scripts import dry_run

ROOT = project_files.ROOT
VALUE = "VALUE"  # in the place of what an f-string fills in
PROGRAM = re.compile(r"python (-m [\w.]+|[\w/]+\.py)")
END = re.compile(r"[.,;:)`]+$")


@functools.cache
def sources():
    """The modules of the programs: list of (path below the root, syntax tree)."""
    names = [name for name in project_files.listed("*.py") if not name.startswith(("tests/", "docs/"))]
    return [(name, ast.parse((ROOT / name).read_text())) for name in names]


def texts(tree):
    """Yields (line, text) of all strings but docstrings; VALUE stands for what f-strings fill in."""
    left_out = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            left_out.add(id(body[0].value))
        if isinstance(node, ast.JoinedStr):
            left_out |= {id(part) for part in ast.walk(node) if part is not node}
    for node in ast.walk(tree):
        if id(node) in left_out:
            continue
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(part.value if isinstance(part, ast.Constant) else VALUE for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def commands(text):
    """Yields (module, arguments) of the commands in a text: `python -m MODULE --flag VALUE`, `python FILE.py …`."""
    for match in PROGRAM.finditer(text):
        module = match[1].removeprefix("-m ").removesuffix(".py").replace("/", ".").strip(".")
        arguments = []
        for word in text[match.end() :].split() if text[match.end() :].startswith(" ") else ():
            plain = END.sub("", word)
            value = bool(arguments) and arguments[-1].startswith("--") and "=" not in arguments[-1]
            if not (plain.startswith("--") or value or re.fullmatch(r"[A-Z]+(\.\.\.)?|\"[\w ]+\"?|[\w ]+\"", plain)):
                break
            arguments.append(plain)
            if plain != word:
                break
        yield module, arguments


@functools.cache
def command_lines():
    """dict module -> (options class, recipes) of everything that can be run and takes flags."""
    entry = re.compile(r'^if __name__ == "__main__":\n    (cli\.)?run\(', re.M)
    names = [name for name, _ in sources() if entry.search((ROOT / name).read_text())]
    modules = [name.removesuffix(".py").removesuffix("/__main__").replace("/", ".") for name in names]
    return {module: (*dry_run.handed_over(module)[1:], None)[:2] for module in modules}
