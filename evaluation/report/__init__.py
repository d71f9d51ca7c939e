"""The report: an HTML file about runs with their scores, curves and captions."""

from evaluation.report.report import Options, main

__all__ = ["Options", "main"]
