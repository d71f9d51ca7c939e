"""Published rows: complete, marked, and printed together with the user's rows."""

from evaluation import published, table


def test_every_row_says_how_it_is_known():
    rows = published.published_rows()
    assert all(set(table.SCORES) <= set(row) and row["CIDEr"] > 0 for row in rows)
    assert [row["unverified"] for row in rows] == [row["published"] == published.RECALLED for row in rows]
    assert not next(row for row in rows if row["row"].startswith("SCS"))["unverified"]
    assert len({table.key_of(row) for row in rows}) == len(rows)


def test_the_marks_are_printed(tmp_path, capsys):
    path = str(tmp_path / "table.json")
    table.merge_row(path, {"row": "full", "corpus": "mine", "split": "test", "CIDEr": 12.5})
    table.main(table.Options(paths=(path,), published=True))
    printed = capsys.readouterr().out
    assert "UIC full, Feng 2019 (unverified)" in printed and "SCS, Ben 2022 (read)" in printed
    assert "MAGIC 2022 (CLIP) (rescored)" in printed
    assert "28.6" in printed and "12.5" in printed and "published figures from memory" in printed
    table.main(table.Options(paths=(path,)))
    assert "Feng" not in capsys.readouterr().out
