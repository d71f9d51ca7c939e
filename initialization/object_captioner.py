"""Captions from an obj2sen run: what detections alone give, without looking at the image (UIC spec 9.2).

Shapes: B batch, N images, K concept words of an image.
"""

import dataclasses
import os

import numpy as np
import tensorflow as tf

import config
from evaluation.captioner import Captioner
from input_pipeline import ImageSet
from models import layers
from models.concepts import told_concepts
from objectives.obj2sen import ObjectToSentenceObjective
from preprocessing import records
from preprocessing.vocabulary import Vocabulary
from training import checkpoints, distribution
from training.run_directory import read_config, read_options


class ObjectCaptioner(Captioner):
    """A trained obj2sen; its rows are concept words: int32 [N, K], zero padded."""

    row_type = np.int32

    def __init__(self, objective, vocabulary, semantics):
        super().__init__(objective.generator, None, vocabulary, semantics)
        self.objective = objective
        self.input_embedding, self.suppress_unknown = objective.input_embedding, objective.suppress_unknown

    @classmethod
    def from_run(cls, job_dir, checkpoint=None):
        """The captioner of a run. Args: checkpoint: a step or a path, None for the newest."""
        content = read_config(job_dir)
        if content["stage"] != config.ObjectToSentence.__name__:
            raise config.UserError(f"{job_dir}: a {content['stage']} run, expected one of initialization.obj2sen")
        vocabulary = Vocabulary.load(os.path.join(job_dir, "vocabulary.txt"))
        if vocabulary.fingerprint() != content["facts"]["vocabulary"]:
            raise config.UserError(f"{job_dir}/vocabulary.txt is not the one the run was trained with")
        options = dataclasses.replace(read_options(job_dir, config.ObjectToSentence), keep_prob=1.0)
        captioner = cls(ObjectToSentenceObjective(options, vocabulary.size), vocabulary, options.semantics)
        captioner.load(job_dir if checkpoint is None else checkpoint, job_dir)
        return captioner

    def load(self, checkpoint, job_dir=None):
        """Takes the weights of another checkpoint of the same run (a step or a path)."""
        path = checkpoints.prefix_of(job_dir, checkpoint) if isinstance(checkpoint, int) else checkpoint
        networks = (self.objective.generator, self.objective.discriminator)
        checkpoints.assign_variables(layers.named_variables(*networks), checkpoints.read_variables(path), path)

    def feature(self, rows_BD):
        """The unit feature of concept words: float32 [B, E]; zeros for an image without any."""
        return self.objective.encode(rows_BD, tf.math.count_nonzero(rows_BD, 1, dtype=tf.int32))

    def rows_of(self, images, threshold=0.0):
        """What is told about photographs (records.Images): int32 [N, K], by the run's semantics."""
        objects = ImageSet(images, None, None).objects(np.arange(len(images)))
        return told_concepts(objects["classes"], objects["scores"], objects["num"], self.semantics, threshold)[0]

    def check_vocabulary(self, data_dir):
        """Raises config.UserError when the objects in `data_dir` are numbered by another dictionary."""
        there = Vocabulary.load(os.path.join(data_dir, "word_counts.txt"))
        if there.fingerprint() != self.vocabulary.fingerprint():
            raise config.UserError(
                f"{data_dir}/word_counts.txt is not the dictionary of the run ({there.size} words there, "
                f"{self.vocabulary.size} in the run): give the --data_dir that it was trained on, or train it again"
            )


def object_captioner(options, data_dir):
    """What evaluation.scoring asks for: function (checkpoint, split, names) -> (captioner, rows)."""
    strategy = distribution.local_strategy(options)

    def open_run(checkpoint, split, names):
        with strategy.scope():
            captioner = ObjectCaptioner.from_run(options.job_dir, checkpoint)
        captioner.check_vocabulary(data_dir)
        images = records.read_images(records.find_files(data_dir, f"image_{split}"))
        row_of = {name: row for row, name in enumerate(images.names)}
        missing = [name for name in names if name not in row_of]
        if missing:
            raise config.UserError(
                f"{data_dir}: {len(missing)} images with references have no record, the first is {missing[0]}; make "
                "both by one run of python -m preprocessing.process_images --overwrite"
            )
        return captioner, captioner.rows_of(images, options.threshold)[[row_of[name] for name in names]]

    return open_run
