"""Captions from the authors' checkpoints equal the authors' captions token for token (golden/checkpoints)."""

import json
import re

import numpy as np
import pytest
import tensorflow as tf

import config
from captioning.captioner import Captioner
from captioning.decode import Decoding
from formats.vocabulary import Vocabulary
from models import layers
from models.decoding import beam_search
from objectives.full import FullObjective
from objectives.obj2sen import ObjectToSentenceObjective
from tests.parity import golden_files
from tests.parity.comparison import assert_close, note

PLACES = [path.parent for path in golden_files.sets("checkpoints/infer_full.json")]
CONCEPTS = 5  # the authors feed the last five


def settings(place, file):
    """Returns [(name, beam_size, length_normalization, max_caption_length)] of the decodings in a file."""
    names = [name for name in json.loads((place / file).read_text()) if name.startswith("beam")]
    pattern = r"beam(\d+)_lnf([\d.]+)_max(\d+)"
    return [(name, int(m[1]), float(m[2]), int(m[3])) for name in names if (m := re.fullmatch(pattern, name))]


def cases(file):
    return [(place, *setting) for place in PLACES for setting in settings(place, file)]


def restore(objective, folder):
    """Assigns all variables of the one checkpoint in a folder."""
    prefix = str(next(folder.glob("model.ckpt-*.index")))[: -len(".index")]
    reader = tf.train.load_checkpoint(prefix)
    networks = [objective.generator, objective.discriminator]
    for name, variable in layers.named_variables(*networks).items():
        variable.assign(reader.get_tensor(name))
    return objective


def sizes(folder):
    """Returns (vocabulary size, dimension) of a checkpoint."""
    return json.loads((folder / "variables.json").read_text())["variables"]["Generator/embedding"]


@pytest.fixture(scope="module")
def full():
    """A function folder -> (objective of the full model, arrays of infer_full.npz)."""

    def load(place):
        vocabulary_size, dim = sizes(place / "full")
        arrays = np.load(place / "infer_full.npz")
        options = config.FullModel(semantics="reference", emb_dim=dim, mem_dim=dim)
        return restore(FullObjective(options, vocabulary_size, arrays["net"].shape[1]), place / "full"), arrays

    return load


@pytest.fixture(scope="module")
def obj2sen():
    """A function folder -> objective of obj2sen."""

    def load(place):
        vocabulary_size, dim = sizes(place / "obj2sen")
        options = config.ObjectToSentence(semantics="reference", emb_dim=dim, mem_dim=dim)
        return restore(ObjectToSentenceObjective(options, vocabulary_size), place / "obj2sen")

    return load


def check_captions(beams, golden):
    """Asserts identical words in the same order, and log-probabilities and scores equal to 1e-5."""
    for row, captions in enumerate(golden):
        log_probs = beams.log_probs[row].numpy()
        assert np.sum(np.isfinite(log_probs)) == len(captions), row
        for place, caption in enumerate(captions):
            length = int(beams.lengths[row, place])
            words = beams.words[row, place, :length].numpy().tolist()
            assert [0, *words] == caption["ids"], (row, place)
            assert np.all(beams.words[row, place, length:] == 0)
            assert bool(beams.ended[row, place]) == (caption["ids"][-1] == 1)
            assert_close(log_probs[place], caption["logprob"], "log p of captions", (row, place), scale=1.0)
            assert_close(beams.scores[row, place], caption["score"], "scores of captions", (row, place), scale=1.0)
    note("captions that differ", 0)


@pytest.mark.parametrize("case", cases("infer_full.json"), ids=lambda case: case[1])
def test_full(case, full):
    place, name, beam_size, length_normalization, max_length = case
    objective, arrays = full(place)
    state = objective.generator.initial_state(objective.generator.image_feature(arrays["net"]))
    beams = beam_search(objective.generator, state, beam_size, max_length, length_normalization)
    check_captions(beams, json.loads((place / "infer_full.json").read_text())[name])


@pytest.mark.parametrize("case", cases("infer_full.json"), ids=lambda case: case[1])
def test_texts(case, full):
    """Texts of captioning.captioner, also where the authors cut a real word because the caption did not end."""
    place, name, beam_size, length_normalization, max_length = case
    objective, arrays = full(place)
    vocabulary = Vocabulary.load(str(place / "word_counts.txt"))
    parts = (objective.generator, objective.standardise, vocabulary, "reference", max_length)
    decoding = Decoding("beam", beam_size, length_normalization)
    found = Captioner(*parts).caption_vectors(arrays["net"], decoding, batch=32)
    golden = json.loads((place / "infer_full.json").read_text())[name]
    assert [[h.text for h in several] for several in found] == [[c["text"] for c in several] for several in golden]


@pytest.mark.parametrize("case", cases("infer_obj2sen.json"), ids=lambda case: case[1])
def test_obj2sen(case, obj2sen):
    place, name, beam_size, length_normalization, max_length = case
    objective = obj2sen(place)
    golden = json.loads((place / "infer_obj2sen.json").read_text())
    fed = [keys[-CONCEPTS:] for keys in golden["keys"]]
    keys = tf.ragged.constant(fed, dtype=tf.int32).to_tensor()
    feature = objective.encode(keys, tf.constant([len(key) for key in fed]))
    beams = beam_search(
        objective.generator,
        objective.generator.initial_state(feature),
        beam_size,
        max_length,
        length_normalization,
        objective.suppress_unknown,
        objective.input_embedding,
    )
    check_captions(beams, golden[name])


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.parent.name)
def test_first_word_and_greedy(place, full):
    """Feature, state after the image, first distribution, and the training graph's greedy words."""
    objective, arrays = full(place)
    generator = objective.generator
    feature = generator.image_feature(arrays["net"])
    state = generator.initial_state(feature)
    assert_close(feature, arrays["train_feat"], "features")
    assert_close(tf.concat(state, 1), arrays["initial_state"], "states")
    first = generator.basic_lstm_cell.step(tf.repeat(generator.embedding[:1], len(arrays["net"]), 0), state)
    assert_close(tf.concat(first, 1), arrays["first_state"], "states")
    assert_close(tf.nn.softmax(generator.logits(first[1])), arrays["first_softmax"], "probabilities")
    steps = arrays["train_greedy"].shape[1]
    greedy = generator.decode(state, steps, at_least_B=tf.fill([len(arrays["net"])], steps))
    np.testing.assert_array_equal(greedy, arrays["train_greedy"])
