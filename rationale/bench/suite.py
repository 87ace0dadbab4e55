"""A grid of measurements in one run: model sizes × sequence lengths × batch sizes × ways to run.

Big models get random weights: time does not depend on their values. A shrinking model's thresholds are
scaled until it does the wanted share of the dense FLOPs. Rounds alternate between the ways.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from transformers import BertConfig, BertForSequenceClassification, PreTrainedModel

from rationale import __version__
from rationale.evaluation.pipeline import PARTS_VERSION
from rationale.evaluation.stored.part_files import PartRows, part
from rationale.hf.classifier import SHIPPED, load_classifier
from rationale.hf.device import pick_device, round_matrices
from rationale.hf.memory import peak_megabytes
from rationale.models.adapler import AdaplerForSequenceClassification
from rationale.models.adaptive import unwrap
from rationale.models.capabilities import has_dial
from rationale.models.dact import DactForSequenceClassification
from rationale.models.flops import costs, kept_lengths
from rationale.models.packed.encoder import keep_all, run_packed
from rationale.settings import digest

SIZES = {  # width, layers, heads, FFN width: BERT's own (Devlin et al. 2019)
    "base": (768, 12, 12, 3072),
    "large": (1024, 24, 16, 4096),
}
NOT_SPECIAL = 1000  # ids from here on are words in BERT's vocabulary


@dataclass(frozen=True)
class Suite:
    """The grid: `models` are names of SIZES or `shipped`; `shares` of the dense FLOPs that are left."""

    models: tuple[str, ...] = ("base", "large", "shipped")
    lengths: tuple[int, ...] = (64, 128, 256, 512)
    batch_sizes: tuple[int, ...] = (1, 8, 32, 128, 512)
    shares: tuple[float, ...] = (0.5, 0.2, 0.1)
    rounds: int = 20
    compiled: bool = True
    device: str = "auto"
    seed: int = 0


SUITES: dict[str, Suite] = {
    "gpu": Suite(),
    "cpu": Suite(("shipped",), (64, 256), (1, 32), (0.2,), 5, compiled=False),
}
Runnable = Callable[[Tensor, Tensor], Any]


@dataclass(frozen=True)
class SuiteCell:
    """One way to run one model on batches of one shape; NaN where memory did not suffice."""

    model: str
    length: int
    batch_size: int
    way: str
    flops_times: float
    wall_times: float
    ratio: float
    examples_per_s: float
    tokens_per_s: float
    p50_ms: float
    p99_ms: float
    megabytes: float


@dataclass(frozen=True)
class SuiteRun:
    """A suite whose cells are measured, one model and length after another; each is a part on disk."""

    suite: Suite
    folder: Path

    @property
    def shapes(self) -> tuple[tuple[str, int], ...]:
        """Model and length of each chunk."""
        return tuple(product(self.suite.models, self.suite.lengths))

    def __len__(self) -> int:
        return len(self.shapes)

    @cached_property
    def device(self) -> torch.device:
        """Where it is measured."""
        return pick_device(self.suite.device)

    @cached_property
    def where(self) -> dict[str, str]:
        """The machine and versions."""
        classifier = load_classifier(SHIPPED, device=str(self.device), precision="auto")
        versions = {"torch": torch.__version__, "rationale-suite": __version__}
        return {"device": classifier.where(), "processor": platform.processor(), **versions}

    @property
    def n_done(self) -> int:
        """The number of chunks that the folder has already."""
        return sum(self._path(number).exists() for number in range(len(self)))

    def compute(self, number: int) -> None:
        """Measure the cells of one chunk unless the folder has them."""
        self.cells(number)

    def cells(self, number: int) -> list[SuiteCell]:
        """Return the cells of one chunk, measured if the folder lacks them."""
        name, length = self.shapes[number]

        def compute() -> PartRows:
            return [asdict(cell) for cell in measure(self.suite, name, length, self.device)]

        return [SuiteCell(**row) for row in part(self._path(number), compute)]

    def _path(self, number: int) -> Path:
        name, length = self.shapes[number]
        each = replace(self.suite, models=(), lengths=(), device="")
        key = digest(PARTS_VERSION, vars(each), name, length, self.where)
        return self.folder / "parts" / f"bench-{name}-{length}-{key}.parquet"


def measure(suite: Suite, name: str, length: int, device: torch.device) -> Iterator[SuiteCell]:
    """Yield a cell for each batch size and way; the first way is dense, the baseline."""
    bf16 = device.type == "cuda" or torch.ops.mkldnn._is_mkldnn_bf16_supported()
    dense = dense_model(name, device, bf16)
    if length > int(dense.config.max_position_embeddings):
        return
    with torch.autocast(device.type, torch.bfloat16, enabled=bf16):  # models are probed when they are wrapped
        ways = ways_to_run(dense, length, suite)
    for batch_size in suite.batch_sizes:
        ids = _ids(dense, (batch_size, length), suite.seed)
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            cells = list(_cells(name, ids, ways, suite.rounds))
        yield from cells


def dense_model(name: str, device: torch.device, bf16: bool) -> PreTrainedModel:
    """Return a dense model of that size, its matrices in bf16 where it runs so."""
    if name == "shipped":
        model = unwrap(load_classifier(SHIPPED, device=str(device)).model)
    else:
        torch.manual_seed(0)
        width, layers, heads, ffn = SIZES[name]
        config = BertConfig(
            hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=ffn
        )
        model = BertForSequenceClassification(config)
    model = _still(model, device)
    if bf16:
        round_matrices(model)
    return model


def ways_to_run(
    dense: PreTrainedModel, length: int, suite: Suite
) -> dict[str, tuple[PreTrainedModel, Runnable]]:
    """Return name → (model, function that runs it on ids and real [B,T])."""

    def whole(model: PreTrainedModel, ids: Tensor, real: Tensor) -> Any:
        return model(input_ids=ids, attention_mask=real)

    def packed(ids: Tensor, real: Tensor) -> Any:
        return run_packed(dense, ids, torch.zeros_like(ids), real, keep_all)

    ways: dict[str, tuple[PreTrainedModel, Runnable]] = {"dense": (dense, partial(whole, dense))}
    if suite.compiled:
        compiled: Any = torch.compile(dense, mode="reduce-overhead")
        ways["compiled"] = (dense, partial(whole, compiled))
    ways["packed"] = (dense, packed)
    for share in suite.shares:
        model = shrinking(dense, length, share, suite.seed)
        ways[f"adapler {share:g}"] = (model, partial(whole, model))
    exiting = _still(DactForSequenceClassification.wrap(dense), dense.device)
    ways["dact"] = (exiting, partial(whole, exiting))
    smallest = shrinking(dense, length, suite.shares[-1], suite.seed)
    stack = _still(DactForSequenceClassification.wrap(smallest), dense.device)
    ways[f"adapler {suite.shares[-1]:g} + dact"] = (stack, partial(whole, stack))
    return ways


def shrinking(
    dense: PreTrainedModel, length: int, share: float, seed: int
) -> AdaplerForSequenceClassification:
    """Return a model that does about that share of the dense FLOPs on texts of one length."""
    model = AdaplerForSequenceClassification.wrap(dense)
    _still(model, dense.device)
    torch.manual_seed(seed)
    for predictor in model.contribution_predictors:
        nn.init.normal_(predictor.scorer.weight, std=1.0)  # type: ignore[union-attr, arg-type]
    ids = _ids(dense, (8, length), seed + 1)
    low, high = 0.0, 64.0
    for _ in range(12):
        model.set_dial((low + high) / 2)
        left = 1 / flops_times(model, ids)
        low, high = (model.config.dial, high) if left > share else (low, model.config.dial)
    return model


def _still(model: PreTrainedModel, device: torch.device) -> PreTrainedModel:
    """Put a model on its device, in eval mode and frozen."""
    model.to(device)  # type: ignore[arg-type]
    model.eval()  # type: ignore[no-untyped-call]
    model.requires_grad_(False)
    return model


def flops_times(model: PreTrainedModel, ids: Tensor) -> float:
    """Return a model's FLOPs speed-up over the dense one inside it, in the precision that is switched on."""
    if not has_dial(model):
        return 1.0
    lengths = np.full(len(ids), ids.shape[1])
    with torch.inference_mode():
        kept = kept_lengths(model(input_ids=ids, attention_mask=torch.ones_like(ids, dtype=torch.bool)))
    dense = float(costs(unwrap(model)).dense(lengths).sum())
    return dense / float(costs(model).shrinking(lengths, kept).sum())


def _ids(model: PreTrainedModel, shape: tuple[int, int], seed: int) -> Tensor:
    """Return random words after [CLS]."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(NOT_SPECIAL, int(model.config.vocab_size), shape, generator=generator)
    ids[:, 0] = 101
    return ids.to(model.device)


def _cells(
    name: str, ids: Tensor, ways: dict[str, tuple[PreTrainedModel, Runnable]], rounds: int
) -> Iterator[SuiteCell]:
    real = torch.ones_like(ids, dtype=torch.bool)
    seconds: dict[str, list[float]] = {}
    memory: dict[str, float] = {}
    for way, (_, run) in ways.items():
        with suppress(torch.OutOfMemoryError):
            for _ in range(3):  # warm up, compile, capture
                run(ids, real)
            memory[way] = peak_megabytes(partial(run, ids, real), ids.device)
            seconds[way] = []
    for _ in range(rounds):
        for way in seconds:
            seconds[way].append(_time(partial(ways[way][1], ids, real), ids.device))
    for way, (model, _) in ways.items():
        spent = np.array(seconds.get(way, [np.nan]))
        middle, base = float(np.median(spent)), float(np.median(seconds.get("dense", [np.nan])))
        operations = flops_times(model, ids) if way in seconds else np.nan  # where memory does not suffice
        yield SuiteCell(
            name,
            ids.shape[1],
            len(ids),
            way,
            operations,
            base / middle,
            base / middle / operations,
            len(ids) / middle,
            ids.numel() / middle,
            middle * 1000,
            float(np.quantile(spent, 0.99)) * 1000,
            memory.get(way, np.nan),
        )


def _time(run: Callable[[], Any], device: torch.device) -> float:
    begin = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begin


def as_table(cells: Sequence[SuiteCell]) -> pd.DataFrame:
    """Return the cells as a table."""
    return pd.DataFrame([asdict(cell) for cell in cells])
