"""Batches from records and feature banks. Every draw is a pure function of (seed, step), so resuming needs no state.

A stream is an endless sequence of examples: one epoch after the other, each a permutation drawn from (seed, epoch).
Step t takes the positions [t B, (t + 1) B). There is no shuffle buffer: any batch can be made at any time on any
machine, and the number of devices does not change the order.
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
