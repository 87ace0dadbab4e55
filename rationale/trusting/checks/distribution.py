"""Inside the distribution: is a text whose words were erased still one that the model knows?

Comprehensiveness and sufficiency ask the model about such texts. Where these are unlike all it was made for,
a fall of its answer says little about the words (Hooker et al. 2019; Madsen et al. 2024, arXiv 2310.07819).
Each text without a rationale, and each rationale alone, gets a p value by Max-Simes-Fisher over the states of
all layers, against whole texts of other splits; of a model trained with --faithful against texts erased as
there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.stats import mannwhitneyu

from eraser.metrics.bootstrap import Estimate
from eraser.metrics.table import NOTHING
from eraser.types import Floats, Mask
from rationale.inference.ablate import without_and_only
from rationale.text.windows import Window
from rationale.trusting.contract import MIN_EXAMPLES, Finding
from rationale.trusting.model.activations import largest, states_of
from rationale.trusting.model.again import MORE, few_of
from rationale.trusting.statistics.agreement import mean_of
from rationale.trusting.statistics.masf import Masf
from rationale.trusting.subject import Subject

NAME = "distribution"
MOST_REFERENCE = 160  # texts: half of them rank the statistic, so that p is at least 1/81
LEAST_REFERENCE = 40  # else p is never below 0.05
LEVEL = 0.05
SIDES = ("without", "only")  # comprehensiveness, sufficiency
MEASURES = dict(zip(SIDES, ("comprehensiveness", "sufficiency"), strict=True))

Windows = tuple[Window, ...]


@dataclass(frozen=True)
class Inside:
    """Texts of one kind against the reference: the share with p ≤ 0.05, and one p of all of them together."""

    rejected: Estimate
    p: float
    answer: Estimate  # comprehensiveness or sufficiency of the same texts

    @property
    def outside(self) -> bool:
        """Whether the texts, taken together, are unlike the reference."""
        return self.p < LEVEL

    def record(self) -> dict[str, Any]:
        """Return it as details hold it."""
        return {"rejected": vars(self.rejected), "p": self.p, "value": vars(self.answer)}


NONE_PICKED = Inside(NOTHING, np.nan, NOTHING)


@dataclass(frozen=True)
class Reference:
    """What the model knows: the statistics of reference texts [N], and the p values they give others."""

    masf: Masf
    n: int
    faithful: str | None  # how words were taken out of the reference, as in training

    def p_of_all(self, statistics: Floats) -> float:
        """Return the one-sided p of Mann and Whitney that texts [n] are no more unlike than the reference."""
        return float(mannwhitneyu(statistics, self.masf.final, alternative="greater").pvalue)


def distribution(subject: Subject) -> list[Finding]:
    """Return for each method whether texts without its rationales, or of them alone, are known."""
    lines = _Texts(subject)
    if isinstance(reference := reference_of(subject), str):
        return [Finding.unknown(NAME, m, reference) for m in subject.methods]
    whole = reference.masf.statistics(lines.states(lines.whole))
    return [
        _finding(reference, m, _sides(lines, reference, m), reference.p_of_all(whole))
        for m in subject.methods
    ]


@dataclass(frozen=True)
class _Texts:
    """The first texts of a subject, whole and erased, and what the layers hold of them."""

    subject: Subject

    @cached_property
    def whole(self) -> list[Windows]:
        return [item.windows for item in few_of(self.subject, MORE)[0]]

    def picked_from(self, method: str) -> list[int]:
        """Return which texts a method picks words of; without any, neither side would be erased as meant."""
        rationales: Sequence[Mask] = self.subject.rationales(method)[:MORE]
        return [n for n, r in enumerate(rationales) if r.any()]

    def erased(self, method: str) -> dict[str, list[Windows]]:
        """Return the texts without a method's rationale, and with it only, where it picks words."""
        encoder, how = self.subject.run.classifier.encoder, self.subject.run.settings.replace
        rationales = self.subject.rationales(method)
        pairs = [without_and_only(self.whole[n], rationales[n]) for n in self.picked_from(method)]
        return {
            side: [encoder.remove(pair[n].windows, pair[n].removed, how) for pair in pairs]
            for n, side in enumerate(SIDES)
        }

    def states(self, texts: Sequence[Windows]) -> Floats:
        return _states(self.subject, texts)


def _states(subject: Subject, texts: Sequence[Windows]) -> Floats:
    """Return the largest states [N,L,D] of texts; those are not kept on disk, which would be large."""
    subject.meter.read += sum(map(len, texts))
    return states_of(subject.run.classifier, texts, largest)


def reference_of(subject: Subject) -> Reference | str:
    """Return the reference of a subject's model: other splits' texts; or in words why there is none."""
    texts = reference_texts(subject)
    if len(texts) < LEAST_REFERENCE:
        return f"{len(texts)} reference texts of other splits are too few (at least {LEAST_REFERENCE})"
    how = trained_faithful(subject)
    if how is not None:
        rng = np.random.default_rng(subject.run.settings.seed)
        texts = [erased_half(subject, windows, how, rng) for windows in texts]
    return Reference(Masf.of(_states(subject, texts)), len(texts), how)


def reference_texts(subject: Subject) -> list[Windows]:
    """Return texts of val, and of train where val has too few, that are not among those tested."""
    tested = {item.example.id for item in subject.items}
    splits = subject.dataset.splits
    examples = [
        e for split in ("val", "train") for e in splits.get(split, ())[:MOST_REFERENCE] if e.id not in tested
    ]
    texts = [subject.dataset.text(e) for e in examples[:MOST_REFERENCE]]
    return subject.run.classifier.encoder.encode(texts) if texts else []


def trained_faithful(subject: Subject) -> str | None:
    """Return how `train dense --faithful` took words out in training; None where it did not."""
    record = getattr(subject.run.classifier, "record", {}).get("training", {})  # a function has none
    return record.get("faithful_by", "mask") if isinstance(record, dict) and record.get("faithful") else None


def erased_half(subject: Subject, windows: Windows, how: str, rng: np.random.Generator) -> Windows:
    """Return a text as `train dense --faithful` shows it: one of two loses words, at a share of its own."""
    n_words = max(int(w.end.max(initial=0)) for w in windows)
    share = rng.random() * (rng.random() < 0.5)  # noqa: PLR2004 (half of them)
    removed = rng.random(n_words) < share  # [W]
    encoder = subject.run.classifier.encoder
    return tuple(encoder.remove(windows, removed, "mask" if how == "mask" else "delete"))


def _sides(lines: _Texts, reference: Reference, method: str) -> dict[str, Inside]:
    """Return the texts without a method's rationale, and with it only, against the reference."""
    subject, found, at = lines.subject, {}, lines.picked_from(method)
    if not at:
        return dict.fromkeys(SIDES, NONE_PICKED)
    for side, texts in lines.erased(method).items():
        statistics = reference.masf.statistics(lines.states(texts))
        rejected = mean_of((reference.masf.p_values(statistics) <= LEVEL).astype(np.float64))
        answers = subject.answers(list(zip(at, texts, strict=True)))  # [n,C]
        after = answers[np.arange(len(at)), [subject.targets[n] for n in at]]
        fall = mean_of(subject.before()[at] - after)
        found[side] = Inside(rejected, reference.p_of_all(statistics), fall)
    return found


def _finding(reference: Reference, method: str, sides: dict[str, Inside], p_whole: float) -> Finding:
    """Return both measures with the p values of their texts, and a warning where these are outside."""
    n = sides[SIDES[0]].rejected.n
    details: dict[str, Any] = {side: inside.record() for side, inside in sides.items()}
    details |= {"p_of_whole_texts": p_whole, "reference": reference.n, "trained_faithful": reference.faithful}
    if n < MIN_EXAMPLES:
        return Finding.unknown(NAME, method, f"{n} texts are too few (at least {MIN_EXAMPLES})", n, **details)
    if p_whole < LEVEL:
        why = "the texts tested differ from those of other splits before any word is erased"
        why += f" (p = {p_whole:.2g})"
        return Finding.unknown(NAME, method, why, n, **details)
    told = "; ".join(
        f"{MEASURES[side]} {i.answer.value:.3f}, {i.rejected.value:.0%} of its texts outside "
        f"[{i.rejected.low:.0%}, {i.rejected.high:.0%}], p = {i.p:.2g}"
        for side, i in sides.items()
    )
    outside = [MEASURES[side] for side, inside in sides.items() if inside.outside]
    first = (
        f"Warning: {' and '.join(outside)} asked about texts outside the model's distribution"
        if outside
        else "Erased texts are not told from whole ones"
    )
    worst = max((i.rejected for i in sides.values()), key=lambda e: e.value)
    return Finding.of(NAME, method, worst, "told", f"{first}: {told}, n = {n}.", outside=outside, **details)
