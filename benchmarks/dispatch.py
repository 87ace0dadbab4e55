"""What one text costs beside arithmetic: a model too small to take time, dense and with tokens dropped.

`python -m benchmarks.dispatch`; under another checkout's PYTHONPATH it measures that one. CPU milliseconds,
rounds alternating; operations are those that torch is asked for. Nothing is dropped in fact, so that both
ways work on as many tokens.

`--kept 28,14,9,5,4,3` (tokens in each layer) measures instead the least a call of a real size can take: its
layers' matrix products alone, each layer with weights of its own, as they are read from memory. Beside it
are layers that all work on as many tokens as the first.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import BertConfig, BertForSequenceClassification

from rationale.models.adapler import AdaplerForSequenceClassification

LAYERS, WIDTH = 6, 24
WIDE, INNER = 384, 1536  # MiniLM's


class Operations(TorchDispatchMode):
    """Counts what is asked of torch inside."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count an operation and do it."""
        self.count += 1
        return func(*args, **(kwargs or {}))


def ways(tokens: int) -> dict[str, Callable[[], Any]]:
    """Return how to run a text [1,T] in each way."""
    config = BertConfig(
        vocab_size=1000,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        intermediate_size=48,
    )
    dense = BertForSequenceClassification(config).eval().requires_grad_(False)  # type: ignore[no-untyped-call]
    dropping = AdaplerForSequenceClassification.wrap(dense).eval().requires_grad_(False)  # type: ignore[no-untyped-call]
    dropping.config.dial = 0.0
    ids = torch.arange(5, 5 + tokens)[None]  # [1,T]
    given = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "token_type_ids": torch.zeros_like(ids),
    }
    return {"dense": lambda: dense(**given), "removal": lambda: dropping(**given)}


def products(kept: list[int]) -> Callable[[], Any]:
    """Return how to run the matrix products of layers that work on so many tokens."""
    shapes = ((WIDE, WIDE),) * 4 + ((WIDE, INNER), (INNER, WIDE))
    layers = [(torch.nn.Linear(*shape), torch.randn(n, shape[0])) for n in kept for shape in shapes]
    return lambda: [linear(states) for linear, states in layers]


def cpu_ms(run: Callable[[], Any]) -> float:
    """Return the CPU milliseconds of a call."""
    begin = time.process_time()
    run()
    return 1000 * (time.process_time() - begin)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tokens", type=int, default=27)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--kept", type=lambda text: [int(n) for n in text.split(",")])
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if given.kept:
        print(f"layers of width {WIDE} and {INNER} on {given.kept} tokens, {given.rounds} rounds")
        most = given.kept[0]
        even = {f"{most} in each": products([most] * len(given.kept))}
        report({**even, "removal": products(given.kept)}, given.rounds)
        return
    print(f"one text of {given.tokens} pieces, {LAYERS} layers of width {WIDTH}, {given.rounds} rounds")
    report(ways(given.tokens), given.rounds)


@torch.inference_mode()
def report(runs: dict[str, Callable[[], Any]], n_rounds: int) -> None:
    """Measure and print, beside the first."""
    for run in runs.values():  # warm up
        run()
    rounds = [{name: cpu_ms(run) for name, run in runs.items()} for _ in range(n_rounds)]
    first = next(iter(runs))
    print(f"{'way':10} {'operations':>10} {'CPU ms, median':>15} {'least':>6} {'of the first':>12}")
    beside = statistics.median(r[first] for r in rounds)
    for name, run in runs.items():
        with Operations() as counted:
            run()
        own = [r[name] for r in rounds]
        median = statistics.median(own)
        print(f"{name:10} {counted.count:10} {median:15.2f} {min(own):6.2f} {median / beside:12.2f}")


if __name__ == "__main__":
    main()
