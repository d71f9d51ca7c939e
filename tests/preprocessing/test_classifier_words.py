"""classifier_words: which word a label is, and that the next two stages take its files."""

import dataclasses
import json

import pytest

import cli
from formats import vocabulary
from preprocessing import classifier_words, process_descriptions
from preprocessing.detection import concept_objects


def test_words_of_labels():
    labels = ["golden retriever", "canoe", "tabby, tabby cat", "seashore, coast, sea-coast", "Boa, snake", "tv"]
    counts = {"retriever": 4, "canoe": 9, "cat": 9, "coast": 5, "seashore": 4, "snake": 1}
    words = classifier_words.words_of_labels(labels, counts, 5, {"boat": ["boat"], "tv": ["tv"]}, {"canoe": "boat"})
    assert words == {
        "golden retriever": None,
        "canoe": "boat",
        "tabby": "cat",
        "seashore": "coast",
        "Boa": None,
        "tv": "tv",
    }


@pytest.fixture
def options(tmp_path):
    (tmp_path / "sentences.txt").write_text("a dog by the coast .\n" * 3 + "two canoe trips\n" * 3 + "a rare cat\n")
    (tmp_path / "classes.txt").write_text("dog\nsmall boat\n")
    (tmp_path / "labels.txt").write_text("background\nhusky, Eskimo dog\nseashore, coast\ncanoe\ntabby cat\ndog\n")
    (tmp_path / "synonyms.txt").write_text("boat: canoe\n")
    return classifier_words.Options(
        data_dir=str(tmp_path),
        class_names=str(tmp_path / "classes.txt"),
        labels=str(tmp_path / "labels.txt"),
        synonyms=str(tmp_path / "synonyms.txt"),
        min_word_count=2,
    )


def test_files_of_the_stage(options, tmp_path, capsys):
    classifier_words.main(options)
    assert (tmp_path / "class_names.txt").read_text() == "dog\nsmall boat\ncoast\n"
    table = json.loads((tmp_path / "class_map.json").read_text())
    assert table == {"husky": "dog", "seashore": "coast", "canoe": "boat", "tabby cat": None}
    assert "3 of 5 labels have a word" in capsys.readouterr().out
    classifier_words.main(options)
    assert "complete (1 records)" in capsys.readouterr().out


def test_the_next_stages_take_the_files(options, tmp_path):
    classifier_words.main(options)
    process_descriptions.main(
        process_descriptions.Options(
            data_dir=str(tmp_path),
            new_dict=True,
            min_word_count=2,
            class_names=str(tmp_path / "class_names.txt"),
            synonyms=options.synonyms,
            processes=1,
        )
    )
    words = vocabulary.Vocabulary.load(str(tmp_path / "word_counts.txt"))
    assert json.loads((tmp_path / "concepts.json").read_text()) == {
        "boat": ["small boat"],
        "coast": ["coast"],
        "dog": ["dog"],
    }
    table = concept_objects.read_class_map(str(tmp_path / "class_map.json"))
    ids, absent = concept_objects.class_words(["husky", "seashore", "canoe", "tabby cat", "dog"], words, table)
    assert {name: words.word(i) for name, i in ids.items()} == {
        "husky": "dog",
        "seashore": "coast",
        "canoe": "boat",
        "dog": "dog",
    }
    assert not absent


@pytest.mark.parametrize("field", ["class_names", "labels", "synonyms"])
def test_an_absent_file_is_named(options, field):
    with pytest.raises(cli.UserError, match=f"--{field} /nowhere: no such file"):
        classifier_words.main(dataclasses.replace(options, **{field: "/nowhere"}))


def test_the_stage_before_is_named(options, tmp_path):
    (tmp_path / "sentences.txt").unlink()
    with pytest.raises(cli.UserError, match="extract_descriptions"):
        classifier_words.main(options)
