"""Captions of a trained R2M.

Shapes: B batch, E embedding, K concept words of an image.
"""

import tensorflow as tf

from baselines.r2m import configuration, memory_captioner
from captioning import run_content
from captioning.concept_captioner import ConceptCaptioner
from models import layers
from training import checkpoints


class R2MCaptioner(ConceptCaptioner):
    """Captions images with a trained run of R2M, from concept words only, not from the image itself."""

    def __init__(self, settings, vocabulary):
        """Args: settings: dict, the run's settings. vocabulary: formats.vocabulary.Vocabulary."""
        seed = tf.constant([0, 0], tf.int32)
        sizes = memory_captioner.Sizes.of(settings)
        self.encoder, decoder, _ = memory_captioner.build(vocabulary.size, sizes, 1.0, seed)
        order = {"class": "reference", "score": "fixed"}[configuration.quirk(settings, "concept_order")]
        super().__init__(decoder, vocabulary, settings["semantics"], order)
        self.input_embedding = self.encoder.embedding

    @classmethod
    def from_run(cls, job_dir, checkpoint="newest"):
        """Returns the captioner of a run. Args: checkpoint: as for training.checkpoints.choose."""
        content, vocabulary, prefix = run_content.open_run(job_dir, checkpoint)
        captioner = cls(content["settings"], vocabulary)
        captioner.load(prefix)
        return captioner

    def load(self, prefix):
        """Loads the weights of a checkpoint of the same run."""
        variables = layers.named_variables(self.encoder, self.generator)
        checkpoints.assign_variables(variables, checkpoints.read_variables(prefix), prefix)

    def feature(self, rows_BK):
        """Returns the unit vectors of concept words: float32 [B, E]; zeros for an image without any."""
        return self.encoder(rows_BK, tf.math.count_nonzero(rows_BK, 1, dtype=tf.int32))
