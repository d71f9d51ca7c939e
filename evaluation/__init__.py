"""Scores captions: metrics and their uncertainty, tables, the HTML report, and captioners without training."""
