"""Labels and quotes from a language model: its answers to the texts of a data set."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eraser.errors import Fault, InputError
from eraser.files.owned import claim, finish, writes
from eraser.types import Dataset, Example
from rationale.explanations.quotes.answers import read_answer
from rationale.llm.asking import ask_all, content_of_questions, pending, read_answers
from rationale.llm.endpoint import Endpoint, Reply
from rationale.llm.prompts import filled, label_named, refuse_strange

ANSWERS = "answers.jsonl"
BY = "llm ask"
LABEL = re.compile(r'"label"\s*:\s*("(?:[^"\\]|\\.)*+"|-?\d+)')


@dataclass(frozen=True)
class Asking:
    """Questions about the texts of a data set, and the folder of their answers."""

    endpoint: Endpoint
    labels: tuple[str, ...]
    questions: Mapping[str, str]
    folder: Path
    prompt: str

    @property
    def file(self) -> Path:
        """The answers."""
        return self.folder / ANSWERS

    def claimed(self, overwrite: bool = False) -> bool:
        """Take the folder, or refuse another's; return whether all is answered."""
        of = {**self.endpoint.identity(), "prompt": self.prompt}
        of |= {"content_of_questions": content_of_questions(self.questions)}
        return claim(self.folder, BY, of, (), (ANSWERS,), overwrite)

    def left(self) -> dict[str, str]:
        """Return the questions without an answer."""
        return pending(self.questions, self.file)

    def ask(self, parallel: int = 1) -> None:
        """Ask what is left; what is answered stays if this is killed."""
        ask_all(self.endpoint, self.questions, self._row, self.file, parallel)
        writes(self.folder, ANSWERS)
        finish(self.folder)

    def told(self) -> str:
        """Return in words what came."""
        rows = read_answers(self.file)
        lacks = {
            "without a label of the data set": sum(row["label"] is None for row in rows),
            "without quotes that can be read": sum(row["quotes"] is None for row in rows),
            "cut at --max-tokens": sum(row["ended"] == "length" for row in rows),
        }
        return f"{len(rows)} answers" + "".join(f", {n} {what}" for what, n in lacks.items() if n)

    def _row(self, key: str, reply: Reply) -> dict[str, Any]:
        answer = read_answer(reply.text)
        return {
            "label": label_of(reply.text, self.labels),
            "quotes": None if answer is None else list(answer.quotes),
            "answer": reply.text,
            "ended": reply.ended,
            "model": self.endpoint.model,
            "temperature": self.endpoint.temperature,
            "prompt_tokens": reply.prompt_tokens,
            "tokens": reply.tokens,
        }


def asking(
    endpoint: Endpoint, dataset: Dataset, examples: Sequence[Example], prompt: str, folder: Path
) -> Asking:
    """Return the questions about examples; nothing is sent yet."""
    refuse_strange(dataset.labels)
    if not examples:
        raise InputError(Fault("an example to ask about", "none", dataset.source))
    questions = {}
    for example in examples:
        query = example.query if dataset.query_matters else None
        questions[example.id] = filled(prompt, dataset.text(example).plain[0], dataset.labels, query)
    return Asking(endpoint, dataset.labels, questions, folder, prompt)


def label_of(answer: str, labels: Sequence[str]) -> str | None:
    """Return the label that an answer names, in its JSON or alone; None where it is none of the data set's.

    >>> label_of('Sure: {"label": "pos", "quotes": []}', ["NEG", "POS"])
    'POS'
    """
    found = LABEL.search(answer)
    if found is None:
        return label_named(answer, labels)
    try:
        return label_named(json.loads(found[1]), labels)
    except ValueError:
        return None
