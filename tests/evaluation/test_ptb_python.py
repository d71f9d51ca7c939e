"""The tokenizer without Java gives the jar's tokens: on 30,000 captions of real corpora, and on drawn sentences."""

import hashlib
import itertools
import os
import pathlib

import numpy as np
import pytest

from evaluation.metrics import java, ptb_python
from evaluation.metrics.tokenizers import JavaTokenizer
from preprocessing.miniature import grammar, scenes

# The first 4 bytes of the sha256 of each caption's tokens by the jar; test_golden_file_is_the_jars makes it again.
GOLDEN = pathlib.Path(__file__).parents[1] / "fixtures" / "ptb_java_hashes.bin"
CORPORA = ("coco_val2017_sentences.txt", "flickr30k_train_minus_flickr8k.txt", "cc3m_val_sentences.txt")
EACH = 10_000  # captions of each corpus
ALLOWED = 30  # of 30,000: one in a thousand


def hashes(tokenized):
    """Returns uint8 [captions, 4]."""
    data = b"".join(hashlib.sha256(line.encode()).digest()[:4] for line in tokenized)
    return np.frombuffer(data, np.uint8).reshape(-1, 4)


@pytest.fixture(scope="module")
def captions():
    folder = os.environ.get("UIC_REALDATA", "../shared/realdata")
    paths = [os.path.join(folder, "corpora", name) for name in CORPORA]
    if not all(map(os.path.exists, paths)):
        pytest.skip(f"no corpora at {folder}; set UIC_REALDATA")
    found = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            found += [line.rstrip("\n") for line in itertools.islice(file, EACH)]
    return found


def test_golden_file_is_the_jars(captions):
    with JavaTokenizer(java.find_java()) as tokenizer:
        assert hashes(tokenizer.tokenize(captions)).tobytes() == GOLDEN.read_bytes()


def test_at_most_one_caption_in_a_thousand_differs(captions):
    golden = np.fromfile(GOLDEN, np.uint8).reshape(-1, 4)
    differ = np.flatnonzero((hashes(ptb_python.tokenize(captions)) != golden).any(1))
    assert len(golden) == 3 * EACH
    assert len(differ) <= ALLOWED, [captions[i] for i in differ]


def test_drawn_sentences_have_the_jars_tokens():
    rng = np.random.default_rng(7)
    texts = [grammar.describe(rng, scenes.make_scene(rng, 1, "text"), 0.5) for _ in range(300)]
    with JavaTokenizer(java.find_java()) as tokenizer:
        assert ptb_python.tokenize(texts) == tokenizer.tokenize(texts)


@pytest.mark.parametrize(
    "text, tokens",
    [
        ("A dog (red) [x].", "a dog -lrb- red -rrb- -lsb- x -rsb-"),
        ("black &amp; white, R&amp;B and dog&cat", "black & white r&b and dog & cat"),
        ("Two hoses.. and a bed... here…", "two hoses and a bed here"),
        ("A red. white, and blue hydrant. It runs.", "a red white and blue hydrant it runs"),
        ("East St. and 12th Ave.", "east st. and 12th ave."),
        ("in Washington D.C.", "in washington d.c."),
        ("near a 'no peddling' sign and a dog's ball", "near a no peddling sign and a dog 's ball"),
        ("They're at the ladies' shop; she can't.", "they 're at the ladies shop she ca n't"),
        ("An old- fashioned T-shirt -- red--blue", "an old fashioned t-shirt red blue"),
        ("“Quoted” it’s £5 or 50%", "quoted it 's # 5 or 50 %"),
        ("wow!! nice :) and/or 3:45pm", "wow !! nice :-rrb- and/or 3:45 pm"),
        ("no. 5 is no. Nothing", "no. 5 is no nothing"),
        ("<unk> the 'til", "<unk> the 'til"),
        ("...", ""),
        ("", ""),
    ],
)
def test_rules(text, tokens):
    assert ptb_python.tokens_of(text) == tokens
    with JavaTokenizer(java.find_java()) as tokenizer:
        assert tokenizer.tokenize([text]) == [tokens]
