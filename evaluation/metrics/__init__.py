"""Metrics: captions against references. scorer.py is what others call; the rest is one file a tool."""

from evaluation.metrics.scorer import METRICS, NOT_ASKED, VALUES, Scorer, Scores, score, value_names

__all__ = ["METRICS", "NOT_ASKED", "VALUES", "Scorer", "Scores", "score", "value_names"]
