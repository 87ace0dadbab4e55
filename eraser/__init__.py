"""Human rationales, a model's predictions, and how the two compare. Needs no torch."""

from eraser.errors import Fault, InputError
from eraser.types import (
    Ablation,
    Dataset,
    Document,
    Evidence,
    Example,
    GoldRationale,
    Prediction,
    Span,
    Text,
)

__all__ = [
    "Ablation", "Dataset", "Document", "Evidence", "Example", "Fault", "InputError",
    "Prediction", "Span", "Text", "GoldRationale",
]  # fmt: skip
