"""The captioner of obj2sen runs: it captions images from their detected objects, without image vectors.

Shapes: B batch, N images, K concept words of an image, E embedding.
"""

import dataclasses

import tensorflow as tf

import cli
import config
import registry
from captioning import run_content
from captioning.concept_captioner import ConceptCaptioner
from captioning.splits import opened_once
from models import layers
from objectives.obj2sen import ObjectToSentenceObjective
from training import checkpoints, distribution
from training.run_directory import read_config, read_options


class ObjectCaptioner(ConceptCaptioner):
    """Captions images by a trained run of initialization.obj2sen, from the concept words of detected objects."""

    def __init__(self, objective, vocabulary, semantics):
        """Holds the networks of an objective; nothing is computed or loaded yet.

        Args:
          objective: ObjectToSentenceObjective, which has the generator and the encoder of concept words.
          vocabulary: Vocabulary.
          semantics: which concept words are read: with "reference" the first objects of a record in reverse order, with
            "fixed" those with the highest scores; and whether the last word of a caption without an end token is cut:
            with "reference" it is.
        """
        super().__init__(objective.generator, vocabulary, semantics)
        self.objective = objective
        self.input_embedding, self.suppress_unknown = objective.input_embedding, objective.suppress_unknown

    @classmethod
    def from_run(cls, job_dir, checkpoint="newest"):
        """Returns the captioner of a run with the weights of one of its checkpoints.

        Args: job_dir: run directory. checkpoint: "best", "newest", a step, or the path of a checkpoint.
        Raises: cli.UserError if it is not a run of obj2sen, if it is damaged, or if there is no such checkpoint.
        """
        content = read_config(job_dir)
        if not registry.is_stage(content, config.ObjectToSentence):
            raise cli.UserError(f"{job_dir}: a run of {content['stage']}, expected one of initialization.obj2sen")
        _, vocabulary, prefix = run_content.open_run(job_dir, checkpoint)
        options = dataclasses.replace(read_options(job_dir, config.ObjectToSentence), keep_prob=1.0)
        captioner = cls(ObjectToSentenceObjective(options, vocabulary.size), vocabulary, options.semantics)
        captioner.load(prefix)
        return captioner

    def load(self, prefix):
        """Assigns the weights of a checkpoint of the same run.

        Args: prefix: path of the checkpoint without its ending.
        Raises: cli.UserError if the checkpoint cannot be read or does not have all variables of the networks.
        """
        networks = (self.objective.generator, self.objective.discriminator)
        checkpoints.assign_variables(layers.named_variables(*networks), checkpoints.read_variables(prefix), prefix)

    def feature(self, rows_BK):
        """Returns the unit vectors that encode rows of concept words: float32 [B, E]; zeros for an empty row.

        Args: rows_BK: int32, ids of the concept words, zero padded.
        """
        return self.objective.encode(rows_BK, tf.math.count_nonzero(rows_BK, 1, dtype=tf.int32))


def object_captioner(options, data_dir):
    """Returns a function (checkpoint, split, names) -> (ObjectCaptioner, the images' concept words int32 [N, K]).

    evaluation.scoring calls the returned function with a checkpoint ("best", "newest", a step, or a path), a split
    ("val" or "test") and a list of N image names.

    Args: options: eval_obj2sen.Options. data_dir: data folder with the image records.
    Raises: cli.UserError if a device does not exist; the function raises it for a damaged run or a missing record.
    """
    strategy = distribution.local_strategy(options)

    def open_run(checkpoint, split, names):
        with strategy.scope():
            captioner = ObjectCaptioner.from_run(options.job_dir, checkpoint)
        return captioner, captioner.rows_of_split(data_dir, split, names, options.threshold)

    return opened_once(open_run)
