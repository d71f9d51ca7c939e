"""Converts image vectors computed by other programs to a feature bank as `extract_features` writes it.

    python -m preprocessing.import_features --features vectors.npy --names vectors.txt
    python -m preprocessing.import_features --features img_inceptionv4_train.hdf5,img_inceptionv4_val.hdf5 \\
        --encoder inception_v4:inception_v4.ckpt

Reads `.npy` files [N, D], [N, crops, D] or [N, crops, cells, D] with the file names in order, and HDF5 files with one
dataset for each file name, such as those of the authors' fork ([1, D]). The vectors of the images in
`image_SPLIT*.tfrec` are selected by name; the extension of a name does not matter.
Source: docs/stages.md.
"""

import collections
import dataclasses
import hashlib
import math
import os
import shutil

import numpy as np

import cli
import experiments
from formats import feature_banks, file_names, readers, records, sidecars, texts, writing
from formats import paths as file_lists
from preprocessing import extract_features
from preprocessing.sharding import outputs, shards

ROWS = 256  # images in memory at a time
FORMATS = (".npy", ".hdf5", ".h5")


@dataclasses.dataclass(frozen=True)
class Options:
    """Settings of import_features."""

    data_dir: str = cli.field("data/default", "folder that all stages share")
    features: str = cli.field("", "files of vectors, .npy or .hdf5, separated by commas; together they hold all images")
    names: str | None = cli.field(
        None,
        "the file names of each .npy in its order, files separated by commas: one name a line, or JSON (a list, or an "
        'object with the list "names")',
    )
    encoder: str | None = cli.field(
        None,
        "the encoder that computed them, as for extract_features: a run stores it and can caption new photographs; "
        "without it a run can be trained and scored, but cannot caption other photographs",
    )
    exif: bool = cli.field(False, "with --encoder: whether the photographs were turned by their EXIF orientation")
    layout: str = cli.choice(
        "crops", ("crops", "cells"), "meaning of the second of three axes (of the first of two in an HDF5 dataset)"
    )
    splits: tuple[str, ...] = cli.field(("train", "val", "test"), "splits to process; missing ones are left out")
    overwrite: bool = cli.field(False, "make the output again although it is there")


# --------------------------------------------------------------------------------------------------------------
# Files of vectors


class ArrayFile:
    """A `.npy` file of image vectors with the file names of its images; rows are read when they are needed.

    Args: path: the .npy file. names_path: file of the names, in the order of the rows.
    Attributes: names: list of file names. path: path of the .npy file. listed_in: text for messages, names both files.
    Raises: cli.UserError if a file is damaged, or the numbers of rows and names differ.
    """

    def __init__(self, path, names_path):
        self.path, self.listed_in = path, f"{path} (named in {names_path})"
        self._rows = readers.map_npy(path)
        self.names = read_names(names_path)
        if self._rows.ndim < 2 or len(self._rows) != len(self.names):
            raise cli.UserError(
                f"{path}: has shape {list(self._rows.shape)}, but {names_path} has {len(self.names)} names; expected "
                "[names, D], [names, crops, D] or [names, crops, cells, D]"
            )

    def row(self, index):
        """Returns the vectors of image `index`, in the file's dtype: [D], [crops, D], [cells, D], [crops, cells, D]."""
        return self._rows[index]


class DatasetFile:
    """An HDF5 file with one dataset of vectors for each image file name.

    Args: path: the file.
    Attributes: names: list of the datasets' names. path, listed_in: path of the file.
    Raises: cli.UserError if the file cannot be read.
    """

    def __init__(self, path):
        self.path = self.listed_in = path
        self._file, self.names = readers.open_hdf5(path)

    def row(self, index):
        """Returns the vectors of image `index` of `names` with the file's dtype.

        Their shape is [D], [crops, D], [cells, D] or [crops, cells, D].

        Raises: cli.UserError if the dataset is damaged.
        """
        return readers.read_dataset(self._file, self.names[index], self.path, "one dataset for each file name")


def read_names(path):
    """Returns the list of file names, without folders, in a file of image names.

    The file has one name a line or, if it ends with `.json`, a list or an object with the list "names".

    Raises: cli.UserError if the file is missing or has another form.
    """
    expected = 'for --names one file name a line, or JSON, a list or {"names": [...]}'
    if not path.endswith(".json"):
        lines = texts.read(path, expected, errors="surrogateescape").splitlines()
        return [line.strip() for line in lines if line.strip()]
    names = readers.read_json(path, expected)
    names = names.get("names") if isinstance(names, dict) else names
    if not readers.are_texts(names):
        raise cli.UserError(f"{path}: not a list of names; expected {expected}")
    return [os.path.basename(name) for name in names]


class Vectors:
    """The vectors of all files, found by the file name of the image.

    Args:
      files: list of ArrayFile and DatasetFile.
      layout: meaning of the first axis if the vectors of an image have two axes: "crops" or "cells" (of one crop).

    Attributes: shape: shape of the vectors of one image, None until the first were read.
    Raises: cli.UserError for a name that occurs twice.
    """

    def __init__(self, files, layout):
        self._files, self._layout = files, layout
        self._places = {}
        for number, file in enumerate(files):
            for index, name in enumerate(file.names):
                if name in self._places:
                    other = files[self._places[name][0]].path
                    raise cli.UserError(f"{name} occurs twice, in {other} and in {file.path}")
                self._places[name] = (number, index)
        stems = collections.Counter(os.path.splitext(name)[0] for name in self._places)
        self._stems = {
            stem: place for name, place in self._places.items() if stems[stem := os.path.splitext(name)[0]] == 1
        }
        self.shape = None

    def find(self, names):
        """Returns the places of the images' vectors: list of (index of the file, index in it).

        A name is also found if only its extension differs.

        Args: names: list of image file names. Raises: cli.UserError naming images that are in no file.
        """
        places = [self._places.get(name) or self._stems.get(os.path.splitext(name)[0]) for name in names]
        missing = [name for name, place in zip(names, places, strict=True) if place is None]
        if missing:
            shown = ", ".join(missing[: outputs.SHOWN]) + (", …" if len(missing) > outputs.SHOWN else "")
            raise cli.UserError(
                f"{len(missing)} of {len(names)} images have no vectors in "
                f"{', '.join(file.listed_in for file in self._files)}: {shown}. The files contain names like "
                f"{next(iter(self._places), '(none)')}"
            )
        return places

    def read(self, name, place):
        """Returns the vectors at a place from `find`, in the file's float type: [crops, D] or [crops, cells, D].

        Args: name: file name of the image, for messages.
        Raises: cli.UserError if they are not real numbers, or have another shape than those of other images.
        """
        file = self._files[place[0]]
        found = np.asarray(file.row(place[1]))
        if not np.issubdtype(found.dtype, np.floating) or not 1 <= found.ndim <= 3 or not found.size:
            raise cli.UserError(f"{file.path}: {name} has {found.dtype} {list(found.shape)}, expected real vectors")
        if found.ndim == 1 or (found.ndim == 2 and self._layout == "cells"):
            found = found[None]
        self.shape = self.shape or found.shape
        if found.shape != self.shape:
            raise cli.UserError(
                f"{file.path}: {name} has shape {list(found.shape)}, other images have {list(self.shape)}"
            )
        return found


def open_files(options):
    """Opens the files of --features and --names.

    Args: options: Options.
    Returns: (list of ArrayFile and DatasetFile, list of the paths of all files).
    Raises: cli.UserError if a file is missing or of another format, or the numbers of files do not agree.
    """
    paths, names = file_lists.split(options.features, ","), file_lists.split(options.names or "", ",")
    arrays = [path for path in paths if path.endswith(".npy")]
    for path in paths:
        if not path.endswith(FORMATS) or not os.path.isfile(path):
            raise cli.UserError(f"--features {path}: expected a file that ends in {', '.join(FORMATS)}")
    if not paths:
        raise cli.UserError("--features names no file; expected .npy or .hdf5 files, separated by commas")
    if len(names) != len(arrays):
        raise cli.UserError(
            f"--names gives {len(names)} files for {len(arrays)} .npy files ({', '.join(arrays) or 'none'}); expected "
            "one for each, in the same order (an .hdf5 file has its names inside)"
        )
    of_array = dict(zip(arrays, names, strict=True))
    return [ArrayFile(path, of_array[path]) if path in of_array else DatasetFile(path) for path in paths], paths + names


# --------------------------------------------------------------------------------------------------------------
# The bank


def write_bank(path, names, vectors):
    """Writes the vectors of images to a .npy file, float16 [N, crops, D] or [N, crops, cells, D].

    Args: path: the file. names: list of N image file names. vectors: Vectors.
    Returns: (mean, std) of each of the D components over images, crops and cells, two arrays float64 [D].
    Raises: cli.UserError naming the image whose numbers are not finite or too large.
    """
    places = vectors.find(names)
    vectors.read(names[0], places[0])
    shape = (len(names), *vectors.shape)
    total, squares = (np.zeros(vectors.shape[-1]) for _ in range(2))
    with writing.array_file(path, np.float16, shape) as file:
        for start in cli.progress(range(0, len(names), ROWS), "importing features"):
            chosen = slice(start, start + ROWS)
            pairs = zip(names[chosen], places[chosen], strict=True)
            rows = np.stack([vectors.read(name, place) for name, place in pairs]).astype(np.float32)
            extract_features.check_finite(rows, names[chosen])
            rows = rows.astype(np.float16)
            file.append(rows)
            total += rows.astype(np.float64).reshape(-1, len(total)).sum(axis=0)
    count, bank = math.prod(shape[:-1]), np.load(path, mmap_mode="r")
    mean = total / count
    for start in range(0, len(names), ROWS):
        rows = bank[start : start + ROWS].astype(np.float64).reshape(-1, len(total))
        squares += ((rows - mean) ** 2).sum(axis=0)
    return mean, np.sqrt(squares / count)


def describe_encoder(options, files, shape):
    """Returns the description of the encoder, a dict for the sidecar; without --encoder it only names the files.

    Args:
      options: Options.
      files: list of the fingerprints of the files (dicts), which the description contains without --encoder.
      shape: shape of the vectors of one image, (crops, D) or (crops, cells, D).

    Raises: cli.UserError if the encoder cannot be loaded or makes vectors of another shape.
    """
    cells = shape[1] if len(shape) == 3 else None
    if options.encoder:
        description = extract_features.cached_encoder(options.encoder, None, options.exif).describe()
        if (description["dim"], description["cells"]) != (shape[-1], cells):
            raise cli.UserError(
                f"--encoder {options.encoder}: makes vectors of {description['dim']} dimensions and "
                f"{description['cells'] or 'no'} cells, the files have {shape[-1]} and {cells or 'no'} cells"
            )
        return description
    return {
        "spec": f"imported:{','.join(entry['name'] for entry in files)}",
        "dim": shape[-1],
        "cells": cells,
        "image_size": None,
        "preprocessing": {"resize": None},
        "files": files,
    }


def _check(options):
    """Raises cli.UserError for settings that are out of range."""
    unknown = set(options.splits).difference(("train", "val", "test"))
    if unknown or not options.splits:
        raise cli.UserError(f"--splits {','.join(options.splits)}: expected some of train,val,test")
    if options.encoder:
        extract_features.check_encoder(options.encoder)


def main(options):
    """Checks the settings, locks the outputs and makes them; cli.UserError names a wrong setting or input."""
    _check(options)
    with extract_features.working(options):
        _make(options)


def _make(options):
    """Writes the feature bank of each split that is not complete."""
    sources, paths = open_files(options)
    vectors = Vectors(sources, options.layout)
    splits = extract_features.present_splits(options)
    images = {
        split: records.read_images(records.find_files(options.data_dir, f"image_{split}")).names for split in splits
    }
    for split in splits:  # reports what is missing before anything is written
        places = vectors.find(images[split])
        vectors.read(images[split][0], places[0])
    entries = [sidecars.fingerprint(path) for path in paths]
    encoder = describe_encoder(options, entries, vectors.shape)
    from models import encoders

    settings = {"encoder": encoders.identity(encoder), "crops": vectors.shape[0] - 1, "layout": options.layout}
    for split, names in images.items():
        listing = hashlib.sha256(file_names.to_bytes("\n".join(names))).hexdigest()
        made_from = {
            "vectors": [entry["sha256"] for entry in entries],
            "images": {"count": len(names), "names": listing},
        }
        target, json_path = (os.path.join(options.data_dir, f"features_{split}.{kind}") for kind in ("npy", "json"))
        work = os.path.join(
            options.data_dir, f".import_features_{split}"
        )  # recorded in the sidecar as the maker of the files
        plan = {"settings": settings, "made_from": made_from}
        if sidecars.already_made(json_path, settings, made_from, options.overwrite):
            shards.discard(work, plan)
            continue
        outputs.begin_or_continue(work, plan, [([target], json_path)], options.overwrite)
        with writing.replacing(target) as part:
            mean, std = write_bank(part, names, vectors)
            if os.path.exists(json_path):
                os.remove(json_path)
        crops = settings["crops"]
        feature_banks.write_sidecar(json_path, target, names, encoder, crops, (mean, std), settings, made_from)
        shutil.rmtree(work)
        print(
            f"{target}: {len(names)} images x {vectors.shape[0]} crops x {encoder['dim']} dimensions, "
            f"mean {mean.mean():.4f}, std {std.mean():.4f}"
        )


if __name__ == "__main__":
    cli.run(main, Options, experiments.Stage("import_features"))
