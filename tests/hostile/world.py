"""The good files, each of a few kilobytes: a data folder, a run, and files in the formats of other programs."""

import json
import os

import h5py
import numpy as np
import tensorflow as tf

from formats import records
from initialization import assign_captions
from preprocessing.sources import datasets
from tests import given_world, tiny_world

NAMES = [f"im_{i}.jpg" for i in range(6)]
SPLITS = ["train", "train", "val", "val", "test", "test"]


def make(folder):
    """Writes all good files below a new folder."""
    os.makedirs(folder)
    world = given_world.make(os.path.join(folder, "world"))
    encoder = given_world.write_encoder(os.path.join(folder, "encoder.npz"))
    data = given_world.with_features(world, "compact", f"compact:{encoder}")
    _write_names(data)
    expected = given_world.with_expectations(data)
    assign_captions.main(assign_captions.Options(data_dir=expected, mixed=10))
    os.rename(data, os.path.join(folder, "data"))
    os.rename(expected, os.path.join(folder, "expected"))
    _write_run(os.path.join(folder, "data"), os.path.join(folder, "runs", "run"))
    _write_tf1(os.path.join(folder, "tf1"))
    _write_arrays(os.path.join(folder, "arrays"))
    for kind in ("karpathy", "coco", "flickr", "pascal", "gcc", "jsonl", "texts", "corpora"):
        os.makedirs(os.path.join(folder, kind))
        globals()[f"_write_{kind}"](os.path.join(folder, kind))


def _write(folder, name, content):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        file.write(content if isinstance(content, str) else json.dumps(content, indent=1))


def _write_lines(folder, name, entries):
    _write(folder, name, "".join(json.dumps(entry) + "\n" for entry in entries))


def _write_names(data):
    _write(data, "names.json", {"dogs": "dog", "puppy": "dog", "kitten": "cat"})
    paths = [os.path.join(data, name) for name in ("word_counts.txt", "concepts.json", "names.json")]
    records.write_sidecar(os.path.join(data, "word_counts.json"), files=paths, count=13, settings={}, made_from={})


def _write_run(data, job_dir):
    given_world.untrained_run(data, job_dir)
    _write(job_dir, "ckpt-8.json", {"step": 8, "pending": {"loss": [3.5, 2.0], "reward/sample": [0.25, 8.0]}})
    steps = range(4, 44, 4)
    _write_lines(job_dir, "metrics.jsonl", ({"step": step, "loss": 1 / step, "eval/unique": 0.5} for step in steps))
    _write_lines(job_dir, "timing.jsonl", ({"step": step, "seconds_per_step": 0.25} for step in steps))
    _write(job_dir, "b34.json", [[str(step), 0.1, None, 0.2, 0.3 + step / 100, 0.4] for step in (2, 4, 8)])
    row = {"row": "full", "corpus": "tiny", "split": "val", "decode": "beam3", "images": 9, "length": 8.5}
    rows = [row | {"seed": seed, "CIDEr": 12.5, "unique": 0.5} for seed in (1, 2, 3)]
    _write(os.path.dirname(job_dir), "table.json", rows)


def _write_tf1(folder):
    os.makedirs(folder)
    rng = np.random.default_rng(0)
    arrays = {"Generator/embedding": rng.normal(size=(14, 8)), "Generator/rnn/basic_lstm_cell/kernel": np.eye(16, 32)}
    arrays = {name: array.astype(np.float32) for name, array in arrays.items()}
    arrays |= {"Generator/embedding/Adam": np.zeros((14, 8), np.float32), "global_step": np.int64(6)}
    tensors, prefix = [tf.constant(array) for array in arrays.values()], os.path.join(folder, "model.ckpt-6")
    names, slices = list(arrays), [""] * len(arrays)
    tf.raw_ops.SaveV2(prefix=prefix, tensor_names=names, shape_and_slices=slices, tensors=tensors)


def _write_arrays(folder):
    os.makedirs(folder)
    rng = np.random.default_rng(0)
    with h5py.File(os.path.join(folder, "object.hdf5"), "w") as file:
        for name in NAMES:
            group = file.create_group(os.path.splitext(name)[0])
            group["detection_boxes"] = np.sort(rng.random((3, 4)), 1).astype(np.float32)
            group["detection_classes"] = np.asarray([1, 2, 3], np.float32)
            group["detection_scores"] = np.asarray([0.9, 0.5, 0.1], np.float32)
    with h5py.File(os.path.join(folder, "vectors.hdf5"), "w") as file:
        for name in NAMES:
            file[name] = rng.normal(size=(1, 7)).astype(np.float32)
    np.save(os.path.join(folder, "vectors.npy"), rng.normal(size=(6, 2, 7)).astype(np.float32))
    _write(folder, "vectors.txt", "".join(f"{name}\n" for name in NAMES))
    _write(folder, "labels.txt", "???\nperson\ndog\ncat\n")


# --------------------------------------------------------------------------------------------------------------
# Data sets and texts of others


def _captions(i):
    return [f"a dog runs on the grass, {i}", f"a small cat sleeps {i} times"]


def _write_karpathy(folder):
    images = [
        {"filename": name, "split": split, "imgid": i, "sentences": [{"raw": text} for text in _captions(i)]}
        for i, (name, split) in enumerate(zip(NAMES, SPLITS, strict=True))
    ]
    _write(folder, "dataset_flickr8k.json", {"dataset": "flickr8k", "images": images})


def _write_coco(folder):
    for split in ("train", "val"):
        mine = [(i, name) for i, name in enumerate(NAMES) if SPLITS[i] == split]
        images = [{"id": i, "file_name": name, "height": 4} for i, name in mine]
        annotations = [{"image_id": i, "caption": text} for i, _ in mine for text in _captions(i)]
        _write(folder, f"captions_{split}2014.json", {"info": {}, "images": images, "annotations": annotations})


def _write_flickr(folder):
    for split, file in (("train", "train.txt"), ("val", "dev.txt"), ("test", "test.txt")):
        _write(folder, file, "".join(f"{n}\n" for n, s in zip(NAMES, SPLITS, strict=True) if s == split))
    lines = [f"{name}#{k}\t{text}\n" for i, name in enumerate(NAMES) for k, text in enumerate(_captions(i))]
    _write(folder, "captions.token.txt", "".join(lines))


def _write_pascal(folder):
    rows = []
    for i, name in enumerate(NAMES):
        sentences = "".join(f"<tr><td>{text}</td></tr>" for text in _captions(i))
        rows.append(f'<tr><td><img src="aeroplane/{name}"></td><td><table>{sentences}</table></td></tr>\n')
    _write(folder, "pascal-sentences.html", f"<html><body><table>\n{''.join(rows)}</table></body></html>\n")


def _write_gcc(folder):
    for split in ("train", "validation"):
        lines = [f"{text}\thttp://example.org/{i}.jpg\n" for i in range(6) for text in _captions(i)]
        _write(folder, f"{split}.tsv", "".join(lines))
    _write(folder, "val.txt", "val/00000/000000000.jpg\nval/00000/000000003.jpg\n")


def _write_jsonl(folder):
    for split in datasets.SPLITS:
        mine = [(i, name) for i, name in enumerate(NAMES) if SPLITS[i] == split]
        _write_lines(folder, f"{split}.jsonl", ({"image": name, "captions": _captions(i)} for i, name in mine))
    objects = [{"name": "Dog", "score": 0.9, "box": [0, 0, 0.5, 1]}, {"name": "Cat"}]
    _write_lines(folder, "objects.jsonl", ({"image": name, "objects": objects} for name in NAMES))


def _write_texts(folder):
    items = ((1, "Person"), (3, "Hot dog"))
    items = [f'item {{\n  id: {i}\n  name: "/m/{i}"\n  display_name: "{name}"\n}}\n' for i, name in items]
    _write(folder, "map.pbtxt", "".join(items))
    _write(folder, "classes.csv", 'LabelName,DisplayName\n/m/1,Tortoise\n/m/2,"Lamp, old"\n/m/3,Dog\n')
    _write(folder, "classes.txt", "???\nperson\ntraffic light\ndog\n")
    _write(folder, "synonyms.txt", "# other names\ndog: puppy hound\nperson: man woman\n")
    _write(folder, "plurals.json", {"dog": "dogs", "person": "people"})
    _write(folder, "words.txt", "dog 12\nperson 7\ngrass\n")


def _write_corpora(folder):
    texts = [text for i in range(6) for text in _captions(i)]
    _write(folder, "lines.txt", "".join(f"{text}\n" for text in texts))
    _write(folder, "lines.jsonl", "".join(json.dumps({"description": text}) + "\n" for text in texts))
    _write(folder, "gcc.tsv", "".join(f"{text}\thttp://example.org\n" for text in texts))
    _write(folder, "flickr.token", "".join(f"{i}.jpg#0\t{text}\n" for i, text in enumerate(texts)))
    _write(folder, "0001.json", {"1": [{"description": text} for text in texts[:6]], "2": [{"id": 3}]})
    _write(folder, "coco.json", {"annotations": [{"image_id": 1, "caption": text} for text in texts]})
    _write(folder, "karpathy.json", {"images": [{"sentences": [{"raw": text} for text in texts]}]})


def network_of(job_dir):
    """Returns new objects for all parts of the run's checkpoint, into which a resume restores."""
    from captioning.captioner import build_network
    from models.standardise import Standardise
    from training.run_directory import read_config

    content = read_config(job_dir)
    generator = build_network(content, len(tiny_world.WORDS) + 1)
    return {"generator": generator, "standardise": Standardise(content["facts"]["image_dim"])}
