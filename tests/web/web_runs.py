"""Two short runs that caption photographs, one of them with attention, as serve.py shows them."""

import json
import os
import shutil

import train
from baselines import show_attend_tell
from baselines.supervised import settings
from tests import photo_world, tiny_runs, tiny_world

ATTENTION = {"emb_dim": 6, "mem_dim": 8, "cell_dim": 5, "attention_units": 7, "max_caption_length": 8, "eval_images": 0}


def make(folder):
    """Trains both runs; writes photographs to FOLDER/photos and known objects to FOLDER/objects.jsonl.

    Returns: (run of the full model, run of show_attend_tell).
    """
    data = photo_world.make(os.path.join(folder, "data"))
    runs = [os.path.join(folder, name) for name in ("full", "looking")]
    train.main(tiny_runs.full(data, runs[0], max_steps=8, eval_images=0))

    encoder = os.path.join(folder, "encoder.npz")
    photo_world.write_encoder(encoder)
    grid = photo_world.make(os.path.join(folder, "grid"), spec=f"compact:{encoder}#grid")
    pairs = os.path.join(folder, "pairs.jsonl")
    with open(pairs, "w") as file:
        for i in range(12):
            noun = tiny_world.WORDS[tiny_world.NOUNS[i % 3]]
            file.write(json.dumps({"image": f"train_{i:03d}.jpg", "captions": [f"a {noun} runs on the grass"]}) + "\n")
    options = tiny_runs.SHORT | ATTENTION | {"max_steps": 200, "lr": 0.02, "standardise": True}
    show_attend_tell.main(settings.ShowAttendTell(data_dir=grid, job_dir=runs[1], captions=f"pairs:{pairs}", **options))
    shutil.move(os.path.join(data, "photos"), os.path.join(folder, "photos"))
    shutil.rmtree(data)
    with open(os.path.join(folder, "objects.jsonl"), "w") as file:
        for name in sorted(os.listdir(os.path.join(folder, "photos"))):
            objects = [
                {"name": "Dog", "score": 0.9, "box": [0.25, 0.25, 0.75, 0.75]},
                {"name": "Cat", "score": 0.4, "box": [0.0, 0.0, 0.5, 0.5]},
            ]
            file.write(json.dumps({"image": name, "objects": objects}) + "\n")
    return runs
