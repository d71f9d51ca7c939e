"""Batches of the trainers.

`examples` rows make a step: one batch, or two one behind the other. `batch(step, rows)` makes the named rows of them
only: what the replicas of one process need. Which example stands where does not depend on the number of devices.
"""

import numpy as np

import cli
from input_pipeline.sources import SentenceSet, padded_rows
from input_pipeline.streams import Stream, generator_of


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

    def __init__(self, corpus, batch_size, seed, keys=False):
        self.corpus, self.keys, self.seed = corpus, keys, seed
        self.examples = self.batch_size = batch_size
        if keys:
            named = np.diff(corpus.sentences.key_offsets)[corpus.rows] > 0
            self.corpus = SentenceSet(corpus.sentences, corpus.rows[named])
        if not len(self.corpus):
            raise cli.UserError(
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
            raise cli.UserError("no image has a caption to learn from")
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
            raise cli.UserError(
                "no training image has a concept word: make the image records again with a lower --score_threshold of "
                "preprocessing.process_images, or with the right dictionary"
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


class MergedBatches:
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
