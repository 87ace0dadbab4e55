"""Subjects of tests: a linear bag of words as a function, and methods that know, or spoil, its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from eraser import Dataset, Document, Example, Span
from eraser.types import Evidence
from rationale.attribution.methods import METHODS, Method
from rationale.blackbox import BlackBox, from_callable
from rationale.evaluation.plan import plan
from rationale.settings import EvaluateSettings
from rationale.text.windows import OUTSIDE
from rationale.trusting.contract import TrustSettings
from rationale.trusting.planted import PAIR, A
from rationale.trusting.subject import Subject, subject_of

WEIGHTS = {"superb": 3.0, "warm": 2.0, "fine": 1.0, "dull": -2.0, "awful": -3.0, "thin": -1.0}
NEUTRAL = ("film", "plot", "cast", "song", "scene", "light", "sound", "story", "joke", "end", "room", "sea")
LABELS = ("NEG", "POS")


def linear(texts: list[str]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Answer [N,2] by the sum of the words' weights."""
    logits = np.array([sum(WEIGHTS.get(word, 0.0) for word in text.split()) for text in texts])
    positive = 1 / (1 + np.exp(-logits))
    return np.stack([1 - positive, positive], 1)


def toy(n: int = 24, n_words: int = 12, seed: int = 0, splits: tuple[str, ...] = ("test",)) -> Dataset:
    """Texts of neutral words and three of one side, which people marked."""
    rng = np.random.default_rng(seed)
    documents, examples = {}, {}
    for split in splits:
        made = []
        for i in range(n):
            label, name = LABELS[i % 2], f"{split}{i}"
            pool = [w for w, weight in WEIGHTS.items() if (weight > 0) == (label == "POS")]
            words = [str(w) for w in rng.choice(NEUTRAL, n_words)]
            places = sorted(int(p) for p in rng.choice(np.arange(2, n_words), 3, replace=False))
            for place, word in zip(places, rng.permutation(pool), strict=True):
                words[place] = str(word)
            documents[name] = Document(name, (tuple(words),))
            gold = frozenset(frozenset({Evidence(name, Span(p, p + 1))}) for p in places)
            made.append(Example(name, (name,), label, gold=gold))
        examples[split] = tuple(made)
    return Dataset("toy", documents, examples)


def half_unmarked(dataset: Dataset) -> Dataset:
    """The same, but of every other text nobody marked a word: at the budget `gold` nothing is picked."""
    examples = dataset.splits["test"]
    bare = tuple(replace(e, gold=frozenset()) if i % 2 else e for i, e in enumerate(examples))
    return replace(dataset, splits=dataset.splits | {"test": bare})


def function() -> BlackBox:
    """The linear model, which can only be asked."""
    return from_callable(linear, LABELS, mask="[mask]", version="linear")


def oracle(box: BlackBox, request: object) -> torch.Tensor:
    """The true weights, signed for the class explained [B,T]; of a planted rule the words it asks for."""
    batch, target = request.batch, request.target  # type: ignore[attr-defined]
    if (plant := getattr(box.model, "rule", None)) is not None:
        wanted = {"word": (A,), "pair": PAIR, "position": ()}[plant.name]
        named = [[box.encoder.known.get(int(i), "") in wanted for i in row] for row in batch.ids]
        first = (batch.word == 0) & (plant.name == "position")
        return (torch.tensor(named) | first).double() * (batch.word != OUTSIDE)
    sign = torch.where(target == 1, 1.0, -1.0)[:, None]
    weights = [[WEIGHTS.get(box.encoder.known.get(int(i), ""), 0.0) for i in row] for row in batch.ids]
    return torch.where(batch.word == OUTSIDE, 0.0, torch.tensor(weights) * sign).double()


ORACLE = Method(oracle, "sum", True, "the weights", asks=True)  # type: ignore[arg-type]
Spoil = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # scores [B,T], words [B,T] → scores


def _shuffled(scores: torch.Tensor, word: torch.Tensor) -> torch.Tensor:
    order = torch.randperm(scores.shape[1], generator=torch.Generator().manual_seed(0))
    return scores[:, order]


SPOILT: Mapping[str, Spoil] = {
    "flipped": lambda scores, word: -scores,
    "shuffled": _shuffled,
    "shifted": lambda scores, word: scores.roll(1, 1),
    "constant": lambda scores, word: torch.ones_like(scores),
}


def spoilt(method: Method, how: str) -> Method:
    """A method whose scores are spoilt on their way out."""

    def scores(classifier: object, request: object) -> torch.Tensor:
        found = method.scores(classifier, request)  # type: ignore[arg-type]
        return SPOILT[how](found, request.batch.word)  # type: ignore[attr-defined]

    reduce = "max" if how == "constant" else method.reduce  # one score a word, however many pieces it has
    return replace(method, scores=scores, tried=False, reduce=reduce)


def subject(
    folder: Path,
    methods: tuple[str, ...],
    dataset: Dataset | None = None,
    classifier: object = None,
    trust: TrustSettings | None = None,
    budget: str = "ratio=0.25",
    **settings: object,
) -> Subject:
    """The subject of tests: the toy and the linear function, or others."""
    assert all(m in METHODS for m in methods), "add it to METHODS first (monkeypatch.setitem)"
    found = dataset or toy()
    how = EvaluateSettings(found.name, "toy", methods=methods, budgets=(budget,), **settings)  # type: ignore[arg-type]
    if classifier is None:
        how = replace(how, explain="probability", mask="[mask]")
    planned = plan(classifier or function(), found, how, folder / "scores", overwrite=True)  # type: ignore[arg-type]
    return subject_of(planned, trust or TrustSettings(draws=20, span_draws=3), folder / "tests")
