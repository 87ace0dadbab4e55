"""Faithfulness of a language model's own rationales: it answers the whole text, without them, only them.

Comprehensiveness: how far the model leaves its label when the words are taken out. Sufficiency: when all
others are. Both as the share of answers in which the label changes, and, where the endpoint gives
probabilities, as the fall of the probability of the label.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from eraser.errors import Fault, InputError
from eraser.files.cells import as_csv
from eraser.files.owned import finish, writes
from eraser.files.whole import write_text
from eraser.metrics.bootstrap import Estimate, difference, estimate
from eraser.types import Dataset, Example, Floats, Mask, Text
from rationale.blackbox import Pieces
from rationale.explanations.quotes.answers import without_thinking
from rationale.llm.asking import ANSWERS, Survey, read_answers
from rationale.llm.endpoint import Endpoint, Reply
from rationale.llm.prompts import filled, label_lettered, probabilities, refuse_strange
from rationale.llm.rationales import Rationales, common

SCORES, PAIRED = "llm_scores.csv", "llm_paired.csv"
FLIPS, FALLS = ("flips_without", "flips_with_only"), ("comprehensiveness", "sufficiency")
SHARE = "share_of_words"


@dataclass(frozen=True)
class Question:
    """What is asked of one example and method: keys of three questions, and the share of words picked."""

    whole: str
    without: str
    only: str
    share: float


@dataclass(frozen=True)
class Trial(Survey):
    """Texts with words taken out, to be asked about, and the folder of the answers.

    `asked` has a Question for each method and example, `questions` each distinct text once.
    """

    asked: Mapping[str, Sequence[Question]]
    by: ClassVar[str] = "llm faithfulness"

    @property
    def made_of(self) -> dict[str, Any]:
        """All that the answers, and what they say of the methods, depend on."""
        return super().made_of | {"methods": list(self.asked)}

    def write(self) -> Results:
        """Write and return what the answers say."""
        answers = {row["id"]: (row["label"], row["probs"]) for row in read_answers(self.file)}
        found = Results(self.labels, self.asked, answers)
        write_text(self.folder / SCORES, as_csv(found.scores))
        write_text(self.folder / PAIRED, as_csv(found.paired))
        writes(self.folder, ANSWERS, SCORES, PAIRED)
        finish(self.folder)
        return found

    def row(self, key: str, reply: Reply) -> dict[str, Any]:
        """Return the fields of a reply's line besides its key."""
        return {
            "label": label_lettered(without_thinking(reply.text), self.labels),
            "probs": probabilities(reply.first, self.labels),
            "answer": reply.text,
            "ended": reply.ended,
            "prompt_tokens": reply.prompt_tokens,
            "tokens": reply.tokens,
        }


def trial(  # noqa: PLR0913 (what a trial is made of)
    endpoint: Endpoint,
    dataset: Dataset,
    examples: Sequence[Example],
    rationales: Rationales,
    prompt: str,
    folder: Path,
) -> Trial:
    """Return the questions about examples that every method explains; nothing is sent yet."""
    refuse_strange(dataset.labels)
    explained = common(rationales)
    of = [example for example in examples if example.id in explained]
    if not of:
        raise InputError(Fault("an example that all methods explain", "none", dataset.source))
    questions: dict[str, str] = {}

    def key(text: str, example: Example) -> str:
        query = example.query if dataset.query_matters else None
        question = filled(prompt, text, dataset.labels, query)
        name = sha256(question.encode("utf-8", "surrogatepass")).hexdigest()
        questions[name] = question
        return name

    def question(example: Example, selected: Mask) -> Question:
        whole, without, only = (key(part, example) for part in parts_of(dataset.text(example), selected))
        return Question(whole, without, only, float(selected.mean()))

    asked = {method: [question(e, selected[e.id]) for e in of] for method, selected in rationales.items()}
    return Trial(endpoint, dataset.labels, questions, folder, prompt, asked)


def parts_of(text: Text, selected: Mask) -> tuple[str, str, str]:
    """Return a text, what is left of it without the words picked [W], and with only these."""
    pieces = Pieces()
    window = pieces.window(*text.plain)
    without, only = (pieces.text(pieces.remove((window,), gone)[0]) for gone in (selected, ~selected))
    return text.plain[0], without, only


@dataclass(frozen=True)
class Results:
    """What answers say of each method; an example whose label was not read has no say in it."""

    labels: tuple[str, ...]
    asked: Mapping[str, Sequence[Question]]
    answers: Mapping[str, tuple[str | None, Mapping[str, float] | None]]

    @cached_property
    def values(self) -> dict[str, dict[str, Floats]]:
        """For each method and measure the value of every example [N], NaN if undefined."""
        return {method: self._of_method(questions) for method, questions in self.asked.items()}

    @property
    def scores(self) -> pd.DataFrame:
        """For each method and measure the mean with its 95 % interval, and the number of examples."""
        rows = [
            {"method": method, "metric": metric, **_columns(estimate(known[:, None], _mean), len(known))}
            for method, measures in self.values.items()
            for metric, values in measures.items()
            if len(known := values[~np.isnan(values)])
        ]
        return pd.DataFrame(rows)

    @property
    def paired(self) -> pd.DataFrame:
        """For each two methods and each measure the difference on the examples where both have a value."""
        return pd.DataFrame(list(self._pairs()), columns=[*PAIR, "value", "low", "high", "n", "tie"])

    def notes(self) -> Iterator[str]:
        """Yield notes for the reader."""
        unread = sum(label is None for label, _ in self.answers.values())
        if unread:
            yield f"{unread} of {len(self.answers)} answers name no label: their examples have no say"
        lacking = sum(probs is None for _, probs in self.answers.values())
        if lacking:
            what = "no probabilities came" if lacking == len(self.answers) else f"{lacking} answers have none"
            yield f"{what}: changes of the label are counted"

    def _pairs(self) -> Iterator[dict[str, Any]]:
        methods = list(self.values)
        for i, one in enumerate(methods):
            for other in methods[i + 1 :]:
                for metric in (*FLIPS, *FALLS):
                    ours, theirs = self.values[one][metric], self.values[other][metric]
                    both = ~np.isnan(ours) & ~np.isnan(theirs)
                    if both.any():
                        found = difference(ours[both][:, None], theirs[both][:, None], _mean)
                        more = {**_columns(found, int(both.sum())), "tie": found.spans_zero}
                        yield {"method": one, "other": other, "metric": metric, **more}

    def _of_method(self, questions: Sequence[Question]) -> dict[str, Floats]:
        rows = np.array([self._of_question(q) for q in questions]).reshape(-1, 5)
        return dict(zip((*FLIPS, *FALLS, SHARE), rows.T, strict=True))

    def _of_question(self, q: Question) -> tuple[float, ...]:
        label, probs = self.answers[q.whole]
        shortened = [self.answers[key] for key in (q.without, q.only)]
        flips = [
            np.nan if label is None or shortened_label is None else float(shortened_label != label)
            for shortened_label, _ in shortened
        ]
        falls = [
            np.nan if label is None or probs is None or other is None else probs[label] - other[label]
            for _, other in shortened
        ]
        return (*flips, *falls, q.share)


PAIR = ("method", "other", "metric")


def _mean(means: Floats) -> Floats:
    """Return the means of one column [..., 1] as they are [...]."""
    return means[..., 0]


def _columns(found: Estimate, n: int) -> dict[str, Any]:
    return {"value": found.value, "low": found.low, "high": found.high, "n": n}
