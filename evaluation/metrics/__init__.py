"""Computes metrics of captions against references. Use scorer.py; the other files each call one tool."""

from evaluation.metrics.scorer import METRICS, NOT_ASKED, VALUES, Scorer, Scores, score, value_names

__all__ = ["METRICS", "NOT_ASKED", "VALUES", "Scorer", "Scores", "score", "value_names"]
