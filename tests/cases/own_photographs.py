"""What the block "Your own photographs and sentences" of README needs: photographs, sentences, networks, lists."""

import json
import os
import pathlib
import re
import subprocess
import sys

import numpy as np

from tests import given_world, small_networks, tiny_world

ROOT = pathlib.Path(__file__).resolve().parents[2]
PHOTOGRAPHS = {"train": 30, "val": 20, "test": 10}
SENTENCES = 2000
# Shorter training, which README says beside the block; everything else runs as it stands there.
SHORTER = "--max_steps=8 --save_checkpoint_steps=4 --save_summary_steps=4 --batch_size=8"
PYTHON = f"""
python() {{
  case "$*" in
    *initialization.im_caption*) set -- "$@" {SHORTER} --lr_decay_steps=8;;
    train.py*) set -- "$@" {SHORTER} --dis_warmup_steps=4;;
  esac
  "$PROGRAM" "$@"
}}
"""


def block():
    """The commands of README's block, as they stand there."""
    section = (ROOT / "README.md").read_text().split("## Your own photographs and sentences\n")[1].split("\n## ")[0]
    found = re.search(r"(?:^    .*\n)+", section, re.M)[0]
    return "".join(line.removeprefix("    ") + "\n" for line in found.splitlines())


def make(folder, captions_for=lambda split, number: split != "train" and number % 2 == 0):
    """Makes mine/ in a folder, beside links to the program.

    Args: captions_for: function (split, number of the image in it) -> whether people wrote captions for it.
    """
    mine = folder / "mine"
    (mine / "photos").mkdir(parents=True)
    (mine / "lists").mkdir()
    small_networks.colour_detector(mine / "ssd.tflite")
    small_networks.encoder(mine / "features.tflite")
    (mine / "classes.txt").write_text("dog\ncat\nbird\n")
    write_lists(folder, captions_for, draw=True)
    rng = np.random.default_rng(1)
    adjectives, verbs = ("small", "red", "big", "old", "young"), ("runs", "sleeps", "sits", "plays")
    places = ("on the grass", "in the water", "near a tree", "on a table", "in the snow")
    with open(mine / "corpus.txt", "w") as file:
        for _ in range(SENTENCES):
            noun = tiny_world.WORDS[int(rng.choice(tiny_world.NOUNS))]
            some = " ".join(rng.choice(adjectives, int(rng.integers(0, 3)), replace=False))
            file.write(f"A {some} {noun} {rng.choice(verbs)} {rng.choice(places)}.\n".replace("  ", " "))
    link_program(folder)


def write_lists(folder, captions_for, draw=False):
    """Writes the lists, and the photographs."""
    for split, count in PHOTOGRAPHS.items():
        with open(folder / "mine" / "lists" / f"{split}.jsonl", "w") as file:
            for number in range(count):
                noun, name = tiny_world.NOUNS[number % 3], f"{split}_{number:02d}.jpg"
                if draw:
                    given_world.photograph(noun, 100 * count + number).save(folder / "mine" / "photos" / name)
                word = tiny_world.WORDS[noun]
                captions = [f"a {word} runs on the grass", f"there is a {word}"] if captions_for(split, number) else []
                file.write(json.dumps({"image": name, "captions": captions}) + "\n")


def link_program(folder):
    """Links everything of the program but data/ and runs/ into a folder, so that commands of README run there."""
    for path in ROOT.iterdir():
        if path.name not in ("data", "runs") and not path.name.startswith("."):
            (folder / path.name).symlink_to(path)
    (folder / "data").mkdir()
    for path in (ROOT / "data").iterdir():
        if path.is_file():
            (folder / "data" / path.name).symlink_to(path)


def run(folder, text, check=True):
    """Runs a text of commands as bash does, stopping at the first failure. Returns: subprocess.CompletedProcess."""
    environment = os.environ | {"PROGRAM": sys.executable, "TF_CPP_MIN_LOG_LEVEL": "2"}
    command = ["bash", "-e", "-c", PYTHON + text]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert not check or done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done
