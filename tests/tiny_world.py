"""Writes a data folder of a few kilobytes with all files that training reads, by the record functions of the stages."""

import os

import numpy as np

from formats import feature_banks, records
from formats.sidecars import write_json

WORDS = ["<S>", "</S>", "a", "dog", "cat", "bird", "runs", "sleeps", "on", "the", "grass", "red", "small"]
NOUNS = [3, 4, 5]
DIM = 12
ENCODER = {  # this file does not exist: the encoder is never run
    "spec": "tflite:none.tflite",
    "dim": DIM,
    "cells": None,
    "image_size": 8,
    "preprocessing": {"resize": "modern"},
    "files": [],
}


def make(folder, images=40, sentences=60, seed=0, crops=2):
    """Writes word_counts.txt, sentence.tfrec, image_{train,val}.tfrec, features_* and refs_val.json."""
    rng = np.random.default_rng(seed)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "word_counts.txt"), "w") as file:
        file.writelines(f"{word} {100 - i}\n" for i, word in enumerate(WORDS))
    write_json(os.path.join(folder, "concepts.json"), {WORDS[noun]: [WORDS[noun].capitalize()] for noun in NOUNS})

    def sentence():
        noun = int(rng.choice(NOUNS))
        ids = [0, 2, *rng.integers(11, 13, rng.integers(0, 3)), noun, int(rng.integers(6, 8)), 8, 9, 10, 1]
        return [noun], [int(i) for i in ids]

    rows = [sentence() for _ in range(sentences)]
    write(folder, "sentence", [records.sentence_example(key, ids) for key, ids in rows])
    for split, count in (("train", images), ("val", images // 2)):
        _write_split(folder, split, count, rng, crops)
    return folder


def write(folder, stem, examples):
    """Writes a file of records and its sidecar."""
    path = os.path.join(folder, stem)
    records.write_records(path + ".tfrec", examples)
    records.write_sidecar(path + ".json", files=[path + ".tfrec"], count=len(examples), settings={}, made_from={})


def _write_split(folder, split, count, rng, crops):
    nouns = rng.choice(NOUNS, count)
    names = [f"{split}_{i:03d}.jpg" for i in range(count)]
    extra = [[int(noun)] if i % 7 else [] for i, noun in enumerate(nouns)]
    examples = [records.image_example(name, b"", ids, [0.9] * len(ids)) for name, ids in zip(names, extra, strict=True)]
    write(folder, f"image_{split}", examples)
    features = rng.normal(size=(count, 1 + crops, DIM)) * 0.1 + np.eye(DIM)[nouns][:, None]
    write_features(folder, split, names, features)
    captions = [
        {"image_id": name, "id": 5 * i + k, "caption": f"a {WORDS[noun]} {verb} on the grass"}
        for i, (name, noun) in enumerate(zip(names, nouns, strict=True))
        for k, verb in enumerate(("runs", "sleeps"))
    ]
    references = {"images": [{"id": name, "file_name": name} for name in names], "annotations": captions}
    write_json(os.path.join(folder, f"refs_{split}.json"), references)


def write_features(folder, split, names, features, encoder=ENCODER):
    """Writes a feature bank. Args: features: [N, crops, D]."""
    path, flat = os.path.join(folder, f"features_{split}"), features.reshape(-1, features.shape[-1])
    np.save(path + ".npy", features.astype(np.float16))
    encoder, crops = encoder | {"dim": features.shape[-1]}, features.shape[1] - 1
    files, statistics = (path + ".json", path + ".npy"), (flat.mean(0), flat.std(0))
    feature_banks.write_sidecar(*files, names, encoder, crops, statistics, {}, {})
