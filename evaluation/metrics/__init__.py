"""Metrics of captions against references. Use scorer.py; the other files wrap one tool each."""

from evaluation.metrics.scorer import METRICS, NOT_ASKED, VALUES, Scorer, Scores, score, value_names

__all__ = ["METRICS", "NOT_ASKED", "VALUES", "Scorer", "Scores", "score", "value_names"]
