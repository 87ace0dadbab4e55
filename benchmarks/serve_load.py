"""How `rationale serve` holds up: minutes of requests, and what the rationale costs beside the label.

Each client asks for the label of a text, and for its label and rationale, in random order, waits for each
answer, and compares it with the first that this text got. Texts are the bundled reviews: a sentence, a
review, or six reviews, which need several windows. The server has one core, the clients another. Times are
the clock's, as clients see them, and the CPU's, as the server says. Intervals are over draws, resampled in
pairs: a text is drawn several times, so they do not tell how much other texts would differ.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product

import httpx
import numpy as np

from eraser.load import load
from eraser.types import Floats

KINDS = {"sentence": 0.45, "review": 0.45, "six reviews": 0.1}  # share of each
WAYS: dict[str, dict[str, bool]] = {"label": {}, "rationale": {"rationale": True}}
WARM_UP_S = 20.0  # before memory is looked at for the first time
DRAWS = 1000  # of the bootstrap


@dataclass
class Seen:
    """What was asked and answered.

    `times` are milliseconds by kind of text, of each draw [label, rationale] × [clock, CPU]; `statuses` how
    requests ended, `changed` how many answers were not as before.
    """

    times: dict[str, list[list[tuple[float, float]]]] = field(default_factory=dict)
    statuses: Counter[str] = field(default_factory=Counter)
    first: dict[tuple[str, str], bytes] = field(default_factory=dict)
    asked: int = 0
    changed: int = 0


def texts() -> dict[str, list[str]]:
    """Return the texts of each kind."""
    sample = load("sample")
    found = [sample.text(e) for split in ("val", "test") for e in sample.examples(split)]
    reviews = [text.plain[0] for text in found]
    ends = [(*text.sentence_starts, len(text.words))[1] for text in found]
    return {
        "sentence": [" ".join(text.words[:end]) for text, end in zip(found, ends, strict=True)],
        "review": reviews,
        "six reviews": [" ".join(reviews[n : n + 6]) for n in range(len(reviews) - 5)],
    }


async def client(address: str, until: float, seed: int, seen: Seen) -> None:
    """Ask until it is time."""
    drawn, given = random.Random(seed), texts()
    async with httpx.AsyncClient(base_url=address, timeout=60) as http:
        while time.monotonic() < until:
            (kind,) = drawn.choices(list(KINDS), list(KINDS.values()))
            text = drawn.choice(given[kind])
            found = {way: await one(http, text, way, seen) for way in drawn.sample(list(WAYS), len(WAYS))}
            times = [of_way for way in WAYS if (of_way := found[way]) is not None]
            if len(times) == len(WAYS):
                seen.times.setdefault(kind, []).append(times)


async def one(http: httpx.AsyncClient, text: str, way: str, seen: Seen) -> tuple[float, float] | None:
    """Ask once; return milliseconds on the clock and of the CPU. What fails is counted by its name."""
    seen.asked += 1
    begun = time.perf_counter()
    try:
        answer = await http.post("/predict", json={"inputs": text, **WAYS[way]})
    except httpx.HTTPError as error:
        seen.statuses[type(error).__name__] += 1
        return None
    clock = 1000 * (time.perf_counter() - begun)
    seen.statuses[str(answer.status_code)] += 1
    if answer.status_code != httpx.codes.OK:
        return None
    seen.changed += seen.first.setdefault((text, way), answer.content) != answer.content
    return clock, float(answer.headers["x-compute-time"])


async def watch(address: str, until: float, memory: list[float]) -> None:
    """Note the server's memory in MB after the warm-up and every minute, and at the end."""
    async with httpx.AsyncClient(base_url=address, timeout=60) as http:
        at = time.monotonic() + WARM_UP_S
        while at < until:
            await asyncio.sleep(max(0.0, at - time.monotonic()))
            memory.append(resident((await http.get("/metrics")).text))
            sys.stderr.write(f"{len(memory) - 1} min: {memory[-1]:.1f} MB\n")
            at += 60.0
        await asyncio.sleep(max(0.0, until - time.monotonic()))
        memory.append(resident((await http.get("/metrics")).text))


def resident(metrics: str) -> float:
    """Return the memory in MB that metrics tell."""
    found = re.search(r"^process_resident_memory_bytes (\S+)$", metrics, re.MULTILINE)
    return float(found[1]) / 1e6 if found else float("nan")


def on_core(core: int) -> Callable[[], None]:
    """Return what keeps a process on a core."""
    return lambda: os.sched_setaffinity(0, {core})


def started(model: str, core: int) -> tuple[subprocess.Popen[str], str]:
    """Start a server on a core; return it and its address."""
    command = [sys.executable, "-m", "rationale", "serve", "--model", model, "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=on_core(core))
    line = process.stdout.readline() if process.stdout else ""
    found = re.search(r"POST (http://\S+)/predict", line)
    if found is None:
        raise SystemExit(f"the server did not start: {line}")
    return process, found[1]


def overhead(times: Floats, q: int) -> str:
    """Return by how many per cent a percentile of times [draw, way] is higher with the rationale."""
    drawn = np.random.default_rng(0)

    def more(some: Floats) -> float:
        label, rationale = np.percentile(some, q, axis=0)
        return float(100 * (rationale / label - 1))

    found = [more(times[drawn.integers(0, len(times), len(times))]) for _ in range(DRAWS)]
    low, high = np.percentile(found, (2.5, 97.5))
    return f"{more(times):+6.1f} % [{low:+.1f}, {high:+.1f}]"


def report(seen: Seen, memory: Sequence[float], seconds: float) -> None:
    """Print what was found."""
    lost = seen.asked - seen.statuses["200"]
    print(f"{seen.asked} requests in {seconds:.0f} s: {json.dumps(seen.statuses)}")
    print(f"lost: {lost}; answers that were not as before: {seen.changed}")
    at = f"{memory[0]:.1f} MB after {WARM_UP_S:.0f} s, {memory[-1]:.1f} at the end, at most {max(memory):.1f}"
    print(f"memory of the server: {at}")
    words = (f"{kind} {np.median([len(text.split()) for text in of]):.0f}" for kind, of in texts().items())
    print(f"words of the median text: {', '.join(words)}")
    print("milliseconds            draws  label p50    p99  rationale p50    p99   more at p50   more at p99")
    for kind, (n, clock) in product((*KINDS, "all"), enumerate(("clock", "CPU"))):
        pairs = [pair for k, of_kind in seen.times.items() if kind in (k, "all") for pair in of_kind]
        times = np.array(pairs)[:, :, n]  # [draw, way]
        both = "  ".join(f"{x:7.1f}" for way in times.T for x in np.percentile(way, (50, 99)))
        costs = "  ".join(overhead(times, q) for q in (50, 99))
        print(f"{f'{kind}, {clock}':20}{len(times):8}  {both}  {costs}")


async def load_for(address: str, minutes: float, clients: int) -> tuple[Seen, list[float]]:
    """Ask for that many minutes."""
    seen, memory, until = Seen(), list[float](), time.monotonic() + 60 * minutes
    asking = (client(address, until, seed, seen) for seed in range(clients))
    await asyncio.gather(*asking, watch(address, until, memory))
    return seen, memory


def main() -> None:
    """Read the arguments, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="an exported file")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=2)
    asked = parser.parse_args()
    server, *_, last = sorted(os.sched_getaffinity(0))
    process, address = started(asked.model, server)
    on_core(last)()
    begun = time.monotonic()
    try:
        seen, memory = asyncio.run(load_for(address, asked.minutes, asked.clients))
        report(seen, memory, time.monotonic() - begun)
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
