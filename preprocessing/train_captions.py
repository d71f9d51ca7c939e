"""Writes the captions of the training photographs, only for the supervised baselines.

    python -m preprocessing.train_captions --dataset flickr8k:DIR --data_dir data/flickr8k_supervised

Writes `train_captions.jsonl`, lines {"image", "captions"} for `--captions pairs:FILE`, and `train_captions.txt`, one
caption a line, from which extract_descriptions and process_descriptions make the dictionary of a supervised run. No
unsupervised stage reads these files.
"""

import dataclasses
import hashlib
import json
import os

import cli
import experiments
from formats import sidecars, writing
from preprocessing.sources import datasets


@dataclasses.dataclass(frozen=True)
class Options:
    """Settings of train_captions."""

    data_dir: str = cli.field("data/supervised", "folder that all stages of a supervised run share")
    dataset: str = cli.field("", "photographs with captions: flickr8k:DIR, jsonl:DIR (see sources/datasets.py)")
    overwrite: bool = cli.field(False, "make the output again although it is there")


def main(options):
    """Reads the captions of the training photographs and writes both files and their sidecar, unless they are complete.

    Raises: cli.UserError if the data set cannot be read, or no training image has a caption.
    """
    dataset = datasets.load_dataset(options.dataset, with_train_captions=True)
    names = [name for name in dataset.splits.get("train", []) if dataset.captions.get(name)]
    if not names:
        raise cli.UserError(f"--dataset {options.dataset}: no training image has a caption")
    pairs = [{"image": name, "captions": dataset.captions[name]} for name in names]
    texts = [" ".join(text.split()) for pair in pairs for text in pair["captions"]]
    content = {
        "train_captions.jsonl": "".join(json.dumps(pair) + "\n" for pair in pairs),
        "train_captions.txt": "".join(text + "\n" for text in texts),
    }
    os.makedirs(options.data_dir, exist_ok=True)
    with writing.working(options.data_dir, ["train_captions"]):
        _write(options, content, len(names), len(texts))


def _write(options, content, images, texts):
    """Writes the files unless they are complete.

    Args: content: dict file name -> text. images, texts: numbers of images and captions.
    """
    target = os.path.join(options.data_dir, "train_captions.json")
    digest = hashlib.sha256(content["train_captions.jsonl"].encode()).hexdigest()
    made_from = {"dataset": {"images": images, "captions": texts, "sha256": digest}}
    if sidecars.already_made(target, {}, made_from, options.overwrite):
        return
    if os.path.exists(target):
        os.remove(target)
    for name, text in content.items():
        sidecars.write_whole(os.path.join(options.data_dir, name), text)
    files = [os.path.join(options.data_dir, name) for name in content]
    sidecars.write_sidecar(target, files=files, count=images, settings={}, made_from=made_from)
    print(f"{options.data_dir}: {texts} captions of {images} training images")


if __name__ == "__main__":
    cli.run(main, Options, experiments.Stage("train_captions"))
