"""HateXplain's table for one model: accuracy, bias, plausibility and faithfulness, in pieces and in words.

Beside the published numbers stand their bootstrap intervals over posts, and how much of an annotator's
agreement with the others they reach.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from eraser import Dataset, Example, Fault, InputError, Prediction
from eraser.data.hatexplain import TOXIC
from eraser.errors import first_line, short_repr
from eraser.files.content import content_of_examples
from eraser.files.owned import claim
from eraser.metrics.annotators import human_ceiling
from eraser.metrics.bias import NO_COMMUNITY, Bias, score_bias
from eraser.metrics.classes import class_columns, score_classes
from eraser.metrics.table import Score
from eraser.official.hatexplain_columns import CEILING_OF, protocol_columns, score_columns
from eraser.official.hatexplain_protocol import LABELS, toxic_posts
from eraser.types import Floats
from rationale.attribution import codes_of, refuse_unfit
from rationale.evaluation.explained import explained_by
from rationale.evaluation.plan import check_asked
from rationale.hatexplain.compute import ProtocolRun
from rationale.hatexplain.settings import ProtocolSettings
from rationale.hatexplain.units import MAX_PIECES, PIECES, UNITS, PostsInUnit, in_pieces
from rationale.heads import HEADS
from rationale.hf.classifier import Classifier
from rationale.inference.predict import text_probs

BY = "protocol hatexplain"
OF_MODEL, OF_PEOPLE = "-", "people"  # as methods: the model's answers, each annotator against the others
BIAS = {"subgroup_auc": "gmb_subgroup", "bpsn_auc": "gmb_bpsn", "bnsp_auc": "gmb_bnsp"}
COLUMNS = ("unit", "method", "metric", "value", "low", "high", "n", "left_out")


@dataclass(frozen=True)
class ProtocolResult:
    """The table, one row a number (COLUMNS), and what intervals over several trainings need.

    `columns` holds for (unit, method, metric) the columns [N,K] whose means are folded to the value: by
    `eraser.official.hatexplain_columns.FOLDS`, of the posts `toxic_ids`; for OF_MODEL, by
    `eraser.metrics.classes.CLASS_FOLDS`, of the posts `ids`. AUROC and bias are no means of columns.
    """

    scores: pd.DataFrame
    columns: Mapping[tuple[str, str, str], Floats]
    ids: tuple[str, ...]
    toxic_ids: tuple[str, ...]
    notes: tuple[str, ...]


def score_protocol(  # noqa: PLR0913 (what a run is made of)
    classifier: Classifier,
    dataset: Dataset,
    out: Path,
    settings: ProtocolSettings | None = None,
    dense: Classifier | None = None,
    overwrite: bool = False,
    reads: Sequence[str | Path | None] = (),
) -> ProtocolResult:
    """Return a model's numbers on a split; parts that `out` has are not computed again.

    Args:
        classifier: with the labels hatespeech, normal and offensive.
        dataset: HateXplain; bias needs its target communities, the ceiling its single annotators.
        out: a folder, see `eraser.files.owned`; `table.write_protocol` writes the table there.
        settings: see ProtocolSettings.
        dense: what attention and gradients explain where the classifier drops tokens.
        overwrite: whether another run there makes room.
        reads: folders of the models, which `out` may not be.

    Raises:
        InputError: the model has other labels, a method or unit does not fit it, no post of the split is
            toxic, or `out` is somebody else's.
    """
    settings = settings or ProtocolSettings()
    settings.check()
    explained = explained_by(classifier, dense)
    assert isinstance(explained, Classifier)  # as both are
    _check_model(classifier, explained, settings)
    examples = dataset.examples(settings.split)[: settings.limit]
    if not (toxic := toxic_posts(examples)):
        message = f"no posts labelled {' or '.join(sorted(TOXIC))} in {settings.split}"
        raise InputError(Fault.of(message, dataset.source))
    if PIECES in settings.units:
        _check_bare(in_pieces(classifier, dataset, toxic[:1]))
    hashes = (classifier.identity(), explained.identity())
    of = {**asdict(settings), "content_of_model": hashes[0], "content_of_dense": hashes[1]}
    of |= {"content_of_data": content_of_examples(dataset, examples)} | codes_of(settings.methods)
    claim(out, BY, of, (dataset.source, *reads), (), overwrite)
    run = ProtocolRun(explained, settings, settings.seed, settings.chunk, out / "parts", hashes)
    units = [UNITS[name](classifier, dataset, examples) for name in settings.units]
    found = [_of_unit(run, unit, settings.methods) for unit in units]
    return ProtocolResult(
        pd.DataFrame([row for one in found for row in one.rows], columns=list(COLUMNS)),
        {key: columns for one in found for key, columns in one.columns.items()},
        tuple(e.id for e in examples),
        tuple(e.id for e in toxic),
        (*dataset.notes, *_notes(examples, units, settings), *(note for one in found for note in one.notes)),
    )


def _check_model(classifier: Classifier, explained: Classifier, settings: ProtocolSettings) -> None:
    """Refuse a model that does not answer with the three labels, or that a method does not fit."""
    if HEADS[classifier.head].kind != "class" or set(classifier.labels) != LABELS:
        expected = f"a model of one class, with the labels {', '.join(sorted(LABELS))}"
        raise InputError(Fault(expected, ", ".join(map(short_repr, classifier.labels))))
    check_asked(classifier, settings)
    refuse_unfit(classifier, settings.methods, explained)


def _check_bare(unit: PostsInUnit) -> None:
    """Refuse a model that cannot read a post without its special tokens, which may be among the five."""
    (post,) = unit.posts
    n = len(post.windows[0])
    specials = np.ones(n, dtype=bool)  # [E]
    specials[len(post.before) : n - len(post.after)] = False
    bare, _ = unit.erased(post, specials)
    try:
        text_probs(unit.classifier, [bare])
    except Exception as error:  # whatever its head says to it
        why = f"which this model's head needs ({first_line(error)})"
        remedy = "--units text_pieces,words works"
        raise InputError(Fault.of(f"unit {PIECES} takes special tokens away, {why}; {remedy}")) from None


@dataclass(frozen=True)
class _OfUnit:
    """The rows and columns of one unit, and what a reader must know of them."""

    unit: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    columns: dict[tuple[str, str, str], Floats] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, method: str, scores: Iterable[Score], columns: Mapping[str, Floats]) -> None:
        """Note the numbers of a method, and their columns."""
        self.rows.extend({"unit": self.unit, "method": method, **asdict(score)} for score in scores)
        self.columns.update({(self.unit, method, name): rows for name, rows in columns.items()})


def _of_unit(run: ProtocolRun, unit: PostsInUnit, methods: Sequence[str]) -> _OfUnit:
    """Return the numbers of the model, of annotators and of each method in one unit."""
    found, labels, seed = _OfUnit(unit.name), unit.classifier.labels, run.seed
    examples, probs = [post.example for post in unit.posts], run.probs(unit)
    answers = [_answer(e.id, p, labels) for e, p in zip(examples, probs, strict=True)]
    found.add(
        OF_MODEL, score_classes(examples, answers, labels, seed), class_columns(examples, answers, labels)
    )
    if has_communities(examples):
        _add_bias(found, score_bias(examples, answers, seed=seed))
    toxic = [i for i, example in enumerate(examples) if example.label in TOXIC]
    people = human_ceiling(unit.dataset, [examples[i] for i in toxic], seed=seed)
    found.add(OF_PEOPLE, [s for s in people if s.metric in CEILING_OF.values() and s.n], {})
    posts = [unit.posts[i] for i in toxic]
    for method in methods:
        predictions = run.predictions(unit, posts, probs[toxic], method)
        columns = protocol_columns(unit.dataset, examples, predictions)
        found.add(method, score_columns(columns, seed), columns)
    return found


def _answer(id: str, probs: Floats, labels: Sequence[str]) -> Prediction:
    """Return a prediction of a label alone."""
    nothing = np.zeros(0)
    named = dict(zip(labels, probs.tolist(), strict=True))
    return Prediction(id, labels[int(probs.argmax())], named, nothing, nothing > 0)


def has_communities(examples: Sequence[Example]) -> bool:
    """Return whether bias can be measured: some posts are about a community, and toxic and others differ."""
    return any(e.tags - NO_COMMUNITY for e in examples) and len({e.label in TOXIC for e in examples}) > 1


def _add_bias(found: _OfUnit, bias: Bias) -> None:
    """Note the generalised means over communities, and how many communities have none."""
    n = bias.n_targeted
    means = [Score(BIAS[m.metric], m.value, m.low, m.high, n, bias.n - n) for m in bias.means]
    found.add(OF_MODEL, means, {})
    for mean in bias.means:
        if mean.left_out:
            of = f"{BIAS[mean.metric]} is the mean over {mean.n} communities"
            found.notes.append(f"{found.unit}: {of}; {mean.left_out} lack toxic posts or others")


def _notes(
    examples: Sequence[Example], units: Sequence[PostsInUnit], settings: ProtocolSettings
) -> Iterator[str]:
    """Yield what a reader of the table must know."""
    if settings.limit is not None:
        yield f"the first {len(examples)} posts of {settings.split} only: not the protocol"
    if not has_communities(examples):
        yield "no bias: the data name no target communities (HateXplain's own JSON does)"
    if not any(len(e.annotators) > 1 for e in examples):
        yield "no human ceiling: the data have no single annotators (HateXplain's own JSON has)"
    for unit in units:
        if unit.truncated:
            yield f"{unit.name}: of {unit.truncated} posts only the first {MAX_PIECES} pieces are read"
