"""Batches of the trainers.

The classes of this module have the attributes `batch_size`, the number of examples of one batch, and `examples`, the
number of examples of a training step: those of one batch, or of `per_step` concatenated ones. Their method
`batch(step, rows)` makes only the given rows of a step, those that the replicas of one process need; the result is a
pure function of its arguments and the seed, and all its arrays are new. `names(step)` identifies all examples of a step
in error reports. The order of the examples does not depend on the number of devices.

A batch is a dict with some of these numpy arrays, for n examples; word ids past a length are 0:
    image float32 [n, D], or pixels [n, s, s, 3]                   image vectors, or crops that the encoder takes
    classes int32, scores float32 [n, C], num int32 [n]            up to C detected objects
    sentence int32 [n, S], length int32 [n]                        words with start and end token
    key int32 [n, K], key_length int32 [n]                         concept words of the sentence
    concepts int32 [n, K], concepts_length int32 [n]               concept words of the image
"""

import numpy as np

import cli
from input_pipeline.sources import SentenceSet, padded_rows
from input_pipeline.streams import Stream, generator_of


def crop_draws(seed, step, examples):
    """Returns the uniform random numbers that choose the crops of a step's images: float64 [examples, 2] in [0, 1).

    An example has two numbers: row and column of a crop of pixels. With a feature bank, the first one selects a stored
    crop, and the second is not used.

    Args: seed: int, seed of the run. step: int, training step. examples: number of examples of the step.
    """
    return generator_of(seed, "crops", step).random((examples, 2))


class UnpairedBatches:
    """Batches of the full model: images with their objects, and sentences, shuffled independently of each other.

    Args:
      image_set: ImageSet. corpus: SentenceSet. batch_size: examples of one batch. seed: int, seed of the run.
      per_step: number of batches concatenated in a step; 2 gives the generator and the discriminator different ones
        (quirk Q12 of docs/implementation_details.md).
    """

    def __init__(self, image_set, corpus, batch_size, seed, per_step=1):
        self.image_set, self.corpus = image_set, corpus
        self.examples, self.batch_size, self.seed = batch_size * per_step, batch_size, seed
        self.image_stream = Stream(len(image_set), seed, "images")
        self.sentence_stream = Stream(len(corpus), seed, "sentences")

    def batch(self, step, rows=slice(None)):
        """Returns examples of a step as a dict name -> numpy array.

        Its arrays, explained in the module docstring, are image float32 [n, D] (or pixels [n, s, s, 3]),
        classes int32 and scores float32 [n, C], num int32 [n], sentence int32 [n, S], length int32 [n].

        Args: step: int, training step. rows: slice or int array, which examples of the step; all by default.
        """
        images = self.image_stream.indices(step * self.examples, self.examples)[rows]
        sentences = self.sentence_stream.indices(step * self.examples, self.examples)[rows]
        draws = crop_draws(self.seed, step, self.examples)[rows]
        return self.image_set.take(images, draws) | self.corpus.take(sentences)

    def names(self, step):
        """Returns the file names of the images of a step: list of str in the order of the examples."""
        return [self.image_set.images.names[i] for i in self.image_stream.indices(step * self.examples, self.examples)]


class SentenceBatches:
    """Batches of the text stages: sentences of the corpus.

    Args:
      corpus: SentenceSet. batch_size: examples of one batch. seed: int, seed of the run.
      keys: whether batches also have the concept words of each sentence; sentences without any are left out then.

    Raises: cli.UserError if no sentence is left.
    """

    def __init__(self, corpus, batch_size, seed, keys=False):
        self.corpus, self.keys, self.seed = corpus, keys, seed
        self.examples = self.batch_size = batch_size
        if keys:
            named = np.diff(corpus.sentences.key_offsets)[corpus.rows] > 0
            self.corpus = SentenceSet(corpus.sentences, corpus.rows[named])
        if not len(self.corpus):
            raise cli.UserError(
                f"none of {len(corpus)} sentences has a concept word. Make them again with: "
                "python -m preprocessing.process_descriptions --data_dir D --new_dict --class_names CLASSES --overwrite"
            )
        self.stream = Stream(len(self.corpus), seed, "sentences")

    def batch(self, step, rows=slice(None)):
        """Returns examples of a step as a dict name -> numpy array.

        Its arrays, explained in the module docstring, are sentence int32 [n, S], length int32 [n], and with `keys` also
        key int32 [n, K] and key_length int32 [n].

        Args: step: int, training step. rows: slice or int array, which examples of the step; all by default.
        """
        return self.rows(self.stream.indices(step * self.examples, self.examples)[rows])

    def rows(self, indices):
        """Returns the sentences with the given indices: dict name -> numpy array, with the names that `batch` returns.

        Args: indices: int [n], indices into the SentenceSet `self.corpus`.
        """
        batch = self.corpus.take(indices)
        return batch | self.corpus.take_keys(indices) if self.keys else batch

    def names(self, step):
        """Returns the record numbers of the sentences of a step: list of int in the order of the examples."""
        return [int(self.corpus.rows[i]) for i in self.stream.indices(step * self.examples, self.examples)]


class PairedBatches:
    """Batches of pairs of an image and one of its captions: pseudo captions, or true ones for a supervised run.

    Args:
      image_set: ImageSet, or PointSet, whose points take the place of images.
      captions: list over the images of `image_set` of lists of word id arrays, without start and end token; empty
        captions and images without captions are left out.
      batch_size: pairs of one batch. seed: int, seed of the run.

    Raises: cli.UserError if there is no pair.
    """

    def __init__(self, image_set, captions, batch_size, seed):
        self.image_set, self.batch_size, self.examples, self.seed = image_set, batch_size, batch_size, seed
        pairs = [(image, ids) for image, several in enumerate(captions) for ids in several if len(ids)]
        if not pairs:
            raise cli.UserError(
                "no training image has a caption; expected --captions for the images of this data folder"
            )
        self.pair_images = np.asarray([image for image, _ in pairs], np.int64)
        marked = [np.concatenate([[0], ids, [1]]).astype(np.int32) for _, ids in pairs]
        self.flat = np.concatenate(marked)
        self.offsets = np.concatenate([[0], np.cumsum([len(ids) for ids in marked])]).astype(np.int64)
        self.width = int(np.diff(self.offsets).max())
        self.stream = Stream(len(pairs), seed, "pairs")

    def batch(self, step, rows=slice(None)):
        """Returns examples of a step as a dict name -> numpy array.

        Its arrays, explained in the module docstring, are image float32 [n, D] (or pixels [n, s, s, 3]),
        sentence int32 [n, S], length int32 [n], and for an ImageSet classes int32 and scores float32 [n, C] and num
        int32 [n].

        Args: step: int, training step. rows: slice or int array, which examples of the step; all by default.
        """
        pairs = self.stream.indices(step * self.examples, self.examples)[rows]
        draws = crop_draws(self.seed, step, self.examples)[rows]
        batch = self.image_set.take(self.pair_images[pairs], draws)
        batch["sentence"], batch["length"] = padded_rows(self.flat, self.offsets, pairs, self.width)
        return batch

    def names(self, step):
        """Returns the names of the images (or points) of a step: list of str in the order of the examples."""
        pairs = self.stream.indices(step * self.examples, self.examples)
        return [self.image_set.images.names[i] for i in self.pair_images[pairs]]


class ConceptImageBatches:
    """Batches of images with their concept words; images without concept words are left out.

    Args:
      image_set: ImageSet of N images.
      key_NK: int32, ids of the concept words of each image, zero padded. key_length_N: int32, their number.
      batch_size: images of one batch. seed: int, seed of the run.

    Raises: cli.UserError if no image has a concept word.
    """

    def __init__(self, image_set, key_NK, key_length_N, batch_size, seed):
        self.image_set, self.batch_size, self.examples, self.seed = image_set, batch_size, batch_size, seed
        self.key_NK, self.key_length_N, self.used = key_NK, key_length_N, np.flatnonzero(key_length_N)
        if not len(self.used):
            raise cli.UserError(
                "no training image has a concept word: make the image records again with a lower --score_threshold of "
                "preprocessing.process_images, or with the right dictionary"
            )
        self.stream = Stream(len(self.used), seed, "images")

    def batch(self, step, rows=slice(None)):
        """Returns examples of a step as a dict name -> numpy array.

        Its arrays, explained in the module docstring, are image float32 [n, D] (or pixels [n, s, s, 3]),
        concepts int32 [n, K] and concepts_length int32 [n].

        Args: step: int, training step. rows: slice or int array, which examples of the step; all by default.
        """
        images = self._images(step)[rows]
        draws = crop_draws(self.seed, step, self.examples)[rows]
        batch = {
            name: value for name, value in self.image_set.take(images, draws).items() if name in ("image", "pixels")
        }
        return batch | {"concepts": self.key_NK[images], "concepts_length": self.key_length_N[images]}

    def _images(self, step):
        """Returns the indices into `image_set` of a step's images: int64 [examples]."""
        return self.used[self.stream.indices(step * self.examples, self.examples)]

    def names(self, step):
        """Returns the file names of the images of a step: list of str in the order of the examples."""
        return [self.image_set.images.names[i] for i in self._images(step)]


class MergedBatches:
    """Batches that have the arrays of two other batch objects, for example images and sentences.

    Args: first, second: batch objects of this module, whose arrays have different names. They must have the same
      batch_size and number of examples.
    """

    def __init__(self, first, second):
        self.first, self.second = first, second
        self.batch_size, self.examples = first.batch_size, first.examples

    def batch(self, step, rows=slice(None)):
        """Returns examples of a step, with the arrays of both objects: dict name -> numpy array.

        Args: step: int, training step. rows: slice or int array, which examples of the step; all by default.
        """
        return self.first.batch(step, rows) | self.second.batch(step, rows)

    def names(self, step):
        """Returns one list with the first object's names of a step's examples, then the second object's."""
        return [*self.first.names(step), *self.second.names(step)]
