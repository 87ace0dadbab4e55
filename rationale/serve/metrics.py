"""The server's metrics, in Prometheus's text format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from rationale.onnx.answer import Answer

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Metrics:
    """Metrics of one server; each server has its own registry, so that nothing is counted twice."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        of: dict[str, Any] = {"namespace": "rationale", "registry": self.registry}
        self.requests = Counter("requests", "Requests answered, by status", ["status"], **of)
        self.texts = Counter("texts", "Texts read", **of)
        self.windows = Counter("windows", "Windows read", **of)
        self.unread = Counter("unread_words", "Words that were not read", **of)
        self.truncated = Counter("truncated_words", "Words that were cut off", **of)
        self.in_flight = Gauge("requests_in_flight", "Requests read or waiting", **of)
        self.seconds = Histogram("text_seconds", "Time that a text took to be read", buckets=SECONDS, **of)

    def left(self, status: int) -> None:
        """Count an answer."""
        self.requests.labels(str(status)).inc()
        self.in_flight.dec()

    def read(self, answers: Sequence[Answer]) -> None:
        """Count texts that were read."""
        self.texts.inc(len(answers))
        self.windows.inc(sum(answer.windows for answer in answers))
        self.unread.inc(sum(answer.unread for answer in answers))
        self.truncated.inc(sum(answer.truncated for answer in answers))

    def text(self) -> bytes:
        """Return all counts."""
        return generate_latest(self.registry)
