"""Measured speed beside FLOPs, on the same inputs in one run.

Ways to run one model, each with one part more: `dense` is Hugging Face's own forward pass with fused
attention on padded batches; `packed` is ours with nothing removed; `cut` is with the matrices cut; `removal`
really drops tokens; `exit` lets texts stop early. A cut model's dense original gets random weights, which
take the same time. Rounds alternate between the ways, so that a slow minute of the machine affects all alike.
A window is timed once in each way, as a user's own texts are read: repeated batches run faster than in use,
as libraries cache what they prepare for their shapes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from eraser import Fault, InputError
from eraser.progress import progress
from eraser.types import Floats
from rationale.hf.classifier import Classifier, cast_once
from rationale.hf.memory import peak_megabytes
from rationale.models.adaptive import unwrap
from rationale.models.capabilities import has_dial, is_cut, wrappers
from rationale.models.flops import costs, kept_lengths
from rationale.models.packed.encoder import Output, keep_all, run_packed
from rationale.models.pruning import build, original
from rationale.text.encode import Batch
from rationale.text.windows import Window

EFFICIENT = "a model that drops tokens, stops early or is cut (`rationale train` makes one of a dense one)"


@dataclass(frozen=True)
class Timing:
    """One way to run: seconds of each round, FLOPs of all windows, peak memory of a batch."""

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
    lengths: Floats  # mean tokens each layer worked on [L], in the last way
    windows: int
    batch_size: int
    tokens: float  # mean of a window
    where: str
    repeated: bool = False  # every round reads all windows, else its share of them

    @property
    def windows_a_round(self) -> float:
        """Return how many windows a round read, on average."""
        return self.windows / (1 if self.repeated else len(self.timings[0].seconds))

    def gflops(self, timing: Timing) -> float:
        """Return the GFLOPs of a round, as its seconds are."""
        return timing.flops / 1e9 * self.windows_a_round / self.windows

    def ratio(self, way: str, of: Callable[[Timing], float]) -> float:
        """Return dense / way."""
        by_way = {t.way: of(t) for t in self.timings}
        return by_way["dense"] / by_way[way]

    def spread(self, way: str) -> tuple[float, float]:
        """Return the smallest and largest speed-up over rounds, each against its own round's dense."""
        by_way = {t.way: np.array(t.seconds) for t in self.timings}
        ratios = by_way["dense"] / by_way[way]
        return float(ratios.min()), float(ratios.max())


def bench(
    classifier: Classifier,
    windows: Sequence[Window],
    batch_size: int = 32,
    rounds: int = 5,
    repeat: bool = False,
) -> Bench:
    """Time all ways over all windows, sorted by length, in batches of `batch_size`.

    Args:
        classifier: whose model is run.
        windows: what it reads.
        batch_size: of how many of them.
        rounds: in each, every way reads an equal share of the windows.
        repeat: every round reads all windows again.

    Raises:
        InputError: the model is as dense as can be, or there is nothing to time.
    """
    if rounds < 1 or batch_size < 1 or not windows:
        got = f"{rounds}, {batch_size}, {len(windows)}"
        raise InputError(Fault("at least 1 round, a batch size of 1 and 1 window", got))
    if len(windows) < rounds and not repeat:
        raise InputError(Fault(f"a window for each of {rounds} rounds, which share them", str(len(windows))))
    ordered = sorted(windows, key=len)
    shares = [ordered] * rounds if repeat else [ordered[i::rounds] for i in range(rounds)]
    batches = _batches(classifier, ordered, batch_size)
    ways = variants_of(classifier)
    seconds: dict[str, list[float]] = {way.name: [] for way in ways}
    with torch.inference_mode(), classifier.autocast():
        for way in ways:  # warm up
            way.run(batches[-1])
        for share in progress(shares, "bench", "rounds"):
            of_round = _batches(classifier, share, batch_size)
            for way in ways:
                seconds[way.name].append(_seconds(way.run, of_round, classifier.device))
        found = {way.name: way.count(batches, ordered) for way in ways}  # now, for it reads them again
        memory = {way.name: peak_megabytes(_of(way.run, batches[-1]), classifier.device) for way in ways}
    timings = tuple(Timing(w, tuple(seconds[w]), flops, memory[w]) for w, (flops, _) in found.items())
    mean = float(np.mean([len(w) for w in ordered]))
    kept = found[ways[-1].name][1]
    return Bench(timings, kept.mean(1), len(ordered), batch_size, mean, classifier.where(), repeat)


def _batches(classifier: Classifier, ordered: Sequence[Window], size: int) -> list[Batch]:
    return [
        classifier.encoder.collate(ordered[i : i + size]).to(classifier.device)
        for i in range(0, len(ordered), size)
    ]


@dataclass(frozen=True)
class Variant:
    """One way to run: its name, the model with this part and all before, and how a batch is run."""

    name: str
    model: PreTrainedModel
    run: Callable[[Batch], Any]

    def count(self, batches: Sequence[Batch], windows: Sequence[Window]) -> tuple[float, Floats]:
        """Return the FLOPs of all batches, and the tokens each layer worked on [L, window]."""
        price, lengths = costs(self.model), np.array([len(w) for w in windows])
        if not has_dial(self.model):
            return float(price.dense(lengths).sum()), np.tile(lengths.astype(float), (len(price.token), 1))
        kept = np.concatenate([kept_lengths(self.run(batch)) for batch in batches], axis=1)
        return float(price.shrinking(lengths, kept).sum()), kept.astype(float)


def variants_of(classifier: Classifier) -> tuple[Variant, ...]:
    """Return the ways to run a model, from dense to all that it does."""
    inner = unwrap(classifier.model)
    dense = inner
    if is_cut(inner):
        dense = build(original(inner.config)).to(classifier.device).eval()  # type: ignore[arg-type]
        cast_once(replace(classifier, model=dense))
    ways = [_whole(classifier, "dense", dense), _packed("packed", dense)]
    if is_cut(inner):
        ways.append(_packed("cut", inner))
    around = wrappers(classifier.model)
    ways += [_whole(classifier, "removal" if w.removes else "exit", w) for w in around]
    if len(ways) == 2:  # noqa: PLR2004 (dense and packed)
        raise InputError(Fault(EFFICIENT, type(classifier.model).__name__))
    return tuple(ways)


def _whole(classifier: Classifier, name: str, model: PreTrainedModel) -> Variant:
    return Variant(name, model, lambda batch: model(input_ids=batch.ids, **classifier.inputs(batch)))


def _packed(name: str, model: PreTrainedModel) -> Variant:
    def run(batch: Batch) -> Output:
        return run_packed(model, batch.ids, batch.types, batch.real, keep_all)

    return Variant(name, model, run)


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
    rounds = len(found.timings[0].seconds)
    lines = [
        f"{found.windows} windows of {found.tokens:.1f} pieces on average, batches of {found.batch_size}; "
        f"{found.where}; {rounds} round{'' if rounds == 1 else 's'}",
        "tokens each layer works on: " + " ".join(f"{x:.1f}" for x in found.lengths),
        f"{'way':8} {'GFLOPs':>9} {'times':>6} {'seconds':>8} {'times':>6} {'[least, most]':>15} "
        f"{'windows/s':>10} {'MB a batch':>10}",
    ]
    for t in found.timings:
        low, high = found.spread(t.way)
        lines.append(
            f"{t.way:8} {found.gflops(t):9.1f} {found.ratio(t.way, lambda t: t.flops):6.2f} {t.median:8.3f} "
            f"{found.ratio(t.way, lambda t: t.median):6.2f} {f'[{low:.2f}, {high:.2f}]':>15} "
            f"{found.windows_a_round / t.median:10.1f} {t.megabytes:10.0f}"
        )
    last = found.timings[-1].way
    of_flops, of_time = (
        found.ratio(last, lambda t: t.flops),
        found.ratio(last, lambda t: t.median),
    )
    lines.append(f"wall-clock speed-up / FLOPs speed-up: {of_time / of_flops:.3f}")
    return "\n".join(lines)
