"""The report: one HTML file about runs, their scores, curves and captions."""

from evaluation.report.report import Options, main

__all__ = ["Options", "main"]
