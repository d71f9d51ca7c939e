"""Dictionary, tokenizers, concept words and plurals."""

import hashlib
import json
import os
import pathlib
import random

import nltk
import pytest

import cli
from formats import vocabulary
from formats.languages import tokenizers
from formats.vocabulary import Vocabulary


def test_ids_words_and_the_unknown_word():
    words = Vocabulary(["<S>", "</S>", "a", "dog"])
    assert (words.start_id, words.end_id, words.unknown_id, words.size) == (0, 1, 4, 5)
    assert words.encode(["a", "dog", "flies"]) == [2, 3, 4] and words.id("dog") == 3 and words.id("flies") == 4
    assert [words.word(i) for i in range(5)] == ["<S>", "</S>", "a", "dog", "<UNK>"]
    assert "dog" in words and "flies" not in words
    assert words.decode([0, 2, 3, 4, 1, 2]) == "a dog <UNK>" and words.decode([2]) == "a" and words.decode([1]) == ""


def test_load_and_save(tmp_path):
    path = tmp_path / "word_counts.txt"
    path.write_text("<S> 7\n</S> 7\n, 5\ncaf 0")  # the authors' file has no line end after the last line
    words = Vocabulary.load(str(path))
    assert words.words == ["<S>", "</S>", ",", "caf"] and words.counts == [7, 7, 5, 0]
    words.save(str(path))
    assert path.read_text() == "<S> 7\n</S> 7\n, 5\ncaf 0\n"
    assert Vocabulary.load(str(path)).fingerprint() == words.fingerprint()
    assert words.fingerprint() == hashlib.sha256(b"<S>\n</S>\n,\ncaf").hexdigest()


@pytest.mark.parametrize(
    "text, message",
    [
        ("<S> 7\n</S> 7\ndog\n", "line 3 is 'dog'"),
        ("<S> 7\n</S> 7\n\ndog 1\n", "line 3 is ''"),
        ("dog 9\n<S> 7\n</S> 7\n", "begins with <S> and </S>"),
        ("<S> 7\n</S> 7\ndog 3\ndog 1\n", "lists 'dog' twice"),
    ],
)
def test_a_bad_dictionary_is_named(tmp_path, text, message):
    path = tmp_path / "word_counts.txt"
    path.write_text(text)
    with pytest.raises(cli.UserError, match=f"word_counts.txt: .*{message}"):
        Vocabulary.load(str(path))


def test_a_missing_dictionary_says_what_makes_it(tmp_path):
    with pytest.raises(cli.UserError, match="process_descriptions --data_dir .* --new_dict"):
        Vocabulary.load(str(tmp_path / "word_counts.txt"))
    with pytest.raises(cli.UserError, match="no such file; expected `word count` a line$"):
        Vocabulary.load(str(tmp_path / "vocabulary.txt"))  # of a run, which no stage makes


def test_word_tokenizer():
    split = tokenizers.tokenizer("nltk_word")
    assert split("A dog's ball, isn't IT?") == ["a", "dog", "'s", "ball", ",", "is", "n't", "it", "?"]
    assert split("Two dogs. Two cats.") == ["two", "dogs.", "two", "cats", "."]
    assert split(" \t ") == []


def test_punkt_tokenizer_or_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    with pytest.raises(cli.UserError, match="python -m nltk.downloader punkt_tab"):
        tokenizers.tokenizer("nltk_punkt")


def test_punkt_tokenizer_splits_sentences(monkeypatch):
    # The trained sentence model is not part of NLTK's package; an untrained one stands in for it.
    model = nltk.tokenize.PunktSentenceTokenizer()
    monkeypatch.setattr(nltk.tokenize, "_get_punkt_tokenizer", lambda language: model)
    split = tokenizers.tokenizer("nltk_punkt")
    assert split("Two dogs. Two cats.") == ["two", "dogs", ".", "two", "cats", "."]


def test_unknown_tokenizer():
    with pytest.raises(cli.UserError, match="no tokenizer 'spaces'"):
        tokenizers.tokenizer("spaces")


# --------------------------------------------------------------------------------------------------------------
# Concept words


def check_against_nltk(texts):
    """The shortcut for plain texts gives NLTK's tokens; returns the share of texts that took it."""
    from nltk.tokenize import NLTKWordTokenizer

    split, nltk_tokens = tokenizers.tokenizer("nltk_word"), NLTKWordTokenizer().tokenize
    for text in texts:
        assert split(text) == nltk_tokens(text.lower()), text
    return sum(bool(tokenizers._PLAIN.fullmatch(text.lower())) for text in texts) / len(texts)


def test_shortcut_of_the_tokenizer_on_random_texts():
    rng = random.Random(1)
    parts = "a b1 Dog cannot wanna gimme - -- . .. , , : : 3 's ' \" ! x-y t. 1,000 (b)".split()
    parts += [" "] * 14 + ["  "]
    texts = ["".join(rng.choices(parts, k=rng.randint(1, 9))) for _ in range(20_000)]
    assert check_against_nltk(texts) > 0.1
    assert check_against_nltk(["A dog, a cat - and 2 x-rays: here.", "you cannot - gonna, wanna", "a . b, . c ."]) == 1


def test_shortcut_of_the_tokenizer_on_real_texts():
    folder = pathlib.Path(os.environ.get("UIC_REALDATA", "../shared/realdata")) / "corpora"
    if not folder.exists():
        pytest.skip(f"{folder} is not here (set UIC_REALDATA)")
    for name in ("coco_val2017_sentences.txt", "cc3m_val_sentences.txt"):
        lines = (folder / name).read_bytes().decode("ascii", "ignore").splitlines()[::10]
        assert check_against_nltk(lines) > 0.8


def test_concept_words():
    assert vocabulary.concept_word("Kitchen & dining room table") == "table"
    found = vocabulary.concept_words(["Wine glass", "Person", "Mouse", "Glass", "Mouse"])
    assert found == {"glass": ["Wine glass", "Glass"], "mouse": ["Mouse", "Mouse"], "person": ["Person"]}
    assert list(found) == ["glass", "mouse", "person"]


def test_class_names_from_text_and_label_map(tmp_path):
    (tmp_path / "names.txt").write_text("???\nperson\r\n\ntraffic light\n")
    assert vocabulary.load_class_names(str(tmp_path / "names.txt")) == ["person", "traffic light"]
    (tmp_path / "map.pbtxt").write_text(
        'item {\n  name: "/m/01g317"\n  id: 1\n  display_name: "Person"\n}\n'
        "item { name: '/m/x' id: 2 display_name: 'Wine glass' }\n"
    )
    assert vocabulary.load_class_names(str(tmp_path / "map.pbtxt")) == ["Person", "Wine glass"]
    (tmp_path / "empty.pbtxt").write_text("item { id: 1 }")
    for name in ("empty.pbtxt", "none.txt"):
        with pytest.raises(cli.UserError, match=name):
            vocabulary.load_class_names(str(tmp_path / name))


def test_coco_names():
    names = vocabulary.load_class_names("data/coco_names.txt")
    assert len(names) == len(set(names)) == 80
    assert len(vocabulary.concept_words(names)) == 78  # "bear" and "dog" stand for two classes each


# --------------------------------------------------------------------------------------------------------------
# Plurals


def test_plurals_by_rule():
    words = ["person", "bus", "glass", "sheep", "scissors", "knife", "butterfly", "couch", "mouse", "toothbrush"]
    assert vocabulary.plurals("inflect", words) == {
        "people": "person",
        "buses": "bus",
        "glasses": "glass",
        "sheep": "sheep",
        "scissors": "scissors",
        "knives": "knife",
        "butterflies": "butterfly",
        "couches": "couch",
        "mice": "mouse",
        "toothbrushes": "toothbrush",
    }


def test_a_class_named_in_the_plural_keeps_its_name():
    assert vocabulary.plurals("inflect", ["glasses", "glass"]) == {"glasses": "glasses"}


def test_plurals_from_a_table(tmp_path):
    path = tmp_path / "plurals.json"
    path.write_text(json.dumps({"glass": "glasses", "glasses": "glasses", "segway": "segwaies", "car": "cars"}))
    words = ["segway", "glasses", "glass", "dog"]
    assert vocabulary.plurals(str(path), words) == {"glasses": "glasses", "segwaies": "segway"}
    assert vocabulary.plurals("none", words) == {}
    with pytest.raises(cli.UserError, match="none.json: no such file; expected a JSON table for --plurals"):
        vocabulary.plurals(str(tmp_path / "none.json"), words)
