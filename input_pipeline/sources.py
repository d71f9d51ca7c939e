"""Data that batches are made from: the corpus, feature banks, the images of a split.

Shapes: n requested rows, S words of the longest sentence, K maximum number of concept words of a sentence, C maximum
number of objects of an image, D dimension of an image vector, P points, T dimension of a point, s side of a crop in
pixels.
"""

import dataclasses
import functools
import os
import types

import numpy as np

import cli
from formats import feature_banks, made_by, readers, records
from formats.sidecars import damaged_file, read_sidecar


def padded_rows(flat, offsets, indices, width):
    """Returns rows of a ragged array: (zero-padded rows [n, width] of flat's dtype, lengths int32 [n]).

    Args:
      flat: the values of all rows, concatenated. offsets: int [rows + 1], row i is flat[offsets[i]:offsets[i + 1]].
      indices: int [n], the requested rows.
      width: number of columns of the result. A longer row is cut to it, but `lengths` has its full length.
    """
    lengths = (offsets[indices + 1] - offsets[indices]).astype(np.int32)
    column = np.arange(width)
    valid = column[None, :] < lengths[:, None]
    source = np.where(valid, offsets[indices][:, None] + column[None, :], 0)
    if not len(flat):  # all rows are empty
        return np.zeros(valid.shape, flat.dtype), lengths
    return np.where(valid, flat[source], 0).astype(flat.dtype), lengths


def read_all(read, data_dir, stem, skip_damaged, **arguments):
    """Reads all record files of one kind in a data folder. Returns what `read` returns for the list of these files.

    Args:
      read: function of formats.records that reads a list of files, such as read_sentences or read_images.
      data_dir: data folder.
      stem: first part of the names of the files, for example "image_train".
      skip_damaged: whether to skip damaged records.
      arguments: further keyword arguments of `read`.

    Raises: cli.UserError if there are no files, or, unless `skip_damaged`, if a record is damaged or the number of
      records differs from that in the sidecar.
    """
    found = read(records.find_files(data_dir, stem, skip_damaged), skip_damaged=skip_damaged, **arguments)
    sidecar = os.path.join(data_dir, f"{stem}.json")
    stated = read_sidecar(sidecar).get("count") if os.path.exists(sidecar) else len(found)
    if len(found) != stated and not skip_damaged:
        raise cli.UserError(f"{data_dir}: {len(found)} {stem} records, but {sidecar} states {stated}")
    return found


@dataclasses.dataclass
class SentenceSet:
    """Sentences of a data folder, held in memory as ragged arrays of word ids. len() is the number of used sentences.

    Attributes:
      sentences: records.Sentences, all sentences of the folder.
      rows: int64 [number of used sentences], the indices of the used sentences in `sentences`.
    """

    sentences: records.Sentences
    rows: np.ndarray  # int64, the sentences that are used

    @classmethod
    def load(cls, data_dir, max_length=0, skip_damaged=False):
        """Returns the sentences in `sentence*.tfrec` as a SentenceSet.

        Args:
          data_dir: data folder.
          max_length: longer sentences, start and end token counted, are left out; 0 for no limit.
          skip_damaged: whether to skip damaged records.

        Raises: cli.UserError if the files are missing or damaged, or no sentence is left.
        """
        sentences = read_all(records.read_sentences, data_dir, "sentence", skip_damaged)
        return cls._of(sentences, np.arange(len(sentences)), max_length, data_dir)

    @classmethod
    def load_split(cls, data_dir, max_length=0, skip_damaged=False, share=50):
        """Returns (training part, held-out part) of the sentences in `sentence*.tfrec`, each a SentenceSet.

        Args:
          data_dir: data folder.
          max_length: longer sentences, start and end token counted, are left out of both parts; 0 for no limit.
          skip_damaged: whether to skip damaged records.
          share: int; the first 1/share of the records, at least one, is held out (quirk Q27 of
            docs/implementation_details.md).

        Raises: cli.UserError if the files are missing or damaged, or a part has no sentence left.
        """
        sentences = read_all(records.read_sentences, data_dir, "sentence", skip_damaged)
        rows, count = np.arange(len(sentences)), max(1, len(sentences) // share)
        return (
            cls._of(sentences, rows[count:], max_length, data_dir),
            cls._of(sentences, rows[:count], max_length, data_dir),
        )

    @classmethod
    def _of(cls, sentences, rows, max_length, data_dir):
        """Returns the SentenceSet of those given sentences that are not longer than `max_length`.

        Args: sentences: records.Sentences. rows: int array, indices of the given sentences. max_length: maximum number
          of words, start and end token counted; 0 for no limit. data_dir: the data folder, for the message.
        Raises: cli.UserError if no sentence is left.
        """
        rows = rows[np.diff(sentences.offsets)[rows] <= max_length] if max_length else rows
        if not len(rows):
            raise cli.UserError(f"{data_dir}: no sentence of at most {max_length} words; raise --max_sentence_length")
        return cls(sentences, rows)

    def __len__(self):
        return len(self.rows)

    @functools.cached_property
    def width(self):
        """S, the number of words of the longest used sentence, start and end token counted: int."""
        return int(np.diff(self.sentences.offsets)[self.rows].max())

    @functools.cached_property
    def key_width(self):
        """K, the maximum number of concept words of a used sentence, at least 1: int."""
        return max(1, int(np.diff(self.sentences.key_offsets)[self.rows].max()))

    def take(self, indices):
        """Returns {"sentence": int32 [n, S], "length": int32 [n]}: sentences with start and end token, zero padded.

        Args: indices: int [n], indices into this set.
        """
        rows = self.rows[indices]
        sentence, length = padded_rows(self.sentences.flat, self.sentences.offsets, rows, self.width)
        return {"sentence": sentence, "length": length}

    def take_keys(self, indices):
        """Returns {"key": int32 [n, K], "key_length": int32 [n]}: the concept words of sentences.

        "key" has the word ids of each sentence in the order of its record, zero padded; "key_length" their number.

        Args: indices: int [n], indices into this set.
        """
        rows = self.rows[indices]
        key, length = padded_rows(self.sentences.key_flat, self.sentences.key_offsets, rows, self.key_width)
        return {"key": key, "key_length": length}


class FeatureBank:
    """The feature bank of a split, `features_SPLIT.npy` and its sidecar: image vectors of several crops, memory-mapped.

    Crop 0 of an image is the centre crop. A bank of grids has the vectors of several cells of each crop instead of one
    vector.

    Attributes:
      names: list of image names, one for each row of `features`.
      features: memory-mapped float16 array [images, crops, D] or, with grids, [images, crops, cells, D].
      sidecar: dict, the content of `features_SPLIT.json`.
      row_of: dict image name -> row.
      path: the path of the files without extension.
    """

    def __init__(self, data_dir, split):
        """Opens the bank.

        Args: data_dir: data folder. split: "train", "val" or "test".
        Raises: cli.UserError if a file is missing or damaged.
        """
        path = self.path = os.path.join(data_dir, f"features_{split}")
        again = f"make it again with: {made_by.command(data_dir, f'features_{split}', again=True)}"
        if not os.path.exists(path + ".json"):
            command = made_by.command(data_dir, f"features_{split}")
            raise cli.UserError(f"{path}.json is missing. Make the feature bank with: {command}")
        damage = damaged_file(path + ".json")
        if damage:
            raise cli.UserError(f"{damage}; {again}")
        self.sidecar = feature_banks.read_sidecar(path + ".json", again)
        self.features = readers.map_npy(path + ".npy")
        self.names = self.sidecar["names"]
        numbers = len(self.sidecar["mean"])
        if self.features.ndim not in (3, 4) or len(self.names) != len(self.features) or numbers != self.dim:
            raise cli.UserError(
                f"{path}.npy has shape {self.features.shape}, {path}.json has {len(self.names)} names and statistics "
                f"of {numbers} dimensions; expected [names, crops, dimensions]; {again}"
            )
        self.row_of = {name: row for row, name in enumerate(self.names)}

    @property
    def dim(self):
        """D, the dimension of an image vector, or of the vector of a cell: int."""
        return self.features.shape[-1]

    @property
    def statistics(self):
        """Tuple (mean, standard deviation) over the vectors of all crops of the split, each float32 [D]."""
        return np.asarray(self.sidecar["mean"], np.float32), np.asarray(self.sidecar["std"], np.float32)

    def rows(self, names):
        """Returns the rows of named images in `features`: int64 [n].

        Args: names: n image names.
        Raises: cli.UserError naming the first image that the bank does not have.
        """
        missing = [name for name in names if name not in self.row_of]
        if missing:
            raise cli.UserError(
                f"{self.path}: {len(missing)} images have no features, the first is {missing[0]}. Make them again: "
                f"{made_by.command(*os.path.split(self.path), again=True)}"
            )
        return np.asarray([self.row_of[name] for name in names], np.int64)

    def centre(self, rows):
        """Returns the vectors of the centre crops: float32 [n, D], or [n, cells, D] with grids.

        Args: rows: int [n], from `rows`.
        """
        return np.asarray(self.features[rows, 0], np.float32)

    def random_crops(self, rows, draws):
        """Returns the vector of one of the stored crops of each image: float32 [n, D], or [n, cells, D] with grids.

        The centre crop is used only if the bank has no other.

        Args: rows: int [n], from `rows`. draws: float [n, 2], random numbers in [0, 1); draws[:, 0] selects the crops,
          draws[:, 1] is not used.
        """
        crops = self.features.shape[1]
        crop = 1 + (draws[:, 0] * (crops - 1)).astype(np.int64) if crops > 1 else np.zeros(len(rows), np.int64)
        return np.asarray(self.features[rows, crop], np.float32)


class PointSet:
    """Image vectors that belong to no photograph (initialization/assign_captions.py), used in place of an ImageSet.

    It has the parts of an ImageSet that PairedBatches needs: len(), `take`, and `images.names`, which are "point 0" to
    "point P - 1".

    Args: vectors_PT: float, the vectors.
    """

    def __init__(self, vectors_PT):
        self.vectors_PT = vectors_PT
        self.images = types.SimpleNamespace(names=[f"point {number}" for number in range(len(vectors_PT))])

    def __len__(self):
        return len(self.vectors_PT)

    def take(self, indices, draws):
        """Returns {"image": float32 [n, T]}, the vectors with the given indices.

        Args: indices: int [n]. draws: not used, because a point has no crops.
        """
        return {"image": np.asarray(self.vectors_PT[indices], np.float32)}


@dataclasses.dataclass
class ImageSet:
    """The images of a split: names and objects from its records, with image vectors of a feature bank or with pixels.

    len() is the number of images. With neither a bank nor `load_pixels` only `objects` can be used.

    Attributes:
      images: records.Images.
      bank: FeatureBank, or None if the pixels are read.
      bank_rows: int64 [images], the row of each image in the bank; None without a bank.
      load_pixels: function (list of n locations of JPEG bytes, draws) -> float32 or uint8 [n, s, s, 3], which reads a
        random crop of each image; `draws`, float [n, 2] in [0, 1), determine the crop. None with a bank.
    """

    images: records.Images
    bank: FeatureBank | None
    bank_rows: np.ndarray | None
    load_pixels: object = None  # function (locations, draws) -> float32 or uint8 [n, s, s, 3], if there is no bank

    @classmethod
    def from_bank(cls, data_dir, split, skip_damaged=False):
        """Returns the images in `image_SPLIT*.tfrec` with the vectors in `features_SPLIT.npy`, joined by name.

        Args: data_dir: data folder. split: "train", "val" or "test". skip_damaged: whether to skip damaged records.
        Raises: cli.UserError if a file is missing or damaged, or the bank lacks an image.
        """
        images = read_all(records.read_images, data_dir, f"image_{split}", skip_damaged)
        bank = FeatureBank(data_dir, split)
        return cls(images, bank, bank.rows(images.names))

    @classmethod
    def from_records(cls, data_dir, split, load_pixels, skip_damaged=False):
        """Returns the images in `image_SPLIT*.tfrec` with their pixels, for an encoder that runs in the training step.

        Args:
          data_dir: data folder. split: "train", "val" or "test".
          load_pixels: function (list of n locations of JPEG bytes, draws) -> float32 or uint8 [n, s, s, 3], which reads
            a random crop of each image, such as training.setup.load_random_crops; `draws`, float [n, 2] in [0, 1),
            determine the crop.
          skip_damaged: whether to skip damaged records.

        Raises: cli.UserError if the record files are missing or damaged.
        """
        images = read_all(records.read_images, data_dir, f"image_{split}", skip_damaged, with_data=True)
        return cls(images, None, None, load_pixels)

    def __len__(self):
        return len(self.images)

    @functools.cached_property
    def width(self):
        """C, the maximum number of objects of an image, at least 1: int."""
        return max(1, int(np.diff(self.images.class_offsets).max(initial=0)))

    def objects(self, indices):
        """Returns the detected objects of images: dict of numpy arrays.

        Args: indices: int [n], indices into this set.

        Returns:
          "classes": int32 [n, C], word ids of the objects' classes, zero padded. "scores": float32 [n, C], their
          detection scores, zero padded. "num": int32 [n], number of objects.
        """
        offsets = self.images.class_offsets
        classes, num = padded_rows(self.images.class_flat, offsets, indices, self.width)
        scores, _ = padded_rows(self.images.score_flat, offsets, indices, self.width)
        return {"classes": classes, "scores": scores, "num": num}

    def take(self, indices, draws):
        """Returns the objects of images, and the image vector or the pixels of a random crop of each.

        Args: indices: int [n], indices into this set. draws: float [n, 2] in [0, 1), which determine the crops: row and
          column of a crop of pixels; with a bank draws[:, 0] selects one of its crops.

        Returns: dict of numpy arrays: "classes", "scores" and "num" as from `objects`, and with a bank "image" float32
          [n, D] (with grids [n, cells, D]), without a bank "pixels" [n, s, s, 3].
        """
        batch = self.objects(indices)
        if self.bank is not None:
            batch["image"] = self.bank.random_crops(self.bank_rows[indices], draws)
        else:
            batch["pixels"] = self.load_pixels([self.images.data[i] for i in indices], draws)
        return batch
