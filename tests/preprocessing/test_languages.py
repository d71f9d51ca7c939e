"""Corpora in German, Chinese and Arabic: from 200 sentences to the captions of a tiny captioner and their scores."""

import dataclasses
import json
import os

import pytest

import cli
import config
from captioning import splits
from captioning.captioner import Captioner
from evaluation import hallucination, metrics, statistics
from evaluation.metrics import tokenizers
from evaluation.report import html_pages
from formats import captions, concepts, records, vocabulary
from formats.languages import unicode_text
from formats.languages.tokenizers import FOLD
from formats.vocabulary import Vocabulary
from initialization import im_caption, pseudo_captions, retrieve_captions
from preprocessing import extract_descriptions, process_descriptions, process_images
from preprocessing.detection import concept_objects
from preprocessing.sources import dictionaries
from tests.preprocessing import language_world
from tests.preprocessing.language_world import LANGUAGES, NOUNS, PLACES

# One sentence of each corpus, and its tokens in sentences.txt and in the dictionary of process_descriptions.
EXAMPLES = {
    "german": (
        "Zwei rote Fahrräder sind am Strand gut zu sehen.",
        "zwei rote fahrräder sind am strand gut zu sehen .",
        "zwei rote fahrrad sind am strand gut zu sehen .",
    ),
    "chinese": (
        "街道上有一辆绿色的自行车。",
        "街 道 上 有 一 辆 绿 色 的 自 行 车 。",
        "街 道 上 有 一 辆 绿 色 的 自行车 。",
    ),
    "arabic": ("هناك عدة كلاب في الثلج", "هناك عدة كلاب في الثلج", "هناك عدة كلب في الثلج"),
}


@pytest.fixture(scope="module", params=LANGUAGES)
def world(request, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp(request.param))
    return request.param, language_world.make(folder, request.param)


def read(folder, name):
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        return file.read()


def test_sentences_and_dictionary(world):
    language, folder = world
    raw, tokens, encoded = EXAMPLES[language]
    lines = read(folder, "sentences.txt").splitlines()
    assert len(set(lines)) == len(lines) == language_world.SENTENCES and tokens in lines
    sidecar = json.loads(read(folder, "sentences.json"))
    assert sidecar["settings"]["text"] == "unicode" and sidecar["characters"]["lost"] == 0
    words = Vocabulary.load(os.path.join(folder, "word_counts.txt"))
    assert all(word == FOLD["unicode"](word) for word in words.words[2:])
    found = records.read_sentences(records.find_files(folder, "sentence"))
    stored = [words.decode(found.flat[i:j]) for i, j in zip(found.offsets, found.offsets[1:], strict=False)]
    assert unicode_text.join(encoded.split()) in stored
    own = {FOLD["unicode"](LANGUAGES[language].word(name)) for name in NOUNS}
    assert concepts.load_concepts(folder, "val").words == own
    # Each sentence names one thing, in the singular or in the plural of the table.
    assert {words.word(i) for i in found.key_flat} == own and len(found.key_flat) == len(found)


def test_text_of_a_pair_is_read_as_the_corpus(world):
    language, folder = world
    raw, _, encoded = EXAMPLES[language]
    words = Vocabulary.load(os.path.join(folder, "word_counts.txt"))
    ids = pseudo_captions._corpus_encoder(folder, words)(raw)
    assert [words.word(i) for i in ids] == encoded.split()


def test_trained_captioner_speaks_the_language(world):
    language, folder = world
    kind, run = LANGUAGES[language], os.path.join(folder, "run")
    retrieve_captions.main(retrieve_captions.Options(data_dir=folder, k=3, choice="random"))
    sizes = {"emb_dim": 24, "mem_dim": 24, "batch_size": 20}
    steps = {"max_steps": 500, "steps_per_loop": 100, "save_summary_steps": 100, "save_checkpoint_steps": 500}
    rate = {"lr": 0.02, "keep_prob": 1.0, "standardise": True, "eval_images": 0}
    im_caption.main(config.ImageCaption(data_dir=folder, job_dir=run, captions="retrieved", **rate, **sizes, **steps))
    references = captions.read_references(os.path.join(folder, "refs_val.json"))
    names = sorted(references)
    said = Captioner.from_run(run).captions_of(
        names, splits.split_vectors(run, "newest", folder, "val", names), "greedy"
    )

    # Read right: every caption is a text of this language, names its place and, nearly always, the thing that is seen.
    places = [FOLD["unicode"](place[list(LANGUAGES).index(language)]) for place in PLACES.values()]
    assert all(any(place in text for place in places) for text in said.values()), said
    assert kind.unspaced == all(" " not in text for text in said.values())
    there = concepts.load_concepts(folder, "val")
    scores = metrics.score(said, references, ("BLEU", "CIDEr", "METEOR"), kind.scored)
    named = statistics.class_recall_precision(scores.tokens, there.image_words(), there.words, there.singular)
    assert named["class_recall"] > 0.9 and named["class_precision"] > 0.9, said
    assert scores.values["BLEU-1"] > 70 and scores.values["METEOR"] is None
    assert "is for English" in scores.reasons["METEOR"] and scores.tokenizer == kind.scored

    text = said[names[0]]
    page = html_pages.macros("web/answers.html").said("run", text, None)
    assert f'dir="auto">{text}</p>' in page


# --------------------------------------------------------------------------------------------------------------
# Settings, errors, scores


def extract(folder, content, **options):
    """Runs extract_descriptions on a text; returns the content of sentences.txt."""
    (folder / "raw.txt").write_text(content, encoding="utf-8")
    options = {"data_dir": str(folder), "input": str(folder / "raw.txt"), "processes": 1, "min_tokens": 1, **options}
    extract_descriptions.main(extract_descriptions.Options(**options))
    return read(folder, "sentences.txt")


def test_error_of_a_foreign_corpus_gives_flags_that_help(tmp_path):
    text = "街道上有一辆红色的自行车。\n"
    with pytest.raises(cli.UserError, match="not ASCII .*; expected sentences in English; for another") as error:
        extract(tmp_path, text)
    assert "--text unicode" in str(error.value) and "--tokenizer characters" in str(error.value)
    assert extract(tmp_path, text, text="unicode", tokenizer="characters") == " ".join(text.strip()) + "\n"


def test_own_tokenizer_is_an_input(tmp_path, capsys):
    own = tmp_path / "own.py"
    own.write_text("def tokenize(text):\n    return text.split('|')\n")
    flags = {"text": "unicode", "tokenizer": str(own)}
    assert extract(tmp_path, "自行车|在|这里\n", **flags) == "自行车 在 这里\n"
    extract(tmp_path, "自行车|在|这里\n", **flags)
    own.write_text("def tokenize(text):\n    return [text]\n")
    with pytest.raises(cli.UserError, match=r"own\.py"):
        extract(tmp_path, "自行车|在|这里\n", **flags)


def test_table_of_classes(tmp_path):
    (tmp_path / "map.json").write_text(json.dumps({"Dog": "Hund", "Tree": None}))
    path = str(tmp_path / "map.json")
    assert dictionaries.class_table(path, ["Dog", "Tree", "Cat"]) == {"Dog": "hund", "Tree": None}
    found = vocabulary.concept_words(["Dog", "Tree", "Cat"], {"Dog": "hund", "Tree": None})
    assert found == {"cat": ["Cat"], "hund": ["Dog"]}
    with pytest.raises(cli.UserError, match="none of its names is a class; its first is 'Dog'"):
        dictionaries.class_table(path, ["Katze"])
    (tmp_path / "map.json").write_text(json.dumps({"Dog": "großer Hund"}))
    with pytest.raises(cli.UserError, match="'Dog' has 'großer Hund'; expected one word"):
        dictionaries.class_table(path, ["Dog"])


def test_images_are_named_by_the_table_of_the_dictionary(world):
    language, folder = world
    options = process_images.Options(data_dir=folder)
    table = concept_objects.class_map_of(options)
    assert table == {name.capitalize(): FOLD["unicode"](LANGUAGES[language].word(name)) for name in NOUNS}


def test_note_about_english_plurals(tmp_path, capsys):
    extract(tmp_path, "ein Hund\n", text="unicode")
    for plurals, noted in (("inflect", True), ("keep", True), ("none", False), ("table.json", False)):
        dictionaries.note_english_rules(process_descriptions.Options(data_dir=str(tmp_path), plurals=plurals))
        assert ("makes English plurals; for another language give --plurals none" in capsys.readouterr().out) == noted
    extract(tmp_path, "a dog\n", overwrite=True)
    capsys.readouterr()
    dictionaries.note_english_rules(process_descriptions.Options(data_dir=str(tmp_path)))
    assert capsys.readouterr().out == ""


def test_synonyms_have_the_plurals_of_the_table(tmp_path):
    (tmp_path / "names.txt").write_text("hund: köter\n", encoding="utf-8")
    (tmp_path / "plurals.json").write_text(json.dumps({"hund": "hunde", "köter": "köters"}), encoding="utf-8")
    options = process_descriptions.Options(synonyms=str(tmp_path / "names.txt"), plurals=str(tmp_path / "plurals.json"))
    expected = {"hunde": "hund"}, {"köter": "hund", "köters": "hund"}
    assert dictionaries.naming(options, ["hund"]) == expected
    assert dictionaries.naming(dataclasses.replace(options, plurals="none"), ["hund"]) == ({}, {"köter": "hund"})


@pytest.mark.parametrize(
    "name, tokens",
    [("none", ["ein hund, strasse.", "一 只 狗 。"]), ("characters", ["ein hund strasse", "一 只 狗"])],
)
def test_tokens_that_are_scored(name, tokens):
    assert tokenizers.find(name).tokenize(["Ein Hund, Straße.", "一只狗。"]) == tokens
    assert tokenizers.noted(name) == {"tokenizer": name}


def test_warning_about_a_tokenizer_for_english():
    references = {"a": ["一只狗在草地上"], "b": ["一只猫"]}
    with metrics.Scorer(references, ("BLEU",), "ptb-python") as scorer:
        caveats = scorer.score({"a": "一只狗", "b": "一只猫"}).caveats
    assert caveats[0].startswith("ptb-python is for English, but 100% of the references' characters")
    assert not tokenizers.misfit("characters", references["a"])
    assert not tokenizers.misfit("ptb-java", ["Ein süßer Vogel über dem Fluß"])


def test_objects_of_several_characters_are_found():
    names = hallucination.of_concepts(concepts.Concepts({}, frozenset({"自行车", "hund"}), {"fahrräder": "hund"}))
    assert names.classes(list("有自行车")) == {"自行车"} and names.classes(["fahrräder"]) == {"hund"}
