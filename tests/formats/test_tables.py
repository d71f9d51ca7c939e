"""Tables: delimiters, headers, quotes, and rows that do not fit."""

import pytest

from formats import tables


@pytest.mark.parametrize(
    "line, delimiter",
    [
        ("image,caption", ","),
        ("Image_Name; Comment", ";"),
        ("id\ttext\turl", "\t"),
        ("image_name| comment_number| comment", "|"),
        ("a dog runs, a cat sleeps", None),
        ("caption", None),
        ("a photo with a very long first cell that is no name of a column at all, caption", None),
    ],
)
def test_a_header_is_known_by_its_words(line, delimiter):
    assert tables.delimiter_of(["", line, "x"], tables.CAPTION) == delimiter


def test_columns_by_their_words():
    assert tables.columns(["Image Name", "Caption_1", "CAPTION 2", "url"], tables.CAPTION) == [1, 2]
    assert tables.column(["text", "caption"], tables.CAPTION) == 1  # the earlier word of the list wins
    assert tables.column(["x", "y"], tables.CAPTION) is None


def test_rows_and_the_numbers_of_their_lines():
    text = 'sep=,\nimage,caption\n\na.jpg,"a ""big"" dog,\nand a cat"\nb.jpg, two ,,\n'
    assert tables.rows(text, ",") == [
        (2, ["image", "caption"]),
        (4, ["a.jpg", 'a "big" dog,\nand a cat']),
        (6, ["b.jpg", "two"]),
    ]


def test_quotes_between_tabs_are_letters_where_they_do_not_fit():
    text = 'image\tcaption\na.jpg\ta "big" dog\nb.jpg\t"open\nc.jpg\tthree\n'
    assert [cells[1] for _, cells in tables.rows(text, "\t")] == ["caption", 'a "big" dog', '"open', "three"]
    with pytest.raises(ValueError, match="line 2: not a row of a table"):
        tables.rows('image,caption\nb.jpg,"open\nc.jpg,three\n', ",")


def test_what_is_wrong_with_a_row():
    assert tables.width_fault(["a", "b"], ["image", "caption"], ",") == ""
    fault = tables.width_fault(["a", "b", "c"], ["image", "caption"], "\t")
    assert fault == "3 cells, expected 2 (image, caption); a text that contains a tab must be in double quotes"


def test_a_sentence_that_looks_like_a_header_is_none():
    lines = ["a photo, text", "a dog runs over the grass", "a cat sleeps on the chair"]
    assert tables.delimiter_of(lines, tables.CAPTION) == "," and not tables.is_table(lines, ",")
    assert tables.is_table(["image,caption", "a.jpg,one, two", "b.jpg,three"], ",")
