"""A model beside common runtimes: time alone and in batches, classes, accuracy, in one run.

Every way reads every window once alone and once in a batch, so that none profits from what it cached earlier.
Windows are divided among rounds; in each round the ways take turns on the same windows, and each round starts
with a different way.

Axes: B window, C class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from eraser import Dataset, Example, Fault, InputError
from eraser.errors import first_line
from eraser.metrics.table import compare, measure_labels, score
from eraser.progress import progress
from eraser.types import Floats
from rationale.bench.clock import clock_on
from rationale.bench.onnx_files import OnnxFiles
from rationale.bench.speeds import SpeedSettings
from rationale.bench.ways import WAYS, YARDSTICK, Logits, Runner
from rationale.heads import HEADS
from rationale.hf.classifier import Classifier
from rationale.inference.predict import of_texts
from rationale.text.windows import Window
from rationale.text_classifier import labelled_as

WARM_UP = 4  # windows that each way reads before it is timed
MS = 1000


@dataclass(frozen=True)
class Texts:
    """What is read: a random sample of whole texts with their annotations, and their windows."""

    dataset: Dataset
    examples: tuple[Example, ...]
    texts: list[tuple[Window, ...]]

    @property
    def windows(self) -> list[Window]:
        """All windows, text by text."""
        return [window for of_text in self.texts for window in of_text]


@dataclass(frozen=True)
class Timed:
    """One way: seconds per window alone [B] and per round of batches, and logits [B,C] of windows alone."""

    alone: Floats
    batched: Floats
    logits: Logits

    @property
    def medians(self) -> Floats:
        """The median time of a window alone in each round, in seconds."""
        rounds = len(self.batched)
        return np.array([np.median(self.alone[number::rounds]) for number in range(rounds)])  # [round]


@dataclass(frozen=True)
class SideBySide:
    """A row for each model and way, the fastest first; ways left out, and why; how it was measured.

    `verdicts` compare the fastest of our ways with the fastest of the others, alone and in batches.
    """

    table: pd.DataFrame
    skipped: tuple[str, ...]
    where: str
    verdicts: tuple[str, ...] = ()


def side_by_side(
    dense: Classifier,
    models: Mapping[str, Classifier],
    dataset: Dataset,
    settings: SpeedSettings,
    ways: Sequence[str] = tuple(WAYS),
) -> SideBySide:
    """Time `dense` in common runtimes, and each model in our ways, on the same windows.

    Args:
        dense: the dense model that would be deployed, in float32.
        models: our models by name, in float32.
        dataset: a random sample of texts of its split is read, at most `settings.windows` windows.
        settings: how much is measured; `dials` are not used.
        ways: names of WAYS; Hugging Face's float32 pass is always included.

    Raises:
        InputError: there is nothing to time, a model does not give a text one class, or it is not on the CPU.
    """
    settings.check()
    for name, classifier in {"dense": dense, **models}.items():
        _check(name, classifier, dense)
    found = sample_of(dense, dataset, settings)
    with TemporaryDirectory(prefix="rationale-bench-") as folder:
        made = _made(dense, models, tuple(ways), OnnxFiles(Path(folder)), found.windows)
        timed = _time_all(made.runners, found.windows, settings)
    table = pd.DataFrame(list(_rows(dense, found, timed, settings)))
    ordered = table.sort_values("p50_ms", kind="stable", ignore_index=True)
    return SideBySide(ordered, tuple(made.skipped), _where(found, settings), tuple(_verdicts(timed)))


def _check(name: str, classifier: Classifier, dense: Classifier) -> None:
    """Refuse a model that cannot be compared with `dense` on the same windows."""
    if HEADS[classifier.head].kind != "class":
        raise InputError(Fault("a model that gives each text one class", f"the head {classifier.head}", name))
    if classifier.device.type != "cpu" or classifier.bf16:
        raise InputError(Fault.of("what people deploy is compared on a CPU, from float32 weights", name))
    if (classifier.labels, classifier.head) != (dense.labels, dense.head):
        raise InputError(Fault.of("the model and the dense model differ in their labels", name))
    if classifier.encoder.identity() != dense.encoder.identity():
        raise InputError(Fault.of("the model and the dense model cut texts into different pieces", name))


def sample_of(classifier: Classifier, dataset: Dataset, settings: SpeedSettings) -> Texts:
    """Return whole texts of a split in random order, at most `settings.windows` windows in all.

    There are at least as many windows as rounds, even if this exceeds `settings.windows`.

    Raises:
        InputError: the split has fewer windows than rounds.
    """
    s, examples = settings, dataset.examples(settings.split)
    order = np.random.default_rng(s.seed).permutation(len(examples))[: max(s.windows, s.rounds)]
    chosen = [examples[i] for i in order]
    encoded = classifier.encoder.encode([dataset.text(e) for e in chosen])
    windows = np.cumsum([len(of_text) for of_text in encoded])  # [text], up to each
    if windows[-1] < s.rounds:
        raise InputError(Fault(f"a window for each of {s.rounds} rounds, which share them", str(windows[-1])))
    n = max(int((windows <= s.windows).sum()), int((windows < s.rounds).sum()) + 1)
    return Texts(dataset, tuple(chosen[:n]), encoded[:n])


@dataclass(frozen=True)
class _Made:
    runners: dict[tuple[str, str], Runner]  # by model and way
    skipped: list[str]


def _made(
    dense: Classifier,
    models: Mapping[str, Classifier],
    ways: tuple[str, ...],
    files: OnnxFiles,
    windows: Sequence[Window],
) -> _Made:
    """Return a warmed-up runner for each model and way; what cannot run is skipped."""
    asked = [(n, w) for w in WAYS if w in (*ways, YARDSTICK) for n in (models if WAYS[w].ours else ["dense"])]
    made = _Made({}, [])
    for name, way in progress(asked, "make ready", "ways"):
        classifier = models[name] if WAYS[way].ours else dense
        try:
            WAYS[way].check()
            runner = WAYS[way].make(classifier, files)
            _warm_up(runner, windows)
        except Exception as error:  # libraries fail in many ways, and the others are still worth measuring
            if way == YARDSTICK:
                raise
            why = str(error) if isinstance(error, InputError) else first_line(error)
            made.skipped.append(f"left out: {name}, {WAYS[way].title}: {why}")
        else:
            made.runners[name, way] = runner
    return made


def _warm_up(runner: Runner, windows: Sequence[Window]) -> None:
    few = windows[-WARM_UP:]
    for read in (*([window] for window in few), few):
        runner.run(runner.prepare(read))


def _time_all(
    runners: Mapping[tuple[str, str], Runner], windows: Sequence[Window], s: SpeedSettings
) -> dict[tuple[str, str], Timed]:
    """Time all ways, round by round, each window once alone and once in a batch of its round."""
    empty = np.full(len(windows), np.nan)
    alone = {key: empty.copy() for key in runners}
    batched = {key: np.full(s.rounds, np.nan) for key in runners}
    logits: dict[tuple[str, str], dict[int, Logits]] = {key: {} for key in runners}
    for number in progress(range(s.rounds), "bench", "rounds"):
        share = range(number, len(windows), s.rounds)
        for key in _beginning_at(list(runners), number):
            for i, seconds, found in _one_by_one(runners[key], windows, share):
                alone[key][i], logits[key][i] = seconds, found
            batched[key][number] = _in_batches(runners[key], [windows[i] for i in share], s.batch_size)
    order = range(len(windows))
    return {k: Timed(alone[k], batched[k], np.concatenate([logits[k][i] for i in order])) for k in runners}


def _beginning_at(keys: list[tuple[str, str]], number: int) -> list[tuple[str, str]]:
    """Return the keys in their order, starting with a different one in each round.

    >>> _beginning_at([("a", ""), ("b", ""), ("c", "")], 4)
    [('b', ''), ('c', ''), ('a', '')]
    """
    first = number % len(keys)
    return keys[first:] + keys[:first]


def _one_by_one(
    runner: Runner, windows: Sequence[Window], share: Sequence[int]
) -> Iterator[tuple[int, float, Logits]]:
    clock, _ = clock_on()
    ready = [runner.prepare([windows[i]]) for i in share]
    for i, one in zip(share, ready, strict=True):
        begin = clock()
        found = runner.run(one)
        yield i, clock() - begin, found


def _in_batches(runner: Runner, windows: Sequence[Window], size: int) -> float:
    """Return the seconds of some windows, sorted by length, in batches."""
    (clock, _), ordered = clock_on(), sorted(windows, key=len)
    ready = [runner.prepare(ordered[i : i + size]) for i in range(0, len(ordered), size)]
    begin = clock()
    for batch in ready:
        runner.run(batch)
    return clock() - begin


def _where(found: Texts, s: SpeedSettings) -> str:
    """Return what was read, and how it was timed."""
    n, threads = len(found.windows), torch.get_num_threads()
    pieces = np.mean([len(w) for w in found.windows])
    timed = f"{threads} thread{'' if threads == 1 else 's'}, {clock_on()[1]}"
    size = min(s.batch_size, -(-n // s.rounds))
    return (
        f"{found.dataset.name} {s.split}: {len(found.examples)} texts (sample, seed {s.seed}), {n} windows "
        f"of {pieces:.1f} pieces on average, each read once alone and once in batches of {size}; {timed}; "
        f"{s.rounds} round{'' if s.rounds == 1 else 's'}"
    )


def _rows(
    dense: Classifier, found: Texts, timed: Mapping[tuple[str, str], Timed], s: SpeedSettings
) -> Iterator[dict[str, Any]]:
    """Yield a row for each model and way."""
    base = timed["dense", YARDSTICK]
    right = _right(dense, found, base)
    for (name, way), of_way in timed.items():
        row = {"model": name, "way": way, "title": WAYS[way].title, "ours": WAYS[way].ours}
        row |= _speed(of_way, base, len(found.windows))
        row |= {"agreement": float((_classes(of_way) == _classes(base)).mean()), "windows": len(base.alone)}
        yield row | _accuracy(right, _right(dense, found, of_way), s.seed)


def _classes(timed: Timed) -> NDArray[np.int64]:
    """Return the class of each window [B]."""
    found: NDArray[np.int64] = timed.logits.argmax(1)
    return found


def _speed(timed: Timed, base: Timed, n: int) -> dict[str, float]:
    """Return a way's times, and how many times faster than `base` it is."""
    alone, batched = base.medians / timed.medians, base.batched / timed.batched  # [round]
    return {
        "p50_ms": float(np.median(timed.alone)) * MS,
        "p99_ms": float(np.quantile(timed.alone, 0.99)) * MS,
        "faster_alone": float(np.median(base.alone) / np.median(timed.alone)),
        "faster_alone_low": float(alone.min()),
        "faster_alone_high": float(alone.max()),
        "windows_per_s": n / float(timed.batched.sum()),
        "batched_ms": float(timed.batched.sum()) / n * MS,
        "faster_batched": float(base.batched.sum() / timed.batched.sum()),
        "faster_batched_low": float(batched.min()),
        "faster_batched_high": float(batched.max()),
    }


def _alone(timed: Timed) -> float:
    return float(np.median(timed.alone))


def _batched(timed: Timed) -> float:
    return float(timed.batched.sum())


# view of a way → its time in all, and in each round
SEEN: dict[str, tuple[Callable[[Timed], float], Callable[[Timed], Floats]]] = {
    "alone": (_alone, lambda timed: timed.medians),
    "in batches": (_batched, lambda timed: timed.batched),
}


def _verdicts(timed: Mapping[tuple[str, str], Timed]) -> Iterator[str]:
    """Yield, for each of our models, its fastest way's speed-up over the fastest of the others.

    First come runtimes with the settings they come with, then, where there are any, those tuned as ours is.
    """
    others = [key for key in timed if not WAYS[key[1]].ours]
    kinds = {"fastest of the others": False, "fastest tuned as ours is": True}
    models = dict.fromkeys(name for name, way in timed if WAYS[way].ours)
    for name in models:
        ours = [key for key in timed if key[0] == name and WAYS[key[1]].ours]
        for (when, (whole, by_round)), (kind, tuned) in product(SEEN.items(), kinds.items()):
            if not (rivals := [key for key in others if WAYS[key[1]].tuned == tuned]):
                continue
            best, rival = (min(keys, key=lambda key: whole(timed[key])) for keys in (ours, rivals))
            times = whole(timed[rival]) / whole(timed[best])
            rounds = by_round(timed[rival]) / by_round(timed[best])
            yield (
                f"{when}, {name} ({WAYS[best[1]].title}) is {times:.2f} [{rounds.min():.2f}, "
                f"{rounds.max():.2f}] times as fast as the {kind} ({WAYS[rival[1]].title})"
            )


def _right(dense: Classifier, found: Texts, timed: Timed) -> list[Any] | None:
    """Return the accuracy metric's columns for each text; None if the model's labels are not the data's."""
    try:
        names = labelled_as(dense, found.dataset.labels, "dense").labels
    except InputError:
        return None
    answers = HEADS[dense.head].answers(timed.logits.astype(np.float64))  # [B,C]
    labels = (names[i] for i in of_texts(answers, found.texts).argmax(1))
    return measure_labels(found.dataset, found.examples, labels)


def _accuracy(dense: list[Any] | None, ours: list[Any] | None, seed: int) -> dict[str, float]:
    """Return accuracy with its interval, and the paired loss against Hugging Face's float32 pass."""
    if dense is None or ours is None:
        return {}
    accuracy, loss = score("accuracy", ours, seed), compare("accuracy", dense, ours, seed)
    found = {"accuracy": accuracy.value, "accuracy_low": accuracy.low, "accuracy_high": accuracy.high}
    return found | {"loss": loss.value, "loss_low": loss.low, "loss_high": loss.high, "n": accuracy.n}
