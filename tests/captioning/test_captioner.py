"""The captioner of a run, and the detection of collapse."""

import json

import numpy as np
import pytest
import tensorflow as tf

import cli
from captioning.captioner import Captioner
from captioning.decode import parse_decode
from evaluation.collapse import CollapseWatch
from formats.vocabulary import Vocabulary
from models.generator import Generator
from models.standardise import Standardise
from tests import tiny_runs, tiny_world

V, LENGTH = len(tiny_world.WORDS) + 1, 6


@pytest.fixture
def captioner():
    generator = Generator(V, tiny_world.DIM, 8, 8, 1.0, tf.constant([0, 3]), 8.0)
    generator.embedding.assign(generator.embedding * 20.0)  # new weights give the same caption for every image
    return Captioner(generator, Standardise(tiny_world.DIM), Vocabulary(tiny_world.WORDS), "fixed", LENGTH)


@pytest.fixture
def vectors():
    return np.random.default_rng(0).normal(size=(10, tiny_world.DIM)).astype(np.float32)


def log_p(captioner, vector, ids):
    """Returns the log-probability of a caption, computed word by word."""
    generator = captioner.generator
    state = generator.initial_state(generator.image_feature(captioner.standardise(vector[None])))
    total, word = 0.0, 0
    for target in ids:
        state = generator.basic_lstm_cell.step(tf.gather(generator.embedding, [word]), state)
        total += float(tf.nn.log_softmax(generator.logits(state[1]))[0, target])
        word = target
    return total


@pytest.mark.parametrize("decode", ["greedy", "beam3"])
def test_log_probabilities_are_those_of_the_words(captioner, vectors, decode):
    for vector, several in zip(vectors, captioner.caption_vectors(vectors, decode, batch=4), strict=True):
        for found in several:
            assert found.log_prob == pytest.approx(log_p(captioner, vector, found.ids), abs=1e-5)


def test_a_beam_finds_nothing_less_probable_than_the_greedy_caption(captioner, vectors):
    wide = captioner.caption_vectors(vectors, f"beam{V}")
    greedy = captioner.caption_vectors(vectors, "greedy")
    for beam, single in zip(wide, greedy, strict=True):
        if single[0].ids[-1] == 1 and V - 1 not in single[0].ids and len(single[0].ids) < LENGTH:
            assert beam[0].log_prob >= single[0].log_prob - 1e-6


def test_the_batch_does_not_matter(captioner, vectors):
    whole = captioner.caption_vectors(vectors, "beam3", batch=16)
    assert len({several[0].ids for several in whole}) > 5
    assert [[h.ids for h in several] for several in captioner.caption_vectors(vectors, "beam3", batch=3)] == [
        [h.ids for h in several] for several in whole
    ]


def test_markers_are_no_words_and_the_reference_cuts_unfinished_captions(captioner, vectors):
    captioner.generator.softmax_b.assign(captioner.generator.softmax_b + tf.one_hot(1, V) * -100.0)  # never ends
    [fixed] = captioner.caption_vectors(vectors[:1], "greedy")
    captioner.semantics = "reference"
    [reference] = captioner.caption_vectors(vectors[:1], "greedy")
    assert fixed[0].ids == reference[0].ids and fixed[0].words[:-1] == reference[0].words
    assert fixed[0].text.split()[:-1] == reference[0].text.split() and 1 not in fixed[0].ids


def test_length_normalisation_divides_by_a_power_of_the_length(captioner, vectors):
    for several in captioner.caption_vectors(vectors, "beam3", length_normalization=0.7):
        for found in several:
            if found.ids[-1] == 1:
                assert found.score == pytest.approx(found.log_prob / (len(found.ids) + 1) ** 0.7)


def test_decodings_by_name():
    assert [parse_decode(text) for text in ("greedy", "beam1", "beam12")] == [0, 1, 12]
    for wrong in ("beam", "beam0", "beam-1", "beamx", "sample", ""):
        with pytest.raises(cli.UserError, match="expected greedy or beamK"):
            parse_decode(wrong)


# --------------------------------------------------------------------------------------------------------------
# Collapse


def watch_of(tmp_path, captioner, uniques):
    """Returns (watch, messages) of a run whose metrics already have the given unique shares."""
    world = tiny_world.make(str(tmp_path / "world"))
    options, messages = tiny_runs.full(world, tmp_path / "run", eval_images=20, max_caption_length=LENGTH), []
    (tmp_path / "run").mkdir()
    lines = [json.dumps({"step": step, "eval/unique": unique}) for step, unique in enumerate(uniques)]
    (tmp_path / "run" / "metrics.jsonl").write_text("".join(line + "\n" for line in lines))
    return CollapseWatch(captioner, captioner.vocabulary, options, messages.append), messages


def test_one_caption_for_all_images_twice_in_a_row_is_a_warning(tmp_path, captioner):
    captioner.generator.softmax_b.assign(tf.one_hot(4, V) * 100.0)
    watch, messages = watch_of(tmp_path, captioner, [0.5, 0.05 - 1e-9])
    watch.ALARM = 0.06  # with 20 images one distinct caption is 5 %
    found = watch(100)
    assert found["unique"] == 0.05
    assert "WARNING: collapse at step 100: 5.0% of 20 validation captions are distinct" in messages[0]
    assert "cat cat" in messages[0]


@pytest.mark.parametrize("uniques", [[], [0.5], [0.01, 0.5]])
def test_once_is_no_warning(tmp_path, captioner, uniques):
    captioner.generator.softmax_b.assign(tf.one_hot(4, V) * 100.0)
    watch, messages = watch_of(tmp_path, captioner, uniques)
    watch.ALARM = 0.06
    assert watch(100)["unique"] == 0.05 and messages == []


def test_captions_that_differ_are_no_warning(tmp_path, captioner):
    watch, messages = watch_of(tmp_path, captioner, [0.01])
    assert watch(100)["unique"] > 0.05 and messages == []
