"""Measured speed beside counted operations, on the same inputs in one run.

Three ways to run one model: `dense` is Hugging Face's own forward pass with fused attention on padded
batches; `packed` is ours with nothing removed; `removal` really drops tokens. Rounds alternate between
them, so that a slow minute of the machine hits all alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm.auto import tqdm

from eraser import Fault, InputError
from rationale.hf import Classifier, describe, without_removal
from rationale.memory import peak_megabytes
from rationale.models.adapler import AdaplerForSequenceClassification
from rationale.models.encoder import Output, run_packed
from rationale.models.flops import costs, kept_lengths
from rationale.models.packed import Rows
from rationale.text import Batch, Window

Floats = NDArray[np.float64]
WAYS = ("dense", "packed", "removal")


@dataclass(frozen=True)
class Timing:
    """One way to run: seconds of each round over all windows, operations, peak memory of a batch."""

    way: str
    seconds: tuple[float, ...]
    flops: float
    megabytes: float

    @property
    def median(self) -> float:
        """Return the median round."""
        return float(np.median(self.seconds))


@dataclass(frozen=True)
class Bench:
    """What was measured, and where."""

    timings: tuple[Timing, ...]
    lengths: Floats  # mean tokens each layer worked on [L]
    windows: int
    batch_size: int
    tokens: float  # mean of a window
    where: str

    def ratio(self, way: str, of: Callable[[Timing], float]) -> float:
        """Return dense / way."""
        by_way = {t.way: of(t) for t in self.timings}
        return by_way["dense"] / by_way[way]

    def spread(self, way: str) -> tuple[float, float]:
        """Return the smallest and largest speed-up over rounds, each against its own round's dense."""
        by_way = {t.way: np.array(t.seconds) for t in self.timings}
        ratios = by_way["dense"] / by_way[way]
        return float(ratios.min()), float(ratios.max())


def bench(classifier: Classifier, windows: Sequence[Window], batch_size: int = 32, rounds: int = 5) -> Bench:
    """Time the three ways over all windows, sorted by length, in batches of `batch_size`.

    Raises:
        InputError: the model drops no tokens, or there is nothing to time.
    """
    if not isinstance(classifier.model, AdaplerForSequenceClassification):
        raise InputError(Fault("a model that drops tokens", type(classifier.model).__name__))
    if rounds < 1 or batch_size < 1 or not windows:
        got = f"{rounds}, {batch_size}, {len(windows)}"
        raise InputError(Fault("at least 1 round, a batch size of 1 and 1 window", got))
    ordered = sorted(windows, key=len)
    batches = [
        classifier.encoder.collate(ordered[i : i + batch_size]).to(classifier.device)
        for i in range(0, len(ordered), batch_size)
    ]
    runs = _ways(classifier)
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    with torch.inference_mode(), classifier.autocast():
        kept = np.concatenate([kept_lengths(runs["removal"](b)) for b in batches], axis=1)
        for way in WAYS:  # warm up
            runs[way](batches[-1])
        for _ in tqdm(range(rounds), desc="bench", leave=False, disable=None):
            for way in WAYS:
                seconds[way].append(_seconds(runs[way], batches, classifier.device))
        memory = {way: peak_megabytes(_of(runs[way], batches[-1]), classifier.device) for way in WAYS}
    lengths = np.array([len(w) for w in ordered])
    price = costs(classifier.model)
    dense = float(price.dense(lengths).sum())
    flops = {"dense": dense, "packed": dense, "removal": float(price.shrinking(lengths, kept).sum())}
    timings = tuple(Timing(way, tuple(seconds[way]), flops[way], memory[way]) for way in WAYS)
    return Bench(timings, kept.mean(1), len(ordered), batch_size, float(lengths.mean()), describe(classifier))


def _ways(classifier: Classifier) -> dict[str, Callable[[Batch], Any]]:
    dense, model = without_removal(classifier), classifier.model

    def keep_all(layer: int, states: torch.Tensor, rows: Rows) -> tuple[torch.Tensor, None]:
        return torch.ones(len(states), dtype=torch.bool, device=states.device), None

    def run_dense(batch: Batch) -> Any:
        return dense.model(input_ids=batch.ids, **dense.inputs(batch))

    def run_all(batch: Batch) -> Output:
        return run_packed(dense.model, batch.ids, batch.types, batch.real, keep_all)

    def run_removal(batch: Batch) -> Output:
        output: Output = model(input_ids=batch.ids, **classifier.inputs(batch))
        return output

    return {"dense": run_dense, "packed": run_all, "removal": run_removal}


def _of(run: Callable[[Batch], Any], batch: Batch) -> Callable[[], object]:
    return lambda: run(batch)


def _seconds(run: Callable[[Batch], Any], batches: Sequence[Batch], device: torch.device) -> float:
    """Return the wall-clock time of all batches; on a GPU until it has finished them."""
    begin = time.perf_counter()
    for batch in batches:
        run(batch)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begin


def table(found: Bench) -> str:
    """Return the measurement as lines of text."""
    lines = [
        f"{found.windows} windows of {found.tokens:.1f} pieces on average, batches of {found.batch_size}; "
        f"{found.where}; {len(found.timings[0].seconds)} rounds",
        "tokens each layer works on: " + " ".join(f"{x:.1f}" for x in found.lengths),
        f"{'way':8} {'GFLOPs':>9} {'times':>6} {'seconds':>8} {'times':>6} {'[least, most]':>15} "
        f"{'windows/s':>10} {'MB a batch':>10}",
    ]
    for t in found.timings:
        low, high = found.spread(t.way)
        lines.append(
            f"{t.way:8} {t.flops / 1e9:9.1f} {found.ratio(t.way, lambda t: t.flops):6.2f} {t.median:8.3f} "
            f"{found.ratio(t.way, lambda t: t.median):6.2f} {f'[{low:.2f}, {high:.2f}]':>15} "
            f"{found.windows / t.median:10.1f} {t.megabytes:10.0f}"
        )
    of_flops, of_time = (
        found.ratio("removal", lambda t: t.flops),
        found.ratio("removal", lambda t: t.median),
    )
    lines.append(f"wall-clock speed-up / FLOPs speed-up: {of_time / of_flops:.3f}")
    return "\n".join(lines)
