"""A model's rationales and predictions against human ones: one function per metric, and their table."""

from eraser.metrics.table import METRICS, Metric, mean, measure, score

__all__ = ["METRICS", "Metric", "mean", "measure", "score"]
