"""The official ERASER scorer's output, key for key, and everything that is wrong with a prediction file."""

from eraser.official.check import check_predictions
from eraser.official.scorer import score_official

__all__ = ["check_predictions", "score_official"]
