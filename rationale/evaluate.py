"""Data set × methods → parts on disk → predictions → scores."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import nsmallest
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from eraser import Dataset, Example, Fault, InputError, Prediction
from eraser.write import make_folder
from rationale.attribution import METHODS, method_named, refuse_unfit
from rationale.attribution.survivors import n_layers
from rationale.chunk import Item, Run, seed_of
from rationale.hf import Classifier, check_labels, drops_tokens, without_removal
from rationale.settings import EvaluateSettings
from rationale.spared import Spared
from rationale.text import words_read


@dataclass(frozen=True)
class Evaluation:
    """What was measured of some examples of a run, or of all: predictions by (method, budget), and cost.

    Of each method the milliseconds of every example, and by how much its scores miss what they should sum
    to (None where nothing is promised).
    """

    settings: EvaluateSettings
    budgets: tuple[str, ...]
    items: tuple[Item, ...]
    predictions: dict[tuple[str, str], tuple[Prediction, ...]]
    milliseconds: dict[str, tuple[float, ...]]
    deltas: dict[str, tuple[float | None, ...]]
    words_unread: int
    layers: int  # of a model that drops tokens, else 0
    devices: frozenset[str]
    notes: tuple[str, ...] = ()
    spared: Spared | None = None


def joined(batches: Sequence[Evaluation]) -> Evaluation:
    """Return the batches of one run, at least one, as one."""
    first, *rest = batches
    keys, methods = first.predictions, first.milliseconds
    return replace(
        first,
        items=tuple(item for b in batches for item in b.items),
        predictions={key: tuple(p for b in batches for p in b.predictions[key]) for key in keys},
        milliseconds={m: tuple(ms for b in batches for ms in b.milliseconds[m]) for m in methods},
        deltas={m: tuple(d for b in batches for d in b.deltas[m]) for m in methods},
        words_unread=sum(b.words_unread for b in batches),
        devices=first.devices.union(*(b.devices for b in rest)),
        spared=None if first.spared is None else sum((b.spared for b in rest if b.spared), first.spared),
    )


@dataclass(frozen=True)
class Plan:
    """A run whose settings were checked, and its examples, computed chunk by chunk."""

    run: Run
    dataset: Dataset
    examples: Sequence[Example]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return -(-len(self.examples) // self.run.settings.chunk)

    @property
    def device(self) -> torch.device:
        """Where the models are."""
        return self.run.classifier.device

    def compute(self, number: int) -> None:
        """Compute the parts of one chunk that the run's folder lacks."""
        self.batch(number)  # what it returns is read again from the parts when all are there

    def batch(self, number: int) -> Evaluation:
        """Return what was measured of one chunk; parts that are not in the folder yet are computed."""
        run, settings = self.run.afresh(), self.run.settings
        first = number * settings.chunk
        items = run.items(self.dataset, tuple(self.examples[first : first + settings.chunk]))
        found: dict[tuple[str, str], list[Prediction]] = {}
        rows: dict[str, list[dict[str, Any]]] = {m: [] for m in settings.methods}
        for method, budget, prediction, row in run.chunk(items):
            found.setdefault((method, budget), []).append(prediction)
            if budget == str(run.budgets[0]):
                rows[method].append(row)
        return Evaluation(
            settings,
            tuple(map(str, run.budgets)),
            tuple(items),
            {key: tuple(of_key) for key, of_key in found.items()},
            {m: tuple(row["ms"] for row in of_method) for m, of_method in rows.items()},
            {m: tuple(row["delta"] for row in of_method) for m, of_method in rows.items()},
            sum(int((~words_read(i.windows, i.truth.n_words)).sum()) for i in items),
            int(n_layers(run.classifier)) if drops_tokens(run.classifier) else 0,
            frozenset(row["where"] for of_method in rows.values() for row in of_method),
            self.notes,
            run.spared(items),
        )

    def batches(self) -> Iterator[Evaluation]:
        """Yield what was measured, chunk by chunk."""
        numbers = tqdm(range(len(self)), desc="evaluate", unit="chunk", leave=False, disable=None)
        return map(self.batch, numbers)


def plan(
    classifier: Classifier,
    dataset: Dataset,
    settings: EvaluateSettings,
    folder: Path,
    dense: Classifier | None = None,
) -> Plan:
    """Refuse settings that cannot be carried out; return what a run in `folder` consists of.

    Where the classifier drops tokens, methods other than its own explain `dense`, by default its own
    weights with nothing removed; what is said without and with only a rationale is always its own answer.
    """
    named = {name: m for name in (*METHODS, *settings.methods) if (m := method_named(name)) is not None}
    settings.check(tuple(named), tuple(name for name, m in named.items() if m.own is not None))
    explained = explained_by(classifier, dense)
    check_labels(classifier, dataset.labels, settings.model)
    refuse_unfit(classifier, settings.methods, explained)
    examples = chosen(dataset.examples(settings.split), settings)
    settings.target_label(classifier.labels)  # refused before a folder is made
    make_folder(folder)
    share, note = _human_share(dataset, settings.split)
    budgets = settings.resolved_budgets(share)
    hashes = (fingerprint(classifier), fingerprint(explained))
    run = Run(classifier, explained, settings, budgets, folder / "parts", hashes)
    return Plan(run, dataset, examples, (*dataset.notes, *note))


def evaluate(
    classifier: Classifier,
    dataset: Dataset,
    settings: EvaluateSettings,
    folder: Path,
    dense: Classifier | None = None,
) -> Evaluation:
    """Run every method on the split, or take from `folder/parts` what an earlier run left there; see plan.

    All of it is held in memory; `plan(…).batches()` is not.
    """
    return joined(list(plan(classifier, dataset, settings, folder, dense).batches()))


def chosen(examples: Sequence[Example], settings: EvaluateSettings) -> Sequence[Example]:
    """Return the first `limit` examples, or a `sample`, in their order; all where there are fewer.

    With one seed a smaller sample is part of a larger one.
    """
    if settings.sample is None:
        return examples if settings.limit is None else examples[: settings.limit]
    order = ((seed_of(settings.seed, f"sample:{e.id}"), i) for i, e in enumerate(examples))
    return [examples[i] for i in sorted(i for _, i in nsmallest(settings.sample, order))]


def explained_by(classifier: Classifier, dense: Classifier | None) -> Classifier:
    """Return what attention and gradient methods explain: another model must read the same pieces."""
    if dense is None:
        return without_removal(classifier)
    same = dense.encoder.tokenizer.get_vocab() == classifier.encoder.tokenizer.get_vocab()
    if not same or dense.labels != classifier.labels:
        raise InputError(Fault("a dense model with the model's own vocabulary and labels", "other ones"))
    room, wanted = dense.encoder.max_length, classifier.encoder.max_length
    if room < wanted:
        raise InputError(Fault(f"a dense model that reads {wanted} pieces, as the model does", str(room)))
    return replace(without_removal(dense), encoder=classifier.encoder)


def _human_share(dataset: Dataset, split: str) -> tuple[float, tuple[str, ...]]:
    """Return the mean human share on train; where train has no evidence on val; else on the split."""
    for name in ("train", "val", split):
        if name in dataset.splits and not np.isnan(share := dataset.human_share(name)):
            return share, (f"budget ratio: mean human share {share:.4f} on {name}",)
    return 0.2, ("budget ratio: 0.2, as no split has human evidence",)


def fingerprint(classifier: Classifier) -> str:
    """Return a hash of what the model computes: its configuration and every weight."""
    config = classifier.model.config.to_dict()
    config.pop("_name_or_path", None)
    hash = hashlib.sha256(repr(sorted(config.items(), key=lambda kv: kv[0])).encode())
    for name, weight in sorted(classifier.model.state_dict().items()):
        hash.update(name.encode())
        hash.update(weight.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return hash.hexdigest()
