"""Data set × methods → parts on disk → predictions → scores."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from eraser import Ablation, Dataset, Example, Fault, InputError, Prediction, Text, Truth
from eraser.types import Mask
from rationale.ablate import Erasure, ablate, without_and_only
from rationale.attribution import METHODS, attribute
from rationale.extract import Budget, extract, share_of, top_words
from rationale.hf import Classifier, check_labels
from rationale.parts import Rows, part
from rationale.predict import text_probs
from rationale.settings import EvaluateSettings, digest
from rationale.text import Window, words_read

CHUNK = 64  # examples to a part


@dataclass(frozen=True)
class Item:
    """One example as the run sees it."""

    example: Example
    text: Text
    truth: Truth
    windows: tuple[Window, ...]


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


def evaluate(
    classifier: Classifier, dataset: Dataset, settings: EvaluateSettings, folder: Path
) -> Evaluation:
    """Run every method on the split, or take from `folder/parts` what an earlier run left there."""
    settings.check(tuple(METHODS))
    check_labels(classifier, dataset.labels, settings.model)
    if not dataset.splits.get(settings.split):
        expected = f"a split of {', '.join(dataset.splits)}"
        raise InputError(Fault(expected, repr(settings.split), dataset.source))
    share, note = _human_share(dataset, settings.split)
    budgets = settings.resolved_budgets(share)
    run = _Run(classifier, settings, budgets, folder / "parts", fingerprint(classifier))
    examples = dataset.splits[settings.split][: settings.limit]
    chunks = [examples[i : i + CHUNK] for i in range(0, len(examples), CHUNK)]
    items: list[Item] = []
    found: dict[tuple[str, str], list[Prediction]] = {}
    spent: dict[str, list[float]] = {m: [] for m in settings.methods}
    for chunk in tqdm(chunks, desc="evaluate", unit="part", leave=False):
        batch = run.items(dataset, chunk)
        for key, prediction, ms in run.chunk(batch):
            found.setdefault(key, []).append(prediction)
            if key[1] == str(budgets[0]):
                spent[key[0]].append(ms)
        items += batch
    unread = sum(int((~words_read(i.windows, i.truth.n_words)).sum()) for i in items)
    return Evaluation(
        settings,
        tuple(map(str, budgets)),
        tuple(items),
        {key: tuple(rows) for key, rows in found.items()},
        {m: float(np.median(values)) for m, values in spent.items()},
        unread,
        f"{classifier.device.type}, {'bf16' if classifier.bf16 else 'float32'}",
        (*dataset.notes, *note),
    )


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
        hash.update(weight.detach().cpu().contiguous().view(-1).numpy().tobytes())
    return hash.hexdigest()


def seed_of(seed: int, example_id: str) -> int:
    """Return the example's own seed, so its random numbers do not depend on its neighbours."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{example_id}".encode()).digest()[:8])


@dataclass(frozen=True)
class _Run:
    """What all parts of a run share."""

    classifier: Classifier
    settings: EvaluateSettings
    budgets: tuple[Budget, ...]
    folder: Path
    model_hash: str

    def items(self, dataset: Dataset, examples: Sequence[Example]) -> list[Item]:
        texts = [dataset.text(e) for e in examples]
        encoded = self.classifier.encoder.encode(texts)
        return [
            Item(e, t, dataset.truth(e), w) for e, t, w in zip(examples, texts, encoded, strict=True)
        ]

    def _part(self, items: Sequence[Item], name: str, extra: Any, compute: Callable[[], Rows]) -> Rows:
        """Return the part of that name for these items, computed if it is not on disk."""
        texts = [(i.example.id, *(w.ids.tolist() for w in i.windows)) for i in items]
        s = self.settings
        key = digest(self.model_hash, texts, name, extra, s.precision, s.replace, self.classifier.bf16)
        return part(self.folder / f"{name}-{key}.parquet", compute)

    def chunk(self, items: list[Item]) -> Iterator[tuple[tuple[str, str], Prediction, float]]:
        """Yield ((method, budget), prediction, milliseconds) for each method, budget and item."""
        whole = self._part(items, "predict", None, lambda: self._predict(items))
        probs = np.array([row["probs"] for row in whole])
        chosen: dict[str, Rows] = {}
        for method in self.settings.methods:
            extra = self._depends_on(method, items, probs)
            chosen[method] = self._part(
                items, method, extra, lambda m=method: self._explain(m, items, probs)  # type: ignore[misc]
            )
        for method, rows in chosen.items():
            for item, p, row in zip(items, probs, rows, strict=True):
                for budget in map(str, self.budgets):
                    yield (method, budget), self._prediction(item, p, row, budget), row["ms"]

    def _depends_on(self, method: str, items: Sequence[Item], probs: np.ndarray[Any, Any]) -> Any:
        s = self.settings
        gold = [i.truth.gold.nonzero()[0].tolist() for i in items]
        targets = self._targets(items, probs)
        steps = s.ig_steps if method == "integrated_gradients" else None
        seed = s.seed if method == "random" else None
        return [list(map(str, self.budgets)), s.fractions, gold, targets, steps, seed]

    def _targets(self, items: Sequence[Item], probs: np.ndarray[Any, Any]) -> list[int]:
        """Return the class to explain for each item."""
        if self.settings.target == "predicted":
            return [int(i) for i in probs.argmax(1)]
        labels = self.classifier.labels
        if self.settings.target == "gold":
            return [labels.index(i.truth.label) for i in items]
        if self.settings.target not in labels:
            expected = f"a target: predicted, gold or one of {', '.join(labels)}"
            raise InputError(Fault(expected, repr(self.settings.target)))
        return [labels.index(self.settings.target)] * len(items)

    def _predict(self, items: Sequence[Item]) -> Rows:
        probs = text_probs(self.classifier, [i.windows for i in items])
        return [{"id": i.example.id, "probs": p.tolist()} for i, p in zip(items, probs, strict=True)]

    def _explain(self, method: str, items: Sequence[Item], probs: np.ndarray[Any, Any]) -> Rows:
        """Attribute, extract and ablate one chunk with one method."""
        found = attribute(
            self.classifier,
            method,
            [i.windows for i in items],
            [i.truth.n_words for i in items],
            self._targets(items, probs),
            [seed_of(self.settings.seed, i.example.id) for i in items],
            self.settings.ig_steps,
        )
        masks = [
            self._masks(item, np.asarray(a.scores)) for item, a in zip(items, found, strict=True)
        ]
        erasures = [
            e for item, named in zip(items, masks, strict=True) for m in named.values() for e in self._pair(item, m)
        ]
        answers = iter(ablate(self.classifier, erasures, self.settings.replace).tolist())
        return [
            {
                "id": item.example.id,
                "ms": a.milliseconds,
                "scores": a.scores.tolist(),
                "rationales": [
                    {"name": k, "words": m.nonzero()[0].tolist(), "without": next(answers), "only": next(answers)}
                    for k, m in named.items()
                ],
            }
            for item, a, named in zip(items, found, masks, strict=True)
        ]

    def _masks(self, item: Item, scores: np.ndarray[Any, Any]) -> dict[str, Mask]:
        """Return the rationale of each budget and each ablation share by name."""
        n = item.truth.n_words
        named = {str(b): extract(scores, b, gold=item.truth.gold) for b in self.budgets}
        shares = {f"share={f}": top_words(scores, share_of(n, f)) for f in self.settings.fractions}
        return named | shares

    def _pair(self, item: Item, rationale: Mask) -> tuple[Erasure, Erasure]:
        return without_and_only(item.windows, rationale)

    def _prediction(
        self, item: Item, probs: np.ndarray[Any, Any], row: dict[str, Any], budget: str
    ) -> Prediction:
        labels = self.classifier.labels
        by_name = {r["name"]: r for r in row["rationales"]}

        def ablation(name: str, fraction: float) -> Ablation:
            at = by_name[name]
            return Ablation(
                fraction,
                dict(zip(labels, at["without"], strict=True)),
                dict(zip(labels, at["only"], strict=True)),
            )

        rationale = np.zeros(item.truth.n_words, dtype=bool)
        rationale[by_name[budget]["words"]] = True
        return Prediction(
            item.example.id,
            labels[int(np.argmax(probs))],
            dict(zip(labels, map(float, probs), strict=True)),
            np.array(row["scores"], dtype=np.float64),
            rationale,
            ablation(budget, float(rationale.mean())),
            tuple(ablation(f"share={f}", f) for f in self.settings.fractions),
        )
