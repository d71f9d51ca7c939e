"""Scores, their uncertainty, the tables that show them, and the rows that need no training."""
