"""Metrics of rationales and predictions: one function per metric, and their table."""

from eraser.metrics.table import METRICS, Metric, Score, compare, f1_of_means, mean, measure, micro_f1, score

__all__ = ["METRICS", "Metric", "Score", "compare", "f1_of_means", "mean", "measure", "micro_f1", "score"]
