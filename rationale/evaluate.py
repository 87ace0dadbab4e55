"""Data set × methods → parts on disk → predictions → scores."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from eraser import Ablation, Dataset, Example, Fault, InputError, Prediction, Text, Truth
from eraser.types import Floats, Mask
from eraser.write import make_folder
from rationale.ablate import ablate, without_and_only
from rationale.attribution import METHODS, Attribution, Case, attribute, method_named
from rationale.extract import Budget, extract, share_of, top_words
from rationale.hf import Classifier, check_labels, describe, drops_tokens, without_removal
from rationale.models.removal import run_windows, speedup_of
from rationale.parts import Rows, part
from rationale.passes import Passes
from rationale.predict import text_probs
from rationale.settings import EvaluateSettings, digest
from rationale.text import Window, words_read

CHUNK = 64  # examples to a part
PARTS_VERSION = 4  # to be raised by a change that makes a method give other numbers


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
    classifier: Classifier,
    dataset: Dataset,
    settings: EvaluateSettings,
    folder: Path,
    dense: Classifier | None = None,
) -> Evaluation:
    """Run every method on the split, or take from `folder/parts` what an earlier run left there.

    Where the classifier drops tokens, methods other than its own explain `dense`, by default its own
    weights with nothing removed; what is said without and with only a rationale is always its own answer.
    """
    named = {name: m for name in (*METHODS, *settings.methods) if (m := method_named(name)) is not None}
    settings.check(tuple(named), tuple(name for name, m in named.items() if m.own is not None))
    explained = _explained(classifier, dense)
    check_labels(classifier, dataset.labels, settings.model)
    examples = dataset.examples(settings.split)[: settings.limit]
    if settings.target not in (allowed := ("predicted", "gold", *classifier.labels)):
        raise InputError(Fault(f"a target of {', '.join(allowed)}", repr(settings.target)))
    make_folder(folder)
    share, note = _human_share(dataset, settings.split)
    budgets = settings.resolved_budgets(share)
    hashes = (fingerprint(classifier), fingerprint(explained))
    run = _Run(classifier, explained, settings, budgets, folder / "parts", hashes)
    chunks = [examples[i : i + CHUNK] for i in range(0, len(examples), CHUNK)]
    items: list[Item] = []
    found: dict[tuple[str, str], list[Prediction]] = {}
    spent: dict[str, list[float]] = {m: [] for m in settings.methods}
    for chunk in tqdm(chunks, desc="evaluate", unit="part", leave=False, disable=None):
        batch = run.items(dataset, chunk)
        run = run.afresh()
        for method, budget, prediction, ms in run.chunk(batch):
            found.setdefault((method, budget), []).append(prediction)
            if budget == str(budgets[0]):
                spent[method].append(ms)
        items += batch
    unread = sum(int((~words_read(i.windows, i.truth.n_words)).sum()) for i in items)
    return Evaluation(
        settings,
        tuple(map(str, budgets)),
        tuple(items),
        {key: tuple(rows) for key, rows in found.items()},
        {m: float(np.median(values)) for m, values in spent.items()},
        unread,
        describe(classifier),
        (*dataset.notes, *note, *_saved(classifier, items)),
    )


def _is_adaptive(method: str) -> bool:
    found = method_named(method)
    return found is not None and found.adaptive


def _saved(classifier: Classifier, items: Sequence[Item]) -> tuple[str, ...]:
    """Return how many operations a token-dropping model saved on these texts."""
    if not drops_tokens(classifier):
        return ()
    windows = [w for item in items for w in item.windows]
    _, kept = run_windows(classifier, windows)
    tokens = " ".join(f"{n:.1f}" for n in kept.mean(1))
    times = speedup_of(classifier, windows, kept)
    return (f"{times:.2f} times fewer operations than with nothing removed; tokens in each layer {tokens}",)


def _explained(classifier: Classifier, dense: Classifier | None) -> Classifier:
    """Return what attention and gradient methods explain; it must read the same pieces."""
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


def seed_of(seed: int, example_id: str) -> int:
    """Return the example's own seed, so its random numbers do not depend on its neighbours."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{example_id}".encode()).digest()[:8])


@dataclass(frozen=True)
class _Run:
    """What all parts of a run share."""

    classifier: Classifier
    explained: Classifier
    settings: EvaluateSettings
    budgets: tuple[Budget, ...]
    folder: Path
    model_hashes: tuple[str, str]

    def afresh(self) -> _Run:
        """Return the run with nothing remembered of earlier examples."""
        passes = Passes()
        same = self.explained.model is self.classifier.model
        explained = replace(self.explained, passes=passes if same else Passes())
        return replace(self, classifier=replace(self.classifier, passes=passes), explained=explained)

    def items(self, dataset: Dataset, examples: Sequence[Example]) -> list[Item]:
        """Return the examples with their texts, human evidence and windows."""
        texts = [dataset.text(e) for e in examples]
        encoded = self.classifier.encoder.encode(texts)
        return [Item(e, t, dataset.truth(e), w) for e, t, w in zip(examples, texts, encoded, strict=True)]

    def chunk(self, items: Sequence[Item]) -> Iterator[tuple[str, str, Prediction, float]]:
        """Yield (method, budget, prediction, milliseconds) for each method, item and budget."""
        whole = self._part(items, "predict", (), lambda: self._predict(items))
        probs = np.array([row["probs"] for row in whole])
        targets = self._targets(items, probs)
        matched = {b.method for b in self.budgets if b.kind == "match"}
        owns: dict[str, list[Mask]] = {}
        for method in sorted(self.settings.methods, key=lambda m: m not in matched):  # those matched first
            depends = self._depends_on(method, items, targets, owns)
            rows = self._part(items, method, depends, partial(self._explain, method, items, targets, owns))
            if method in matched:
                owns[method] = [
                    mask_of(row["own"], i.truth.n_words) for i, row in zip(items, rows, strict=True)
                ]
            for item, p, row in zip(items, probs, rows, strict=True):
                for budget in map(str, self.budgets):
                    yield method, budget, self._prediction(item, p, row, budget), row["ms"]

    def _part(self, items: Sequence[Item], name: str, depends: Any, compute: Callable[[], Rows]) -> Rows:
        """Return the part of that name for these items, computed if it is not on disk."""
        texts = [(i.example.id, i.truth.n_words, [_as_lists(w) for w in i.windows]) for i in items]
        encoder = self.classifier.encoder
        run = (self.settings.replace, self.classifier.bf16, encoder.pad_id, encoder.mask_id)
        key = digest(PARTS_VERSION, self.model_hashes, texts, depends, run)
        return part(self.folder / f"{name}-{key}.parquet", compute)

    def _depends_on(
        self, method: str, items: Sequence[Item], targets: list[int], owns: dict[str, list[Mask]]
    ) -> Any:
        """Return what else a method's part depends on."""
        s = self.settings
        gold = [i.truth.gold.nonzero()[0].tolist() for i in items]
        found = method_named(method)
        used = {name: getattr(s, name) for name in (found.uses if found else ())}
        sizes = {name: [int(own.sum()) for own in masks] for name, masks in owns.items()}
        return [list(map(str, self.budgets)), s.fractions, gold, targets, used, sizes]

    def _targets(self, items: Sequence[Item], probs: Floats) -> list[int]:
        """Return the class to explain for each item."""
        if self.settings.target == "predicted":
            return [int(i) for i in probs.argmax(1)]
        labels = self.classifier.labels
        if self.settings.target == "gold":
            return [labels.index(i.truth.label) for i in items]
        return [labels.index(self.settings.target)] * len(items)

    def _predict(self, items: Sequence[Item]) -> Rows:
        probs = text_probs(self.classifier, [i.windows for i in items])
        return [{"id": i.example.id, "probs": p.tolist()} for i, p in zip(items, probs, strict=True)]

    def _explain(
        self, method: str, items: Sequence[Item], targets: list[int], owns: dict[str, list[Mask]]
    ) -> Rows:
        """Attribute, extract and ablate one chunk with one method."""
        seeds = [seed_of(self.settings.seed, i.example.id) for i in items]
        cases = [
            Case(i.windows, i.truth.n_words, target, seed)
            for i, target, seed in zip(items, targets, seeds, strict=True)
        ]
        classifier = self.classifier if _is_adaptive(method) else self.explained
        how = self.settings.attribution
        attribute(replace(classifier, passes=None), method, cases[:1], how)  # to warm up, not timed
        found = attribute(classifier, method, cases, how)
        rationales = [
            self._rationales(item, a, {name: masks[n] for name, masks in owns.items()})
            for n, (item, a) in enumerate(zip(items, found, strict=True))
        ]
        erasures = [
            erasure
            for item, named in zip(items, rationales, strict=True)
            for rationale in named.values()
            for erasure in without_and_only(item.windows, rationale)
        ]
        answers = iter(ablate(self.classifier, erasures, self.settings.replace).tolist())
        return [
            {
                "id": item.example.id,
                "ms": a.milliseconds,
                "scores": a.scores.tolist(),
                "delta": a.delta,
                "own": None if a.own is None else a.own.nonzero()[0].tolist(),
                "rationales": [
                    {"name": name, "words": words.nonzero()[0].tolist()}
                    | {"without": next(answers), "only": next(answers)}
                    for name, words in named.items()
                ],
            }
            for item, a, named in zip(items, found, rationales, strict=True)
        ]

    def _rationales(self, item: Item, found: Attribution, owns: dict[str, Mask]) -> dict[str, Mask]:
        """Return the rationale [W] of each budget and of each ablation share, by name."""
        named = {}
        for b in self.budgets:
            match = found.own if b.kind == "match" and b.method not in owns else owns.get(b.method or "")
            named[str(b)] = extract(found.scores, b, gold=item.truth.gold, own=found.own, match=match)
        shares = {
            share_name(f): top_words(found.scores, share_of(item.truth.n_words, f))
            for f in self.settings.fractions
        }
        return named | shares

    def _prediction(self, item: Item, probs: Floats, row: dict[str, Any], budget: str) -> Prediction:
        """Return one row of a part as a Prediction."""
        labels = self.classifier.labels
        by_name = {r["name"]: r for r in row["rationales"]}

        def by_label(values: Iterable[float]) -> dict[str, float]:
            return dict(zip(labels, map(float, values), strict=True))

        def ablation(name: str, fraction: float) -> Ablation:
            return Ablation(fraction, by_label(by_name[name]["without"]), by_label(by_name[name]["only"]))

        rationale = mask_of(by_name[budget]["words"], item.truth.n_words)
        return Prediction(
            item.example.id,
            labels[int(np.argmax(probs))],
            by_label(probs),
            np.array(row["scores"], dtype=np.float64),
            rationale,
            ablation(budget, float(rationale.mean())),
            tuple(ablation(share_name(f), f) for f in self.settings.fractions),
        )


def _as_lists(window: Window) -> list[list[int]]:
    return [window.ids.tolist(), window.word.tolist(), window.types.tolist()]


def mask_of(words: Iterable[int], n_words: int) -> Mask:
    """Return the mask [W] that is True at these words."""
    mask = np.zeros(n_words, dtype=bool)
    mask[list(words)] = True
    return mask


def share_name(fraction: float) -> str:
    """Return how a part names the rationale of an ablation share."""
    return f"share={fraction!r}"
