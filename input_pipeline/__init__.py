"""Batches from record files and feature banks. Every random draw is a pure function of (seed, step).

A stream is an endless sequence of examples: one epoch after the other, each a permutation drawn from (seed, epoch).
With batches of B examples, step t takes the positions t B to (t + 1) B - 1. There is no shuffle buffer: any batch can
be made at any time on any machine, so resuming needs no state, and the number of devices does not change the order.
"""

from input_pipeline.batches import (
    ConceptImageBatches,
    MergedBatches,
    PairedBatches,
    SentenceBatches,
    UnpairedBatches,
    crop_draws,
)
from input_pipeline.sources import FeatureBank, ImageSet, PointSet, SentenceSet, padded_rows, read_all
from input_pipeline.streams import Stream, generator_of

__all__ = [
    "MergedBatches",
    "ConceptImageBatches",
    "SentenceSet",
    "FeatureBank",
    "ImageSet",
    "PairedBatches",
    "PointSet",
    "SentenceBatches",
    "Stream",
    "UnpairedBatches",
    "crop_draws",
    "generator_of",
    "padded_rows",
    "read_all",
]
