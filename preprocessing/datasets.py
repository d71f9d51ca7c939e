"""Lists of photographs and their captions: which image belongs to which split, and what people said about it.

    jsonl:DIR      train.jsonl, val.jsonl, test.jsonl with lines {"image": file name, "captions": [text, ...]}
    flickr8k:DIR   train.txt, dev.txt, test.txt (file names, one a line) and captions.token.txt (NAME#k<TAB>caption)

A file of a split may be absent. The captions of training images are not even read into memory unless they are asked
for: only the supervised baselines may see them.
"""

import dataclasses
import json
import os

import config

SPLITS = ("train", "val", "test")


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Photographs by split.

    Attributes:
      splits: dict split -> list of file names, in the order of the list.
      captions: dict file name -> list of texts; images without captions are absent.
    """

    splits: dict
    captions: dict


def load_dataset(spec, with_train_captions=False):
    """The dataset that `spec` names.

    Args:
      spec: KIND:DIR, see the top of this file.
      with_train_captions: also load what people said about the training images.

    Raises:
      config.UserError: no such kind, a file is missing or malformed, or a name stands twice or in two splits.
    """
    kind, _, folder = spec.partition(":")
    if kind not in LOADERS or not folder:
        raise config.UserError(f"--dataset {spec!r}: expected one of {', '.join(f'{name}:DIR' for name in LOADERS)}")
    if not os.path.isdir(folder):
        raise config.UserError(f"--dataset {spec!r}: {folder} is not a folder")
    dataset = LOADERS[kind](folder, with_train_captions)
    if not dataset.splits:
        raise config.UserError(f"--dataset {spec!r}: {folder} holds no list of any split")
    _check_disjoint(dataset.splits, folder)
    return dataset


def _check_disjoint(splits, folder):
    seen = {}
    for split, names in splits.items():
        for name in names:
            if name in seen:
                where = f"twice in {split}" if seen[name] == split else f"in {seen[name]} and in {split}"
                raise config.UserError(f"{folder}: {name} is {where}; every image belongs to one split, once")
            seen[name] = split


def text_lines(path):
    """Yields (line number, line) of the lines of a UTF-8 file that are not empty."""
    try:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line.strip("\r\n")
    except FileNotFoundError as error:
        raise config.UserError(f"{path}: no such file") from error
    except UnicodeDecodeError as error:
        raise config.UserError(f"{path}: not UTF-8 text ({error})") from error


# --------------------------------------------------------------------------------------------------------------
# The kinds


def _jsonl(folder, with_train_captions):
    splits, captions = {}, {}
    for split in SPLITS:
        path = os.path.join(folder, f"{split}.jsonl")
        if not os.path.exists(path):
            continue
        entries = list(jsonl_entries(path))
        splits[split] = [name for name, _ in entries]
        if split != "train" or with_train_captions:
            captions.update((name, texts) for name, texts in entries if texts)
    return Dataset(splits, captions)


def jsonl_entries(path):
    """Yields (file name, list of texts) of the lines of a file {"image": NAME, "captions": [text, ...]}."""
    for number, line in text_lines(path):
        try:
            value = json.loads(line)
            name, texts = value["image"], value.get("captions", [])
            if not isinstance(name, str) or not all(isinstance(text, str) for text in texts):
                raise TypeError
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise config.UserError(
                f'{path}: line {number} is {line[:80]!r}, expected {{"image": file name, "captions": [text, ...]}}'
            ) from error
        yield name, texts


def _flickr8k(folder, with_train_captions):
    splits = {}
    for split, file_name in (("train", "train.txt"), ("val", "dev.txt"), ("test", "test.txt")):
        path = os.path.join(folder, file_name)
        if os.path.exists(path):
            splits[split] = [line.strip() for _, line in text_lines(path)]
    wanted = {name for split, names in splits.items() if split != "train" or with_train_captions for name in names}
    captions, path = {}, os.path.join(folder, "captions.token.txt")
    for number, line in text_lines(path):
        key, tab, text = line.partition("\t")
        name, mark, index = key.rpartition("#")
        if not tab or not mark or not index.isdigit():
            raise config.UserError(f"{path}: line {number} is {line[:80]!r}, expected NAME#k<TAB>caption")
        if name in wanted:
            captions.setdefault(name, []).append(text.strip())
    return Dataset(splits, captions)


LOADERS = {"jsonl": _jsonl, "flickr8k": _flickr8k}
