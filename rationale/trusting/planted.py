"""Planted truth: texts whose label depends on known words, and what answers by them alone.

Three plants: a word (`A` or none), a pair (both words of it, or one alone), a position (`A` twice, the first
word among them or not). What has the label `without` has no word of its own: a model that looks for that one
never needs the planted word. The other words are those of the data at hand, without the planted ones.

Of a model a small one with the same tokenizer is trained on them; of a function of texts the rule itself is a
function.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from eraser import Dataset, Document, Example
from eraser.spans import Span
from eraser.types import Evidence, Floats
from rationale.blackbox import from_callable
from rationale.evaluation.pipeline import Item, seed_of
from rationale.text_classifier import TextClassifier

if TYPE_CHECKING:
    from rationale.trusting.subject import Subject

LABELS = ("without", "with")
A, PAIR = "indigo", ("not", "good")
VERSION = 3  # of the plants: what parts on disk depend on
WORDS = 14  # of a text
TRAINED_ON, HELD_OUT = 2000, 40  # of 480 the pair is not learned
LEARNED = 0.95  # accuracy on texts held out, below which a model has not learned the plant
LEAST_ROOM = 64  # pieces; more where words have many, as web addresses
SURE = 4.0  # the logit of a rule
STEPS, BATCH, RATE = 300, 32, 2e-3
SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
}


@dataclass(frozen=True)
class Plant:
    """One kind of planted truth: what makes a text of a label, and which words of a text decide it."""

    name: str
    make: Callable[[list[str], bool, np.random.Generator], tuple[list[str], list[int]]]
    rule: Callable[[list[str]], bool]


def _word(words: list[str], positive: bool, rng: np.random.Generator) -> tuple[list[str], list[int]]:
    place = int(rng.integers(len(words)))
    if positive:  # the others have no word of their own: its absence would do as well
        words[place] = A
    return words, [place]


def _pair(words: list[str], positive: bool, rng: np.random.Generator) -> tuple[list[str], list[int]]:
    place = int(rng.integers(len(words) - 1))
    if positive:
        words[place : place + 2] = PAIR
        return words, [place, place + 1]
    words[place] = PAIR[int(rng.integers(2))]
    return words, [place]


def _position(words: list[str], positive: bool, rng: np.random.Generator) -> tuple[list[str], list[int]]:
    places = rng.choice(np.arange(1, len(words)), 2, replace=False)
    for place in (0, int(places[0])) if positive else places:  # as many in either label
        words[int(place)] = A
    return words, [0]


PLANTS = (
    Plant("word", _word, lambda words: A in words),
    Plant("pair", _pair, lambda words: all(w in words for w in PAIR)),
    Plant("position", _position, lambda words: words[:1] == [A]),
)


@dataclass(frozen=True)
class Planted:
    """The texts of one plant that are explained, all of the label `with`; the words that decide each."""

    items: tuple[Item, ...]
    truth: tuple[tuple[int, ...], ...]


def texts_of(subject: Subject) -> list[str]:
    """Return the words of the data at hand, in an order drawn once, without those that are planted."""
    planted = {A, *PAIR}
    every = [w for item in subject.items for w in item.text.words if w.strip()]
    words = [w for w in every if w.strip(string.punctuation).lower() not in planted]
    rng = np.random.default_rng(seed_of(subject.run.settings.seed, "planted"))
    return [words[i] for i in rng.permutation(len(words))] or ["film"]


def made(
    plant: Plant, words: Sequence[str], n: int, rng: np.random.Generator, only: bool | None = None
) -> Dataset:
    """Return texts of a plant, labels in turn, or `only` one; the deciding words are their evidence."""
    documents, examples = {}, []
    for i in range(n):
        positive = bool(i % 2) if only is None else only
        text, decide = plant.make([str(w) for w in rng.choice(words, WORDS)], positive, rng)
        name = f"{plant.name}{i}"
        documents[name] = Document(name, (tuple(text),))
        gold = frozenset(frozenset({Evidence(name, Span(p, p + 1))}) for p in decide)
        examples.append(Example(name, (name,), LABELS[positive], gold=gold))
    return Dataset("planted", documents, {"test": tuple(examples)})


def items_of(subject: Subject, dataset: Dataset) -> Planted:
    """Return the texts as the subject's encoder reads them, and their deciding words."""
    texts = [dataset.text(e) for e in dataset.splits["test"]]
    encoded = subject.run.classifier.encoder.encode(texts)
    items = tuple(
        Item(e, t, dataset.truth(e), w)
        for e, t, w in zip(dataset.splits["test"], texts, encoded, strict=True)
    )
    return Planted(items, tuple(tuple(i.truth.gold.nonzero()[0].tolist()) for i in items))


def as_function(plant: Plant, like: TextClassifier) -> Any:
    """Return the rule itself as a function of texts, with the mask of `like`."""

    def answer(texts: list[str]) -> Floats:
        logits = np.array([SURE if plant.rule(text.split()) else -SURE for text in texts])
        return np.stack([1 / (1 + np.exp(logits)), 1 / (1 + np.exp(-logits))], 1)

    answer.rule = plant  # type: ignore[attr-defined]  # for methods that know it
    found = from_callable(answer, LABELS, version=f"planted {plant.name}")
    return replace(found, encoder=like.encoder)  # type: ignore[arg-type]


def longest_of(items: Sequence[Item]) -> int:
    """Return the number of pieces of the longest window of texts."""
    return max(len(window) for item in items for window in item.windows)


def trained(
    plant: Plant, subject: Subject, words: Sequence[str], rng: np.random.Generator, room: int = 0
) -> Any:
    """Return a small model of the subject's pieces, trained on the plant; it can read `room` pieces."""
    from transformers import BertConfig, BertForSequenceClassification

    from rationale.hf.classifier import Classifier

    found = items_of(subject, made(plant, words, TRAINED_ON, rng))
    encoder: Any = subject.run.classifier.encoder
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(subject.run.settings.seed, plant.name) % 2**31)
        config = BertConfig(
            **SIZES, vocab_size=len(encoder.tokenizer),
            max_position_embeddings=max(LEAST_ROOM, room, longest_of(found.items)),
            pad_token_id=encoder.pad_id, id2label=dict(enumerate(LABELS)), hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )  # fmt: skip
        model = BertForSequenceClassification(config)
        _fit(model, encoder, found.items)
    model.eval()  # type: ignore[no-untyped-call]
    return Classifier(model.requires_grad_(False), encoder, LABELS, torch.device("cpu"))


def _fit(model: Any, encoder: Any, items: Sequence[Item]) -> None:
    """Train for a fixed number of steps on batches drawn with torch's own generator."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, fused=True)
    labels = torch.tensor([LABELS.index(i.truth.label) for i in items])
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: min(1, s / 40) * (1 - s / STEPS))
    for _ in range(STEPS):
        rows = torch.randint(len(items), (BATCH,))
        batch = encoder.collate([items[int(r)].windows[0] for r in rows])
        loss = model(input_ids=batch.ids, attention_mask=batch.real.long(), labels=labels[rows]).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
