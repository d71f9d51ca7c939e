"""Folders: what a walk takes, leaves out and finds broken."""

import os

from formats import folders


def test_a_walk(tmp_path):
    for name in ("b.txt", "deep/er/a.txt", ".hidden.txt", ".git/x.txt", "notes.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "link.txt").symlink_to("b.txt")
    (tmp_path / "lost.txt").symlink_to("nowhere.txt")
    (tmp_path / "self.txt").symlink_to("self.txt")
    (tmp_path / "deep/up").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.txt")
    why_not = lambda name: "" if name.endswith(".txt") else "no text"  # noqa: E731
    found = folders.walk(str(tmp_path), why_not)
    below = lambda path: os.path.relpath(path, tmp_path)  # noqa: E731
    assert [below(path) for path in found.files] == ["b.txt", "deep/er/a.txt", "link.txt"]
    assert sorted(map(below, found.broken)) == ["lost.txt", "self.txt"]
    assert {below(path): reason for path, reason in found.left_out.items()} == {
        ".hidden.txt": "hidden",
        ".git": "hidden",
        "notes.md": "no text",
        "deep/up": "a folder that was seen before",
        "pipe.txt": "no file but a device or pipe",
    }
    flat = folders.walk(str(tmp_path), why_not, recursive=False)
    assert [below(path) for path in flat.files] == ["b.txt", "link.txt"]
    assert flat.left_out[str(tmp_path / "deep")] == "a folder"


def test_a_note_names_the_first_ones():
    assert folders.note("f", {}) == ""
    assert folders.note("f", {"f/a.md": "no text"}) == "NOTE: f: left out: a.md (no text)"
    many = {f"f/{i:02d}.md": "no text" for i in range(11)}
    assert folders.note("f", many).endswith("07.md (no text) and 3 more")
