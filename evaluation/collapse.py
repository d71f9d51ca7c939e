"""Detects the collapse of a captioner during training."""

import os

import numpy as np

from captioning import splits
from captioning.captioner import Captioner
from evaluation import statistics
from formats import record_files
from formats.languages import unicode_text
from input_pipeline import ImageSet
from training.run_directory import last_metric


class CollapseWatch:
    """Captions some validation images greedily at every checkpoint and warns if too few captions are distinct.

    `ALARM` is the share of distinct captions below which a captioner counts as collapsed.
    """

    ALARM = statistics.COLLAPSE

    def __init__(self, objective, vocabulary, options, log, encode=None):
        """Reads the image vectors of the first --eval_images validation images, from the feature bank if there is one.

        If blocks of the encoder are trained, the vectors are computed again at every checkpoint.

        Args:
          objective: has the `generator` and `standardise` of the captioner in training.
          vocabulary: formats.vocabulary.Vocabulary.
          options: settings of the run, with job_dir, data_dir, skip_damaged, eval_images and perhaps max_caption_length
            (else 20).
          log: function of a text that prints it to the run's log.
          encode: models.encoders.in_step.InStepEncoder, if the encoder runs in the training step; else None.
        """
        self.encode, self.data_dir = encode, options.data_dir
        is_trained = encode is not None and bool(encode.weights)
        if encode is None or (os.path.exists(os.path.join(self.data_dir, "features_val.json")) and not is_trained):
            image_set = ImageSet.from_bank(options.data_dir, "val", options.skip_damaged)
            rows = np.arange(min(options.eval_images, len(image_set)))
            self.vectors = image_set.bank.centre(image_set.bank_rows[rows])
        else:
            self.names = splits.names_in_records(self.data_dir, "val")[: options.eval_images]
            self.vectors = None if is_trained else self._encoded()
        length = getattr(options, "max_caption_length", 20)
        self.captioner = Captioner(objective.generator, objective.standardise, vocabulary, "fixed", length)
        self.log, self.job_dir = log, options.job_dir

    def _encoded(self):
        """Returns the image vectors by the encoder with its present weights: float32 [N, D]."""
        return splits.encoded(self.encode.present(), self.data_dir, "val", self.names)

    @classmethod
    def of_run(cls, objective, vocabulary, options, log, encode=None):
        """Returns a CollapseWatch; None if --eval_images is 0 or, with a note in the log, without validation images.

        Args: the arguments of the constructor, in the same order.
        """
        if not options.eval_images:
            return None
        if not record_files.files_of(options.data_dir, "image_val"):
            log(f"NOTE: {options.data_dir} has no validation images: no captions are looked at during training")
            return None
        return cls(objective, vocabulary, options, log, encode)

    def __call__(self, step):
        """Captions the validation images, and logs a warning if "unique" is below ALARM now and at the last checkpoint.

        Args: step: number of the training step.
        Returns: dict with "unique" (share of distinct captions, 0 to 1), "length" (mean number of words), "distinct-1",
          "distinct-2" (shares of distinct unigrams and bigrams) and "longest_run" (most equal words in a row).
        """
        before = last_metric(self.job_dir, "eval/unique")
        vectors = self._encoded() if self.vectors is None else self.vectors
        captions = [several[0].text for several in self.captioner.caption_vectors(vectors, "greedy")]
        found = statistics.diversity(dict(enumerate(map(unicode_text.split, captions))))
        if found["unique"] < self.ALARM and before is not None and before < self.ALARM:
            self.log(
                f"WARNING: collapse at step {step}: {found['unique']:.1%} of {len(captions)} validation captions are "
                f"distinct, twice in a row below {self.ALARM:.0%}. The first: {captions[0]!r}"
            )
        return found
