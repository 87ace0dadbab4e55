"""How long the viewer takes on the bundled model: `python -m rationale_viewer.timing` prints it.

The first highlight is what is computed for a text nobody asked about before, in the order in which the page
shows it; a switch of method is the new method's scores. A layer costs nothing here: the page has them all.
CPU time is what the machine spent, whoever else was at work. What a browser and the server add is printed by
`make test-browser`. Where the shipped model was exported once (`rationale.onnx.load()`), ONNX Runtime reads.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable

import torch
import typer

from eraser import Text
from eraser.load import load
from rationale.hf.classifier import SHIPPED, load_classifier
from rationale_viewer.compute.edits import minimal_flip
from rationale_viewer.compute.explain import SLOW, after_removal, methods_of, read, score, text_of, times_of
from rationale_viewer.compute.exported import exported
from rationale_viewer.session.state import AS_TRAINED, LoadedModel
from rationale_viewer.view import html

WORDS, LONG, ROUNDS = 100, 5000, 7


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
    held = LoadedModel("shipped", load_classifier(SHIPPED, device="cpu"), folder=str(SHIPPED))
    sample = load("sample")
    words = [w for e in sample.splits["test"] for w in sample.text(e).words] * 2
    text, (first, *others) = text_of(words[:WORDS]), [m for m in methods_of(held) if m not in SLOW]
    reading = read(held, text, AS_TRAINED)

    def switch(to: str) -> None:
        found = score(held, reading, [to], AS_TRAINED, reading.label)[to]
        html.highlighted(reading.words, found.scores, reading.pieces)

    def highlight(of: Text) -> None:
        found = read(held, of, AS_TRAINED)
        scored = score(held, found, [first], AS_TRAINED, found.label)[first]
        html.highlighted(found.words, scored.scores, found.pieces)

    runs: dict[str, Callable[[], object]] = {
        f"first highlight, by {first}": lambda: highlight(text),
        f"first highlight of {LONG} words": lambda: highlight(text_of(words[:LONG])),
        **{f"switch to {m}": lambda m=m: switch(m) for m in others},  # type: ignore[misc]
        "a word taken out": lambda: after_removal(held, reading, [3], "delete", AS_TRAINED),
        "minimal flip": lambda: minimal_flip(held, reading, "delete", AS_TRAINED),
        "time of each layer, when the fold Speed is open": lambda: times_of(held, reading, AS_TRAINED),
    }
    load_now = ", ".join(f"{x:.1f}" for x in os.getloadavg())
    by = "torch" if exported(held) is None else "ONNX Runtime"
    about = f"texts read by {by}, the rest by torch {torch.__version__}"
    typer.echo(f"{WORDS} words, {held.classifier.where()}, {about}, load {load_now}")
    for what, run in runs.items():
        median, longest, cpu = timed(run)
        typer.echo(f"{median:7.1f} ms median, {longest:7.1f} longest of {ROUNDS}, {cpu:7.1f} CPU  {what}")


if __name__ == "__main__":
    main()
