"""Which int8 form is written: the smallest that keeps its accuracy on labelled texts within the tolerance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eraser import Dataset, Example, Fault, InputError
from eraser.metrics.bootstrap import Estimate
from eraser.metrics.table import compare, measure_labels
from eraser.types import Floats
from rationale.export.parity import Parity, WindowReading, parity, read_by_graph
from rationale.export.quantize import INT8_FORMS, quantized
from rationale.heads import HEADS, predicted_label
from rationale.hf.classifier import Classifier
from rationale.inference.predict import of_texts
from rationale.models.adaptive import unwrap
from rationale.models.packed.layers import depth_of
from rationale.text.windows import Window


@dataclass(frozen=True)
class Int8:
    """A form that was tried: its loss of accuracy, paired by text, and how much it differs from float32."""

    form: str
    proto: Any  # onnx.ModelProto
    loss: Estimate
    same_label: float  # share of texts
    readings: Parity


@dataclass(frozen=True)
class Labelled:
    """The labelled texts on which int8 forms are judged, and the float32 model."""

    classifier: Classifier
    dataset: Dataset
    split: str
    limit: int | None = None

    def __post_init__(self) -> None:
        """Refuse a model that predicts a number: it has no accuracy to compare."""
        if HEADS[self.classifier.head].kind == "value":
            raise InputError(Fault.of("--int8 is for models that give labels: their accuracy is its judge"))

    @property
    def examples(self) -> Sequence[Example]:
        """The examples, in order."""
        return self.dataset.examples(self.split)[: self.limit]

    def windows(self) -> list[tuple[Window, ...]]:
        """Return the windows of each text."""
        return self.classifier.encoder.encode([self.dataset.text(e) for e in self.examples])

    def labels(self, readings: Sequence[WindowReading], windows: Sequence[tuple[Window, ...]]) -> list[str]:
        """Return the label of each text, from the readings of its windows."""
        asked = self.classifier
        logits: Floats = np.stack([r.logits for r in readings])  # [N,C]
        probs = of_texts(HEADS[asked.head].answers(logits), windows)  # [text,C]
        return [predicted_label(asked.head, asked.labels, of) for of in probs]

    def right(self, labels: Sequence[str]) -> list[Any]:
        """Return the columns of the accuracy metric for each text."""
        return measure_labels(self.dataset, self.examples, labels, HEADS[self.classifier.head].kind)


def int8_forms(proto: Any, texts: Labelled, tolerance: float, seed: int = 0) -> list[Int8]:
    """Return the forms that were tried; the last one loses no more accuracy than `tolerance`.

    Raises:
        InputError: every form loses more.
    """
    windows = texts.windows()
    flat = [w for of_text in windows for w in of_text]
    before = read_by_graph(proto, flat)
    labels = texts.labels(before, windows)
    tried: list[Int8] = []
    for form in INT8_FORMS:
        made = quantized(proto, form, depth_of(unwrap(texts.classifier.model)))
        after = read_by_graph(made, flat)
        now = texts.labels(after, windows)
        loss = compare("accuracy", texts.right(labels), texts.right(now), seed)
        same = float(np.mean([a == b for a, b in zip(labels, now, strict=True)]))
        tried.append(Int8(form, made, loss, same, parity(before, after)))
        if loss.value <= tolerance:
            return tried
    least = min(tried, key=lambda form: form.loss.value)
    what = f"{least.form}: {least.loss.value:.4f} [{least.loss.low:.4f}, {least.loss.high:.4f}]"
    raise InputError(
        Fault(
            f"an int8 form that loses at most {tolerance:g} of accuracy on {texts.split}",
            f"{what}, n = {least.loss.n}",
        )
    )
