"""Detects objects in photographs and writes them as records.

    python -m preprocessing.detect_objects --image_dir photographs --detector ssd.tflite --labels coco_labels.txt

Writes `detections-*.tfrec` and `detections.json` (the detectors, their class names, counts, and every image that could
not be read, with the reason). All scores are stored; `process_images` applies the threshold.
Source: docs/stages.md.
"""

import collections
import dataclasses
import functools
import os
import shutil

import cli
import experiments
from formats import images, label_maps, photograph_hashes, record_files, records, sidecars, writing
from preprocessing.detection import detectors
from preprocessing.sharding import outputs, shards
from preprocessing.sources import datasets


@dataclasses.dataclass(frozen=True)
class Options:
    """Settings of detect_objects."""

    data_dir: str = cli.field("data/default", "folder that all stages share")
    image_dir: str = cli.field("", "folder of the photographs")
    dataset: str | None = cli.field(
        None, f"only the images of these lists (default: all in the folder): {datasets.SPECS}"
    )
    detector: str = cli.field(
        "",
        "FILE.tflite, yolo:FILE.tflite, classifier:FILE.tflite, scene:FILE.tflite (float pixels of 0 to 255), "
        "frozen:FILE.pb (TensorFlow 1's zoo), saved_model:FOLDER, hub:HANDLE, "
        "annotations:FILE.jsonl, hdf5:object.hdf5 (the authors'); join several by +",
    )
    labels: str | None = cli.field(
        None,
        "class names of networks without class names: one a line, a label map, JSON, YAML or a table, see "
        "docs/data_formats.md (or #labels=FILE after the file)",
    )
    score_threshold: float = cli.field(0.0, "detections below this score are not stored")
    classifier_threshold: float = cli.field(0.1, "classifier: minimum probability of a class")
    classifier_top: int = cli.field(3, "classifier: largest number of classes of an image")
    tiles: int = cli.field(
        1, "yolo: tiles x tiles photographs in one pass, for photographs that are small beside the network's input"
    )
    exif: bool = cli.field(True, images.EXIF_HELP)
    max_failures: float = cli.field(0.01, "largest share of unreadable images that is accepted")
    runner: str | None = cli.field(None, shards.RUNNER)
    shards: int = cli.field(0, "record files, 0 = one for every 500 images; 1 writes detections.tfrec")
    processes: int = cli.field(0, "processes, 0 = all cores; the output is the same for any number")
    verify: bool = cli.field(False, "read every photograph again, even if its size and time are unchanged")
    overwrite: bool = cli.field(False, "make the output again although it is there")


@dataclasses.dataclass(frozen=True)
class Task:
    """The images of one shard.

    Attributes:
      path: record file to write.
      names: file names of the images.
      parts: tuple of detectors.Part.
      image_dir, classifier_threshold, classifier_top, tiles, score_threshold, exif: values of the flags.
    """

    path: str
    names: tuple
    image_dir: str
    parts: tuple
    classifier_threshold: float
    classifier_top: int
    tiles: int
    score_threshold: float
    exif: bool


def detect(task):
    """Detects the objects in a Task's images and writes its record file, unless this exists; returns a dict.

    Its keys are "count" (number of records), "failures" (list of [file name, reason] of the images that cannot be
    read), "classes" (dict class number -> number of detections), "sure" (dict class name -> number of detections with a
    score of at least SURE) and "names" (dict class number -> class name). Class numbers are str.
    """
    return shards.write_once(task.path, functools.partial(_write_shard, task))


def _write_shard(task, path):
    """Writes the detections of a Task to a record file; returns the result of `detect`."""
    detector = detectors.load(task.parts, task.classifier_threshold, task.classifier_top, task.tiles)
    failures, classes, sure, names, examples = [], collections.Counter(), collections.Counter(), {}, []
    for start in range(0, len(task.names), detector.group):
        read = []
        for name in task.names[start : start + detector.group]:
            try:
                photograph = images.locate(task.image_dir, name)
                read.append((name, images.read_image(photograph, task.exif) if detector.needs_pixels else None))
            except images.ImageError as error:
                failures.append((name, error.reason))
        known = detector.detect_together([name for name, _ in read], [pixels for _, pixels in read])
        for (name, pixels), given in zip(read, known, strict=True):
            try:
                found = detector.detect(name, pixels, given)
            except images.ImageError as error:
                failures.append((name, error.reason))
                continue
            found = [detection for detection in found if detection.score >= task.score_threshold]
            classes.update(str(detection.class_id) for detection in found)
            sure.update(detection.class_name for detection in found if detection.score >= SURE)
            names.update((str(detection.class_id), detection.class_name) for detection in found)
            columns = [[getattr(item, field) for item in found] for field in COLUMNS]
            examples.append(records.detection_example(name, *columns))
    count = records.write_records(path, examples)
    return {"count": count, "failures": failures, "classes": classes, "sure": sure, "names": names}


SURE = 0.3  # minimum score for the list of the most frequent classes that is printed
COMMONEST = 8
COLUMNS = ("class_id", "class_name", "score", "box", "source")


# --------------------------------------------------------------------------------------------------------------
# The stage


def _check(options):
    """Raises cli.UserError for settings that are out of range."""
    if not os.path.isdir(options.image_dir):
        raise cli.UserError(
            f"--image_dir {options.image_dir!r} is not a folder; expected the folder of the photographs"
        )
    for name in ("score_threshold", "classifier_threshold", "max_failures"):
        if not 0 <= getattr(options, name) <= 1:
            raise cli.UserError(f"--{name} {getattr(options, name)}: expected a number between 0 and 1")
    if not 1 <= options.tiles <= 8:
        raise cli.UserError(f"--tiles {options.tiles}: expected 1 to 8")
    if options.classifier_top < 1 or min(options.shards, options.processes) < 0:
        raise cli.UserError("--classifier_top must be at least 1, --shards and --processes at least 0")


def _names(options):
    """Returns the sorted list of the file names of the images to process. Raises: cli.UserError if there are none."""
    if not options.dataset:
        names, note = images.look_into(options.image_dir)
        if note:
            print(note)
    else:
        names = sorted(name for split in datasets.load_dataset(options.dataset).splits.values() for name in split)
    if not names:
        raise cli.UserError(f"{options.dataset or options.image_dir}: no images")
    return names


def _tasks(options, names, parts, count, work):
    """Returns a list of `count` Tasks; a hash of its file name assigns each image to one.

    Args: names: list of file names. parts: tuple of detectors.Part. work: work folder, for the record files.
    """
    by_shard = collections.defaultdict(list)
    for name in names:
        by_shard[shards.shard_of(name, count)].append(name)
    return [
        Task(
            os.path.join(work, f"detections-{i:05d}"),
            tuple(by_shard[i]),
            options.image_dir,
            parts,
            options.classifier_threshold,
            options.classifier_top,
            options.tiles,
            options.score_threshold,
            options.exif,
        )
        for i in range(count)
    ]


def _publish(options, tasks, results, failures, settings, made_from):
    """Moves the record files to the data folder and writes the sidecar; returns the number of detections.

    Args: tasks, results: list of Task and list of their results of `detect`. failures: list of (file name, reason).
      settings, made_from: dicts for the sidecar.
    """
    detector = detectors.load(tasks[0].parts, options.classifier_threshold, options.classifier_top, options.tiles)
    counts = sum((collections.Counter(result["classes"]) for result in results), collections.Counter())
    names = {class_id: name for result in results for class_id, name in result["names"].items()}
    described = detector.describe()
    for note in filter(None, (getattr(member, "note", "") for member in detector.members)):
        print(f"NOTE: {note}")
    ends = [member["first_class_id"] for member in described[1:]] + [float("inf")]
    for member, end in zip(described, ends, strict=True):
        mine = sorted(class_id for class_id in map(int, counts) if member["first_class_id"] <= class_id < end)
        member["detections"] = {names[str(class_id)]: counts[str(class_id)] for class_id in mine}
    json_path = os.path.join(options.data_dir, "detections.json")
    if os.path.exists(json_path):
        os.remove(json_path)
    paths = outputs.publish_records(options.data_dir, "detections", [task.path for task in tasks])
    sidecars.write_sidecar(
        json_path,
        files=paths,
        count=sum(result["count"] for result in results),
        counts=[result["count"] for result in results],
        settings=settings,
        made_from=made_from,
        detectors=described,
        unreadable=[{"name": name, "reason": reason} for name, reason in failures],
    )
    return counts.total()


def main(options):
    """Checks the settings, locks the output and makes it; cli.UserError names a wrong setting or input."""
    _check(options)
    os.makedirs(options.data_dir, exist_ok=True)
    with writing.working(options.data_dir, ["detections"]):
        _make(options)


def _make(options):
    """Detects the objects of all images unless the output is complete; continues unfinished work."""
    how = shards.where(options)
    parts = detectors.parse(options.detector, options.labels)
    names = _names(options)
    kept = ("score_threshold", "classifier_threshold", "classifier_top")
    count = outputs.shard_count(options.shards, len(names))
    settings = {name: getattr(options, name) for name in kept} | {"shards": count} | images.exif_note(options.exif)
    settings |= {"tiles": options.tiles} if options.tiles > 1 else {}  # older outputs have no such setting
    hashes = photograph_hashes.hashes_of(options.image_dir, names, options.data_dir, options.verify)
    made_from = {
        "detectors": [part.identity() for part in parts],
        "images": {"count": len(names), "photographs": photograph_hashes.digest(hashes, names)},
    }
    json_path = os.path.join(options.data_dir, "detections.json")
    work = os.path.join(options.data_dir, ".detect_objects")
    plan = {"settings": settings, "made_from": made_from}
    if sidecars.already_made(json_path, settings, made_from, options.overwrite):
        return shards.discard(work, plan)
    replaced = [(record_files.files_of(options.data_dir, "detections"), json_path)]
    outputs.begin_or_continue(work, plan, replaced, options.overwrite)

    for path in dict.fromkeys(part.labels for part in parts if part.labels):
        print(f"{path}: {label_maps.describe(label_maps.read_labels(path))}")
    tasks = _tasks(options, names, parts, count, work)
    if any(part.kind in detectors.ON_GRAPHICS_CARDS for part in parts):
        how["processes"] = shards.processes_on_devices(options.processes)
    results = shards.map_shards(detect, tasks, **how, description="detecting objects")
    failures = sorted(tuple(failure) for result in results for failure in result["failures"])
    outputs.report_failures(failures, len(names), options.max_failures, "detect_objects")
    detections = _publish(options, tasks, results, failures, settings, made_from)
    shutil.rmtree(work)
    seen = len(names) - len(failures)
    print(f"{json_path}: {detections} detections in {seen} images, {detections / max(1, seen):.2f} an image")
    sure = sum((collections.Counter(result.get("sure")) for result in results), collections.Counter())
    common = sorted(sure.items(), key=lambda item: (-item[1], item[0]))[:COMMONEST]
    common = ", ".join(f"{name} {number}" for name, number in common) or "nothing"
    print(f"most frequent at score {SURE} and above: {common}; do the photographs show these?")


if __name__ == "__main__":
    cli.run(main, Options, experiments.Stage("detect_objects"))
