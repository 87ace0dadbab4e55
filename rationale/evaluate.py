"""Data set × methods → parts on disk → predictions → scores."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from eraser import Dataset, Example, Fault, InputError, Prediction
from eraser.write import make_folder
from rationale.attribution import METHODS, method_named
from rationale.chunk import Item, Run, seed_of
from rationale.hf import Classifier, check_labels, spares, without_removal
from rationale.models.removal import run_windows, speedup_of
from rationale.settings import EvaluateSettings
from rationale.text import words_read


@dataclass(frozen=True)
class Plan:
    """A run whose settings were checked, and the examples of each of its chunks."""

    run: Run
    dataset: Dataset
    chunks: tuple[tuple[Example, ...], ...]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.chunks)

    @property
    def device(self) -> torch.device:
        """Where the models are."""
        return self.run.classifier.device

    def compute(self, number: int) -> None:
        """Compute the parts of one chunk that the run's folder lacks."""
        run = self.run.afresh()
        for _ in run.chunk(run.items(self.dataset, self.chunks[number])):
            pass  # what it yields is read again from the parts


@dataclass(frozen=True)
class Evaluation:
    """Everything measured: predictions by (method, budget), cost, and what was not read."""

    settings: EvaluateSettings
    budgets: tuple[str, ...]
    items: tuple[Item, ...]
    predictions: dict[tuple[str, str], tuple[Prediction, ...]]
    milliseconds: dict[str, float]
    words_unread: int
    device: str
    notes: tuple[str, ...]


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
    examples = chosen(dataset.examples(settings.split), settings)
    settings.target_label(classifier.labels)  # refused before a folder is made
    make_folder(folder)
    share, note = _human_share(dataset, settings.split)
    budgets = settings.resolved_budgets(share)
    hashes = (fingerprint(classifier), fingerprint(explained))
    run = Run(classifier, explained, settings, budgets, folder / "parts", hashes)
    chunks = tuple(tuple(examples[i : i + settings.chunk]) for i in range(0, len(examples), settings.chunk))
    return Plan(run, dataset, chunks, (*dataset.notes, *note))


def evaluate(
    classifier: Classifier,
    dataset: Dataset,
    settings: EvaluateSettings,
    folder: Path,
    dense: Classifier | None = None,
) -> Evaluation:
    """Run every method on the split, or take from `folder/parts` what an earlier run left there; see plan."""
    return collect(plan(classifier, dataset, settings, folder, dense))


def collect(planned: Plan) -> Evaluation:
    """Return everything measured; parts that are not in the folder yet are computed."""
    run, settings = planned.run, planned.run.settings
    items: list[Item] = []
    found: dict[tuple[str, str], list[Prediction]] = {}
    spent: dict[str, list[float]] = {m: [] for m in settings.methods}
    missed: dict[str, list[float]] = {}
    places: set[str] = set()
    for chunk in tqdm(planned.chunks, desc="evaluate", unit="part", leave=False, disable=None):
        batch = run.items(planned.dataset, chunk)
        run = run.afresh()
        for method, budget, prediction, row in run.chunk(batch):
            found.setdefault((method, budget), []).append(prediction)
            if budget == str(run.budgets[0]):
                spent[method].append(row["ms"])
                places.add(row["where"])
                if row["delta"] is not None:
                    missed.setdefault(method, []).append(abs(row["delta"]))
        items += batch
    unread = sum(int((~words_read(i.windows, i.truth.n_words)).sum()) for i in items)
    return Evaluation(
        settings,
        tuple(map(str, run.budgets)),
        tuple(items),
        {key: tuple(rows) for key, rows in found.items()},
        {m: float(np.median(values)) for m, values in spent.items()},
        unread,
        "; ".join(sorted(places)),
        (*planned.notes, *_saved(run.classifier, items), *_missed(missed, settings.explain)),
    )


def chosen(examples: Sequence[Example], settings: EvaluateSettings) -> Sequence[Example]:
    """Return the first `limit` examples, or a `sample`, in their order; all where there are fewer.

    With one seed a smaller sample is part of a larger one.
    """
    if settings.sample is None:
        return examples[: settings.limit]
    drawn = sorted(examples, key=lambda e: seed_of(settings.seed, f"sample:{e.id}"))[: settings.sample]
    ids = {e.id for e in drawn}
    return [e for e in examples if e.id in ids]


def _saved(classifier: Classifier, items: Sequence[Item]) -> tuple[str, ...]:
    """Return how many operations a model saved on these texts, where it was made to save some."""
    if not spares(classifier):
        return ()
    windows = [w for item in items for w in item.windows]
    _, kept = run_windows(classifier, windows)
    tokens = " ".join(f"{n:.1f}" for n in kept.mean(1))
    times = speedup_of(classifier, windows, kept)
    notes = [f"{times:.2f} times fewer operations than the dense model; tokens in each layer {tokens}"]
    layers = (kept > 0).sum(0)
    if (layers < len(kept)).any():
        by_layer = " ".join(str(int((layers == n + 1).sum())) for n in range(len(kept)))
        notes.append(f"mean exit layer {layers.mean():.2f} of {len(kept)}; windows by exit layer {by_layer}")
    return tuple(notes)


def _missed(deltas: dict[str, list[float]], explain: str) -> tuple[str, ...]:
    """Return by how much the scores of methods that should be complete miss what they should sum to."""
    return tuple(
        f"{method}: scores miss what they should sum to by {np.median(missed):.2g} (median, of the {explain})"
        for method, missed in deltas.items()
    )


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
