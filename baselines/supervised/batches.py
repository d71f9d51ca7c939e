"""Batches of image-caption pairs, with all captions of each image for self-critical training.

Shapes: B batch, R maximum number of captions of an image, S maximum number of
words of a caption, start and end token counted.
"""

import numpy as np

from input_pipeline import PairedBatches, padded_rows


class SupervisedBatches(PairedBatches):
    """Batches of image-caption pairs; for self-critical training also all captions of each image, its references.

    Args:
      image_set: input_pipeline.ImageSet.
      captions: list over the images of `image_set` of lists of word id arrays, without start and end token.
      batch_size: pairs of one batch. seed: int, seed of the run.
      references: whether batches have the references too.

    Raises: cli.UserError if there is no pair.
    """

    def __init__(self, image_set, captions, batch_size, seed, references=False):
        super().__init__(image_set, captions, batch_size, seed)
        self.references = references
        # The pairs of an image are consecutive.
        counts = np.bincount(self.pair_images, minlength=len(image_set))
        self.first_pair, self.count = np.cumsum(counts) - counts, counts

    def __len__(self):
        """Returns the number of pairs."""
        return len(self.pair_images)

    def batch(self, step, rows=slice(None)):
        """Returns examples of a step as a dict name -> numpy array.

        It has the arrays of PairedBatches.batch: `sentence` int32 [B, S] with start and end token, `length` int32 [B],
        and those of the image set, such as `image`. With references it also has `references` int32 [B, R, S - 1], with
        the end token and without the start token, zero padded, and `reference_lengths` int32 [B, R], the end token
        counted. If an image has fewer than R captions, its remaining lengths are 0, and the words of these references
        have no meaning.

        Args: step: number of the step, from 0. rows: slice or indices, which examples of the step; all by default.
        """
        batch = super().batch(step, rows)
        if not self.references:
            return batch
        images = self.pair_images[self.stream.indices(step * self.examples, self.examples)[rows]]
        numbers = np.arange(self.count.max())[None, :]
        there = numbers < self.count[images][:, None]
        pairs = self.first_pair[images][:, None] + np.where(there, numbers, 0)
        words, lengths = padded_rows(self.flat, self.offsets, pairs.reshape(-1), self.width)
        shape = (*pairs.shape, -1)
        batch["references"] = words.reshape(shape)[:, :, 1:]
        batch["reference_lengths"] = np.where(there, lengths.reshape(pairs.shape) - 1, 0).astype(np.int32)
        return batch
