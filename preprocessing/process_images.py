"""Makes image records from photographs, their detected objects and lists of splits; writes the references for scoring.

    python -m preprocessing.process_images --image_dir photographs --dataset flickr8k:Flickr8k_text

Reads `detections*.tfrec` and `word_counts.txt`. Writes for each split `image_SPLIT*.tfrec` and `image_SPLIT.json`, and
for val and test `refs_SPLIT.json` (COCO captions format; for scoring only, no caption enters a record).
Training images are in a pseudo-random order that depends only on their names, the others in the order of their list.
Source: docs/stages.md.
"""

import collections
import dataclasses
import functools
import json
import os
import shutil

import cli
import experiments
from formats import images, made_by, photograph_hashes, record_files, records, sidecars, vocabulary, writing
from formats.captions import CHOICE_OF_FEW, FEW
from preprocessing.detection import concept_objects
from preprocessing.sharding import outputs, shards
from preprocessing.sources import datasets


@dataclasses.dataclass(frozen=True)
class Options:
    """Settings of process_images."""

    data_dir: str = cli.field("data/default", "folder that all stages share")
    image_dir: str = cli.field("", "folder of the photographs")
    dataset: str = cli.field("", f"lists of the splits and their captions: {datasets.SPECS}")
    score_threshold: float = cli.field(0.3, "detections below this score are left out (the authors' detector: 0.3)")
    word_threshold: float | None = cli.field(
        None,
        "the same for the words of a classifier (classifier:FILE); the probabilities of labels with the same word are "
        "added (default: --score_threshold)",
    )
    prior_strength: float = cli.field(
        0.0,
        "0 to 1: reduces the scores of concepts that are detected more often than the corpus mentions them; the odds "
        "are multiplied by (share of sentences / share of training images with the concept)^this, if below 1",
    )
    prior_below: float = cli.field(1.0, "with --prior_strength: scores above this value are not reduced")
    prior_threshold: float = cli.field(0.3, "with --prior_strength: minimum score after the reduction")
    thresholds_by_share: bool = cli.field(
        False,
        "a threshold for each concept word, so that it is found in as large a share of the training images as of the "
        "corpus' sentences; scores of the word by several networks are reduced to the highest",
    )
    class_map: str | None = cli.field(
        None, "as --class_map of process_descriptions, whose table holds here too; this table's classes go before"
    )
    exif: bool = cli.field(True, images.EXIF_HELP)
    store_images: bool = cli.field(True, "store the JPEG bytes in the records; not needed with a feature bank")
    max_failures: float = cli.field(0.01, "largest share of unreadable images that is accepted")
    runner: str | None = cli.field(None, shards.RUNNER)
    shards: int = cli.field(
        0, "record files of the training images, 0 = one for every 500; 1 writes image_train.tfrec as the authors did"
    )
    processes: int = cli.field(0, "processes, 0 = all cores; the output is the same for any number")
    verify: bool = cli.field(False, "read every photograph again, even if its size and time are unchanged")
    overwrite: bool = cli.field(False, "make the output again although it is there")


# --------------------------------------------------------------------------------------------------------------
# One shard


@dataclasses.dataclass(frozen=True)
class Task:
    """The images of one shard of one split.

    Attributes:
      path: record file to write.
      split: "train", "val" or "test".
      entries: tuple of (file name, list of the vocabulary ids of its objects, list of their scores).
      image_dir, store_images, exif: values of the flags.
    """

    path: str
    split: str
    entries: tuple
    image_dir: str
    store_images: bool
    exif: bool


def process(task):
    """Writes the records of a Task's images to its file, unless this exists.

    Returns: {"count": number of records, "failures": list of [file name, reason] of the images that cannot be read,
      "objects": number of objects, "without_objects": number of images without any}.
    """
    return shards.write_once(task.path, functools.partial(_write_shard, task))


def _write_shard(task, path):
    """Writes the records of a Task to a file; returns the result of `process`."""
    failures, sizes = [], []

    def examples():
        for name, ids, scores in task.entries:
            try:
                data = images.jpeg_bytes(images.locate(task.image_dir, name), task.exif)
            except images.ImageError as error:
                failures.append((name, error.reason))
                continue
            sizes.append(len(ids))
            yield records.image_example(name, data if task.store_images else b"", ids, scores)

    count = records.write_records(path, examples())
    return {"count": count, "failures": failures, "objects": sum(sizes), "without_objects": sizes.count(0)}


# --------------------------------------------------------------------------------------------------------------
# The stage


def _check(options):
    """Raises cli.UserError for settings that are out of range."""
    if not os.path.isdir(options.image_dir):
        raise cli.UserError(
            f"--image_dir {options.image_dir!r} is not a folder; expected the folder of the photographs"
        )
    shares = "score_threshold", "word_threshold", "prior_strength", "prior_below", "prior_threshold", "max_failures"
    for name in shares:
        if not 0 <= (getattr(options, name) or 0.0) <= 1:
            raise cli.UserError(f"--{name} {getattr(options, name)}: expected a number between 0 and 1")
    if options.thresholds_by_share and options.prior_strength:
        raise cli.UserError("--thresholds_by_share and --prior_strength: expected one of them")
    if min(options.shards, options.processes) < 0:
        raise cli.UserError("--shards and --processes must be at least 0")


def _say_other_exif(options):
    """Prints a note if the detector read the photographs with another --exif setting than the records."""
    json_path = os.path.join(options.data_dir, "detections.json")
    if os.path.exists(json_path) and images.exif_noted(json_path) != options.exif:
        there, here = ("--noexif", "--exif") if options.exif else ("--exif", "--noexif")
        print(f"NOTE: objects were detected with {there}, records are made with {here}; use one flag for both stages")


def _objects(options, names, words, train):
    """Reads the detected objects of images and converts their classes to concept words.

    Args:
      names: file names of the images. words: vocabulary.Vocabulary.
      train: file names of the training images, from which prior and thresholds are computed.

    Returns: (objects, classes, adjusted):
      objects: dict file name -> (list of vocabulary ids, list of scores).
      classes: dict for the sidecar: the word of each class, and the classes whose word is not in the dictionary.
      adjusted: dict for the sidecar: {"prior": dict concept word -> factor of the odds of its detections}, or
        {"word_thresholds": dict concept word -> minimum score}, or {} without these flags.
    Raises: cli.UserError if an existing image has no record of detections.
    """
    paths, wanted = records.find_files(options.data_dir, "detections"), set(names)
    seen, found = set(), collections.Counter()
    for name, items in records.each_detections(paths):
        if name in wanted:
            seen.add(name)
            found.update(item.class_name for item in items)
    json_path = os.path.join(options.data_dir, "detections.json")
    unreadable = set()
    if os.path.exists(json_path):
        unreadable = {entry["name"] for entry in sidecars.read_sidecar(json_path).get("unreadable", [])}
    lost = [name for name in names if name not in seen and name not in unreadable]
    lost = [name for name in lost if os.path.lexists(images.locate(options.image_dir, name))]  # others are absent
    if lost:
        where = {"image_dir": options.image_dir, "dataset": options.dataset}
        raise cli.UserError(
            f"{options.data_dir}: no detections of {len(lost)} of {len(names)} images, the first is {lost[0]}. Make "
            f"them with: {made_by.command(options.data_dir, 'detections', again=True, **where)}"
        )
    ids, absent = concept_objects.class_words(found, words, concept_objects.class_map_of(options))
    classes = {
        "words": {name: words.word(ids[name]) for name in ids},
        "not_in_dictionary": {name: {"word": absent[name], "detections": found[name]} for name in absent},
    }
    objects = {name: ([], []) for name in names}
    for name, items in records.each_detections(
        paths
    ):  # a second time, because all boxes of a large data set take gigabytes
        if name in wanted:
            objects[name] = concept_objects.objects_of(items, ids, options.score_threshold, options.word_threshold)
    if not (options.prior_strength or options.thresholds_by_share):
        return objects, classes, {}
    sentences = records.read_sentences(records.find_files(options.data_dir, "sentence"))
    if options.thresholds_by_share:
        chosen = concept_objects.thresholds_by_share([objects[name] for name in train], sentences)
        objects = {name: concept_objects.above_thresholds(*own, chosen) for name, own in objects.items()}
        return objects, classes, {"word_thresholds": {words.word(i): least for i, least in sorted(chosen.items())}}
    found = [objects[name][0] for name in train]
    factors = concept_objects.prior_factors(found, sentences.key_flat, len(sentences), options.prior_strength)
    limits = options.prior_threshold, options.prior_below
    objects = {name: concept_objects.with_prior(*own, factors, *limits) for name, own in objects.items()}
    return objects, classes, {"prior": {words.word(i): factor for i, factor in sorted(factors.items())}}


def _tasks(options, splits, objects, train_shards, work):
    """Returns the list of Tasks of all splits.

    Args: splits: dict split -> list of file names. objects: dict file name -> (list of vocabulary ids, list of scores).
      train_shards: shards of the training split; the others have one. work: work folder.
    """
    tasks = []
    for split, names in splits.items():
        count = train_shards if split == "train" else 1
        by_shard = collections.defaultdict(list)
        if split == "train":
            names = sorted(names, key=lambda name: (shards.digest_of(name), name))
        for name in names:
            by_shard[shards.shard_of(name, count)].append((name, *objects[name]))
        for i in range(count):
            path = os.path.join(work, f"image_{split}-{i:05d}")
            how = options.image_dir, options.store_images, options.exif
            tasks.append(Task(path, split, tuple(by_shard[i]), *how))
    return tasks


def references(names, captions):
    """Returns the captions of images as a dict in COCO captions format; None if no image has a caption.

    It is {"images": list of {"id", "file_name"}, "annotations": list of {"image_id", "id", "caption"}}, where the id of
    an image is its file name. Empty captions and images without captions are left out.

    Args: names: file names of the images. captions: dict file name -> list of texts.
    """
    pairs = [(name, text) for name in names for text in captions.get(name, ()) if text.strip()]
    if not pairs:
        return None
    return {
        "images": [{"id": name, "file_name": name} for name in dict.fromkeys(name for name, _ in pairs)],
        "annotations": [{"image_id": name, "id": i, "caption": text} for i, (name, text) in enumerate(pairs)],
    }


def _say_what_later_stages_lack(splits, captions):
    """Prints how many images will be scored, and the consequences of a missing split or of missing captions.

    Args: splits: dict split -> file names. captions: dict file name -> list of texts.
    """
    if not splits.get("train"):
        print("NOTE: no training images are listed: nothing can be trained on this folder")
    for split, program in (("val", "eval_val.py"), ("test", "eval_test.py")):
        names = splits.get(split, ())
        scored = sum(any(text.strip() for text in captions.get(name, ())) for name in names)
        if names and 0 < scored < len(names):
            print(f"NOTE: {split}: {scored} of {len(names)} images have captions; {program} scores only these")
        if not scored and split == "val":
            why = "no image of val has a caption" if names else "no val images are listed"
            print(f"NOTE: {why}: no checkpoint will be scored or chosen, caption.py takes the newest one")
        elif not scored and names:
            print(f"NOTE: no image of test has a caption: {program} captions them and scores nothing")
        if 0 < scored < FEW and split == "val":
            print(f"NOTE: {scored} images of val have captions: {CHOICE_OF_FEW}")


def _publish(options, split, names, captions, hashes, tasks, results, sidecar):
    """Moves the record files of one split to the data folder; writes its references and its sidecar.

    Args:
      names: file names of the split's images. captions: dict file name -> list of texts.
      hashes: dict file name -> sha256. tasks, results: the Tasks of the split and their results.
      sidecar: dict of the sidecar's fields that are equal for all splits.
    """
    stem, data_dir = f"image_{split}", options.data_dir
    json_path = os.path.join(data_dir, f"{stem}.json")
    if os.path.exists(json_path):
        os.remove(json_path)
    paths = outputs.publish_records(data_dir, stem, [task.path for task in tasks])
    failed = {name for result in results for name, _ in result["failures"]}
    there = [name for name in names if name not in failed]
    refs = references(there, captions) if split != "train" else None
    refs_path = os.path.join(data_dir, f"refs_{split}.json")
    if refs:
        sidecars.write_json(refs_path, refs)
    elif os.path.exists(refs_path):
        os.remove(refs_path)
    count, objects = (sum(result[name] for result in results) for name in ("count", "objects"))
    without = sum(result["without_objects"] for result in results)
    sidecars.write_sidecar(
        json_path,
        files=paths,
        count=count,
        counts=[result["count"] for result in results],
        references=sidecars.fingerprint(refs_path) if refs else None,
        photographs=photograph_hashes.digest(hashes, there),
        objects=objects,
        without_objects=without,
        unreadable=[{"name": name, "reason": reason} for result in results for name, reason in result["failures"]],
        **sidecar,
    )
    scored = f", {len(refs['annotations'])} references" if refs else ", no references" if split != "train" else ""
    print(f"{json_path}: {count} images, {objects / max(1, count):.2f} objects an image, {without} without any{scored}")


def _complete(options, splits, settings, made_from):
    """Returns whether the output of every split is complete.

    Raises: cli.UserError if an output was made with other settings or from other inputs.
    """
    done = []
    for split in splits:
        json_path = os.path.join(options.data_dir, f"image_{split}.json")
        complete = sidecars.already_made(json_path, settings, made_from, options.overwrite)
        if complete and (entry := sidecars.read_sidecar(json_path)["references"]):
            path = os.path.join(options.data_dir, entry["name"])
            if not os.path.exists(path) or os.path.getsize(path) != entry["bytes"]:
                print(f"{path}: missing or cut short; making it again")
                complete = False
        done.append(complete)
    return all(done)


def _made_from(options, dataset, names, words, hashes):
    """Returns the dict that identifies the inputs, for the sidecar.

    Args: dataset: datasets.Dataset. names: list of its file names. words: vocabulary.Vocabulary.
      hashes: dict file name -> sha256.
    """
    detections = records.find_files(options.data_dir, "detections")
    captions = json.dumps([dataset.splits, dataset.captions], sort_keys=True)
    reads_corpus = options.prior_strength or options.thresholds_by_share
    sentences = records.find_files(options.data_dir, "sentence") if reads_corpus else []
    return {
        **({"sentences": [sidecars.fingerprint(path)["sha256"] for path in sentences]} if sentences else {}),
        "detections": [sidecars.fingerprint(path)["sha256"] for path in detections],
        "vocabulary": words.fingerprint(),
        "dataset": f"{shards.digest_of(captions):016x}",
        "images": {"count": len(names), "photographs": photograph_hashes.digest(hashes, names)},
    }


def main(options):
    """Checks the settings, locks the outputs and makes them; cli.UserError names a wrong setting or input."""
    _check(options)
    with writing.working(options.data_dir, ["image"], ["detections", "sentence", "word_counts"]):
        _make(options)


def _make(options):
    """Makes the image records of all splits unless they are complete; continues unfinished work."""
    how = shards.where(options)
    dataset = datasets.load_dataset(options.dataset)
    splits = {split: names for split, names in dataset.splits.items() if names}
    names = [name for split in splits.values() for name in split]
    words = vocabulary.Vocabulary.load(os.path.join(options.data_dir, "word_counts.txt"))
    count = outputs.shard_count(options.shards, len(splits.get("train", ())))
    settings = {name: getattr(options, name) for name in ("score_threshold", "store_images")}
    if options.word_threshold is not None:
        settings["word_threshold"] = options.word_threshold
    if options.prior_strength:
        settings |= {name: getattr(options, name) for name in ("prior_strength", "prior_below", "prior_threshold")}
    settings |= {"thresholds_by_share": True} if options.thresholds_by_share else {}
    settings |= {"class_map": concept_objects.class_map_of(options), "shards": count} | images.exif_note(options.exif)
    hashes = photograph_hashes.hashes_of(options.image_dir, names, options.data_dir, options.verify)
    made_from = _made_from(options, dataset, names, words, hashes)
    work = os.path.join(options.data_dir, ".process_images")
    plan = {"settings": settings, "made_from": made_from}
    if _complete(options, splits, settings, made_from):
        return shards.discard(work, plan)
    replaced = [
        (
            record_files.files_of(options.data_dir, f"image_{split}"),
            os.path.join(options.data_dir, f"image_{split}.json"),
        )
        for split in splits
    ]
    outputs.begin_or_continue(work, plan, replaced, options.overwrite)

    _say_other_exif(options)
    _say_what_later_stages_lack(splits, dataset.captions)
    objects, classes, adjusted = _objects(options, names, words, splits.get("train", []))
    if absent := classes["not_in_dictionary"]:
        shown = [f"{entry['word']} ({entry['detections']})" for entry in absent.values()][: outputs.SHOWN]
        more = ", …" if len(absent) > len(shown) else ""
        print(f"NOTE: {len(absent)} classes are left out, the dictionary has no such word: {', '.join(shown)}{more}")
    tasks = _tasks(options, splits, objects, count, work)
    results = shards.map_shards(process, tasks, **how, description="writing image records")
    failures = [tuple(failure) for result in results for failure in result["failures"]]
    outputs.report_failures(failures, len(names), options.max_failures, "process_images")
    sidecar = {"settings": settings, "made_from": made_from, "vocabulary": words.fingerprint(), "classes": classes}
    sidecar |= adjusted
    sidecar["image_dir"] = os.path.abspath(options.image_dir)  # for commands that read the photographs again
    for split in splits:
        mine = [i for i, task in enumerate(tasks) if task.split == split]
        chosen = [tasks[i] for i in mine], [results[i] for i in mine]
        _publish(options, split, splits[split], dataset.captions, hashes, *chosen, sidecar)
    shutil.rmtree(work)


if __name__ == "__main__":
    cli.run(main, Options, experiments.Stage("process_images"))
