"""Computes the feature bank: vectors of a frozen encoder for the centre crop and k random crops of each photograph.

    python -m preprocessing.extract_features --encoder inception_v4:inception_v4.ckpt --crops 9

Reads the JPEG bytes in `image_SPLIT*.tfrec`, or files of `--image_dir` if the records have none. Writes for each
split `features_SPLIT.npy`, float16 [N, 1 + k, D] (or [N, 1 + k, cells, D]) in the order of the records, index 0 the
centre crop; and `features_SPLIT.json` with the names in order, the encoder, mean and std.
Source: docs/stages.md.
"""

import dataclasses
import functools
import math
import os
import shutil

import numpy as np

import cli
import experiments
from formats import (
    encoder_names,
    feature_banks,
    images,
    made_by,
    photograph_hashes,
    record_files,
    records,
    sidecars,
    writing,
)
from preprocessing.sharding import outputs, shards

CROPS_PER_PART = 128  # crops of one task; a constant, so that batches do not depend on the number of processes
LARGEST = float(np.finfo(np.float16).max)


@dataclasses.dataclass(frozen=True)
class Options:
    """Settings of extract_features."""

    data_dir: str = cli.field("data/default", "folder that all stages share")
    encoder: str = cli.field("", encoder_names.USAGE)
    crops: int = cli.field(0, "random crops of each image, in addition to the centre crop")
    splits: tuple[str, ...] = cli.field(("train", "val", "test"), "splits to process; missing ones are left out")
    resize: str = cli.choice(
        "own",
        ("own", "legacy", "modern"),
        "legacy: bilinear of TensorFlow 1; modern: with antialiasing; own: legacy for inception_v4, else modern",
    )
    image_dir: str | None = cli.field(None, "folder of the photographs, for records without image bytes")
    batch_size: int = cli.field(32, "crops in one pass of the encoder")
    runner: str | None = cli.field(None, shards.RUNNER)
    exif: bool | None = cli.field(
        None,
        "turn photographs by their EXIF orientation, or not; must be as in the records (process_images --exif or "
        "--noexif), which is the default",
    )
    processes: int = cli.field(0, "processes of one thread each, 0 = all cores; the output is the same for any number")
    verify: bool = cli.field(False, "read every photograph again, even if its size and time are unchanged")
    overwrite: bool = cli.field(False, "make the output again although it is there")


# --------------------------------------------------------------------------------------------------------------
# One part


@dataclasses.dataclass(frozen=True)
class Task:
    """Some consecutive images of one split, whose features one task computes.

    Attributes:
      path: .npy file to write.
      names: file names of the images.
      sources: for each image a path, or (path of a record file, byte offset, length).
      encoder, crops, batch_size: values of the flags.
      resize: "legacy", "modern" or None (the encoder's default).
      exif: whether to turn photographs by their EXIF orientation.
    """

    path: str
    names: tuple
    sources: tuple
    encoder: str
    resize: str | None
    exif: bool
    crops: int
    batch_size: int


@functools.cache
def cached_encoder(spec, resize, exif):
    """Returns an encoder (models.encoders.base.Encoder), loaded once in each process and shared by later calls.

    From then on TensorFlow computes with one thread in this process.

    Args:
      spec: name of the encoder, a value of --encoder.
      resize: "legacy", "modern" or None (the encoder's default).
      exif: whether the photographs are turned by their EXIF orientation.

    Raises: cli.UserError if it cannot be loaded, or was made for photographs with another use of the EXIF orientation.
    """
    shards.compute_with_one_thread()
    from models import encoders

    try:
        encoder = encoders.load_encoder(spec, resize, exif)
    except ValueError as error:
        raise cli.UserError(f"--encoder: {error}") from error
    if encoder.exif != exif:
        did, do = ("turned", "left as they are stored")[:: 1 if encoder.exif else -1]
        raise cli.UserError(
            f"--encoder {spec}: it was made from photographs that were {did} by their EXIF orientation, those of the "
            f"records are {do}. Make one of them again, process_images with {'--exif' if encoder.exif else '--noexif'}"
        )
    return encoder


def extract(task):
    """Computes the features of a Task and writes its file, unless this exists; returns {"count": number of images}."""
    return shards.write_once(task.path, functools.partial(_write_part, task))


def _write_part(task, path):
    """Computes the features of a Task and writes them to a .npy file; returns {"count": number of images}."""
    encoder = cached_encoder(task.encoder, task.resize, task.exif)
    shape = (1 + task.crops, *_feature_shape(encoder))
    bank = np.empty((len(task.names), *shape), np.float16)
    step = max(1, task.batch_size // (1 + task.crops))
    for start in range(0, len(task.names), step):
        names = task.names[start : start + step]
        crops = [
            encoder.crops(_pixels(name, source, task.exif), task.crops, shards.digest_of(name))
            for name, source in zip(names, task.sources[start : start + step], strict=True)
        ]
        features = encoder.encode(np.concatenate(crops)).reshape(len(names), *shape)
        check_finite(features, names)
        bank[start : start + step] = features
    with writing.array_file(path, bank.dtype, bank.shape) as file:
        file.append(bank)
    return {"count": len(bank)}


def _feature_shape(encoder):
    """Returns the shape of an encoder's features for one crop: (D,) or (cells, D)."""
    return (encoder.dim,) if encoder.cells is None else (encoder.cells, encoder.dim)


def _pixels(name, source, exif):
    """Returns the pixels of an image, uint8 [H, W, 3].

    Args: name: its file name, for messages. source: its path, or (path of a record file, byte offset, length).
      exif: whether to turn it by its EXIF orientation.
    Raises: cli.UserError if it cannot be read.
    """
    try:
        return images.read_image(source if isinstance(source, str) else records.read_at(source), exif)
    except images.ImageError as error:
        mend = "Repair it, or remove it from the lists"
        if not isinstance(source, str):
            folder, file = os.path.split(source[0])
            stem = file.partition("-")[0].removesuffix(".tfrec")
            mend = f"This leaves such images out: {made_by.command(folder or '.', stem, again=True)}"
        raise cli.UserError(f"{name}: {error.reason}. {mend}") from error


def check_finite(features, names):
    """Raises cli.UserError naming the first image whose features are not finite or too large for float16.

    Args:
      features: float32 [n, ...], one row for each image.
      names: list of n file names.
    """
    rows = np.abs(features.reshape(len(names), -1)).max(axis=1)
    for name, largest in zip(names, rows, strict=True):
        if not largest <= LARGEST:  # also true for NaN
            kind = "too large for float16" if np.isfinite(largest) else "not finite"
            raise cli.UserError(
                f"{name}: a feature is {kind} ({largest}; at most {LARGEST:.0f}). Is it the right encoder, with "
                "undamaged weights?"
            )


# --------------------------------------------------------------------------------------------------------------
# The stage


def check_encoder(name):
    """Raises cli.UserError unless `name`, the value of --encoder, names encoders of known kinds."""
    if not encoder_names.is_name(name):
        raise cli.UserError(f"--encoder {name!r}: expected {encoder_names.USAGE}")


def _check(options):
    """Raises cli.UserError for settings that are out of range."""
    check_encoder(options.encoder)
    if options.crops < 0 or options.batch_size < 1 or options.processes < 0:
        raise cli.UserError("--crops and --processes must be at least 0, --batch_size at least 1")
    unknown = set(options.splits).difference(("train", "val", "test"))
    if unknown or not options.splits:
        raise cli.UserError(f"--splits {','.join(options.splits)}: expected some of train,val,test")
    if options.image_dir is not None and not os.path.isdir(options.image_dir):
        raise cli.UserError(f"--image_dir {options.image_dir!r} is not a folder")


def present_splits(options):
    """Returns the list of the splits in --splits whose image records exist; prints which do not.

    Args: options: settings with `data_dir` and `splits`. Raises: cli.UserError if there are none.
    """
    present = [split for split in options.splits if record_files.files_of(options.data_dir, f"image_{split}")]
    if not present:
        records.find_files(options.data_dir, f"image_{options.splits[0]}")
    for split in options.splits:
        if split not in present:
            print(f"NOTE: {options.data_dir} has no image_{split} records; nothing to do for {split}")
    return present


def exif_of_records(options, splits):
    """Returns whether the photographs of image records were turned by their EXIF orientation.

    Args: options: Options. splits: list of split names.
    Raises: cli.UserError if the splits differ in this, or --exif or --noexif contradicts it.
    """
    noted = {split: images.exif_noted(os.path.join(options.data_dir, f"image_{split}.json")) for split in splits}
    found = set(noted.values())
    if len(found) > 1 or options.exif not in (None, *found):
        stated = ", ".join(f"image_{split} with {'--exif' if exif else '--noexif'}" for split, exif in noted.items())
        wanted = "the same for all" if options.exif is None else "--exif" if options.exif else "--noexif"
        raise cli.UserError(
            f"{options.data_dir}: process_images made {stated}; expected {wanted}. Make the records again: "
            + made_by.command(options.data_dir, f"image_{splits[0]}", again=True, exif=options.exif is not False)
        )
    return found.pop()


def _sources(options, split):
    """Finds the images of a split.

    Returns: (list of file names, list with a path or (record file, byte offset, length) for each, dict that identifies
      the images in the sidecar).
    Raises: cli.UserError if the records have no image bytes and --image_dir is not given.
    """
    found = records.read_images(records.find_files(options.data_dir, f"image_{split}"), with_data=True)
    sizes = [size for _, _, size in found.data]
    json_path = os.path.join(options.data_dir, f"image_{split}.json")
    about = sidecars.read_sidecar(json_path) if os.path.exists(json_path) else {}
    if all(sizes) and "photographs" in about:
        return found.names, found.data, {"photographs": about["photographs"]}
    if all(sizes):  # records of other programs
        return found.names, found.data, {"names_and_sizes": images.digest_of_sizes(found.names, sizes)}
    if options.image_dir is None:
        raise cli.UserError(
            f"{options.data_dir}: the image_{split} records have no image bytes; give the folder of the photographs "
            "by --image_dir, or store the bytes: "
            + made_by.command(options.data_dir, f"image_{split}", again=True, store_images=True)
        )
    paths = [images.locate(options.image_dir, name) for name in found.names]
    hashes = photograph_hashes.hashes_of(options.image_dir, found.names, options.data_dir, options.verify)
    return found.names, paths, {"photographs": photograph_hashes.digest(hashes, found.names)}


def assemble(paths, count, target):
    """Joins the .npy files of the tasks into one feature bank, float16 [count, 1 + k, D] or [count, 1 + k, cells, D].

    Args: paths: list of the files, in order. count: number of images in all of them. target: path of the bank.
    Returns: (mean, std) of each of the D components over images, crops and cells, two arrays float64 [D].
    """
    shape = (count, *np.load(paths[0], mmap_mode="r").shape[1:])
    total = np.zeros(shape[-1])
    with writing.array_file(target, np.float16, shape) as file:
        for path in paths:
            part = np.load(path)
            file.append(part)
            total += part.astype(np.float64).reshape(-1, shape[-1]).sum(axis=0)
    vectors = math.prod(shape[:-1])
    mean, squares = total / vectors, np.zeros(shape[-1])
    for path in paths:
        squares += ((np.load(path).astype(np.float64).reshape(-1, shape[-1]) - mean) ** 2).sum(axis=0)
    return mean, np.sqrt(squares / vectors)


@dataclasses.dataclass(frozen=True)
class SplitWork:
    """The work to do for one split.

    Attributes:
      names: list of the file names of the images. tasks: list of Task.
      work: path of the folder of the tasks' files. target: path of the feature bank. json_path: path of its sidecar.
      settings: dict of the settings that determine the bank. made_from: dict that identifies its inputs.
    """

    names: list
    tasks: list
    work: str
    target: str
    json_path: str
    settings: dict
    made_from: dict


def _plan_split(options, split, encoder):
    """Returns the SplitWork of a split, after preparing its work folder; None if its features are complete.

    Args: encoder: models.encoders.base.Encoder.
    """
    from models import encoders

    names, sources, digest = _sources(options, split)
    settings = {"encoder": encoders.identity(encoder.describe()), "crops": options.crops}
    made_from = {"images": {"count": len(names), **digest}}
    target, json_path = (os.path.join(options.data_dir, f"features_{split}.{kind}") for kind in ("npy", "json"))
    work = os.path.join(options.data_dir, f".extract_features_{split}")
    plan = {"settings": settings, "made_from": made_from, "batch_size": options.batch_size}
    if sidecars.already_made(json_path, settings, made_from, options.overwrite):
        return shards.discard(work, plan)
    outputs.begin_or_continue(work, plan, [([target], json_path)], options.overwrite)
    tasks = []
    size = max(1, CROPS_PER_PART // (1 + options.crops))
    for i, start in enumerate(range(0, len(names), size)):
        chosen = slice(start, start + size)
        path = os.path.join(work, f"features-{i:05d}.npy")
        common = (options.encoder, _resize(options), encoder.exif, options.crops, options.batch_size)
        tasks.append(Task(path, tuple(names[chosen]), tuple(sources[chosen]), *common))
    return SplitWork(names, tasks, work, target, json_path, settings, made_from)


def _finish_split(options, split_work, encoder):
    """Joins the files of a split's tasks to its feature bank, writes the sidecar, and removes the work folder.

    Args: split_work: SplitWork. encoder: models.encoders.base.Encoder that computed the features.
    """
    if os.path.exists(split_work.json_path):
        os.remove(split_work.json_path)
    mean, std = assemble([task.path for task in split_work.tasks], len(split_work.names), split_work.target)
    feature_banks.write_sidecar(
        split_work.json_path,
        split_work.target,
        split_work.names,
        encoder.describe(),
        options.crops,
        (mean, std),
        split_work.settings,
        split_work.made_from,
    )
    shutil.rmtree(split_work.work)
    print(
        f"{split_work.target}: {len(split_work.names)} images x {1 + options.crops} crops x {encoder.dim} dimensions, "
        f"mean {mean.mean():.4f}, std {std.mean():.4f}"
    )


def _resize(options):
    """Returns the resizing method of the flag --resize for `load_encoder`; None for "own"."""
    return None if options.resize == "own" else options.resize


def main(options):
    """Checks the settings, locks the outputs and makes them; cli.UserError names a wrong setting or input."""
    _check(options)
    with working(options):
        _make(options)


def working(options):
    """Returns a context manager that locks the feature banks of --splits for writing and the image records for reading.

    Args: options: settings with `data_dir` and `splits`; those of import_features fit as well.
    Raises: cli.UserError if another process holds a lock.
    """
    return writing.working(options.data_dir, [f"features_{split}" for split in options.splits], ["image"])


def _make(options):
    """Computes the feature bank of each split that is not complete."""
    how = shards.where(options)
    splits = present_splits(options)
    cached_encoder.cache_clear()  # its file may have changed since the last call in this process
    encoder = cached_encoder(options.encoder, _resize(options), exif_of_records(options, splits))
    if encoder.note:
        print(f"NOTE: {encoder.note}")
    planned = [_plan_split(options, split, encoder) for split in splits]
    planned = [split_work for split_work in planned if split_work]
    if not planned:
        return
    how["processes"] = shards.processes_on_devices(options.processes)
    tasks = [task for split_work in planned for task in split_work.tasks]
    shards.map_shards(extract, tasks, **how, description="extracting features")
    for split_work in planned:
        _finish_split(options, split_work, encoder)


if __name__ == "__main__":
    cli.run(main, Options, experiments.Stage("extract_features"))
