"""docs/method.md: every equation is in the table of functions, and every function of that table exists."""

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = {name: (ROOT / "docs" / name).read_text() for name in ("method.md", "consensus.md")}
TABLE = PAGES["method.md"].partition("## Where each equation is computed")[2]
NAMED = re.compile(r"`([\w/]+\.py):([\w.]+)`")


def defined(path):
    """Qualified names of the functions, methods and classes that a file defines."""
    names = set()

    def visit(node, prefix):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                names.add(prefix + child.name)
                visit(child, f"{prefix}{child.name}.")

    visit(ast.parse((ROOT / path).read_text()), "")
    return names


@pytest.mark.parametrize("page", PAGES)
def test_named_functions_exist(page):
    named = NAMED.findall(PAGES[page])
    assert len(named) >= 5
    missing = [f"{path}:{name}" for path, name in named if name not in defined(path)]
    assert missing == [], f"docs/{page} names functions that are not there; write the new names into it"


def test_the_table_has_every_equation():
    tagged = re.findall(r"\\tag\{(\w+)\}", PAGES["method.md"])
    assert [tag for tag in tagged if tag.isdigit()] == [str(number) for number in range(1, 13)], "numbers of the paper"
    rows = [row for row in TABLE.splitlines() if NAMED.search(row)]
    in_table = {number for row in rows for number in re.findall(r"\((\w+)\)", row.split("|")[1])}
    assert in_table == set(tagged)


def test_no_equation_has_the_number_of_another():
    tagged = [tag for text in PAGES.values() for tag in re.findall(r"\\tag\{(\w+)\}", text)]
    assert len(tagged) == len(set(tagged))
