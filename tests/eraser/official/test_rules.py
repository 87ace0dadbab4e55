from __future__ import annotations

from math import inf, nan

import pytest

from eraser.errors import InputError
from tests.helpers.eraser.prediction_files import (
    COMP,
    GOLD,
    HARD,
    LENGTHS,
    SCORES,
    SENTENCES,
    SOFT,
    SUFF,
    THRESHOLDED,
    annotation,
    check,
    evidence,
    labels,
    prediction,
    rationale,
    text,
)

# ── one prediction: the second, so that the first is there to compare with ──────────────────────────────

START_END = "start_token and end_token integers"
RATIONALE_FAULTS = [
    ([1], "a rationale object with a docid string, got 1"),
    ([{"docid": 7}], "a rationale object with a docid string, got {'docid': 7}"),
    ([{"docid": "nope"}], "a docid of the data set, got 'nope'"),
    (None, "a list of rationales, got None"),
    ([rationale("d", [(0, 5)])], "a span inside d (4 tokens), got 0:5"),
    ([rationale("d", [(5, 1)])], "a span inside d (4 tokens), got 5:1"),
    ([rationale("d", [(0, 2), (1, 3)])], "spans of d that do not overlap, got 0:2 and 1:3"),
    ([rationale("d", [(0, 4), (1, 2)])], "spans of d that do not overlap, got 0:4 and 1:2"),
    ([{"docid": "d", HARD: None}], "a list of hard_rationale_predictions for d, got None"),
    ([{"docid": "d", HARD: [3]}], f"a span with {START_END}, got 3"),
    ([{"docid": "d", HARD: [{"start_token": 0}]}], f"a span with {START_END}, got {{'start_token': 0}}"),
    ([rationale("d", [(0, 1.5)])], f"a span with {START_END}, got {{'start_token': 0, 'end_token': 1.5}}"),
    ([rationale("d", [(-(2**31), 1)])], f"a span with {START_END}, got {{'start_token': -2147483648, 'e"),
]


@pytest.mark.parametrize(("rationales", "expected"), RATIONALE_FAULTS)
def test_fault_of_a_rationale(rationales, expected):
    second = {"annotation_id": "b", "rationales": rationales}
    (fault,) = check([prediction("a", rationale("d", [(0, 1)])), second]).faults
    assert str(fault).startswith(f"predictions:2: b: expected {expected}")


def test_each_span_that_overlaps_is_a_fault_but_a_repeated_one_is_not():
    found = check([prediction("a", rationale("d", [(0, 3), (0, 3), (2, 4), (1, 2)]))]).faults
    assert [fault.got for fault in found] == ["0:3 and 1:2", "0:3 and 2:4"]
    twice = [{"start_token": 0, "end_token": 2, "score": score} for score in (1, 2)]
    (fault,) = check([prediction("a", {"docid": "d", HARD: twice})]).faults
    assert fault.got == "0:2 and 0:2"  # objects that differ count as two spans, officially too


SOFT_FAULTS = [
    ("e", SOFT, [1.0], "2 soft_rationale_predictions, one for each token of e, got 1"),
    ("e", SOFT, [], "2 soft_rationale_predictions, one for each token of e, got 0"),
    ("empty", SOFT, [], "a token in empty to score, got 0"),
    ("e", SOFT, None, "a list of soft_rationale_predictions for e, got None"),
    ("e", SOFT, "ab", "a list of soft_rationale_predictions for e, got 'ab'"),
    ("e", SOFT, [0.5, None], "finite numbers in soft_rationale_predictions of e, got None"),
    ("e", SOFT, ["0.5", 1], "finite numbers in soft_rationale_predictions of e, got '0.5'"),
    ("e", SOFT, [nan, 1.0], "finite numbers in soft_rationale_predictions of e, got nan"),
    ("e", SOFT, [0, -inf], "finite numbers in soft_rationale_predictions of e, got -inf"),
    ("e", SOFT, [10**400, 1], "finite numbers in soft_rationale_predictions of e, got 1000000000"),
    ("e", SOFT, [[1], [2]], "finite numbers in soft_rationale_predictions of e, got [1]"),
    ("d", SENTENCES, [1.0], "2 soft_sentence_predictions, one for each sentence of d, got 1"),
    ("d", SENTENCES, {}, "a list of soft_sentence_predictions for d, got {}"),
    ("d", SENTENCES, [1, nan], "finite numbers in soft_sentence_predictions of d, got nan"),
]


@pytest.mark.parametrize(("doc_id", "field", "scores", "expected"), SOFT_FAULTS)
def test_fault_of_soft_scores(doc_id, field, scores, expected):
    first = {"docid": "d", SOFT: [1, 2, 3, 4], SENTENCES: [1, 2]}
    other = {SOFT: SENTENCES, SENTENCES: SOFT}[field]
    sound = [0.5] * (len(LENGTHS[doc_id]) if other is SENTENCES else sum(LENGTHS[doc_id]))
    second = prediction("b", {"docid": doc_id, field: scores, other: sound})
    found = text(check([prediction("a", first), second]).faults)
    assert any(line.startswith(f"predictions:2: b: expected {expected}") for line in found), found


def test_null_means_no_sentence_scores():
    said = [prediction("a", {"docid": "d", HARD: [], SENTENCES: None}), prediction("b", rationale("e"))]
    assert check(said).faults == ()


LABEL_FAULTS = [
    ({"classification": None}, ["expected a classification string, got None"]),
    ({"classification": 1}, ["expected a classification string, got 1"]),
    (
        {SCORES: [1]},
        [
            f"expected {SCORES}: an object of label and number, or as many --labels as there are numbers, "
            "got [1]"
        ],
    ),
    ({COMP: None}, [f"expected {COMP}: an object of label and number, got None"]),
    ({SUFF: "X"}, [f"expected {SUFF}: an object of label and number, got 'X'"]),
    (
        {"classification": ...},
        [f"{field} needs classification, which is missing" for field in (SCORES, COMP, THRESHOLDED)],
    ),
    (
        {SCORES: ...},
        [f"{field} needs {SCORES}, which is missing" for field in ("classification", SUFF, THRESHOLDED)],
    ),
    ({COMP: ...}, [f"{THRESHOLDED} needs {COMP}, which is missing"]),
    ({SUFF: ...}, [f"{THRESHOLDED} needs {SUFF}, which is missing"]),
    ({SCORES: {"Y": 1}}, [f"expected {SCORES} with a number for 'X', got {{'Y': 1}}"]),
    ({COMP: {"Y": 1}}, [f"expected {COMP} with a number for 'X', got {{'Y': 1}}"]),
    ({SUFF: {"X": 1}}, [f"expected {SUFF} with a number for 'Y', got {{'X': 1}}"]),
    ({SCORES: {"X": 1, "Y": None}}, [f"expected a number in {SCORES} for 'Y', got None"]),
    ({SUFF: {"X": "1", "Y": 0}}, [f"expected a number in {SUFF} for 'X', got '1'"]),
    ({THRESHOLDED: None}, [f"expected a list of {THRESHOLDED}, got None"]),
    ({THRESHOLDED: [5]}, [f"expected {THRESHOLDED} with a threshold number each, got 5"]),
    ({THRESHOLDED: [{}]}, [f"expected {THRESHOLDED} with a threshold number each, got {{}}"]),
    (
        {THRESHOLDED: [{"threshold": 0.1, COMP: {}}, {"threshold": 0.5, SUFF: {}}]},
        [f"{SUFF} is missing at threshold 0.1", f"{COMP} is missing at threshold 0.5"],
    ),
    (
        {THRESHOLDED: [{"threshold": t, COMP: {"X": 1}, SUFF: {"Y": 1}} for t in (0.1, 0.5)]},
        [f"expected {SUFF} at threshold {t} with a number for 'X', got {{'Y': 1}}" for t in (0.1, 0.5)],
    ),
    (
        {THRESHOLDED: [{"threshold": t, COMP: None, SUFF: {"X": 1}} for t in (0.1, 0.5)]},
        [f"expected {COMP} at threshold {t} with a number for 'X', got None" for t in (0.1, 0.5)],
    ),
    (
        {THRESHOLDED: [{"threshold": 0.1, COMP: {"X": 1}, SUFF: {"X": 1}}]},
        [
            "expected the thresholds of the first prediction, {0.1, 0.5}, got {0.1}",
            f"expected {THRESHOLDED} with each AOPC threshold of [0.1, 0.5] once, got [0.1]",
        ],
    ),
]


@pytest.mark.parametrize(("changes", "expected"), LABEL_FAULTS)
def test_fault_of_labels(changes, expected):
    said = [prediction("a", **labels()), prediction("b", **labels(**changes)), prediction("c", **labels())]
    gold = [*GOLD, annotation("c", "X")]
    found = text(check(said, gold, aopc_thresholds=(0.1, 0.5)).faults)
    others = " is missing, but is in the other 2 predictions"
    own = [line for line in found if not line.endswith(others)]
    assert own == [f"predictions:2: b: {line}" for line in expected]


def test_scores_beside_a_label_are_not_read_without_comprehensiveness_or_sufficiency():
    said = [prediction(id, classification="X", **{SCORES: {"X": None}}) for id in "ab"]
    assert check(said).faults == ()


def test_without_an_id_or_with_one_that_cannot_be_looked_up():
    found = text(check([{"rationales": []}, {"annotation_id": ["a"], "rationales": []}]).faults)
    assert found == [
        "predictions:1: expected an annotation_id string, got None",
        "predictions:2: ['a']: expected an annotation_id string, got ['a']",
    ]


# ── gold, as far as the predictions need it ─────────────────────────────────────────────────────────────

SPANS, TOKENS, SENTS = (
    rationale("d", [(0, 1)]),
    rationale("d", soft=[1, 2, 3, 4]),
    rationale("d", sentences=[1, 2]),
)
LABEL = {"classification": "X", SCORES: {"X": 1}}
GOLD_FAULTS = [
    (annotation("a", "X"), SPANS, {}, "gold: no gold evidence of at least one token"),
    (
        annotation("a", "X", ("d", 2, 2)),
        SPANS,
        {},
        "gold: no gold evidence of at least one token",
    ),
    (
        annotation("a", "X", ("d", 0, None), ("d", 0, 1)),
        SPANS,
        {},
        f"gold:1: a: expected {START_END}, got (0, None)",
    ),
    (
        annotation("a", "X", ("d", 0, "1")),
        TOKENS,
        {},
        f"gold:1: a: expected {START_END}, got (0, '1')",
    ),
    (
        annotation("a", "X", ("d", 0, 5)),
        TOKENS,
        {},
        "gold:1: a: expected evidence inside d (4 tokens), got 0:5",
    ),
    (
        annotation("a", "X", ("d", -5, 1)),
        TOKENS,
        {},
        "gold:1: a: expected evidence inside d (4 tokens), got -5:1",
    ),
    (
        annotation("a", "X", evidence("d", 0, 1, 0, 3)),
        SENTS,
        {},
        "gold:1: a: expected evidence inside d (2 sentences), got 0:3",
    ),
    (
        annotation("a", "X", ("nope", 0, 1)),
        TOKENS,
        {},
        "gold:1: a: expected evidence in a document of the data set, got 'nope'",
    ),
    (
        annotation("a", "X", ("nope", 0, 1), ("nope", 2, 3)),
        rationale("d"),
        LABEL,
        "gold:1: a: expected evidence in a document of the data set, got 'nope'",
    ),
    (annotation("a", 1), rationale("d"), LABEL, "gold:1: a: expected a classification string, got 1"),
]


@pytest.mark.parametrize(("gold", "said", "fields", "expected"), GOLD_FAULTS)
def test_fault_of_gold_that_the_predictions_need(gold, said, fields, expected):
    assert text(check([prediction("a", said, **fields)], [gold]).faults) == [expected]


def test_gold_that_no_block_reads_is_not_looked_at():
    gold = annotation("a", None, ("nope", 0, 99))
    assert check([prediction("a", rationale("d"))], [gold]).faults == ()


def test_classification_needs_an_annotation():
    (fault,) = check([prediction("a", **LABEL)], []).faults
    assert str(fault) == "gold: no annotations"


MORE = {**annotation("a", "X"), "extra": 1}
BROKEN_GOLD = [
    ({"annotation_id": "a"}, r"gold:1: a: expected the keys .* and docids more, got \['annotation_id'\]"),
    (MORE, r"gold:1: a: expected the keys .*, got \['annotation_id', 'classification', 'evidences', 'extra'"),
    (
        {**annotation("a", "X"), "annotation_id": []},
        r"gold:1: \[\]: expected an annotation_id string, got \[\]",
    ),
    (
        {**annotation("a", "X"), "evidences": None},
        "expected evidences: a list of groups, each a list, got None",
    ),
    (
        {**annotation("a", "X"), "evidences": [3]},
        r"expected evidences: a list of groups, each a list, got \[3\]",
    ),
    ({**annotation("a", "X"), "evidences": [[3]]}, "expected evidence with the keys .*, got 3"),
    (annotation("a", "X", {"docid": "d"}), "expected evidence with the keys .*, got {'docid': 'd'}"),
    (
        annotation("a", "X", {"docid": 1, "text": ""}),
        "expected evidence with a docid string, .*, got {'docid': 1",
    ),
    (
        annotation("a", "X", evidence("d", [], 1)),
        "expected evidence with a docid string, and no value a list",
    ),
]


@pytest.mark.parametrize(("gold", "expected"), BROKEN_GOLD)
def test_broken_gold_is_an_error_of_its_own(gold, expected):
    with pytest.raises(InputError, match=expected):
        check([prediction("a", rationale("d"))], [gold])
