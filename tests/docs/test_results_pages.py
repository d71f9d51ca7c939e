"""Scores on the pages come from the archive; the two notebooks and the papers' figures say that they do not."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "configs").rglob("*.md"))]
NOTEBOOKS = ("docs/results/miniature.md", "docs/results/flickr8k.md")
ARCHIVED = re.compile(r"<!-- results: .*?<!-- end of results -->", re.DOTALL)
SCORES = re.compile(r"^\|.*\b(CIDEr|BLEU-4|METEOR)\b.*\|\n\|[-|: ]+\|\n\|.*\|.*\d\.\d", re.MULTILINE)


def typed_tables(text):
    """Returns the paragraph before each table of scores that is not in a place of the archive."""
    text = ARCHIVED.sub("", text)
    return [text[: match.start()].rstrip().rsplit("\n\n", 1)[-1] for match in SCORES.finditer(text)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_scores_are_archived_or_said_not_to_be(page):
    text = page.read_text()
    if str(page.relative_to(ROOT)) in NOTEBOOKS:
        assert "the archive does not have these runs" in " ".join(text.split())
        return
    for before in typed_tables(text):
        assert "unverified" in before, f"{page}: a table of scores that is not from the archive: {before}"


def test_a_typed_table_is_found():
    table = "Ours:\n\n| row | CIDEr |\n|---|---|\n| full | 19.0 |\n"
    assert typed_tables(table) == ["Ours:"]
    assert typed_tables(f"<!-- results: x -->\n{table}<!-- end of results -->\n") == []
