"""Scores and their uncertainty, tables, the report, and systems without training."""
