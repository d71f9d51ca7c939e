"""Computes metrics of captions against references. The package exports the names of scorer.py.

The other files each call one tool, such as METEOR's Java program; scorer.py uses them.
"""

from evaluation.metrics.scorer import METRICS, NOT_ASKED, VALUES, Scorer, Scores, score, value_names

__all__ = ["METRICS", "NOT_ASKED", "VALUES", "Scorer", "Scores", "score", "value_names"]
