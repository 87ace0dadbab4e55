"""Matched random rationales: do the picked words matter more than as many others of the same text?

Each method's rationale is held against R random ones of its size in the same text: of single words, and of
spans as long as its own. What is compared is the fall of the answer without the words. Where the picked words
were random ones, all R + 1 falls of a text would be exchangeable: the permutation test draws one of them for
each text. p values are corrected over the methods (Benjamini and Hochberg 1995).
Axes: N text, R draw, W word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from scipy.stats import false_discovery_control

from eraser.metrics.bootstrap import Estimate, estimate
from eraser.metrics.table import mean
from eraser.spans import runs
from eraser.types import Floats, Mask
from rationale.evaluation.stored.method_result import indices
from rationale.trusting.contract import MIN_EXAMPLES, OPERATORS, Finding, Operator, Outcome
from rationale.trusting.erasing import answers_without, usable
from rationale.trusting.subject import Subject

NAME = "matched"
PERMUTATIONS = 4000
EVEN = 0.5  # a win rate whose interval must lie above: a few texts with a large fall are not enough
Shape = Literal["words", "spans"]  # of the random rationales
SHAPES: tuple[Shape, ...] = get_args(Shape)


@dataclass(frozen=True)
class Match:
    """One method against its random rationales in one way: the win rate, effect size, p and q.

    `by_text` [N] is the win rate in each text, NaN in those where the method tells no words apart.
    """

    wins: Estimate
    by_text: Floats
    effect: float
    p: float
    q: float = np.nan

    def better(self, level: float) -> bool:
        """Return whether it is better than random in the mean, and beats most random rationales of a text."""
        return self.q < level and self.wins.low > EVEN

    def record(self) -> dict[str, Any]:
        """Return it as details hold it."""
        numbers = {**vars(self.wins), "effect": self.effect, "p": self.p, "q": self.q}
        return numbers | {"by_text": self.by_text.tolist()}


def matched(subject: Subject) -> list[Finding]:
    """Return for each method the share of random rationales that it beats, with p, q and effect size."""
    why, told = usable(subject), {m: _telling(subject, m) for m in subject.methods}
    found: dict[str, dict[str, Match]] = {m: {} for m in subject.methods}
    for how in (o for o in OPERATORS if why[o] is None):
        for shape in SHAPES:
            matches = {m: _match(subject, m, how, shape, told[m]) for m in subject.methods if told[m].any()}
            for method, match in _corrected(matches).items():
                found[method][f"{how}, {shape}"] = match
    left_out = {how: reason for how, reason in why.items() if reason is not None}
    return [_finding(subject, m, found[m], int(told[m].sum()), left_out) for m in subject.methods]


def _telling(subject: Subject, method: str) -> Mask:
    """Return the mask [N] of texts in which a method ranks some words above others, and picks some of all."""
    pairs = zip(subject.scores(method), subject.rationales(method), strict=True)
    return np.array([np.nanmin(s) < np.nanmax(s) and r.any() and not r.all() for s, r in pairs])


def _match(subject: Subject, method: str, how: Operator, shape: Shape, telling: Mask) -> Match:
    """Return one method against its random rationales, on the texts where it tells words apart."""
    rationales = subject.rationales(method)
    own = subject.before() - _own(subject, rationales, how)  # [N]
    drawn = subject.before()[:, None] - _drawn(subject, rationales, how, shape)  # [N,R]
    own, drawn = own[telling], drawn[telling]
    wins = (own[:, None] > drawn).mean(1) + 0.5 * (own[:, None] == drawn).mean(1)  # of those telling
    by_text = np.full(len(telling), np.nan)  # [N]
    by_text[telling] = wins
    return Match(estimate(wins[:, None], mean), by_text, _effect(own, drawn), permutation_p(own, drawn))


def _effect(own: Floats, drawn: Floats) -> float:
    """Return by how many standard deviations of a random rationale's fall the method's is larger."""
    spread = float(np.sqrt(drawn.var(1).mean()))
    gap = float((own - drawn.mean(1)).mean())
    return gap / spread if spread else 0.0


def permutation_p(own: Floats, drawn: Floats, count: int = PERMUTATIONS, seed: int = 0) -> float:
    """Return how often one of each text's R + 1 falls reaches the mean of `own` [N]; `drawn` [N,R]."""
    every = np.column_stack([own, drawn])  # [N,R+1]
    rng = np.random.default_rng(seed)
    taken = rng.integers(every.shape[1], size=(count, len(own)))  # [count,N]
    means = every[np.arange(len(own)), taken].mean(1)
    return float((1 + (means >= own.mean() - 1e-12).sum()) / (count + 1))


def _corrected(matches: dict[str, Match]) -> dict[str, Match]:
    """Return the same with p corrected over the methods."""
    if not matches:
        return {}
    q = false_discovery_control([m.p for m in matches.values()])
    return {name: replace(m, q=float(x)) for (name, m), x in zip(matches.items(), q, strict=True)}


def _own(subject: Subject, rationales: Sequence[Mask], how: Operator) -> Floats:
    """Return the answers [N] without the rationales."""
    picked = [list(indices(r)) for r in rationales]

    def compute() -> list[dict[str, Any]]:
        found = answers_without(subject, [[r] for r in rationales], how, "own")
        return [{"own": float(x[0])} for x in found]

    return np.array([row["own"] for row in subject.part(f"own-{how}", picked, compute)])


def _drawn(subject: Subject, rationales: Sequence[Mask], how: Operator, shape: Shape) -> Floats:
    """Return the answers [N,R] without random rationales; methods whose sizes are alike share them."""
    draws = subject.settings.draws if shape == "words" else subject.settings.span_draws
    sizes = [lengths_of(r) if shape == "spans" else [int(r.sum())] for r in rationales]

    def compute() -> list[dict[str, Any]]:
        masks = [random_masks(subject, i, of, shape, draws) for i, of in enumerate(sizes)]
        return [{"draws": x.tolist()} for x in answers_without(subject, masks, how, shape)]

    return np.array([row["draws"] for row in subject.part(f"{shape}-{how}", [sizes, draws], compute)])


def lengths_of(rationale: Mask) -> list[int]:
    """Return the lengths of a rationale's spans, longest first."""
    return sorted((span.end - span.start for span in runs(rationale)), reverse=True)


def random_masks(subject: Subject, item: int, lengths: Sequence[int], shape: Shape, draws: int) -> list[Mask]:
    """Return random rationales [R] of [W]: as many words, or spans of the same lengths, of those read."""
    rng, read = subject.rng(f"{NAME}:{shape}", item), subject.read_words(item).nonzero()[0]
    found = []
    for _ in range(draws):
        mask = np.zeros(subject.items[item].truth.n_words, dtype=bool)
        if shape == "words":
            mask[rng.choice(read, sum(lengths), replace=False)] = True
        else:
            mask[read[random_spans(len(read), lengths, rng)]] = True
        found.append(mask)
    return found


def random_spans(n_words: int, lengths: Sequence[int], rng: np.random.Generator) -> Mask:
    """Return a mask [W] with spans of these lengths, in random order and at random places; none touch.

    Where so many words are picked that there is no room between all spans some do touch.
    """
    free = n_words - sum(lengths)
    apart = free + 1 >= len(lengths)
    slots = np.sort(rng.choice(free + 1, len(lengths), replace=not apart))  # words before each span
    mask, before = np.zeros(n_words, dtype=bool), 0
    for slot, length in zip(slots, rng.permutation(lengths), strict=True):
        mask[slot + before : slot + before + length] = True
        before += int(length)
    return mask


def _finding(
    subject: Subject, method: str, found: dict[str, Match], n: int, left_out: dict[Operator, str]
) -> Finding:
    """Return what all ways say together: better than random in all of them, in none, or it turns."""
    n_constant = len(subject.items) - n
    more = {
        "ways": {way: m.record() for way, m in found.items()},
        "left_out": left_out,
        "constant": n_constant,
    }
    if n < MIN_EXAMPLES:
        few = (
            f"{n} texts in which {method} ranks some words above others are too few (at least {MIN_EXAMPLES})"
        )
        return Finding.unknown(NAME, method, few, n, **more)
    better = {way: m.better(subject.settings.level) for way, m in found.items()}
    lead = next(iter(found.values()))
    share, low, high = (f"{x:.1%}" for x in (lead.wins.value, lead.wins.low, lead.wins.high))
    number = f"beats {share} of random rationales of its size [{low}, {high}]"
    sentence, outcome = _words(better, number, lead)
    agree = len(set(better.values())) == 1
    return Finding.of(NAME, method, lead.wins, outcome, sentence, operators_agree=agree, **more)


def _words(better: dict[str, bool], number: str, lead: Match) -> tuple[str, Outcome]:
    told = f"{number}, q = {lead.q:.2g}, effect {lead.effect:.2f}, n = {lead.wins.n}"
    if all(better.values()):
        return f"Better than random: {told} (words deleted); so in all {len(better)} ways of testing.", "pass"
    if not any(better.values()):
        return f"No better than random: {told} (words deleted); so in all {len(better)} ways.", "fail"
    yes, no = ("; ".join(way for way, b in better.items() if b is x) for x in (True, False))
    return (
        f"Cannot tell: the result depends on the way of testing: better than random with {yes}; "
        f"not with {no} ({told}).",
        "cannot tell",
    )
