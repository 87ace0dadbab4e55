"""What scripts/gpu_check.sh runs: parity of a GPU with the CPU, a step of each training, speed; as JSON.

Sections run one after another; the file is written after each, so that a run which is cut off has told what
it knew. A section that fails says why and the others go on; the exit code then is 1.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel

from eraser.files.whole import write_json
from eraser.load import load
from rationale.attribution import METHODS, AttributionInput, AttributionSettings, attribute
from rationale.bench.suite import Suite, measure
from rationale.hf.classifier import SHIPPED, Classifier, load_classifier, pick_device
from rationale.models.adapler import AdaplerForSequenceClassification, saliency
from rationale.models.adapler_losses import kl_losses
from rationale.models.dact import DactForSequenceClassification
from rationale.models.gates import Gates, gated
from rationale.models.inforcoef import InforCoefForSequenceClassification
from rationale.models.packed.attention import AttentionPattern, PackedLayout, attend, packed_layout
from rationale.models.packed.encoder import run_packed

LENGTHS = (90, 17, 1, 30, 64)  # both ways to attend, and beyond a window
TOLERANCES = {torch.float32: 2e-4, torch.bfloat16: 0.06}  # of numbers about 1
REGRESSION = 0.01  # of kernel SHAP, which weighs the whole and the empty text a million times, rounding too
BASE = {
    "vocab_size": 120, "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4,
    "intermediate_size": 96, "max_position_embeddings": 256, "pad_token_id": 0, "initializer_range": 0.1,
}  # fmt: skip
GROUPED = {"num_key_value_heads": 2, "head_dim": 16}
FAMILIES = {
    "bert": BASE,
    "modernbert": BASE | {"local_attention": 32, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1},
    "qwen3": BASE | GROUPED,
    "gemma2": BASE | GROUPED | {"sliding_window": 32, "query_pre_attn_scalar": 16},
}
SUITES = {
    "cuda": Suite(("base",), (128, 512), (1, 32, 128, 512), (0.2,), 10, compiled=False),
    "cpu": Suite(("shipped",), (64,), (4,), (0.2,), 2, compiled=False),
}


def made(family: str) -> PreTrainedModel:
    """Return a small random classifier, the same everywhere."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(family, num_labels=2, **FAMILIES[family])
    config.use_cache = False
    model: PreTrainedModel = AutoModelForSequenceClassification.from_config(config).eval()
    return model.requires_grad_(False)


def batch() -> tuple[Tensor, Tensor]:
    """Return ids and which are real [B,T]."""
    random = torch.Generator().manual_seed(0)
    ids = torch.randint(3, 120, (len(LENGTHS), max(LENGTHS)), generator=random)
    real = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]
    return ids * real, real


def apart(one: Tensor, other: Tensor) -> float:
    """Return the largest difference of two tensors, as a share of the larger numbers in them."""
    one, other = one.detach().float().cpu(), other.detach().float().cpu()
    return float((one - other).abs().max() / (1 + other.abs().max()))


def checked(found: float, at_most: float) -> dict[str, Any]:
    """Return a difference and whether it is small enough."""
    return {"apart": found, "at_most": at_most, "ok": bool(found <= at_most)}


def attention_parity(device: torch.device) -> Iterator[tuple[str, dict[str, Any]]]:
    """Compare packed attention with the CPU's in float32: causal, windows, soft caps, grouped keys."""
    random, total = torch.Generator().manual_seed(1), sum(LENGTHS)
    q, k, v = (torch.randn(1, h, total, 16, generator=random) for h in (4, 2, 2))
    here = packed_layout(LENGTHS, torch.device("cpu"))
    there = packed_layout(LENGTHS, device)
    for dtype, causal, window, cap in product(TOLERANCES, (False, True), (None, 20), (None, 5.0)):
        how = AttentionPattern(0.25, causal=causal, window=window, softcap=cap)
        wanted = attend(q, k, v, here, how)
        found = attend(*(t.to(device, dtype) for t in (q, k, v)), there, how)
        name = f"{dtype}, causal={causal}, window={window}, softcap={cap}"
        yield name, checked(apart(found, wanted), TOLERANCES[dtype])


def model_parity(device: torch.device) -> Iterator[tuple[str, dict[str, Any]]]:
    """Compare packed passes that drop tokens with the CPU's."""

    def thinned(layer: int, states: Tensor, rows: PackedLayout) -> tuple[Tensor, None]:
        kept = (rows.position + layer) % 4 > 0
        kept[rows.anchor] = True
        return kept, None

    ids, real = batch()
    for family, dtype in product(FAMILIES, TOLERANCES):
        wanted = run_packed(made(family), ids, None, real, thinned).logits
        model = made(family).to(device, dtype)
        found = run_packed(model, ids.to(device), None, real.to(device), thinned).logits
        yield f"{family}, {dtype}", checked(apart(found, wanted), TOLERANCES[dtype])


def steps(device: torch.device) -> Iterator[tuple[str, dict[str, Any]]]:
    """Take a step of each training on both machines; compare the losses, and see the weights move."""
    for name, (wrap, loss_of) in TRAININGS.items():
        losses = [_step(wrap, loss_of, where) for where in (torch.device("cpu"), device)]
        drawn = name in ("inforcoef", "prune")  # each machine draws its own masks
        found = abs(losses[0] - losses[1]) / (1 + abs(losses[0]))
        told = {"loss": losses[1], "loss_on_cpu": losses[0], "drawn": drawn}
        state = {"ok": bool(np.isfinite(losses[1]))} if drawn else checked(found, TOLERANCES[torch.float32])
        yield name, told | state


Wrap = Callable[[PreTrainedModel], Any]
LossOf = Callable[..., Tensor]  # of model, ids, real, labels


def _step(wrap: Wrap, loss_of: LossOf, device: torch.device) -> float:
    ids, real = (t.to(device) for t in batch())
    labels = torch.arange(len(ids), device=device) % 2
    dense = made("bert").requires_grad_(True)
    torch.manual_seed(0)
    model = wrap(dense).to(device).eval()  # made on the CPU, without dropout: each machine draws its own
    loss = loss_of(model, ids, real, labels)
    weights = [w for w in model.parameters() if w.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=1e-3)
    before = [w.detach().clone() for w in weights]
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    assert any((a != b).any() for a, b in zip(weights, before, strict=True)), "no weight moved"
    return float(loss.detach())


def _soft(model: AdaplerForSequenceClassification, ids: Tensor, real: Tensor, labels: Tensor) -> Tensor:
    target = saliency(model.model, ids, torch.zeros_like(ids), real, labels)
    found = model.soft(ids, torch.zeros_like(ids), real, 10.0)
    kl = kl_losses(found.steps, target, real, model.eta.detach(), model.theta.detach(), 10.0)
    return cross_entropy(found.logits, labels) + 0.005 * kl.sum()


def _hard(model: AdaplerForSequenceClassification, ids: Tensor, real: Tensor, labels: Tensor) -> Tensor:
    model.set_thresholds(torch.full_like(model.eta, 0.9))
    loss: Tensor = model(input_ids=ids, attention_mask=real.long(), labels=labels).loss
    return loss


def _sampled(model: InforCoefForSequenceClassification, ids: Tensor, real: Tensor, labels: Tensor) -> Tensor:
    return cross_entropy(model.soft(ids, torch.zeros_like(ids), real).logits, labels)


def _exiting(model: DactForSequenceClassification, ids: Tensor, real: Tensor, labels: Tensor) -> Tensor:
    accumulator = model.accumulator(halts=False)
    logits = run_packed(model.model, ids, None, real, model.select_tokens, accumulator).logits
    return cross_entropy(logits, labels) + 1e-3 * torch.stack(accumulator.ponder).sum(0).mean()


def _with_gates(dense: PreTrainedModel) -> nn.ModuleList:
    return nn.ModuleList([dense, Gates.of(dense)])


def _gated(model: nn.ModuleList, ids: Tensor, real: Tensor, labels: Tensor) -> Tensor:
    dense, gates = model
    with gated(dense, gates.sample()):
        logits = dense(input_ids=ids, attention_mask=real.long()).logits
    return cross_entropy(logits, labels) + gates.sparsity()


TRAININGS: dict[str, tuple[Wrap, LossOf]] = {
    "adapler soft": (AdaplerForSequenceClassification.wrap, _soft),
    "adapler hard": (AdaplerForSequenceClassification.wrap, _hard),
    "inforcoef": (InforCoefForSequenceClassification.wrap, _sampled),
    "dact": (DactForSequenceClassification.wrap, _exiting),
    "prune": (_with_gates, _gated),
}


def methods(device: torch.device, texts: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Score the words of a few reviews by every method, in float32, beside the CPU."""
    sample = load("sample")
    written = [sample.text(e) for e in sample.examples("test")]
    written = sorted(written, key=lambda text: len(text.words))[:texts]  # words are taken out one by one
    settings = AttributionSettings(ig_steps=5, gradient_shap_samples=5, lime_samples=20, shap_samples=40)
    both = [load_classifier(SHIPPED, device=str(d)) for d in ("cpu", device)]
    read = zip(written, both[0].encoder.encode(written), strict=True)
    cases = [AttributionInput(windows, len(text.words), 0) for text, windows in read]
    for name in (name for name, method in METHODS.items() if not method.taught):
        wanted, found = (_scores(c, name, cases, settings) for c in both)
        at_most = REGRESSION if name == "kernel_shap" else TOLERANCES[torch.float32]
        yield name, checked(apart(found[0], wanted[0]), at_most) | {"ms_per_text": found[1]}


def _scores(
    classifier: Classifier, method: str, cases: Sequence[AttributionInput], settings: AttributionSettings
) -> tuple[Tensor, float]:
    found = attribute(replace(classifier, passes=None), method, cases, settings)
    scores = np.concatenate([np.nan_to_num(a.scores) for a in found])
    return torch.from_numpy(scores), float(np.mean([a.milliseconds for a in found]))


def speed(device: torch.device, left: Callable[[], float]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Measure the grid cut to size, as long as there is time."""
    suite = SUITES[device.type]
    for name, length in product(suite.models, suite.lengths):
        for size in suite.batch_sizes:
            if left() < 30:  # seconds: a cell takes less
                yield f"{name} {length} x {size}", {"skipped": "no time left"}
                continue
            for cell in measure(replace(suite, batch_sizes=(size,)), name, length, device):
                yield f"{name} {length} x {size}: {cell.way}", asdict(cell)


def run(device: torch.device, out: Path, seconds: float, only: Sequence[str] = ()) -> bool:
    """Run all sections, writing after each; return whether all that was checked holds."""
    begin = time.monotonic()
    told: dict[str, Any] = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }
    sections: dict[str, Callable[[], Iterator[tuple[str, dict[str, Any]]]]] = {
        "attention": partial(attention_parity, device),
        "models": partial(model_parity, device),
        "training": partial(steps, device),
        "methods": partial(methods, device, 4 if device.type == "cuda" else 1),
        "speed": partial(speed, device, lambda: seconds - (time.monotonic() - begin)),
    }
    right = True
    for name in only or sections:
        section = sections[name]
        rows: dict[str, Any] = {}
        since, sound = time.monotonic(), True
        try:
            for key, row in section():
                rows[key] = row
                sound &= row.get("ok", True)
        except Exception as error:  # the other sections still have something to say
            rows["failed"] = f"{type(error).__name__}: {error}"
            sound = False
        right &= sound
        told[name] = rows | {"seconds": round(time.monotonic() - since, 1)}
        out.parent.mkdir(parents=True, exist_ok=True)
        write_json(out, told | {"ok": right})
        state = "ok" if sound else "NOT ok"
        print(f"{name}: {len(rows)} rows in {told[name]['seconds']} s, {state}", flush=True)
    return right


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path, default=Path("runs/gpu-check.json"))
    parser.add_argument("--seconds", type=float, default=420.0, help="when no more speed is measured")
    names = ("attention", "models", "training", "methods", "speed")
    parser.add_argument("--only", nargs="+", choices=names, default=(), help="sections")
    given = parser.parse_args()
    raise SystemExit(not run(pick_device(given.device), given.out, given.seconds, given.only))
