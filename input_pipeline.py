"""Records and feature banks -> batches. Every draw is a pure function of (seed, step), so resuming is arithmetic.

A stream is an endless sequence of examples: epoch after epoch, each epoch a permutation drawn from (seed, epoch).
Step t takes the positions [t B, (t + 1) B). There is no shuffle buffer and no state: any batch can be made at any time,
on any machine, and a change of the number of devices does not change the order.
"""

import dataclasses
import functools
import os
import types
import zlib

import numpy as np

import config
from formats import readers, records
from formats.sidecars import damaged_file, read_sidecar


def generator_of(seed, purpose, number):
    """A numpy generator that depends on nothing but its arguments."""
    key = [seed & 0xFFFFFFFFFFFFFFFF, zlib.crc32(purpose.encode())]
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, number]))


class Stream:
    """Endless shuffled indices of `size` examples, a pure function of (seed, purpose, position)."""

    def __init__(self, size, seed, purpose):
        self.size, self.seed, self.purpose = size, seed, purpose
        self._permutation = functools.lru_cache(maxsize=2)(self._draw)

    def _draw(self, epoch):
        return generator_of(self.seed, self.purpose, epoch).permutation(self.size)

    def indices(self, first, count):
        """Example numbers at positions [first, first + count): int64 [count]."""
        positions = np.arange(first, first + count)
        epochs, offsets = positions // self.size, positions % self.size
        found = np.empty(count, np.int64)
        for epoch in np.unique(epochs):
            here = epochs == epoch
            found[here] = self._permutation(int(epoch))[offsets[here]]
        return found


# --------------------------------------------------------------------------------------------------------------
# Sources


def padded_rows(flat, offsets, indices, width):
    """Rows of a ragged array as [n, width], zero padded, and their lengths int32 [n]."""
    lengths = (offsets[indices + 1] - offsets[indices]).astype(np.int32)
    column = np.arange(width)
    valid = column[None, :] < lengths[:, None]
    source = np.where(valid, offsets[indices][:, None] + column[None, :], 0)
    if not len(flat):  # no row has anything
        return np.zeros(valid.shape, flat.dtype), lengths
    return np.where(valid, flat[source], 0).astype(flat.dtype), lengths


def read_all(read, data_dir, stem, skip_damaged, **arguments):
    """Reads all records of a kind; there must be as many as the sidecar states, unless damaged ones are left out."""
    found = read(records.find_files(data_dir, stem, skip_damaged), skip_damaged=skip_damaged, **arguments)
    sidecar = os.path.join(data_dir, f"{stem}.json")
    stated = read_sidecar(sidecar).get("count") if os.path.exists(sidecar) else len(found)
    if len(found) != stated and not skip_damaged:
        raise config.UserError(f"{data_dir}: {len(found)} {stem} records, but {sidecar} states {stated}")
    return found


@dataclasses.dataclass
class Corpus:
    """The sentences of a data folder, in memory as ragged ids."""

    sentences: records.Sentences
    rows: np.ndarray  # int64, the sentences that are used

    @classmethod
    def load(cls, data_dir, max_length=0, skip_damaged=False):
        """All of `sentence*.tfrec` but sentences of more than `max_length` words (markers counted); 0 keeps all."""
        sentences = read_all(records.read_sentences, data_dir, "sentence", skip_damaged)
        return cls._of(sentences, np.arange(len(sentences)), max_length, data_dir)

    @classmethod
    def load_split(cls, data_dir, max_length=0, skip_damaged=False, share=50):
        """(training part, held-out part): the first 1/`share` of the records is held out (UIC spec 9.1, 9.4)."""
        sentences = read_all(records.read_sentences, data_dir, "sentence", skip_damaged)
        rows, count = np.arange(len(sentences)), max(1, len(sentences) // share)
        return (
            cls._of(sentences, rows[count:], max_length, data_dir),
            cls._of(sentences, rows[:count], max_length, data_dir),
        )

    @classmethod
    def _of(cls, sentences, rows, max_length, data_dir):
        rows = rows[np.diff(sentences.offsets)[rows] <= max_length] if max_length else rows
        if not len(rows):
            raise config.UserError(
                f"{data_dir}: no sentence of at most {max_length} words; raise --max_sentence_length"
            )
        return cls(sentences, rows)

    def __len__(self):
        return len(self.rows)

    @functools.cached_property
    def width(self):
        """Words of the longest sentence, markers counted."""
        return int(np.diff(self.sentences.offsets)[self.rows].max())

    @functools.cached_property
    def key_width(self):
        """Concept words of the sentence that has most."""
        return max(1, int(np.diff(self.sentences.key_offsets)[self.rows].max()))

    def take(self, indices):
        """{"sentence" int32 [n, S], "length" int32 [n]} with both markers, zero padded."""
        rows = self.rows[indices]
        sentence, length = padded_rows(self.sentences.flat, self.sentences.offsets, rows, self.width)
        return {"sentence": sentence, "length": length}

    def take_keys(self, indices):
        """{"key" int32 [n, K], "key_length" int32 [n]}: the concept words of the sentences, in stored order."""
        rows = self.rows[indices]
        key, length = padded_rows(self.sentences.key_flat, self.sentences.key_offsets, rows, self.key_width)
        return {"key": key, "key_length": length}


class FeatureBank:
    """`features_SPLIT.npy` and its sidecar: image vectors of k + 1 crops, memory-mapped."""

    def __init__(self, data_dir, split):
        path = os.path.join(data_dir, f"features_{split}")
        made_by = f"python -m preprocessing.extract_features --data_dir {data_dir} --encoder ..."
        if not os.path.exists(path + ".json"):
            raise config.UserError(f"{path}.json is missing. Make the feature bank with: {made_by}")
        damage = damaged_file(path + ".json")
        if damage:
            raise config.UserError(f"{damage}. Make it again with: {made_by} --overwrite")
        self.sidecar = read_sidecar(path + ".json")
        fields = dict.fromkeys(("mean", "deviation"), readers.are_numbers)
        fields |= {"names": readers.are_texts, "encoder": readers.is_object}
        readers.check_fields(self.sidecar, fields, path + ".json", f"make it again with: {made_by} --overwrite")
        self.features = readers.map_npy(path + ".npy")
        self.names = self.sidecar["names"]
        sizes = {len(self.sidecar[name]) for name in ("mean", "deviation")}
        if self.features.ndim not in (3, 4) or len(self.names) != len(self.features) or sizes != {self.dim}:
            raise config.UserError(
                f"{path}.npy has shape {self.features.shape}, {path}.json {len(self.names)} names and statistics of "
                f"{', '.join(map(str, sizes))} numbers; expected "
                f"[names, crops, dimension]. Make it again with: {made_by} --overwrite"
            )
        self.row_of = {name: row for row, name in enumerate(self.names)}

    @property
    def dim(self):
        """Dimension D of an image vector."""
        return self.features.shape[-1]

    @property
    def statistics(self):
        """(mean, deviation) over all crops of the split, each float32 [D]."""
        return np.asarray(self.sidecar["mean"], np.float32), np.asarray(self.sidecar["deviation"], np.float32)

    def rows(self, names):
        """Row numbers of the named images. Raises config.UserError naming the first one that is not there."""
        missing = [name for name in names if name not in self.row_of]
        if missing:
            raise config.UserError(
                f"{len(missing)} images have no features, the first is {missing[0]}. Run extract_features again."
            )
        return np.asarray([self.row_of[name] for name in names], np.int64)

    def centre(self, rows):
        """Vectors of the centre crop: float32 [n, D]."""
        return np.asarray(self.features[rows, 0], np.float32)

    def random_crops(self, rows, draws):
        """Vectors of the crops that `draws` (float [n, 2] in 0 to 1) choose: float32 [n, D].

        The centre crop is not among them, unless the bank holds no other.
        """
        crops = self.features.shape[1]
        crop = 1 + (draws[:, 0] * (crops - 1)).astype(np.int64) if crops > 1 else np.zeros(len(rows), np.int64)
        return np.asarray(self.features[rows, crop], np.float32)


def phrases_path(data_dir):
    """Path of `phrases.npz`. Raises config.UserError where initialization.neighbour_features has not written it."""
    path = os.path.join(data_dir, "phrases.npz")
    if not os.path.exists(path):
        raise config.UserError(
            f"{path} is missing. Make it, and its image vectors, with python -m initialization.neighbour_features "
            f"--data_dir {data_dir}, and use the folder that it writes"
        )
    return path


class PointSet:
    """Image vectors that need not be of a photograph (initialization/fit_captions.py), in the place of an ImageSet."""

    def __init__(self, vectors_PT):
        self.vectors_PT = vectors_PT
        self.images = types.SimpleNamespace(names=[f"point {number}" for number in range(len(vectors_PT))])

    def __len__(self):
        return len(self.vectors_PT)

    def take(self, indices, draws):
        """{"image" float32 [n, T]}; there is nothing to draw."""
        return {"image": np.asarray(self.vectors_PT[indices], np.float32)}


@dataclasses.dataclass
class ImageSet:
    """The images of a split: names and objects from the records, pixels from a feature bank or the JPEG bytes."""

    images: records.Images
    bank: FeatureBank | None
    bank_rows: np.ndarray | None
    load_pixels: object = None  # function (locations, draws) -> float32 [n, s, s, 3], where there is no bank

    @classmethod
    def from_bank(cls, data_dir, split, skip_damaged=False):
        """Objects from `image_SPLIT*.tfrec`, vectors from `features_SPLIT.npy`, joined by name."""
        images = read_all(records.read_images, data_dir, f"image_{split}", skip_damaged)
        bank = FeatureBank(data_dir, split)
        return cls(images, bank, bank.rows(images.names))

    @classmethod
    def from_records(cls, data_dir, split, load_pixels, skip_damaged=False):
        """Objects and JPEG bytes from `image_SPLIT*.tfrec`; the encoder runs in the training step."""
        images = read_all(records.read_images, data_dir, f"image_{split}", skip_damaged, with_data=True)
        return cls(images, None, None, load_pixels)

    def __len__(self):
        return len(self.images)

    @functools.cached_property
    def width(self):
        """Objects of the image that has most."""
        return max(1, int(np.diff(self.images.class_offsets).max(initial=0)))

    def objects(self, indices):
        """{"classes" int32 [n, C], "scores" float32 [n, C], "num" int32 [n]}."""
        offsets = self.images.class_offsets
        classes, num = padded_rows(self.images.class_flat, offsets, indices, self.width)
        scores, _ = padded_rows(self.images.score_flat, offsets, indices, self.width)
        return {"classes": classes, "scores": scores, "num": num}

    def take(self, indices, draws):
        """Objects and a crop of each image, chosen by `draws` (float [n, 2] in 0 to 1).

        Returns: what `objects` does, and {"image" float32 [n, D]} or {"pixels" float32 [n, s, s, 3]}.
        """
        batch = self.objects(indices)
        if self.bank is not None:
            batch["image"] = self.bank.random_crops(self.bank_rows[indices], draws)
        else:
            batch["pixels"] = self.load_pixels([self.images.data[i] for i in indices], draws)
        return batch


# --------------------------------------------------------------------------------------------------------------
# Batches
#
# `examples` rows make a step: one batch, or two one behind the other. `batch(step, rows)` makes the named rows of them
# only: what the replicas of one process need. Which example stands where does not depend on the number of devices.


def crop_draws(seed, step, examples):
    """The numbers that choose the crops of a step's images: float64 [examples, 2] in 0 to 1."""
    return generator_of(seed, "crops", step).random((examples, 2))


class UnpairedBatches:
    """Batches of the full model: images and sentences, shuffled independently of each other (UIC spec 6).

    With `per_step` 2 a step's batch is two batches one behind the other for each replica: the generator's and the
    discriminator's (quirk Q12).
    """

    def __init__(self, image_set, corpus, batch_size, seed, per_step=1):
        self.image_set, self.corpus = image_set, corpus
        self.examples, self.batch_size, self.seed = batch_size * per_step, batch_size, seed
        self.image_stream = Stream(len(image_set), seed, "images")
        self.sentence_stream = Stream(len(corpus), seed, "sentences")

    def batch(self, step, rows=slice(None)):
        """The examples of a step, or these rows of them: dict of numpy arrays."""
        images = self.image_stream.indices(step * self.examples, self.examples)[rows]
        sentences = self.sentence_stream.indices(step * self.examples, self.examples)[rows]
        draws = crop_draws(self.seed, step, self.examples)[rows]
        return self.image_set.take(images, draws) | self.corpus.take(sentences)

    def names(self, step):
        """File names of the images of a step."""
        return [self.image_set.images.names[i] for i in self.image_stream.indices(step * self.examples, self.examples)]


class SentenceBatches:
    """Batches of the text stages; with `keys` also their concept words (sentences without any are left out)."""

    def __init__(self, corpus, batch_size, seed, keys=False, per_step=1):
        self.corpus, self.keys, self.seed = corpus, keys, seed
        self.examples, self.batch_size = batch_size * per_step, batch_size
        if keys:
            named = np.diff(corpus.sentences.key_offsets)[corpus.rows] > 0
            self.corpus = Corpus(corpus.sentences, corpus.rows[named])
        if not len(self.corpus):
            raise config.UserError(
                f"none of {len(corpus)} sentences holds a concept word: were they made with the right --class_names? "
                "See python -m preprocessing.process_descriptions --help"
            )
        self.stream = Stream(len(self.corpus), seed, "sentences")

    def batch(self, step, rows=slice(None)):
        """The examples of a step, or these rows of them: dict of numpy arrays."""
        return self.rows(self.stream.indices(step * self.examples, self.examples)[rows])

    def rows(self, indices):
        """The sentences (and concept words) with these numbers."""
        batch = self.corpus.take(indices)
        return batch | self.corpus.take_keys(indices) if self.keys else batch

    def names(self, step):
        """Record numbers of the sentences of a step."""
        return [int(self.corpus.rows[i]) for i in self.stream.indices(step * self.examples, self.examples)]


class PairedBatches:
    """Images with one sentence each (pseudo captions, or true ones for a supervised run).

    Args:
      captions: list over images of lists of id arrays, without markers; images without any are left out.
    """

    def __init__(self, image_set, captions, batch_size, seed):
        self.image_set, self.batch_size, self.examples, self.seed = image_set, batch_size, batch_size, seed
        pairs = [(image, ids) for image, several in enumerate(captions) for ids in several if len(ids)]
        if not pairs:
            raise config.UserError("no image has a caption to learn from")
        self.pair_images = np.asarray([image for image, _ in pairs], np.int64)
        marked = [np.concatenate([[0], ids, [1]]).astype(np.int32) for _, ids in pairs]
        self.flat = np.concatenate(marked)
        self.offsets = np.concatenate([[0], np.cumsum([len(ids) for ids in marked])]).astype(np.int64)
        self.width = int(np.diff(self.offsets).max())
        self.stream = Stream(len(pairs), seed, "pairs")

    def batch(self, step, rows=slice(None)):
        """The examples of a step, or these rows of them: dict of numpy arrays."""
        pairs = self.stream.indices(step * self.examples, self.examples)[rows]
        draws = crop_draws(self.seed, step, self.examples)[rows]
        batch = self.image_set.take(self.pair_images[pairs], draws)
        batch["sentence"], batch["length"] = padded_rows(self.flat, self.offsets, pairs, self.width)
        return batch

    def names(self, step):
        """File names of the images of a step."""
        pairs = self.stream.indices(step * self.examples, self.examples)
        return [self.image_set.images.names[i] for i in self.pair_images[pairs]]


class ConceptImageBatches:
    """Images with the concept words that are told about them; images without any are left out.

    Args:
      key_NK: int32, zero padded. key_length_N: int32. Both in the order of the image set.
    """

    def __init__(self, image_set, key_NK, key_length_N, batch_size, seed):
        self.image_set, self.batch_size, self.examples, self.seed = image_set, batch_size, batch_size, seed
        self.key_NK, self.key_length_N, self.used = key_NK, key_length_N, np.flatnonzero(key_length_N)
        if not len(self.used):
            raise config.UserError(
                "no training image has a concept word: run python -m preprocessing.process_images again with a lower "
                "--score_threshold, or with the right dictionary"
            )
        self.stream = Stream(len(self.used), seed, "images")

    def batch(self, step, rows=slice(None)):
        """The examples of a step, or these rows of them: dict of numpy arrays."""
        images = self._images(step)[rows]
        draws = crop_draws(self.seed, step, self.examples)[rows]
        batch = {
            name: value for name, value in self.image_set.take(images, draws).items() if name in ("image", "pixels")
        }
        return batch | {"concepts": self.key_NK[images], "concepts_length": self.key_length_N[images]}

    def _images(self, step):
        return self.used[self.stream.indices(step * self.examples, self.examples)]

    def names(self, step):
        """File names of the images of a step."""
        return [self.image_set.images.names[i] for i in self._images(step)]


class BothBatches:
    """The examples of two kinds of batches in one, which have no tensor's name in common."""

    def __init__(self, first, second):
        self.first, self.second = first, second
        self.batch_size, self.examples = first.batch_size, first.examples

    def batch(self, step, rows=slice(None)):
        """The examples of a step, or these rows of them: dict of numpy arrays."""
        return self.first.batch(step, rows) | self.second.batch(step, rows)

    def names(self, step):
        """What the examples of a step are called in both."""
        return [*self.first.names(step), *self.second.names(step)]
