"""Runs to export, pictures, and the program of an exported folder."""

import json
import os
import subprocess
import sys

import numpy as np
import tensorflow as tf

from captioning import photographs
from formats.vocabulary import Vocabulary
from models import encoders
from models.encoders import saved
from models.generator import Generator
from models.standardise import Standardise
from preprocessing.miniature import rendering, scenes
from scripts import export
from tests import tiny_runs
from training import checkpoints

TRAINED = str(tiny_runs.ROOT / "results" / "models" / "miniature_full")  # read pictures by a compact encoder


def make(folder, spec, words, paths, semantics="fixed", length=8):
    """Writes a run of the full model with random weights, whose encoder is `spec`. Returns the folder.

    Args: words: list of words without the markers. paths: pictures of which the run says different things.
    """
    encoder, vocabulary = encoders.load_encoder(spec), Vocabulary(["<S>", "</S>", *words])
    saved.save_encoder(encoder.describe(), os.path.join(folder, "encoder"))
    vocabulary.save(os.path.join(folder, "vocabulary.txt"))
    with open(os.path.join(TRAINED, "config.json")) as file:
        content = json.load(file)
    sizes = {"emb_dim": 8, "mem_dim": 8, "max_caption_length": length, "semantics": semantics, "feature_scale": 8.0}
    content["settings"] |= sizes
    content["facts"] |= {"image_dim": encoder.dim, "vocabulary": vocabulary.fingerprint()}
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(content, file)
    generator = Generator(vocabulary.size, encoder.dim, 8, 8, 1.0, tf.constant([0, 3]), 8.0)
    generator.embedding.assign(generator.embedding * 40.0)  # new weights say the same of every picture
    source, standardise = photographs.EncodedPhotographs(encoder), Standardise(encoder.dim)
    vectors = source.rows([source.prepared(path) for path in paths])
    standardise.assign(vectors.mean(0), vectors.std(0))
    checkpoints.save(folder, 1, {"generator": generator, "standardise": standardise}, {})
    return folder


def pictures(folder, count, side=128):
    """Draws pictures of the miniature world as JPEG files. Returns their paths."""
    paths = [os.path.join(folder, f"{number:03d}.jpg") for number in range(count)]
    for number, path in enumerate(paths):
        rng = np.random.default_rng(number)
        with open(path, "wb") as file:
            file.write(rendering.jpeg(rendering.render(rng, scenes.make_scene(rng, 1, "pictures"), side)))
    return paths


def captions(run, paths, decode):
    """The captions of caption.py: list of lists of Hypothesis."""
    captioner, source = photographs.open_run(run, "best")
    broken = []
    batches = photographs.caption_files(captioner, source, [(path, path) for path in paths], broken, decode)
    found = [several for _, _, batch in batches for several in batch]
    assert not broken
    return found


def run_example(folder, *arguments):
    """The lines that the folder's program prints, run without this program on its path."""
    program = os.path.join(folder, export.EXAMPLE)
    assert len(open(program).read().splitlines()) <= 15
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-I", program, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
