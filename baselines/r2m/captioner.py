"""Captions images by a trained run of R2M.

Shapes: B batch, E embedding, K concept words of an image (zero padded).
"""

import tensorflow as tf

from baselines.r2m import configuration, memory_captioner
from captioning import run_content
from captioning.concept_captioner import ConceptCaptioner
from models import layers
from training import checkpoints


class R2MCaptioner(ConceptCaptioner):
    """Captions images from their concept words by a trained run of R2M; the image itself is not read."""

    def __init__(self, settings, vocabulary):
        """Builds the networks with new weights; `load` replaces them.

        Args: settings: dict, the settings of the run. vocabulary: formats.vocabulary.Vocabulary of the run.
        """
        seed = tf.constant([0, 0], tf.int32)
        sizes = memory_captioner.Sizes.of(settings)
        self.encoder, decoder, _ = memory_captioner.build(vocabulary.size, sizes, 1.0, seed)
        order = {"class": "reference", "score": "fixed"}[configuration.quirk(settings, "concept_order")]
        super().__init__(decoder, vocabulary, settings["semantics"], order)
        self.input_embedding = self.encoder.embedding

    @classmethod
    def from_run(cls, job_dir, checkpoint="newest"):
        """Returns the captioner of a run with the weights of one of its checkpoints.

        Args: job_dir: run directory of one stage. checkpoint: "best", "newest", a step, or the path of a checkpoint.
        Raises: cli.UserError if the run is damaged or there is no such checkpoint.
        """
        content, vocabulary, prefix = run_content.open_run(job_dir, checkpoint)
        captioner = cls(content["settings"], vocabulary)
        captioner.load(prefix)
        return captioner

    def load(self, prefix):
        """Assigns the weights of a checkpoint of the same run.

        Args: prefix: path of the checkpoint without its ending.
        Raises: cli.UserError if the checkpoint cannot be read or does not have all variables of the networks.
        """
        variables = layers.named_variables(self.encoder, self.generator)
        checkpoints.assign_variables(variables, checkpoints.read_variables(prefix), prefix)

    def feature(self, rows_BK):
        """Returns the unit vectors of images' concept words, float32 [B, E]; the row of an image without any is zero.

        Args: rows_BK: int32, ids of the concept words, zero padded.
        """
        return self.encoder(rows_BK, tf.math.count_nonzero(rows_BK, 1, dtype=tf.int32))
