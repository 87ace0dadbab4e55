"""The JSON of requests and answers: that of text-embeddings-inference, with rationales on request."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from eraser.errors import short_repr
from rationale.onnx.answer import Answer

SHAPES = "a string, [string], a pair [string, string], or a batch [[string], [string, string], …]"
Texts = str | list[str] | list[list[str]]


class PredictRequest(BaseModel):
    """A request: texts, and how to answer."""

    model_config = ConfigDict(strict=True, extra="forbid")

    inputs: Texts = Field(description=SHAPES, examples=["A warm, moving film."])
    raw_scores: bool = Field(False, description="Logits instead of probabilities.")
    truncate: bool | None = Field(
        None,
        description="true: read the first window of a long text; false: read all of it, in windows; by "
        "default as the model was exported.",
    )
    truncation_direction: Literal["right", "Right"] = Field(
        "right", description="Texts are cut off at the end."
    )
    rationale: bool = Field(
        False, description="Also return the words, how many layers each went through, and its score."
    )

    @field_validator("inputs", mode="before")
    @classmethod
    def shaped(cls, value: Any) -> Any:
        """Refuse what is not one of SHAPES, in one sentence."""
        if isinstance(value, str) or _is_sequence(value):
            return value
        if isinstance(value, list) and value and all(map(_is_sequence, value)):
            return value
        raise ValueError(f"expected {SHAPES}, got {short_repr(value)}")

    @property
    def is_batch(self) -> bool:
        """Whether the answer is a list, with an item for each text."""
        return isinstance(self.inputs, list) and isinstance(self.inputs[0], list)

    def texts(self) -> list[str | tuple[str, str]]:
        """Return each text, a pair as a tuple."""
        given: Any = self.inputs
        found = given if self.is_batch else [[given] if isinstance(given, str) else given]
        return [one[0] if len(one) == 1 else tuple(one) for one in found]


def _is_sequence(value: Any) -> bool:
    return isinstance(value, list) and len(value) in (1, 2) and all(isinstance(text, str) for text in value)


class LabelScore(BaseModel):
    """A label and its probability, or logit."""

    label: str
    score: float


class Word(BaseModel):
    """A word of a text (of a pair's second text where `side` is 1) at characters `start` to `end`.

    `layer` is the number of layers it went through, `score` that number plus its contribution there, below 1.
    Both are null for a word that was not read.
    """

    text: str
    start: int
    end: int
    side: int
    layer: int | None
    score: float | None


class ExplainedAnswer(BaseModel):
    """An answer with its words; those whose `layer` equals `depth` form the rationale."""

    label: str
    predictions: list[LabelScore]
    rationale: list[Word]
    depth: int
    windows: int
    unread: int
    truncated: int


class ErrorAnswer(BaseModel):
    """Why a request was not answered."""

    error: str
    error_type: str


def predictions_of(answer: Answer, raw: bool) -> list[dict[str, Any]]:
    """Return labels with their scores, the highest first."""
    scores = list(answer.scores.values())
    if raw:
        one = len(answer.logits) < len(scores)  # read as two classes
        scores = [-answer.logits[0], answer.logits[0]] if one else list(answer.logits)
    found = zip(answer.scores, scores, strict=True)
    return [{"label": label, "score": score} for label, score in sorted(found, key=lambda x: -x[1])]


def body_of(answer: Answer, asked: PredictRequest) -> Any:
    """Return an answer as JSON data: labels only, or with the words."""
    predictions = predictions_of(answer, asked.raw_scores)
    if not asked.rationale:
        return predictions
    words = [
        {
            "text": word.text, "start": word.start, "end": word.end,
            "side": word.side, "layer": word.layer, "score": word.score,
        }
        for word in answer.words
    ]  # fmt: skip
    counts = {"depth": answer.depth, "windows": answer.windows}
    counts |= {"unread": answer.unread, "truncated": answer.truncated}
    return {"label": answer.label, "predictions": predictions, "rationale": words, **counts}
