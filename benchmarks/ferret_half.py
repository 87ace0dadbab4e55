"""The peer's half of peers.py: ferret-xai on given texts, in an environment of its own.

`python ferret_half.py JOB RESULTS`, called by peers.py. Nothing of ours may be imported here, nor torch at
the top.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

PACKAGES = ("ferret-xai", "torch", "transformers", "shap", "lime", "captum", "numpy")
WARM_UP = "a warm , moving film ."


@dataclass(frozen=True)
class Reading:
    """What both sides read of one review: its first words, their pieces with specials, who marked what."""

    id: str
    words: tuple[str, ...]
    ids: tuple[int, ...]
    marked: tuple[int, ...]  # 1 where the piece belongs to a word that annotators marked; without specials

    @property
    def text(self) -> str:
        """The words as one string: its pieces are the words' pieces, which the peer checks."""
        return " ".join(self.words)


@dataclass(frozen=True)
class Half:
    """What one half took of one text; `passes` are rows through the model, of which `distinct` differ."""

    cpu_s: float
    wall_s: float
    passes: int
    distinct: int
    with_gradient: int
    pieces: int  # read in all passes, padding included


@dataclass(frozen=True)
class Timed:
    """Both halves of one text."""

    id: str
    explain: Half
    evaluate: Half


class PassCache:
    """Counts the rows a model reads, as a hook before `forward`; calls of its parts are not seen."""

    def __init__(self) -> None:
        self.rows = self.with_gradient = self.pieces = 0
        self.seen: set[bytes] = set()

    def __call__(self, model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Count one call of `forward`, by its embeddings or ids; padding makes no row distinct."""
        import torch

        read = kwargs.get("inputs_embeds")
        if read is None:
            read = args[0] if args else kwargs["input_ids"]
        mask = kwargs.get("attention_mask")
        for i, row in enumerate(read.detach()):
            kept = row if mask is None else row[mask[min(i, len(mask) - 1)].bool()]
            content = kept.contiguous().view(torch.uint8).numpy().tobytes()  # bf16 too, which numpy lacks
            self.seen.add(hashlib.blake2b(content, digest_size=16).digest())
        self.rows += len(read)
        self.pieces += read.shape[0] * read.shape[1]
        self.with_gradient += len(read) * torch.is_grad_enabled()


def timed(work: Callable[[], Any], model: Any) -> tuple[Half, Any]:
    """Do the work and return what it took of this process, with its result."""
    passes = PassCache()
    handle = model.register_forward_pre_hook(passes, with_kwargs=True)
    cpu, wall = time.process_time(), time.perf_counter()
    result = work()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    handle.remove()
    return Half(cpu, wall, passes.rows, len(passes.seen), passes.with_gradient, passes.pieces), result


def cpu_name(about: Path = Path("/proc/cpuinfo")) -> str:
    """Return what the CPU calls itself, or its architecture where it does not say."""
    lines = about.read_text(encoding="utf-8").splitlines() if about.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def check_pieces(tokenizer: Any, texts: Sequence[Reading]) -> None:
    """Stop unless the peer's tokenizer reads exactly the pieces that ours does."""
    for text in texts:
        if tuple(tokenizer(text.text)["input_ids"]) != text.ids:
            sys.exit(f"its tokenizer cuts {text.id} into other pieces than ours")


def peer_text(bench: Any, text: Reading) -> tuple[Timed, dict[str, Any]]:
    """Explain and score one text with the peer; return also the scores of its pieces and its metrics."""
    target = int(bench.score(text.text, return_dict=False).argmax())
    explain, found = timed(lambda: bench.explain(text.text, target, show_progress=False), bench.model)
    evaluate, scored = timed(
        lambda: bench.evaluate_explanations(found, target, list(text.marked), show_progress=False),
        bench.model,
    )
    scores = {
        one.explanation.explainer: {
            "pieces": [round(float(score), 6) for score in one.explanation.scores],
            "metrics": {metric.name: float(metric.score) for metric in one.evaluation_scores},
        }
        for one in scored
    }
    return Timed(text.id, explain, evaluate), {"id": text.id, "target": target, "explainers": scores}


def as_peer(job: Path, results: Path) -> None:
    """Run in the peer's environment: measure ferret on the job's texts and write what it took."""
    if importlib.util.find_spec("ferret") is None:
        sys.exit("ferret-xai is not installed there")
    try:
        import numpy as np
        import torch
        from ferret import Benchmark  # type: ignore[import-not-found,unused-ignore]
        from transformers import AutoModelForSequenceClassification, AutoTokenizer
    except ImportError as error:
        sys.exit(f"ferret-xai cannot be imported: {error}")
    given = json.loads(job.read_text(encoding="utf-8"))
    texts = [
        Reading(one["id"], tuple(one["words"]), tuple(one["ids"]), tuple(one["marked"]))
        for one in given["texts"]
    ]
    torch.set_num_threads(given["settings"]["threads"])
    np.random.seed(0)
    tokenizer = AutoTokenizer.from_pretrained(given["model"])
    check_pieces(tokenizer, texts)
    model = AutoModelForSequenceClassification.from_pretrained(given["model"]).float().eval()
    bench = Benchmark(model, tokenizer)
    for explainer in bench.explainers:
        if explainer.NAME == "LIME":
            explainer.MAX_SAMPLES = given["settings"]["lime_samples"]
    warm = len(tokenizer(WARM_UP)["input_ids"]) - 2
    peer_text(bench, Reading("warm-up", (WARM_UP,), (), (1,) + (0,) * (warm - 1)))
    found = [peer_text(bench, text) for text in texts]
    record = {
        "settings": given["settings"],
        "versions": {"python": sys.version.split()[0]} | {p: importlib.metadata.version(p) for p in PACKAGES},
        "cpu": cpu_name(),
        "texts": [asdict(took) for took, _ in found],
        "scores": [scores for _, scores in found],
    }
    results.write_text(json.dumps(record, indent=1), encoding="utf-8")


if __name__ == "__main__":
    as_peer(*map(Path, sys.argv[1:]))
