"""Exported files of models that tests have in memory."""

from __future__ import annotations

from pathlib import Path

from rationale.export.graph import export_graph
from rationale.hf.classifier import Classifier


def exported(classifier: Classifier, path: Path) -> Path:
    """Write a classifier as an exported file."""
    export_graph(classifier, path)
    return path
