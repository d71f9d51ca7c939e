"""Pseudo captions by retrieval: the best-fitting sentences, among equals a choice by the image's name alone."""

import dataclasses
import json
import os

import numpy as np
import pytest

import cli
import config
from evaluation.retrieval import draw_best_sentences
from formats import records
from formats.vocabulary import Vocabulary
from initialization import retrieve_captions
from initialization.pseudo_captions import load_captions
from tests import tiny_world

DOG, CAT, BIRD = 3, 4, 5


def test_the_best_fitting_sentences_come_first():
    """A sure dog, an unsure cat, bonus 0.7: dog and cat fit 1.6 + 1.0, dog 1.6, cat 1.0, nothing 0, bird -0.7."""
    keys = [(), (DOG,), (BIRD,), (DOG, CAT), (CAT,), (CAT, BIRD)]
    [order] = draw_best_sentences(keys, [{DOG: 0.9, CAT: 0.3}], [0], k=6, bonus=0.7)
    assert order[:4] == [3, 1, 4, 5] and order[4:] == [0, 2]  # cat and bird: 1.0 - 0.7
    assert draw_best_sentences(keys, [{DOG: 0.9, CAT: 0.3}], [0], k=2, bonus=0.7) == [[3, 1]]
    assert len(draw_best_sentences(keys, [{DOG: 0.9}], [0], k=50)[0]) == len(keys)


def test_equal_fits_are_drawn_at_random_by_the_seed_alone():
    keys = [(DOG,)] * 30 + [(CAT,)] * 30
    several = draw_best_sentences(keys, [{DOG: 0.9}, {CAT: 0.9}, {DOG: 0.9}], [1, 2, 3], k=5)
    alone = draw_best_sentences(keys, [{DOG: 0.9}], [3], k=5)
    assert several[2] == alone[0] and several[0] != several[2]
    assert all(index < 30 for index in several[0]) and all(index >= 30 for index in several[1])
    assert all(len(set(chosen)) == 5 for chosen in several)
    counts = np.bincount(np.concatenate(draw_best_sentences(keys, [{DOG: 0.9}] * 2000, range(2000), k=3)), minlength=60)
    assert counts[30:].sum() == 0 and counts[:30].min() > 120  # 200 expected


@pytest.mark.parametrize("choice", ["random", "consensus"])
def test_the_stage(choice, tmp_path):
    data = tiny_world.make(str(tmp_path), sentences=90)
    options = retrieve_captions.Options(data_dir=data, k=3, choice=choice, neighbours=0)
    retrieve_captions.main(options)
    names, flat, offsets = records.read_captions(records.find_files(data, "retrieved_captions"))
    images = records.read_images(records.find_files(data, "image_train"))
    objects = np.diff(images.class_offsets)
    assert names == [name for name, count in zip(images.names, objects, strict=True) if count for _ in range(3)]
    sentences = records.read_sentences(records.find_files(data, "sentence"))
    there = {
        tuple(sentences.flat[a + 1 : b - 1]) for a, b in zip(sentences.offsets[:-1], sentences.offsets[1:], strict=True)
    }
    noun_of = {name: images.class_flat[images.class_offsets[i]] for i, name in enumerate(images.names) if objects[i]}
    for i, name in enumerate(names):
        ids = flat[offsets[i] : offsets[i + 1]]
        assert tuple(ids) in there and noun_of[name] in ids
    first = (tmp_path / "retrieved_captions.tfrec").read_bytes()
    retrieve_captions.main(dataclasses.replace(options, overwrite=True))
    assert (tmp_path / "retrieved_captions.tfrec").read_bytes() == first
    assert json.loads((tmp_path / "retrieved_captions.json").read_text())["without_caption"] == 6


def test_images_without_objects_follow_their_neighbours(tmp_path):
    data = tiny_world.make(str(tmp_path), sentences=90)
    retrieve_captions.main(retrieve_captions.Options(data_dir=data, k=2, neighbours=5))
    sidecar = json.loads((tmp_path / "retrieved_captions.json").read_text())
    assert (sidecar["count"], sidecar["without_caption"]) == (80, 0) and sidecar["made_from"]["features"]
    images = records.read_images(records.find_files(data, "image_train"))
    options = config.ImageCaption(data_dir=data, captions="retrieved")
    found = load_captions(options, images, Vocabulary.load(os.path.join(data, "word_counts.txt")))
    assert [len(several) for several in found.captions] == [2] * 40


def test_unknown_words_and_long_sentences_are_left_out(tmp_path):
    data = tiny_world.make(str(tmp_path))
    vocabulary = Vocabulary.load(os.path.join(data, "word_counts.txt"))
    rows = [
        ([DOG], [0, 2, DOG, 6, 1]),
        ([DOG], [0, 2, DOG, vocabulary.unknown_id, 1]),
        ([DOG], [0, 2, DOG, 6, 8, 9, 10, 1]),
    ]
    (tmp_path / "sentence.json").unlink()
    records.write_records(str(tmp_path / "sentence.tfrec"), [records.sentence_example(*row) for row in rows])
    corpus = retrieve_captions.CandidateSentences(data, vocabulary, 6)
    assert [ids.tolist() for ids in corpus.sentences] == [[2, DOG, 6]] and corpus.keys == [(DOG,)]
    with pytest.raises(cli.UserError, match="none of 3 sentences is free of unknown words and short enough"):
        retrieve_captions.CandidateSentences(data, vocabulary, 4)


@pytest.mark.parametrize(
    "changes",
    [{"k": 0}, {"threshold": 1.5}, {"bonus": -1.0}, {"output": "a/b"}, {"temperature": 0.0}, {"neighbours": -1}],
)
def test_bad_flags(changes):
    with pytest.raises(cli.UserError, match=f"--{next(iter(changes))}"):
        retrieve_captions.check(retrieve_captions.Options(**changes))


def test_sentences_about_another_thing_with_the_same_last_word_are_left_out(tmp_path):
    data = tiny_world.make(str(tmp_path))
    vocabulary = Vocabulary.load(os.path.join(data, "word_counts.txt"))
    other = next(word for word in vocabulary.words[2:] if vocabulary.id(word) != DOG)
    before = len(retrieve_captions.CandidateSentences(data, vocabulary, 0).sentences)
    pair = [vocabulary.id(other), DOG]
    sentences = records.read_sentences(records.find_files(data, "sentence"))
    held = sum(
        any(sentences.flat[a:b][i : i + 2].tolist() == pair for i in range(b - a - 1))
        for a, b in zip(sentences.offsets[:-1], sentences.offsets[1:], strict=True)
    )
    dog = vocabulary.word(DOG)
    (tmp_path / "concepts.json").write_text(json.dumps({dog: [dog, f"{other} {dog}"]}))
    assert len(retrieve_captions.CandidateSentences(data, vocabulary, 0).sentences) == before - held and held
    (tmp_path / "concepts.json").write_text(json.dumps({dog: [f"{other} {dog}"]}))  # the only class of that word
    assert len(retrieve_captions.CandidateSentences(data, vocabulary, 0).sentences) == before
