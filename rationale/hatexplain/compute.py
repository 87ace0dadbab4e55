"""What a model and its explanations say of posts in one unit; parts on disk, so that a run can resume.

Axes: C class, E element of a post.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from eraser import Ablation, Prediction
from eraser.official.hatexplain_protocol import top_five
from eraser.progress import progress
from eraser.types import Floats
from rationale.attribution import AttributionInput, AttributionSettings, attribute
from rationale.attribution.fit import reading
from rationale.attribution.methods import Method
from rationale.evaluation.pipeline import PARTS_VERSION, get_method, seed_of
from rationale.evaluation.stored.part_files import PartRows, part
from rationale.hatexplain.units import Post, PostsInUnit
from rationale.hf.classifier import Classifier
from rationale.inference.predict import text_probs
from rationale.settings import digest
from rationale.text.windows import OUTSIDE, Window

PREDICT = "predict"  # the part of the whole posts' probabilities


@dataclass(frozen=True)
class ProtocolRun:
    """How posts are explained, and where parts lie; `explained` is what most methods explain of a dropper."""

    explained: Classifier
    how: AttributionSettings
    seed: int
    chunk: int
    folder: Path
    model_hashes: tuple[str, str]

    def probs(self, unit: PostsInUnit) -> Floats:
        """Return the probabilities [post,C] of the whole posts."""
        rows = self._in_parts(unit, unit.posts, PREDICT, (), lambda posts: _predict(unit, posts))
        return np.array([row["probs"] for row in rows])

    def predictions(
        self, unit: PostsInUnit, posts: Sequence[Post], probs: Floats, method: str
    ) -> tuple[Prediction, ...]:
        """Return what a method makes of posts with these probabilities [post,C]: scores [E] and the five.

        The class explained is the predicted one, which model and windows decide.
        """
        targets = dict(zip((p.example.id for p in posts), probs.argmax(1).tolist(), strict=True))
        asked = get_method(method)
        depends = [{name: self._setting(name) for name in asked.uses}, asked.code]
        rows = self._in_parts(
            unit, posts, method, depends, lambda some: self._explain(unit, some, targets, method)
        )
        labels = unit.classifier.labels
        return tuple(_prediction(row, p, labels) for row, p in zip(rows, probs, strict=True))

    def _setting(self, name: str) -> Any:
        return self.seed if name == "seed" else getattr(self.how, name)

    def _explain(
        self, unit: PostsInUnit, posts: Sequence[Post], targets: dict[str, int], name: str
    ) -> PartRows:
        """Return scores and the probabilities without, and with only, the five of highest score."""
        method, own = get_method(name), unit.classifier
        asked = own if method.adaptive else replace(self.explained, encoder=own.encoder)
        cases = [self._case(unit, post, targets[post.example.id], method) for post in posts]
        scores = [a.scores for a in attribute(asked, name, cases, self.how)]
        pairs = zip(posts, scores, strict=True)
        erased = [x for p, s in pairs for x in unit.erased(p, top_five(s), self.how.replace)]
        found = text_probs(own, erased, [case.of for case in cases for _ in range(2)]).tolist()
        answers = zip(found[::2], found[1::2], strict=True)
        return [
            {"id": p.example.id, "scores": s.tolist(), "without": without, "only": only}
            for p, s, (without, only) in zip(posts, scores, answers, strict=True)
        ]

    def _case(self, unit: PostsInUnit, post: Post, target: int, method: Method) -> AttributionInput:
        """Return what is asked of a method; one that takes pieces away never takes special tokens."""
        text = unit.dataset.text(post.example)
        windows = post.windows
        if "replace" in method.uses:
            windows = tuple(_spared(window, post) for window in windows)
        return AttributionInput(windows, len(text.words), target, seed_of(self.seed, text.example_id), text)

    def _in_parts(
        self,
        unit: PostsInUnit,
        posts: Sequence[Post],
        name: str,
        depends: Any,
        compute: Callable[[Sequence[Post]], PartRows],
    ) -> PartRows:
        """Return the rows of posts, chunk by chunk; what the folder lacks is computed."""
        chunks = [posts[i : i + self.chunk] for i in range(0, len(posts), self.chunk)]
        rows: PartRows = []
        for some in progress(chunks, f"{unit.name}, {name}", "chunks"):
            rows += part(self._file(unit, some, name, depends), lambda: compute(some))  # noqa: B023
        return rows

    def _file(self, unit: PostsInUnit, posts: Sequence[Post], name: str, depends: Any) -> Path:
        """Return where a chunk's part lies: the name says all that its numbers depend on."""
        read = [(p.example.id, [w.as_lists() for w in p.windows]) for p in posts]
        one, other = unit.classifier, self.explained
        how = (one.bf16, other.bf16, one.encoder.pad_id, self.how.explain, self.how.replace, *reading(other))
        key = digest(PARTS_VERSION, self.model_hashes, unit.name, read, depends, how)
        return self.folder / f"{unit.name}-{name}-{key}.parquet"


def _predict(unit: PostsInUnit, posts: Sequence[Post]) -> PartRows:
    texts = [unit.dataset.text(p.example) for p in posts]
    probs = text_probs(unit.classifier, [p.windows for p in posts], texts).tolist()
    return [{"id": p.example.id, "probs": of_post} for p, of_post in zip(posts, probs, strict=True)]


def _spared(window: Window, post: Post) -> Window:
    """Return the window with its special tokens as no elements."""
    inside = np.zeros(len(window), dtype=bool)  # [T]
    inside[len(post.before) : len(window) - len(post.after)] = True
    return replace(
        window, word=np.where(inside, window.word, OUTSIDE), end=np.where(inside, window.end, OUTSIDE)
    )


def _prediction(row: dict[str, Any], probs: Floats, labels: Sequence[str]) -> Prediction:
    """Return a part's row as a prediction whose rationale is the five."""
    scores = np.array(row["scores"], dtype=np.float64)
    named = (dict(zip(labels, row[how], strict=True)) for how in ("without", "only"))
    whole = dict(zip(labels, probs.tolist(), strict=True))
    label = labels[int(probs.argmax())]
    return Prediction(row["id"], label, whole, scores, top_five(scores), Ablation(0.0, *named))
