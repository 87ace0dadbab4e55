"""What can be scored of a file that the official scorer would stop at, and what is left out of it.

What a fault spoils is left out, and no more: of a broken line or an unknown document the whole prediction, of
malformed scores only the part of the output that reads them. The annotation is left out of that part too, so
that each part is what the official scorer gives for a file, and gold, of the rest. Annotations without a
prediction are left out where there are labels, since it stops there; else they count as missed, as they do
officially.

What is wrong but can be counted is not left out, for no system may gain from that: spans that leave their
document, and labels that gold lacks, count as wrong.
"""

from __future__ import annotations

from collections import ChainMap, Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

from eraser.errors import Fault, InputError, cut, printable
from eraser.official.check import (
    extra_in_gold,
    gold_label_faults,
    is_predicted,
    nothing_to_divide_by,
    refuse_broken_gold,
    repeated_faults,
    uneven_fields,
    unknown_labels,
)
from eraser.official.reading import MAX_FAULTS
from eraser.official.records import (
    COMP,
    LABEL,
    SENTENCES,
    SUFF,
    THRESHOLDED,
    TOKENS,
    Numbered,
    OutputSections,
    Record,
    ScorerInputs,
    ScorerOptions,
)
from eraser.official.validation import Part, evidence_faults, faults_by_part, is_key, thresholds_of

SCORED: dict[Part, str] = {
    "hard": "iou_scores, rationale_prf, token_prf",
    "token": "token_soft_metrics",
    "sentence": "sentence_soft_metrics",
    "classes": "classification_scores",
    "aopc": "the AOPC of classification_scores",
}  # the parts of the output, and what is in them
READS: dict[str, Part] = {
    LABEL: "classes",
    COMP: "classes",
    SUFF: "classes",
    THRESHOLDED: "aopc",
    TOKENS.field: "token",
    SENTENCES.field: "sentence",
}
ONLY: dict[Part, OutputSections] = {
    "hard": OutputSections(hard=True, tokens=False, sentences=False, classes=False),
    "token": OutputSections(hard=False, tokens=True, sentences=False, classes=False),
    "sentence": OutputSections(hard=False, tokens=False, sentences=True, classes=False),
    "classes": OutputSections(hard=False, tokens=False, sentences=False, classes=True),
    "aopc": OutputSections(hard=False, tokens=False, sentences=False, classes=True),
}
MOST_NAMED = 10
Found = dict[Part, dict[int, list[Fault]]]  # by line


@dataclass(frozen=True)
class LeftOut:
    """What is left out: why, and how many of how many; `wrong` is not left out but counts as wrong."""

    why: tuple[Fault, ...]
    wrong: tuple[Fault, ...]
    ids: Mapping[str, tuple[str, ...]]  # of the predictions, by what they are left out of
    unpredicted: tuple[str, ...]  # ids of the annotations without a prediction
    n_predictions: int
    n_annotations: int

    @property
    def counts(self) -> list[str]:
        """Return a line for each part: how many are left out of it, and the first ids."""
        found = [
            f"left out of {what}: {len(ids):,} of {self.n_predictions:,} predictions: {_named(ids)}"
            for what, ids in self.ids.items()
            if ids
        ]
        if self.unpredicted:
            of = f"{len(self.unpredicted):,} of {self.n_annotations:,} annotations, which have no prediction"
            found.append(f"left out of everything: {of}: {_named(self.unpredicted)}")
        return found


def _named(ids: Sequence[str]) -> str:
    """Return the first ids, and how many more there are."""
    more = f", … and {len(ids) - MOST_NAMED:,} more" if len(ids) > MOST_NAMED else ""
    return ", ".join(cut(printable(id)) for id in ids[:MOST_NAMED]) + more


@dataclass(frozen=True)
class Rest:
    """What can be scored: what each part of the output reads, those with nothing to read left out."""

    parts: Mapping[Part, ScorerInputs]
    settings: ScorerOptions
    left_out: LeftOut


def parts_of(inputs: ScorerInputs) -> dict[Part, ScorerInputs]:
    """Return the parts of the output that there will be, each reading everything."""
    return {part: inputs for part in SCORED if _is_on(part, inputs.predictions)}


def _is_on(part: Part, predictions: Sequence[Numbered]) -> bool:
    """Return whether the first prediction has what a part reads."""
    if not predictions:
        return False
    blocks = OutputSections.of(predictions)
    is_on = {
        "hard": blocks.hard,
        "token": blocks.tokens,
        "sentence": blocks.sentences,
        "classes": blocks.classes,
        "aopc": blocks.classes and THRESHOLDED in predictions[0][1],
    }
    return is_on[part]


def rest_of(inputs: ScorerInputs, settings: ScorerOptions, broken: Sequence[Fault] = ()) -> Rest:
    """Leave out what the official scorer would stop at.

    Args:
        inputs: gold and predictions, parsed.
        settings: the scorer's options; an extra label that is never predicted is left out too.
        broken: faults of the lines that could not be parsed.

    Raises:
        InputError: gold is broken, or nothing is left to score.
    """
    refuse_broken_gold(inputs)
    if len(broken) > MAX_FAULTS:  # what follows them was not read
        raise InputError(*broken)
    found = _faults(inputs, settings)
    even, of_fields = _even(inputs, found)
    unpredicted = _unpredicted(inputs, found)
    parts, of_parts = _parts(even, found, unpredicted)
    used, of_labels = _used_labels(parts, inputs, settings)
    why = (*broken, *_flat(found), *of_fields, *of_parts, *of_labels)
    if why and not parts:
        raise InputError(*why, Fault.of("nothing is left to score", inputs.predictions_file))
    if settings.strict and "classes" not in parts:
        raise InputError(Fault.of(f"strict scoring needs a {LABEL}", inputs.predictions_file))
    wrong = (*_beyond(parts, found), *_unknown(parts, inputs, used))
    sizes = len(inputs.predictions) + len(broken), len(inputs.gold)
    named = LeftOut(why, wrong, _ids(inputs, found, broken), tuple(map(str, unpredicted)), *sizes)
    return Rest(parts, used, named)


# ── predictions ─────────────────────────────────────────────────────────────────────────────────────────


def _faults(inputs: ScorerInputs, settings: ScorerOptions) -> Found:
    """Return what is wrong with each line by itself; of the sound ones with one id, all but the first."""
    found: Found = {part: {} for part in get_args(Part)}
    thresholds, aopc = _usual_thresholds(inputs), settings.aopc_thresholds
    for at, prediction in inputs.placed_predictions:
        for part, faults in faults_by_part(at, prediction, inputs.lengths, aopc, thresholds):
            if faults:
                found[part][at.line] = faults
    sound = [(line, p) for line, p in inputs.predictions if line not in found["row"]]
    repeated = repeated_faults(replace(inputs, predictions=sound))
    found["row"] |= {line: [fault] for line, fault in repeated.items()}
    return found


def _usual_thresholds(inputs: ScorerInputs) -> set[float]:
    """Return the thresholds that most predictions have: the first may be the odd one out."""
    sets = (frozenset(thresholds_of(prediction)) for _, prediction in inputs.predictions)
    usual = Counter(found for found in sets if found).most_common(1)
    return set(usual[0][0]) if usual else set()


def _even(inputs: ScorerInputs, found: Found) -> tuple[ScorerInputs, list[Fault]]:
    """Return predictions without the fields that most of them lack, and the faults that these were.

    `found` takes the lines that lack a field which most have. The lines it has already have no vote.
    """
    unread = {field: ChainMap(found[part], found["row"]) for field, part in READS.items()}
    surplus: dict[int, set[str]] = {}
    faults = []
    for field, is_there, fault in uneven_fields(inputs, unread):
        line = fault.line or 0
        if is_there and READS[field] in ("classes", "aopc"):
            surplus.setdefault(line, set()).add(field)
            faults.append(fault)
        else:
            found[READS[field]].setdefault(line, []).append(fault)
    return replace(inputs, predictions=[_stripped(n, p, surplus) for n, p in inputs.predictions]), faults


def _stripped(line: int, prediction: Record, surplus: Mapping[int, Collection[str]]) -> Numbered:
    """Return a prediction without the fields that are too many."""
    too_many = surplus.get(line, ())
    return line, {k: v for k, v in prediction.items() if k not in too_many} if too_many else prediction


def _flat(found: Found) -> Iterator[Fault]:
    """Yield all faults for which something is left out."""
    for part, by_line in found.items():
        if part != "beyond":
            yield from (fault for line in sorted(by_line) for fault in by_line[line])


def _ids(inputs: ScorerInputs, found: Found, broken: Sequence[Fault]) -> dict[str, tuple[str, ...]]:
    """Return the ids of the predictions left out, by what they are left out of."""
    names = {at.line: at.id or f"line {at.line}" for at, _ in inputs.placed_predictions}
    of_row = {fault.line or 0: f"line {fault.line}" for fault in broken}
    of_row |= {line: names[line] for line in found["row"]}
    rows = {"everything": tuple(name for _, name in sorted(of_row.items()))}
    return rows | {what: tuple(names[n] for n in sorted(found[part])) for part, what in SCORED.items()}


# ── gold ────────────────────────────────────────────────────────────────────────────────────────────────


def _unpredicted(inputs: ScorerInputs, found: Found) -> tuple[object, ...]:
    """Return the ids of the annotations without a prediction, where there are labels; () where none are."""
    rows = ChainMap(found["row"], found["classes"])
    if not any(p.get(LABEL) is not None for line, p in inputs.predictions if line not in rows):
        return ()
    ids = {p["annotation_id"] for _, p in inputs.predictions if is_key(p)}
    return tuple(a["annotation_id"] for a in inputs.gold if a["annotation_id"] not in ids)


def _parts(
    inputs: ScorerInputs, found: Found, unpredicted: Collection[object]
) -> tuple[dict[Part, ScorerInputs], list[Fault]]:
    """Return what each part of the output reads, and what is wrong with gold, or with all that is left."""
    parts: dict[Part, ScorerInputs] = {}
    faults: dict[Fault, None] = {}  # some are found in two parts
    for part in SCORED:
        lines = ChainMap(found["row"], found[part], found["classes"] if part == "aopc" else {})
        rest = _without_lines(inputs, lines, unpredicted)
        if not _is_on(part, rest.predictions):
            continue
        bad = _bad_gold(inputs, ONLY[part], {a["annotation_id"] for a in rest.gold})
        faults |= dict.fromkeys(fault for of_id in bad.values() for fault in of_id)
        rest = _without_ids(rest, bad)
        empty = [*nothing_to_divide_by(rest)] if part == "hard" and rest.predictions else []
        faults |= dict.fromkeys(empty)
        if _is_on(part, rest.predictions) and not empty:
            parts[part] = rest
    if "classes" in parts and (strange := gold_label_faults(inputs)):
        raise InputError(*strange)
    return parts, list(faults)


def _without_lines(
    inputs: ScorerInputs, lines: Collection[int], unpredicted: Collection[object]
) -> ScorerInputs:
    """Return inputs without some predictions, their annotations and those that have no prediction."""
    kept = [(line, p) for line, p in inputs.predictions if line not in lines]
    there = {p["annotation_id"] for _, p in kept}
    gone = {p["annotation_id"] for line, p in inputs.predictions if line in lines and is_key(p)}
    out = (gone - there).union(unpredicted)
    gold = [a for a in inputs.gold if a["annotation_id"] not in out]
    return replace(inputs, gold=gold, predictions=kept)


def _without_ids(inputs: ScorerInputs, ids: Collection[object]) -> ScorerInputs:
    """Return inputs without some annotations and their predictions."""
    gold = [a for a in inputs.gold if a["annotation_id"] not in ids]
    kept = [(line, p) for line, p in inputs.predictions if p["annotation_id"] not in ids]
    return replace(inputs, gold=gold, predictions=kept)


def _bad_gold(
    inputs: ScorerInputs, blocks: OutputSections, ids: Collection[object]
) -> dict[object, list[Fault]]:
    """Return what is wrong with the evidence of those annotations, by id; places are those of the file."""
    placed = ((at, a) for at, a in inputs.placed_gold if a["annotation_id"] in ids)
    found = {a["annotation_id"]: [*evidence_faults(at, a, blocks, inputs.lengths)] for at, a in placed}
    return {id: faults for id, faults in found.items() if faults}


# ── labels, and what counts as wrong ────────────────────────────────────────────────────────────────────


def _used_labels(
    parts: Mapping[Part, ScorerInputs], inputs: ScorerInputs, settings: ScorerOptions
) -> tuple[ScorerOptions, list[Fault]]:
    """Return options without the extra labels that are never predicted, and what was wrong with them."""
    if "classes" not in parts:
        return settings, []
    if in_gold := [*extra_in_gold(inputs, settings.extra_labels)]:
        raise InputError(*in_gold)
    unused = [x for x in settings.extra_labels if not is_predicted(parts["classes"], x)]
    used = [x for x in settings.extra_labels if x not in unused]
    told = [Fault.of(f"extra label {x!r} is never predicted", inputs.predictions_file) for x in unused]
    return replace(settings, extra_labels=used), told


def _beyond(parts: Mapping[Part, ScorerInputs], found: Found) -> Iterator[Fault]:
    """Yield the spans that leave their document and are scored."""
    lines = {line for line, _ in parts["hard"].predictions} if "hard" in parts else set()
    for line in sorted(lines & found["beyond"].keys()):
        yield from found["beyond"][line]


def _unknown(
    parts: Mapping[Part, ScorerInputs], inputs: ScorerInputs, settings: ScorerOptions
) -> Iterator[Fault]:
    """Yield the labels that gold lacks and that are scored."""
    if "classes" in parts:
        yield from unknown_labels(replace(parts["classes"], gold=inputs.gold), settings.extra_labels)
