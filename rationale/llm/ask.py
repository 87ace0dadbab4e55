"""Labels and quotes from a language model: its answers to the texts of a data set."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from eraser.errors import Fault, InputError
from eraser.files.owned import finish, writes
from eraser.types import Dataset, Example
from rationale.explanations.quotes.answers import read_answer, without_thinking
from rationale.llm.asking import ANSWERS, Survey, read_answers
from rationale.llm.endpoint import Endpoint, Reply
from rationale.llm.prompts import filled, label_named, refuse_strange

LABEL_FIELD = re.compile(r'"label"\s*:\s*("(?:[^"\\]|\\.)*+"|-?\d+)', re.I)


@dataclass(frozen=True)
class Asking(Survey):
    """Questions about the texts of a data set, and the folder of their answers."""

    by: ClassVar[str] = "llm ask"

    def ask(self, parallel: int = 1) -> None:
        """Ask the remaining questions and finish the work; answers are kept if this is killed."""
        super().ask(parallel)
        writes(self.folder, ANSWERS)
        finish(self.folder)

    def told(self) -> str:
        """Describe the answers."""
        rows = read_answers(self.file)
        lacks = {
            "without a label of the data set": sum(row["label"] is None for row in rows),
            "without quotes that can be read": sum(row["quotes"] is None for row in rows),
            "cut at --max-tokens": sum(row["ended"] == "length" for row in rows),
        }
        return f"{len(rows)} answers" + "".join(f", {n} {what}" for what, n in lacks.items() if n)

    def row(self, key: str, reply: Reply) -> dict[str, Any]:
        """Return the fields of a reply's line besides its key."""
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
    """Return the label that an answer names, in its JSON or alone.

    None where it is none of the data set's, or where the answer names several.

    >>> label_of('Sure: {"label": "pos", "quotes": []}', ["NEG", "POS"])
    'POS'
    """
    answer = without_thinking(answer)
    found = LABEL_FIELD.findall(answer)
    try:
        named = {label_named(json.loads(value), labels) for value in found} or {label_named(answer, labels)}
    except ValueError:
        return None
    return named.pop() if len(named) == 1 else None
