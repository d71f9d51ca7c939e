"""Short supervised runs on the tiny world, which here has true training captions, pooled vectors and grids."""

import json
import os
import types

import numpy as np
import pytest

from baselines import show_attend_tell, show_tell
from baselines.supervised import settings
from formats import records
from input_pipeline import FeatureBank
from tests import tiny_world

CELLS = 4
SHORT = {
    "emb_dim": 6,
    "mem_dim": 8,
    "batch_size": 8,
    "steps_per_loop": 4,
    "max_steps": 8,
    "save_checkpoint_steps": 4,
    "save_summary_steps": 4,
    "eval_images": 6,
    "max_caption_length": 8,
    "standardise": True,
    "keep_prob": 0.8,
}
ATTENTION = {"cell_dim": 5, "attention_units": 7}
STAGES = {
    "show_tell": (show_tell, settings.ShowTell, {}),
    "show_attend_tell": (show_attend_tell, settings.ShowAttendTell, ATTENTION),
}


def write_pairs(folder):
    """Writes `train_captions.jsonl`: two captions of each training image that has an object."""
    images = records.read_images(records.find_files(folder, "image_train"))
    path = os.path.join(folder, "train_captions.jsonl")
    with open(path, "w") as file:
        for row, name in enumerate(images.names):
            ids = images.class_flat[images.class_offsets[row] : images.class_offsets[row + 1]]
            texts = [f"a {tiny_world.WORDS[i]} {verb} on the grass" for i in ids for verb in ("runs", "sleeps")]
            file.write(json.dumps({"image": name, "captions": texts}) + "\n")
    return path


def make_grid(folder):
    """Turns the feature banks into grids: the object is in one cell, the others are noise."""
    rng = np.random.default_rng(3)
    for split in ("train", "val"):
        bank = FeatureBank(folder, split)
        pooled = np.asarray(bank.features, np.float32)
        grid = rng.normal(size=(*pooled.shape[:2], CELLS, pooled.shape[2])) * 0.1
        place = rng.integers(0, CELLS, pooled.shape[:2])
        np.put_along_axis(grid, place[:, :, None, None], pooled[:, :, None], 2)
        encoder = bank.sidecar["encoder"] | {"cells": CELLS}
        tiny_world.write_features(folder, split, bank.names, grid, encoder)


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """Returns data[STAGE], the data folders, and run(STAGE, NAME, **settings), which trains and returns the run."""
    folder = tmp_path_factory.mktemp("baselines")
    data, pairs = {}, {}
    for stage in STAGES:
        data[stage] = tiny_world.make(str(folder / f"data_{stage}"))
        pairs[stage] = write_pairs(data[stage])
    make_grid(data["show_attend_tell"])

    def options(stage, name, **changes):
        _, options_class, more = STAGES[stage]
        given = {"data_dir": data[stage], "job_dir": str(folder / name), "captions": f"pairs:{pairs[stage]}"}
        return options_class(**(SHORT | more | given | changes))

    def run(stage, name, **changes):
        found = options(stage, name, **changes)
        STAGES[stage][0].main(found)
        return found.job_dir

    return types.SimpleNamespace(data=data, pairs=pairs, options=options, run=run, folder=folder)
