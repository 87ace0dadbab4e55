"""Metrics of rationales and predictions: one function per metric, and their table."""

from eraser.metrics.table import METRICS, Metric, mean, measure, score

__all__ = ["METRICS", "Metric", "mean", "measure", "score"]
