"""Corpora and sentences as people have them."""

import json

import pytest

import cli
from formats import records
from formats.vocabulary import Vocabulary
from preprocessing import extract_descriptions, process_descriptions
from tests.cases import FIXTURES


def extract(folder, path, **options):
    """The sentences that extract_descriptions makes of a file or folder."""
    extract_descriptions.main(
        extract_descriptions.Options(data_dir=str(folder), input=str(path), processes=1, **options)
    )
    return (folder / "sentences.txt").read_text().splitlines()


# --------------------------------------------------------------------------------------------------------------
# table_of_captions_taken_for_text, corpus_folder_half_read

TABLES = FIXTURES / "table_of_captions_taken_for_text"


def test_tables_of_captions_are_read_by_their_header(tmp_path):
    assert extract(tmp_path / "comma", TABLES / "captions.txt") == [
        "a black dog and a spotted dog are fighting on the road",
        "a dog , brown , looks at another dog on the street",
    ]
    assert extract(tmp_path / "pipe", TABLES / "pipes.txt") == [
        "two young guys with hats look at their hands in the yard ."
    ]


def test_a_table_without_a_header_is_an_error(tmp_path):
    with pytest.raises(
        cli.UserError, match=r"three_columns\.txt: the format is not recognised.*table without a header"
    ):
        extract(tmp_path, TABLES / "three_columns.txt")
    (tmp_path / "mended.txt").write_text("id\tcaption\turl\n" + (TABLES / "three_columns.txt").read_text())
    assert extract(tmp_path / "data", tmp_path / "mended.txt") == ["a big brown dog runs over the green grass"]


def test_all_of_a_folder_is_read_or_named(tmp_path, capsys):
    folder = FIXTURES / "corpus_folder_half_read/corpus"
    sentences = extract(tmp_path, folder)
    assert [sentence.split()[0] for sentence in sentences] == ["a", "his", "my", "one", "the"]
    assert "left out" not in capsys.readouterr().out
    with_others = tmp_path / "with_others"
    with_others.mkdir()
    (with_others / "a.txt").write_bytes((folder / "a.txt").read_bytes())
    for name in ("README.txt", "notes.md", ".hidden.txt"):
        (with_others / name).write_text("not read")
    assert len(extract(tmp_path / "data", with_others)) == 1
    said = capsys.readouterr().out
    assert "left out: .hidden.txt (hidden), README.txt (describes the other files), notes.md (not among .txt" in said


# --------------------------------------------------------------------------------------------------------------
# corpus_that_is_not_ascii

OTHERS = FIXTURES / "corpus_that_is_not_ascii"


def test_a_text_that_is_mostly_lost_is_an_error(tmp_path):
    with pytest.raises(cli.UserError, match=r"93% of the characters are not ASCII .*chinese\.txt"):
        extract(tmp_path, OTHERS / "chinese.txt")


def test_dashes_and_bullets_become_blanks(tmp_path, capsys):
    assert extract(tmp_path, OTHERS / "dashes.txt") == [
        "a dog running fast and happy over the green grass today",
        "red blue green balls are lying on the big wooden table now",
    ]
    assert "dropped" not in capsys.readouterr().out


def test_what_is_dropped_is_said(tmp_path, capsys):
    line = "a gr\u00f6\u00dferer dog runs over the green grass in the sun"
    (tmp_path / "a.txt").write_text(f"{line}\n", encoding="utf-8")
    assert extract(tmp_path / "note", tmp_path / "a.txt") == ["a groerer dog runs over the green grass in the sun"]
    share = 1 / len(line.replace(" ", ""))
    assert f"NOTE: 1 characters ({share:.2%}) are not ASCII and were dropped\n" in capsys.readouterr().out
    (tmp_path / "b.txt").write_text(f"{line} \u72d7\u5728\u8349\n", encoding="utf-8")
    extract(tmp_path / "warning", f"{tmp_path / 'a.txt'},{tmp_path / 'b.txt'}")
    assert f"WARNING: 5 characters (5.88%) are not ASCII and were dropped (most in {tmp_path / 'b.txt'}: 9%)" in (
        capsys.readouterr().out
    )


def test_html_is_said(tmp_path, capsys):
    (tmp_path / "a.txt").write_text(
        "a <b>dog</b> &amp; a cat run over the green grass\nthe dog runs (3 < 4) & sleeps\n"
    )
    extract(tmp_path / "data", tmp_path / "a.txt")
    assert "WARNING: 1 texts contain HTML" in capsys.readouterr().out


# --------------------------------------------------------------------------------------------------------------
# own_sentences

OWN = FIXTURES / "own_sentences"


def process(folder, name):
    """(words of the dictionary, number of sentences) that process_descriptions makes of one's own sentences.txt."""
    folder.mkdir()
    (folder / "sentences.txt").write_bytes((OWN / name).read_bytes())
    process_descriptions.main(
        process_descriptions.Options(
            data_dir=str(folder), new_dict=True, min_word_count=5, class_names=str(OWN / "classes.txt"), processes=1
        )
    )
    count = json.loads((folder / "sentence.json").read_text())["count"]
    assert count == len(records.read_sentences(records.find_files(str(folder), "sentence")))
    return set(Vocabulary.load(str(folder / "word_counts.txt")).words), count


@pytest.mark.parametrize("name", ["blank_lines.txt", "two_spaces.txt", "space_at_end.txt"])
def test_empty_tokens_are_skipped(tmp_path, name):
    words, count = process(tmp_path / "data", name)
    expected = "a big brown dog runs over the green grass with child number person <S> </S>"
    assert words == set(expected.split()) and count == 30


@pytest.mark.parametrize(
    "name, message",
    [
        ("marked.txt", "line 1: contains '<S>', expected only words"),
        ("unk.txt", "line 1: contains '<UNK>', expected only words"),
        ("latin1.txt", "line 1: byte 0xe9 at position 15 is not UTF-8; convert it"),
    ],
)
def test_other_sentences_are_refused_with_their_line(tmp_path, name, message):
    with pytest.raises(cli.UserError, match=f"sentences.txt: {message}"):
        process(tmp_path / "data", name)
