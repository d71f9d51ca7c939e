"""Reads Localized Narratives (Pont-Tuset et al. 2020): spoken descriptions of photographs of other data sets.

The files are coco_val_captions.jsonl, coco_val_localized_narratives.jsonl, open_images_test_captions.jsonl, …, also in
shards -00000-of-00005. Their lines are {"image_id", "caption"}; one image may have several.
"""

import collections
import os
import re

import cli
from formats import paths, readers, texts

FILE = re.compile(
    r"(coco|flickr30k|ade20k|open_images)_(train|val|validation|test)_(?:captions|localized_narratives)"
    r"(?:-\d+-of-\d+)?\.jsonl"
)
EXPECTED = '{"image_id": ID, "caption": text}'


def folder_of(path):
    """Returns the folder in FOLDER or FOLDER#SET."""
    return paths.cut(path, "#", str.isidentifier)[0]


def load(path, with_train_captions):
    """Reads one set; returns the arguments of datasets.Dataset as a dict.

    Its keys are "splits" (split -> list of file names), "captions" (file name -> list of texts) and "files" (split ->
    path).

    Args:
      path: FOLDER, or FOLDER#SET (coco, flickr30k, ade20k, open_images) if it holds files of several sets.
      with_train_captions: whether to read the captions of the training images too.

    Raises: cli.UserError if no file is found, or files of several sets without #SET, or a file of another format.
    """
    folder = folder_of(path)
    wanted, files = path[len(folder) + 1 :], collections.defaultdict(lambda: collections.defaultdict(list))
    for name in sorted(os.listdir(folder)):
        if match := FILE.fullmatch(texts.unpacked_name(name)):
            files[match[1]]["val" if match[2] == "validation" else match[2]].append(os.path.join(folder, name))
    if not files or wanted and wanted not in files:
        raise cli.UserError(f"{folder}: no files of {wanted or 'any set'}; expected names like coco_val_captions.jsonl")
    if not wanted and len(files) > 1:
        raise cli.UserError(
            f"{folder}: files of {' and '.join(sorted(files))}; choose with localized_narratives:{folder}#{min(files)}"
        )
    kind = wanted or next(iter(files))
    splits, captions = {}, collections.defaultdict(list)
    for split, shards in files[kind].items():
        names = {}
        for shard in shards:
            for place, value in readers.json_values(shard, EXPECTED):
                fields = {"image_id": lambda found: isinstance(found, str | int), "caption": readers.is_text}
                readers.check_fields(value, fields, f"{shard}: {place}", f"expected {EXPECTED}")
                name = _file_name(kind, str(value["image_id"]))
                names[name] = None
                if split != "train" or with_train_captions:
                    captions[name].append(value["caption"].strip())
        splits[split] = list(names)
    return {"splits": splits, "captions": dict(captions), "files": {split: files[kind][split][0] for split in splits}}


def _file_name(kind, image_id):
    """Returns the file name of an image. Args: kind: the set, such as "coco", whose file names are those of 2017."""
    return f"{int(image_id):012d}.jpg" if kind == "coco" and image_id.isdecimal() else f"{image_id}.jpg"
