"""Example of a data set: a CSV file with the columns image, split, caption, one caption a line.

python -m preprocessing.process_images --image_dir photos --dataset docs/examples/csv_pairs.py:pairs.csv
"""

import csv

from preprocessing.sources.datasets import Dataset

SPLITS = ("train", "val", "test")


def load(path, with_train_captions=False):
    """Reads a data set of images with captions from a CSV file.

    Args:
      path: the CSV file, the text after the colon in `--dataset FILE.py:PATH`.
      with_train_captions: whether to read captions of training images; True only for supervised systems.

    Returns: Dataset with the file names of each split and the captions of each file name. The caller checks that no
      image is in two splits.
    Raises: ValueError if a line is invalid; the message has its number.
    """
    splits, captions = {}, {}
    with open(path, newline="", encoding="utf-8-sig") as file:
        for number, line in enumerate(csv.DictReader(file), 2):
            image, split, caption = (line.get(name) or "" for name in ("image", "split", "caption"))
            if not image or split not in SPLITS:
                raise ValueError(
                    f"{path}: line {number} is {line}; expected image, split (train, val or test), caption"
                )
            names = splits.setdefault(split, {})
            names[image] = None
            if caption and (split != "train" or with_train_captions):
                captions.setdefault(image, []).append(caption)
    return Dataset({split: list(names) for split, names in splits.items()}, captions)
