"""Makes random batches and data files for scripts.benchmark; captions have prescribed lengths."""

import os

import numpy as np

from formats import records
from models.generator import END_ID

TYPICAL_LENGTHS = (7, 8, 8, 9, 9, 9, 10, 10, 10, 10, 10, 11, 11, 12, 14, 20)  # words of a caption, mean 10.5
OBJECTS, CONCEPTS = 6, 5  # objects of an image, concept words of a sentence


def lengths_of(case, sizes, rows):
    """Returns the number of words of each row's caption, with the end token: int32 [rows]. Nothing is random.

    Args:
      case: benchmark.Case. If its `lengths` is "all 20", every caption has `sizes.words` words; otherwise the rows take
        the 16 TYPICAL_LENGTHS in turn, each limited to `sizes.words`.
      sizes: benchmark_flops.Sizes. rows: number of captions.
    """
    if case.lengths == "all 20":
        return np.full(rows, sizes.words, np.int32)
    return np.resize(np.minimum(TYPICAL_LENGTHS, sizes.words), rows).astype(np.int32)


def examples(case, sizes, rows, seed=0):
    """Returns a batch of random examples with all fields that any objective reads: dict name -> array.

    "image" float32 [rows, sizes.image_dim]; "classes" int32 and "scores" float32 [rows, OBJECTS]; "key" int32
    [rows, CONCEPTS]; "sentence" int32 [rows, sizes.words + 1], with start and end token, padded with 0. "num",
    "length" and "key_length", [rows], are the numbers of objects, of tokens of "sentence" and of keys.

    Args: case: benchmark.Case, which prescribes the lengths. sizes: benchmark_flops.Sizes. rows: number of examples.
      seed: int.
    """
    random = np.random.default_rng(seed)
    length = lengths_of(case, sizes, rows) + 1
    column = np.arange(sizes.words + 1)[None]
    sentence = random.integers(2, sizes.vocabulary, [rows, sizes.words + 1]).astype(np.int32)
    sentence[:, 0] = 0
    sentence = np.where(column < length[:, None], sentence, 0)
    sentence[np.arange(rows), length - 1] = END_ID
    return {
        "image": random.normal(size=[rows, sizes.image_dim]).astype(np.float32),
        "classes": random.integers(2, sizes.vocabulary, [rows, OBJECTS]).astype(np.int32),
        "scores": random.uniform(0.3, 1, [rows, OBJECTS]).astype(np.float32),
        "num": np.full(rows, OBJECTS, np.int32),
        "sentence": sentence,
        "length": length,
        "key": random.integers(2, sizes.vocabulary, [rows, CONCEPTS]).astype(np.int32),
        "key_length": np.full(rows, CONCEPTS, np.int32),
    }


READS = {  # tensors of a batch by stage
    "full": ("image", "classes", "scores", "num", "sentence", "length"),
    "obj2sen": ("key", "key_length", "sentence", "length"),
    "im_caption": ("image", "sentence", "length"),
    "sentence": ("sentence", "length"),
}


def stacked(case, sizes, names, rows, steps):
    """Returns `steps` batches stacked as the training loop expects them: dict name -> array [steps, rows, ...].

    Args: case: benchmark.Case. sizes: benchmark_flops.Sizes. names: iterable of the keys of `examples` to return.
      rows: number of examples in a batch.
    """
    made = [examples(case, sizes, rows, seed) for seed in range(steps)]
    return {name: np.stack([batch[name] for batch in made]) for name in names}


def sentences_file(folder, sizes, count):
    """Writes sentence records with random words and their sidecar to a data folder.

    Args: folder: the data folder. sizes: benchmark_flops.Sizes. count: number of sentences.
    """
    lengths = np.resize(TYPICAL_LENGTHS, count)
    random = np.random.default_rng(0)
    rows = (random.integers(2, sizes.vocabulary, length - 1).tolist() for length in lengths)
    _write(folder, "sentence", [records.sentence_example(ids[:2], [0, *ids, END_ID]) for ids in rows])


def _write(folder, stem, serialized):
    """Writes FOLDER/STEM.tfrec and its sidecar STEM.json. Args: serialized: list of bytes, one for each record."""
    path = os.path.join(folder, stem)
    records.write_records(f"{path}.tfrec", serialized)
    records.write_sidecar(f"{path}.json", files=[f"{path}.tfrec"], count=len(serialized), settings={}, made_from={})


def images_file(folder, sizes, count, crops):
    """Writes records of training images without pixels and their feature bank, with random content, to a data folder.

    Args: folder: the data folder. sizes: benchmark_flops.Sizes. count: number of images. crops: number of random crops
      of each image in the bank.
    """
    random, names = np.random.default_rng(0), [f"{i:06d}.jpg" for i in range(count)]
    classes = random.integers(2, sizes.vocabulary, [count, OBJECTS]).tolist()
    _write(
        folder,
        "image_train",
        [records.image_example(name, b"", ids, [0.9] * OBJECTS) for name, ids in zip(names, classes, strict=True)],
    )
    path = os.path.join(folder, "features_train")
    np.save(f"{path}.npy", random.normal(size=[count, 1 + crops, sizes.image_dim]).astype(np.float16))
    files = {"files": [f"{path}.npy"], "count": count, "settings": {}, "made_from": {}}
    records.write_sidecar(f"{path}.json", **files, names=names, crops=crops, dim=sizes.image_dim, encoder={})
