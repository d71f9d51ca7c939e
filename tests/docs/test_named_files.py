"""Files, functions and tests that the manual and README name exist."""

import ast
import functools
import pathlib
import re

import pytest

from tests import project_files

ROOT = pathlib.Path(__file__).resolve().parents[2]
# The changelog tells of files that are gone.
PAGES = sorted({*ROOT.glob("docs/**/*.md"), ROOT / "README.md"} - {ROOT / "docs/changelog.md"})
NAMED = re.compile(r"`((?:[\w.-]+/)*[\w.-]+\.(?:py|sh|yml|md|toml))?(?:(::?)([\w.]+))?`")


FILES = set(project_files.listed())
FOLDERS = {path.partition("/")[0] for path in FILES if "/" in path} - {"data"}


@functools.cache
def defined(path):
    """Qualified names of what a file defines."""
    names = set()

    def visit(node, prefix):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                names.add(prefix + child.name)
                visit(child, f"{prefix}{child.name}.")

    visit(ast.parse((ROOT / path).read_text()), "")
    return names


def found(path):
    """The file that a name means: from the root, or, for a test, from tests/; None where there is none."""
    return next((place for place in (path, f"tests/{path}") if place in FILES), None)


def named_in(text):
    """(file, function or None) of everything that a page names; `::test_x` alone is of the file named before it."""
    before = None
    for path, mark, name in NAMED.findall(text):
        if path == "FILE.py":  # yours
            continue
        if path and (path.partition("/")[0] in FOLDERS or "/test_" in path or path in FILES or mark):
            before = path
            yield path, name or None
        elif not path and mark == "::" and before:
            yield before, name


def test_names_are_found_in_text():
    text = (
        "`models/lstm.py` `objectives/test_full.py::test_a`, `::test_b` `my.py` `train.py` `data/mine/x.md` `a.py:F.g`"
    )
    expected = [("models/lstm.py", None), ("objectives/test_full.py", "test_a"), ("objectives/test_full.py", "test_b")]
    assert list(named_in(text)) == [*expected, ("train.py", None), ("a.py", "F.g")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_is_named_exists(page):
    wrong = []
    for path, name in named_in(page.read_text()):
        place = found(path)
        if place is None:
            wrong.append(path)
        elif name and name not in defined(place):
            wrong.append(f"{path}: {name}")
    assert wrong == [], f"{page.name} names what is not there"


def test_pages_name_many():
    assert sum(len(list(named_in(page.read_text()))) for page in PAGES) > 150
