"""A model's rationales and answers beside people's: a function for each metric, and the table of them."""

from eraser.metrics.table import METRICS, Metric, mean, measure, score

__all__ = ["METRICS", "Metric", "mean", "measure", "score"]
