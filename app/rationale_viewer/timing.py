"""How long the viewer takes on the bundled model: `python -m rationale_viewer.timing` prints it.

The first highlight is what is computed for a text nobody asked about before, in the order in which the page
shows it; a switch of layer is drawing alone, one of method the new method's scores. CPU time is what the
machine spent, whoever else was at work. What a browser and the server add is printed by `make test-browser`.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable

import torch
import typer

from eraser.load import load
from rationale.hf.classifier import SHIPPED, load_classifier
from rationale_viewer.compute.explain import SLOW, methods_of, read, score, text_of, times_of
from rationale_viewer.session.state import AS_TRAINED, LoadedModel
from rationale_viewer.view import html

WORDS, ROUNDS = 100, 7


def timed(run: Callable[[], object]) -> tuple[float, float, float]:
    """Return the median and the longest milliseconds of some rounds, and their median CPU milliseconds."""
    run()  # to warm up
    wall, cpu = [], []
    for _ in range(ROUNDS):
        begin, worked = time.perf_counter(), time.process_time()
        run()
        wall.append((time.perf_counter() - begin) * 1000)
        cpu.append((time.process_time() - worked) * 1000)
    return statistics.median(wall), max(wall), statistics.median(cpu)


def main() -> None:
    """Print the times."""
    held = LoadedModel("shipped", load_classifier(SHIPPED, device="cpu"))
    sample = load("sample")
    words = [w for e in sample.splits["test"] for w in sample.text(e).words][:WORDS]
    text, (first, *others) = text_of(words), [m for m in methods_of(held) if m not in SLOW]
    reading = read(held, text, AS_TRAINED)
    assert reading.layers is not None  # the shipped model drops words

    def of(method: str) -> None:
        found = score(held, reading, [method], AS_TRAINED, reading.label)[method]
        html.highlighted(words, found.scores, reading.pieces)

    def compute() -> None:
        read(held, text, AS_TRAINED)
        of(first)

    scores = score(held, reading, [first], AS_TRAINED, reading.label)[first].scores
    last = reading.layers.kept[-1]
    runs: dict[str, Callable[[], object]] = {
        f"first highlight, by {first}": compute,
        "layer switch": lambda: html.highlighted(words, scores, reading.pieces, last),
        **{f"switch to {m}": lambda m=m: of(m) for m in others},  # type: ignore[misc]
        "time of each layer, measured after the highlight": lambda: times_of(held, reading, AS_TRAINED),
    }
    load_now = ", ".join(f"{x:.1f}" for x in os.getloadavg())
    typer.echo(f"{WORDS} words, {held.classifier.where()}, torch {torch.__version__}, load {load_now}")
    for what, run in runs.items():
        median, longest, cpu = timed(run)
        typer.echo(f"{median:7.1f} ms median, {longest:7.1f} longest of {ROUNDS}, {cpu:7.1f} CPU  {what}")


if __name__ == "__main__":
    main()
