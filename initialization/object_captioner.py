"""Captions from an obj2sen run: only from detections, without the image vector.

Shapes: B batch, N images, K concept words of an image.
"""

import dataclasses

import tensorflow as tf

import cli
import config
import registry
from captioning import run_content
from captioning.concept_captioner import ConceptCaptioner
from models import layers
from objectives.obj2sen import ObjectToSentenceObjective
from training import checkpoints, distribution
from training.run_directory import read_config, read_options


class ObjectCaptioner(ConceptCaptioner):
    """Captions images with a trained run of initialization.obj2sen, from the concept words of detected objects."""

    def __init__(self, objective, vocabulary, semantics):
        super().__init__(objective.generator, vocabulary, semantics)
        self.objective = objective
        self.input_embedding, self.suppress_unknown = objective.input_embedding, objective.suppress_unknown

    @classmethod
    def from_run(cls, job_dir, checkpoint="newest"):
        """Returns the ObjectCaptioner of a run. Args: job_dir: run directory. checkpoint: see checkpoints.choose."""
        content = read_config(job_dir)
        if not registry.is_stage(content, config.ObjectToSentence):
            raise cli.UserError(f"{job_dir}: a run of {content['stage']}, expected one of initialization.obj2sen")
        _, vocabulary, prefix = run_content.open_run(job_dir, checkpoint)
        options = dataclasses.replace(read_options(job_dir, config.ObjectToSentence), keep_prob=1.0)
        captioner = cls(ObjectToSentenceObjective(options, vocabulary.size), vocabulary, options.semantics)
        captioner.load(prefix)
        return captioner

    def load(self, prefix):
        """Loads the weights of another checkpoint of the same run."""
        networks = (self.objective.generator, self.objective.discriminator)
        checkpoints.assign_variables(layers.named_variables(*networks), checkpoints.read_variables(prefix), prefix)

    def feature(self, rows_BK):
        """Encodes rows of word ids (int32, zero padded) as unit vectors float32 [B, E]; zeros for an empty row."""
        return self.objective.encode(rows_BK, tf.math.count_nonzero(rows_BK, 1, dtype=tf.int32))


def object_captioner(options, data_dir):
    """Returns the function that evaluation.scoring needs: (checkpoint, split, names) -> (captioner, rows)."""
    strategy = distribution.local_strategy(options)

    def open_run(checkpoint, split, names):
        with strategy.scope():
            captioner = ObjectCaptioner.from_run(options.job_dir, checkpoint)
        return captioner, captioner.rows_of_split(data_dir, split, names, options.threshold)

    return open_run
