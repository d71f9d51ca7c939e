"""Makes the miniature world: drawn photographs, sentences, the output of a noisy detector, and an image encoder.

The demo, the smoke runs and the tests train on it. It has the structure of the real task:

    raw/images/*.jpg                    pictures of one to three objects in eight kinds of places
    raw/{train,val,test}.jsonl          {"image", "captions"}; five references for val and test, none for train
    raw/train_pairs.jsonl               five true captions for each train image, only for the supervised upper bound
    raw/descriptions/*.jsonl            the corpus: sentences about other scenes, and about other subjects
    raw/detections.jsonl                output of a noisy detector (preprocessing/miniature/noisy_detector.py)
    raw/objects.jsonl                   the true objects of each picture with boxes, to score attention and detections
    raw/classes.txt                     the detector's classes
    raw/miniature.json                  settings, counts and the measured values of all properties below
    encoder/compact.npz                 a small encoder trained on pictures of single objects, as Inception on ImageNet

The properties of the world (preprocessing.miniature.promises) are measured and checked before the sidecar is written.
All files depend only on --seed and the sizes, not on --processes. After an interruption the same command continues.
"""

import collections
import dataclasses
import hashlib
import json
import os
import shutil
import tempfile
import time

import numpy as np

import cli
import experiments
from formats import sidecars, writing
from preprocessing.miniature import grammar, noisy_detector, promises, rendering, scenes
from preprocessing.miniature.things import NAMES
from preprocessing.sharding import shards


@dataclasses.dataclass(frozen=True)
class Options:
    """Settings of make_miniature."""

    data_dir: str = cli.field("data/miniature", "folder of the world")
    seed: int = cli.field(1, "seed of the world, which depends on nothing but the seed and the sizes")
    train_images: int = cli.field(2400, "pictures without captions")
    val_images: int = cli.field(500, "pictures with references for validation")
    test_images: int = cli.field(500, "pictures with references for the test")
    sentences: int = cli.field(20000, "sentences of the corpus")
    references: int = cli.field(5, "true captions of a picture")
    image_size: int = cli.field(128, "side of the pictures in pixels")
    encoder_images: int = cli.field(9000, "pictures of single things that the encoder is trained on; 0: no encoder")
    encoder_epochs: int = cli.field(5, "passes over these pictures")
    references_only: bool = cli.field(
        False, "write only DATA_DIR/refs_val.json and refs_test.json, to score archived captions; half a minute"
    )
    overwrite: bool = cli.field(False, "make the world again although it is there")
    processes: int = cli.field(0, "processes; 0: one for every core")


REFERENCE_AGENCY, CORPUS_AGENCY = 0.08, 0.35  # shares of descriptions in the style of picture agencies
ISOLATED, IDLE, SHORT = 0.08, 0.20, 0.03  # shares of the corpus: on white background, other subjects, below 8 words
IMAGES_PER_TASK, SENTENCES_PER_TASK, SINGLES_PER_TASK = 100, 1000, 250
HELD_OUT = 6  # training pictures of single things for each held-out picture
SIZES = ("train_images", "val_images", "test_images", "sentences")


def _generator(seed, *purpose):
    """Returns a numpy Generator whose numbers depend only on the seed and the purpose, given by strings and numbers."""
    return np.random.default_rng([seed, shards.digest_of(" ".join(str(part) for part in purpose))])


def _lines(path):
    with open(path) as file:
        return [json.loads(line) for line in file]


def _dump(path, rows):
    """Writes a list of JSON values to a file, one a line; returns {"count": their number}."""
    with open(path, "w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return {"count": len(rows)}


# --------------------------------------------------------------------------------------------------------------
# Photographs


def draw_pictures(task):
    """Draws the pictures of a task and writes JPEG files, and one file of JSON lines with a row for each picture.

    A row has the keys "image", "captions" (list), "objects" and "noise" (both results of noisy_detector.detect),
    "truth" (dict of the scene), "classes" (sorted list of str) and "sha256" (of the JPEG file).

    Args: task: one dict of `picture_tasks`; does nothing if its "path" exists. Returns: {"count": number of pictures}.
    """
    options = Options(**task["options"])

    def write(part):
        rows = []
        for index in range(task["start"], task["stop"]):
            rng = _generator(options.seed, "picture", task["split"], index)
            scene = scenes.make_scene(rng, options.seed, "pictures")
            name = f"{task['split']}_{index:05d}.jpg"
            data = rendering.jpeg(rendering.render(rng, scene, options.image_size))
            sidecars.write_whole(os.path.join(task["image_dir"], name), data)
            objects, counts = noisy_detector.detect(rng, scene)
            captions = grammar.references(rng, scene, options.references, REFERENCE_AGENCY)
            row = {"image": name, "captions": captions, "objects": objects, "noise": counts, "truth": _truth(scene)}
            rows.append(row | {"classes": sorted(scene.combination), "sha256": hashlib.sha256(data).hexdigest()})
        return _dump(part, rows)

    return shards.write_once(task["path"], write)


def _truth(scene):
    """Returns a Scene as a dict for JSON: "place", "sky", "objects" (list of {"name", "colour", "size", "box"})."""
    objects = [
        {"name": item.name, "colour": item.colour, "size": item.size, "box": [round(edge, 4) for edge in item.box]}
        for item in scene.items
    ]
    return {"place": scene.place, "sky": scene.sky, "objects": objects}


def references(options, split):
    """Returns the reference captions of a split, "val" or "test": dict image name -> list of str.

    Args: options: Options. The pictures are drawn in a temporary folder.
    """
    with tempfile.TemporaryDirectory() as raw:
        work = os.path.join(raw, "work")
        os.makedirs(os.path.join(raw, "images"))
        tasks = [task for task in picture_tasks(options, raw, work) if task["split"] == split]
        shards.begin(work, {})
        shards.map_shards(draw_pictures, tasks, processes=options.processes, description=f"drawing {split} pictures")
        return {row["image"]: row["captions"] for task in tasks for row in _lines(task["path"])}


def write_references(options):
    """Writes DATA_DIR/refs_val.json and refs_test.json in the format of process_images, without writing pictures."""
    from preprocessing import process_images

    os.makedirs(options.data_dir, exist_ok=True)
    for split in ("val", "test"):
        captions = references(options, split)
        path = os.path.join(options.data_dir, f"refs_{split}.json")
        sidecars.write_json(path, process_images.references(sorted(captions), captions))
        print(f"{path}: {len(captions)} images, {sum(map(len, captions.values()))} references")


def picture_tasks(options, raw, work):
    """Returns the tasks of `draw_pictures`, a list of dicts.

    Each has the keys "path" (file of JSON lines), "image_dir" (folder of the JPEG files), "split", "options" (fields of
    Options as a dict), and "start" and "stop" (range of picture numbers).

    Args: options: Options. raw: folder of the finished world. work: folder of unfinished work.
    """
    sizes = {"train": options.train_images, "val": options.val_images, "test": options.test_images}
    return [
        {
            "path": os.path.join(work, f"{split}-{start:06d}.jsonl"),
            "image_dir": os.path.join(raw, "images"),
            "split": split,
            "start": start,
            "stop": min(start + IMAGES_PER_TASK, size),
            "options": dataclasses.asdict(options),
        }
        for split, size in sizes.items()
        for start in range(0, size, IMAGES_PER_TASK)
    ]


# --------------------------------------------------------------------------------------------------------------
# Sentences


def _sentence(rng, seed):
    """Returns a random (category, sentence) of the corpus. Args: rng: numpy Generator. seed: of the world."""
    kind = scenes.pick(rng, {"isolated": ISOLATED, "idle": IDLE, "scene": 1 - ISOLATED - IDLE})
    if kind == "idle":
        return "abstract", grammar.finished(rng, grammar.idle(rng))
    scene = scenes.make_scene(rng, seed, "text")
    category = scene.items[-1].name
    if kind == "isolated":
        return category, grammar.finished(rng, grammar.isolated(rng, scene))
    return category, grammar.describe(rng, scene, CORPUS_AGENCY)


def write_sentences(task):
    """Writes the sentences of a task, one dict of `sentence_tasks`, to a file of JSON lines; returns {"count": int}."""
    options = Options(**task["options"])

    def write(part):
        rows = []
        for index in range(task["start"], task["stop"]):
            rng = _generator(options.seed, "sentence", index)
            shortest = 4 if rng.random() < SHORT else grammar.MIN_WORDS
            while True:
                category, text = _sentence(rng, options.seed)
                long_enough = len(grammar.words_of(text)) >= shortest
                if long_enough and grammar.side_of(text) == "text":
                    break
            rows.append({"category": category, "page": 1 + index // 100, "description": text})
        return _dump(part, rows)

    return shards.write_once(task["path"], write)


def sentence_tasks(options, work):
    """Returns the tasks of `write_sentences`: list of dicts "path", "start", "stop" (sentence numbers), "options"."""
    return [
        {
            "path": os.path.join(work, f"{number:04d}.jsonl"),
            "start": start,
            "stop": min(start + SENTENCES_PER_TASK, options.sentences),
            "options": dataclasses.asdict(options),
        }
        for number, start in enumerate(range(0, options.sentences, SENTENCES_PER_TASK))
    ]


# --------------------------------------------------------------------------------------------------------------
# The encoder


def draw_singles(task):
    """Returns pictures of one object, uint8 [stop - start, side, side, 3], for a task (seed, start, stop, side)."""
    seed, start, stop, side = task
    pictures = []
    for index in range(start, stop):
        rng = _generator(seed, "single", index)
        scene = scenes.make_single(rng, NAMES[index % len(NAMES)])
        pictures.append(rendering.render(rng, scene, side, oversample=2))
    return np.stack(pictures)


def make_encoder(options, folder):
    """Trains the encoder and writes it to compact.npz in a folder, with its sidecar compact.json, unless they exist."""
    sidecar = os.path.join(folder, "compact.json")
    settings = {name: getattr(options, name) for name in ("seed", "encoder_images", "encoder_epochs")}
    if sidecars.already_made(sidecar, settings, overwrite=options.overwrite):
        return
    from models.encoders import compact
    from preprocessing import train_compact

    total = options.encoder_images + max(1, options.encoder_images // HELD_OUT)
    starts = range(0, total, SINGLES_PER_TASK)
    tasks = [(options.seed, start, min(start + SINGLES_PER_TASK, total), compact.IMAGE_SIZE) for start in starts]
    pictures = np.concatenate(
        shards.map_shards(draw_singles, tasks, processes=options.processes, description="single things")
    )
    labels = np.arange(total) % len(NAMES)
    cut, began = options.encoder_images, time.monotonic()
    kernels, biases, head = train_compact.train(
        pictures[:cut], labels[:cut], len(NAMES), epochs=options.encoder_epochs, seed=options.seed
    )
    seconds = time.monotonic() - began
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "compact.npz")
    with writing.replacing(path) as part:
        compact.save(part, kernels, biases, classes=list(NAMES), **train_compact.INPUT)
    correct = train_compact.accuracy(compact.load(path), head, pictures[cut:], labels[cut:])
    print(f"encoder: trained in {seconds:.0f} s, {100 * correct:.1f} % of {total - cut} held-out single things correct")
    sidecars.write_sidecar(
        sidecar, files=[path], count=options.encoder_images, settings=settings, made_from={}, accuracy=round(correct, 4)
    )


# --------------------------------------------------------------------------------------------------------------
# The stage


def _merge(raw, work, options):
    """Joins the files of the tasks in the folder `work` to the files of the folder `raw`.

    Returns: (dict split -> rows of `draw_pictures`, list of the corpus sentences, list of the files for the sidecar).
    """
    pictures, tasks = collections.defaultdict(list), picture_tasks(options, raw, work)
    for task in tasks:
        pictures[task["split"]] += _lines(task["path"])
    tables = {f"{split}.jsonl": [] for split in ("train", "val", "test")} | {"train_pairs.jsonl": []}
    tables |= {"detections.jsonl": [], "objects.jsonl": []}
    for split, rows in pictures.items():
        for row in rows:
            shown = row["captions"] if split != "train" else []
            tables[f"{split}.jsonl"].append({"image": row["image"], "captions": shown})
            tables["detections.jsonl"].append({"image": row["image"], "objects": row["objects"]})
            tables["objects.jsonl"].append({"image": row["image"], **row["truth"]})
            if split == "train":
                tables["train_pairs.jsonl"].append({"image": row["image"], "captions": row["captions"]})
    for name, rows in tables.items():
        sidecars.write_whole(os.path.join(raw, name), "".join(json.dumps(row) + "\n" for row in rows))
    sidecars.write_whole(os.path.join(raw, "classes.txt"), "".join(f"{name.capitalize()}\n" for name in NAMES))
    folder = os.path.join(raw, "descriptions")
    os.makedirs(folder, exist_ok=True)
    descriptions = []
    for task in sentence_tasks(options, work):
        rows = _lines(task["path"])
        descriptions += [row["description"] for row in rows]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        sidecars.write_whole(os.path.join(folder, os.path.basename(task["path"])), text)
    return pictures, descriptions, [os.path.join(raw, name) for name in [*tables, "classes.txt"]]


def _timed(phase, began):
    """Prints the seconds since `began`, a value of time.monotonic(). Args: phase: name of what was done."""
    print(f"{phase}: {time.monotonic() - began:.0f} s", flush=True)


def make_raw(options, raw):
    """Makes all files of raw/, the sidecar raw/miniature.json last, unless they are complete. Args: raw: the folder."""
    sidecar, work = os.path.join(raw, "miniature.json"), os.path.join(raw, ".work")
    left_out = ("data_dir", "references_only", "overwrite", "processes", "encoder_images", "encoder_epochs")
    settings = {name: value for name, value in dataclasses.asdict(options).items() if name not in left_out}
    if sidecars.already_made(sidecar, settings, overwrite=options.overwrite) and _images_there(raw, sidecar):
        return
    _begin_or_continue(raw, work, sidecar, settings, options.overwrite)
    began = time.monotonic()
    tasks = picture_tasks(options, raw, work)
    shards.map_shards(draw_pictures, tasks, processes=options.processes, description="drawing pictures")
    _timed("pictures", began)
    began = time.monotonic()
    tasks = sentence_tasks(options, work)
    shards.map_shards(write_sentences, tasks, processes=options.processes, description="writing sentences")
    _timed("sentences", began)
    began = time.monotonic()
    pictures, descriptions, files = _merge(raw, work, options)
    figures = promises.measure(pictures, descriptions)
    full_size = all(getattr(options, name) >= getattr(Options(), name) for name in SIZES)
    promises.check(figures, options.seed, full_size)
    digests = "".join(row["sha256"] for rows in pictures.values() for row in rows)
    sidecars.write_sidecar(
        sidecar,
        files=files,
        count=sum(figures["images"].values()),
        settings=settings,
        made_from={},
        images_sha256=hashlib.sha256(digests.encode()).hexdigest(),
        noise_model=noisy_detector.noise_model(),
        figures=figures,
    )
    shutil.rmtree(work)
    _timed("joined and checked", began)


def _begin_or_continue(raw, work, sidecar, settings, overwrite):
    """Keeps unfinished work of the same dict `settings` in `work`; or empties `work`, raw/images and raw/descriptions.

    Args: sidecar: path of raw/miniature.json, which is removed. overwrite: whether pictures without it may be replaced.
    """
    images = os.path.join(raw, "images")
    if shards.is_unfinished(work, settings):
        print(f"{work}: continuing the unfinished work of the same settings")
    else:
        sidecars.refuse_unknown([images], sidecar, overwrite)
        for folder in (images, os.path.join(raw, "descriptions")):
            shutil.rmtree(folder, ignore_errors=True)
        shards.begin(work, settings)
    if os.path.exists(sidecar):
        os.remove(sidecar)  # its presence means that the output is complete
    os.makedirs(images, exist_ok=True)


def _images_there(raw, sidecar):
    """Returns whether the folder raw/images has as many pictures as the sidecar, a path, states; prints if not."""
    there, wanted = len(os.listdir(os.path.join(raw, "images"))), sidecars.read_sidecar(sidecar)["count"]
    if there != wanted:
        print(f"{raw}/images: {there} pictures, expected {wanted}; making them again")
    return there == wanted


def check_options(options):
    """Raises cli.UserError for a size, number of processes or seed that is too small."""
    smallest = {"train_images": 1, "val_images": 1, "test_images": 1, "sentences": 1, "references": 1}
    smallest |= {"image_size": 32, "encoder_images": 0, "encoder_epochs": 1, "processes": 0, "seed": 0}
    for name, least in smallest.items():
        if getattr(options, name) < least:
            raise cli.UserError(f"--{name} {getattr(options, name)}: expected at least {least}")


def main(options):
    """Makes the world unless it is complete; cli.UserError names too small a setting or a property that fails."""
    check_options(options)
    if options.references_only:
        write_references(options)
        return
    began = time.monotonic()
    raw = os.path.join(options.data_dir, "raw")
    os.makedirs(raw, exist_ok=True)
    encoder = os.path.join(options.data_dir, "encoder")
    with writing.working(raw, ["miniature"]):
        for folder in (os.path.join(raw, "images"), os.path.join(raw, "descriptions"), encoder):
            writing.remove_abandoned(folder)
        make_raw(options, raw)
        if options.encoder_images:
            make_encoder(options, encoder)
    _timed("all", began)


if __name__ == "__main__":
    cli.run(main, Options, experiments.Stage("make_miniature"))
