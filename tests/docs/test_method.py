"""docs/method.md: every equation is in the table of functions (test_named_files.py: every function of it exists)."""

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = {name: (ROOT / "docs" / name).read_text() for name in ("method.md", "consensus.md")}
TABLES = {"method.md": "## Where each equation is computed", "consensus.md": "## Where it is computed"}


def tags(page):
    return re.findall(r"\\tag\{(\w+)\}", PAGES[page])


def test_the_papers_numbers_are_there_in_order():
    assert [tag for tag in tags("method.md") if tag.isdigit()] == [str(number) for number in range(1, 13)]


def test_each_table_has_every_equation_with_a_function():
    for page, heading in TABLES.items():
        rows = PAGES[page].partition(heading)[2].splitlines()
        named = {number for row in rows if ".py:" in row for number in re.findall(r"\((\w+)\)", row.split("|")[1])}
        assert named == set(tags(page)), page


def test_no_equation_has_the_number_of_another():
    tagged = [tag for page in PAGES for tag in tags(page)]
    assert len(tagged) == len(set(tagged))
