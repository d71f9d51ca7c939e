"""The captioner of a run, and the detection of collapse."""

import json

import numpy as np
import pytest
import tensorflow as tf

import cli
from captioning.captioner import Captioner
from captioning.decode import Decoding, DecodingFlags, decoding_of, parse_decode
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
    for several in captioner.caption_vectors(vectors, "beam3,length_normalization=0.7"):
        for found in several:
            if found.ids[-1] == 1:
                assert found.score == pytest.approx(found.log_prob / (len(found.ids) + 1) ** 0.7)


def test_decodings_by_name():
    found = [parse_decode(text) for text in ("greedy", "beam1", "beam12", "sample5")]
    assert [(one.method, one.size) for one in found] == [("greedy", 1), ("beam", 1), ("beam", 12), ("sample", 5)]
    for wrong in ("beam", "beam0", "beam-1", "beamx", "sample", "greedy3", "beam3,", "beam3,size=2", "beam٣", ""):
        with pytest.raises(cli.UserError, match="expected greedy, beamK or sampleN"):
            parse_decode(wrong)


@pytest.mark.parametrize(
    "name",
    ["beam3", "greedy,min_length=4", "beam5,length_normalization=0.7,repetition_penalty=1.2"]
    + ["sample5,temperature=0.5,top_k=20,top_p=0.9,sample_seed=7,no_repeat_ngram=3"],
)
def test_the_name_of_a_decoding_reads_as_the_same_decoding(name):
    assert parse_decode(name).name == name and parse_decode(parse_decode(name).name) == parse_decode(name)


def test_flags_name_the_decoding():
    assert decoding_of(DecodingFlags()) == Decoding()
    assert (
        decoding_of(DecodingFlags(samples=5, top_p=0.9, no_repeat_ngram=3)).name
        == "sample5,top_p=0.9,no_repeat_ngram=3"
    )
    assert decoding_of(DecodingFlags("sample5,top_p=0.9", samples=5)).name == "sample5,top_p=0.9"
    assert decoding_of(DecodingFlags(temperature=1.0, top_k=0, min_length=0)).name == "beam3", "defaults are no setting"


@pytest.mark.parametrize(
    "flags, said",
    [
        ({"top_p": 0.9}, "--top_p is for captions drawn at random.*expected --samples N"),
        ({"decode": "greedy", "sample_seed": 3}, "--sample_seed is for captions"),
        ({"decode": "greedy", "samples": 5}, "--samples 5 is in place of --decode greedy"),
        ({"samples": 0}, "--samples 0: expected at least 1"),
        ({"samples": 5, "temperature": 0.0}, "--temperature 0.0: expected 0.001 to 1000"),
        ({"samples": 5, "top_p": float("nan")}, "--top_p nan: expected above 0"),
        ({"repetition_penalty": 0.5}, "--repetition_penalty 0.5: expected 1 to"),
        ({"samples": 5, "length_normalization": 1.0}, "--length_normalization sorts the captions of beam search"),
    ],
)
def test_settings_that_contradict_each_other(flags, said):
    with pytest.raises(cli.UserError, match=said):
        decoding_of(DecodingFlags(**flags))


def test_samples_depend_on_seed_and_name_alone(captioner, vectors):
    names = [f"{i}.jpg" for i in range(len(vectors))]
    whole = captioner.caption_vectors(vectors, "sample4,sample_seed=5", names=names)
    back = captioner.caption_vectors(vectors[::-1], "sample4,sample_seed=5", batch=3, names=names[::-1])
    ids = [sorted(one.ids for one in several) for several in whole]
    assert [sorted(one.ids for one in several) for several in back[::-1]] == ids
    first = captioner.caption_vectors(vectors, "sample1,sample_seed=5", names=names)
    assert all(one.ids in several for [one], several in zip(first, ids, strict=True))
    other = captioner.caption_vectors(vectors, "sample4,sample_seed=6", names=names)
    assert [sorted(one.ids for one in several) for several in other] != ids
    for vector, several in zip(vectors, whole, strict=True):
        assert len(several) == 4 and [one.log_prob for one in several] == sorted(
            (one.log_prob for one in several), reverse=True
        )
        for one in several:
            assert one.log_prob == pytest.approx(log_p(captioner, vector, one.ids), abs=1e-5)


@pytest.mark.parametrize(
    "decode", ["beam3", "beam3,repetition_penalty=2,min_length=3", "greedy,no_repeat_ngram=1", "sample3"]
)
def test_words_have_their_log_probabilities(captioner, vectors, decode):
    found = captioner.caption_vectors(vectors, decode)
    for several in captioner.with_word_log_probs(vectors, found):
        for one in several:
            assert len(one.word_log_probs) == len(one.ids)
            assert sum(log_prob for _, log_prob in one.word_log_probs) == pytest.approx(one.log_prob, abs=1e-5)
            assert [word for word, _ in one.word_log_probs][: len(one.words)] == one.text.split()


def test_no_caption_can_have_the_minimum_length(captioner, vectors):
    with pytest.raises(cli.UserError, match=f"at most {LENGTH - 2} words"):
        captioner.caption_vectors(vectors, f"greedy,min_length={LENGTH - 1}")


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
