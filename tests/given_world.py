"""Makes a data folder from drawn photographs by the stages' own commands, and runs that caption photographs."""

import dataclasses
import json
import os
import shutil

import numpy as np
import tensorflow as tf

from captioning.captioner import build_network
from formats.vocabulary import Vocabulary
from initialization import predict_caption_embeddings
from input_pipeline import FeatureBank, ImageSet
from models import encoders
from models.encoders import compact
from models.standardise import Standardise
from preprocessing import detect_objects, extract_features, process_images
from tests import photo_world, tiny_runs, tiny_world
from training import checkpoints
from training.run_directory import RunDirectory
from training.setup import keep_for_inference

TRAIN, VAL = 12, 9


@dataclasses.dataclass(frozen=True)
class World:
    """Paths. photos: folder of photographs. objects: known objects for `annotations:`. data: data folder."""

    folder: str
    photos: str
    objects: str
    data: str

    @property
    def val_files(self):
        """Returns the paths of the validation photographs."""
        return [os.path.join(self.photos, name) for name in sorted(os.listdir(self.photos)) if name.startswith("val")]


def make(folder):
    """Draws photographs and runs detect_objects and process_images; returns a World. Args: folder: an empty folder."""
    world = World(*(os.path.join(str(folder), name) for name in ("", "photos", "objects.jsonl", "data")))
    os.makedirs(world.photos)
    tiny_world.make(world.data, images=TRAIN)
    lists = os.path.join(str(folder), "lists")
    os.makedirs(lists)
    with open(world.objects, "w") as objects:
        for split, count in (("train", TRAIN), ("val", VAL)):
            with open(os.path.join(lists, f"{split}.jsonl"), "w") as file:
                for i in range(count):
                    noun, name = tiny_world.NOUNS[i % 3], f"{split}_{i:03d}.jpg"
                    photograph(noun, 100 * count + i).save(os.path.join(world.photos, name))
                    word = tiny_world.WORDS[noun]
                    found = [{"name": word.capitalize(), "score": 0.9}] if i % 7 else []
                    objects.write(json.dumps({"image": name, "objects": found}) + "\n")
                    captions = [f"a {word} runs on the grass", f"a small {word} sleeps on the grass"]
                    file.write(json.dumps({"image": name, "captions": captions}) + "\n")
    shared = {"data_dir": world.data, "image_dir": world.photos, "processes": 1, "overwrite": True}
    detect_objects.main(detect_objects.Options(detector=f"annotations:{world.objects}", **shared))
    process_images.main(process_images.Options(dataset=f"jsonl:{lists}", **shared))
    for split in ("train", "val"):
        for ending in ("npy", "json"):
            os.remove(os.path.join(world.data, f"features_{split}.{ending}"))
    return world


def photograph(noun, seed):
    """Returns a picture of the tiny world, half of it covered by another colour, so that all pictures differ."""
    rng = np.random.default_rng(seed)
    picture = photo_world.picture(noun, seed)
    picture.paste(tuple(map(int, rng.integers(0, 256, 3))), (0, 0, int(rng.integers(10, 60)), 48))
    return picture


def with_features(world, name, spec, crops=1):
    """Makes a separate data folder with the feature bank of an encoder by extract_features; returns its path."""
    data = os.path.join(world.folder, f"data_{name}")
    shutil.copytree(world.data, data)
    extract_features.main(extract_features.Options(data_dir=data, encoder=spec, crops=crops, processes=1))
    return data


def with_expectations(data):
    """Makes a data folder with predict_caption_embeddings from another one; returns its path."""
    options = predict_caption_embeddings.Options(data_dir=data, output_dir=f"{data}_neighbours", dim=4, ridge=0.1)
    predict_caption_embeddings.main(options)
    return options.output_dir


def write_encoder(path):
    """Writes a compact network with a constant output 0.1, which float16 cannot represent exactly."""
    photo_world.write_encoder(path)
    with np.load(path) as found:
        arrays = dict(found)
    last = len(compact.LAYERS) - 1
    arrays[f"kernel_{last}"][..., 0], arrays[f"bias_{last}"][0] = 0.0, 0.1
    np.savez(path, **arrays)
    return path


def untrained_run(data, job_dir):
    """Makes a run of the full model with random weights, large enough that every image gets its own caption.

    It is written by the functions that trainers use, without training.
    """
    options = tiny_runs.full(data, job_dir, max_caption_length=8, emb_dim=16, mem_dim=16, feature_scale=4.0)
    vocabulary = Vocabulary.load(os.path.join(data, "word_counts.txt"))
    bank = FeatureBank(data, "train")
    identity = encoders.identity(bank.sidecar["encoder"])
    facts = {"vocabulary": vocabulary.fingerprint(), "image_dim": bank.dim, "encoder": identity, "names": None}
    run = RunDirectory(options, facts)
    image_set = ImageSet.from_bank(data, "train")
    keep_for_inference(run, vocabulary, _Images(image_set, bank.sidecar["encoder"]))
    generator = build_network(run.content, vocabulary.size)
    for i, variable in enumerate(generator.trainable_variables):
        variable.assign(tf.random.stateless_normal(variable.shape, [i, 7], stddev=1.0))
    end = tf.one_hot(1, vocabulary.size)[:, None]
    generator.embedding.assign(generator.embedding * (1.0 - 0.9 * end))  # else captions end before they differ
    standardise = Standardise(bank.dim)
    standardise.assign(*bank.statistics)
    checkpoints.save(job_dir, 8, {"generator": generator, "standardise": standardise}, {"step": 8})
    run.close()
    return job_dir


@dataclasses.dataclass(frozen=True)
class _Images:
    """The attributes of setup.TrainingImages that keep_for_inference reads."""

    image_set: ImageSet
    description: dict
    encoder: object = None


def stage_run(module, options_class, data, job_dir, **changes):
    """Trains a short run of a stage; returns its directory."""
    options = tiny_runs.SHORT | {"data_dir": data, "job_dir": job_dir, "max_steps": 48, "save_checkpoint_steps": 48}
    known = {item.name for item in dataclasses.fields(options_class)}
    options |= {"max_caption_length": 8, "eval_images": 0, "standardise": True}
    module.main(options_class(**{k: v for k, v in options.items() if k in known} | changes))
    return job_dir


def write_pairs(world):
    """Writes true captions of the training photographs, for the stages that learn from pairs; returns the path."""
    path = os.path.join(world.folder, "pairs.jsonl")
    with open(path, "w") as file:
        for i in range(TRAIN):
            noun = tiny_world.WORDS[tiny_world.NOUNS[i % 3]]
            file.write(json.dumps({"image": f"train_{i:03d}.jpg", "captions": [f"a {noun} runs on the grass"]}) + "\n")
    return f"pairs:{path}"
