"""How long the viewer takes on the bundled model: `python -m app.timing` prints it.

The first highlight is what is computed for a text nobody asked about before; a switch of layer or method is
drawing alone. What a browser and the server add is printed by `make test-browser`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from threading import RLock

import torch
import typer

from app import html
from app.explain import SLOW, Reading, Scored, methods_of, read, score, text_of
from app.state import AS_TRAINED, Held
from eraser.load import load
from rationale.hf import SHIPPED, describe, load_classifier

WORDS, ROUNDS = 100, 7


def timed(run: Callable[[], object]) -> tuple[float, float]:
    """Return the median and the longest milliseconds of some rounds, after one to warm up."""
    run()
    found = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        run()
        found.append((time.perf_counter() - begin) * 1000)
    return statistics.median(found), max(found)


def main() -> None:
    """Print the times."""
    held = Held("shipped", load_classifier(SHIPPED, device="cpu"), RLock())
    sample = load("sample")
    words = [w for e in sample.splits["test"] for w in sample.text(e).words][:WORDS]
    text, quick = text_of(words), [m for m in methods_of(held) if m not in SLOW]

    def compute() -> tuple[Reading, dict[str, Scored]]:
        reading = read(held, text, AS_TRAINED)
        return reading, score(held, reading, quick, AS_TRAINED, reading.label)

    reading, found = compute()
    kept = [] if reading.layers is None else list(reading.layers.kept)

    def draw() -> None:
        for still in kept:
            html.highlighted(reading.words, found["survivors"].scores, reading.pieces, still)

    typer.echo(f"{WORDS} words, {len(quick)} methods, {describe(held.classifier)}, {torch.__version__}")
    for what, run, times in (("first highlight", compute, 1), ("layer switch", draw, len(kept))):
        median, longest = timed(run)
        typer.echo(
            f"{what:16} {median / times:7.1f} ms median, {longest / times:7.1f} ms longest of {ROUNDS}"
        )


if __name__ == "__main__":
    main()
