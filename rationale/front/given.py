"""Models and data as users give them (names or objects) → the parts of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from eraser import Dataset, Fault, InputError
from eraser.load import load as load_dataset
from rationale.blackbox import BlackBox
from rationale.front.data import load_data
from rationale.front.explanations import load
from rationale.named import is_function
from rationale.report.command import IN_MEMORY
from rationale.settings import EvaluateSettings
from rationale.text_classifier import TextClassifier


def loaded(
    model: Any, labels: Sequence[str] | None, how: dict[str, Any]
) -> tuple[TextClassifier, dict[str, Any]]:
    """Return a classifier, and the settings of how it reads and where it runs."""
    if not (hasattr(model, "encoder") and hasattr(model, "head")):
        return load(model, labels=labels, **how), how
    if labels is not None:
        raise InputError(Fault.of("the model is loaded already: give labels to rationale.load instead"))
    if how:
        message = f"the model is loaded already: give {', '.join(how)} to rationale.load instead"
        raise InputError(Fault.of(message))
    if model.opaque:
        return model, {}
    from rationale.hf.device import precision_of  # needs torch

    precision, encoder = precision_of(model.model, model.bf16), model.encoder
    read = {"max_length": encoder.max_length, "long_texts": encoder.long_texts}
    return model, {**read, "precision": precision, "device": str(model.device)}


def named_dataset(name: str | Path | Mapping[str, str | Path], split: str) -> Dataset:
    """Return a data set by its name or path, or from a file for each split.

    All rows of one file of rows are the split.
    """
    if not isinstance(name, str | Path):
        return load_data(name)
    path = Path(name)
    if isinstance(name, Path) or path.exists():
        return load_dataset(None, path, split=split)
    return load_dataset(str(name))


def known_settings(given: dict[str, Any]) -> dict[str, Any]:
    """Return the settings, or refuse unknown names."""
    known = sorted({f.name for f in fields(EvaluateSettings)} - {"methods", "budgets"})
    if unknown := sorted(given.keys() - set(known)):
        raise InputError(*(Fault(f"a setting of {', '.join(known)}", name) for name in unknown))
    return given


def name_of(model: Any) -> str:
    """Return a model's name for a run's facts: as it was given, or the class or function in memory."""
    if model is None:
        from rationale.hf.classifier import SHIPPED

        return str(SHIPPED)
    if isinstance(model, str | Path):
        return str(model)
    if isinstance(model, BlackBox) and is_function(model.name):
        return model.name
    inner = model[0] if isinstance(model, tuple) else getattr(model, "model", model)
    inner = getattr(inner, "__self__", inner)  # a method's object
    return getattr(inner, "__name__", type(inner).__name__) + IN_MEMORY
