from __future__ import annotations

import gzip
import json
from math import nan

import pytest

from eraser.data.source import Source
from eraser.errors import InputError
from eraser.official.check import Check, check_predictions
from tests.helpers.eraser.prediction_files import (
    COMP,
    GOLD,
    HARD,
    SCORES,
    SOFT,
    SUFF,
    THRESHOLDED,
    annotation,
    check,
    labels,
    prediction,
    rationale,
    text,
    write_lines,
    write_source,
)
from tests.helpers.paths import data, golden


def test_sound_predictions_have_neither_faults_nor_warnings():
    spans = rationale("d", [(0, 1), (2, 4)], [0.1, 0.2, 0.3, 0.4], [0.5, 1])
    said = [prediction("a", spans, **labels()), prediction("b", rationale("e", [], [1, 2], [0]), **labels())]
    assert check(said, aopc_thresholds=(0.1, 0.5)) == Check((), ())


# ── the file as a whole ─────────────────────────────────────────────────────────────────────────────────


def test_the_minority_is_told_what_the_others_have_or_lack():
    gold = [annotation(id, "X", ("d", 0, 1)) for id in "abc"]
    with_soft, without = rationale("d", soft=[1, 2, 3, 4]), rationale("d")
    found = check([prediction("a", with_soft), prediction("b", without), prediction("c", with_soft)], gold)
    assert text(found.faults) == [f"predictions:2: b: {SOFT} is missing, but is in the other 2 predictions"]
    found = check([prediction("a", with_soft), prediction("b", without), prediction("c", without)], gold)
    assert text(found.faults) == [
        f"predictions:1: a: {SOFT} is not in the other 2 predictions; give it in all or in none"
    ]


@pytest.mark.parametrize("field", [COMP, SUFF, THRESHOLDED])
def test_fields_of_all_or_none(field):
    rest = {THRESHOLDED: ...} if field != THRESHOLDED else {}
    said = [prediction("a", **labels(**rest)), prediction("b", **labels(**rest, **{field: ...}))]
    (fault,) = check(said, aopc_thresholds=(0.1, 0.5)).faults
    assert str(fault) == f"predictions:2: b: {field} is missing, but is in the other prediction"


def test_thresholds_of_the_first_line_hold_for_all():
    even = {"X": 0.5, "Y": 0.5}
    entries = [{"threshold": t, COMP: even, SUFF: even} for t in (0.1, 0.5, 0.7)]
    said = [prediction("a", **labels()), prediction("b", **labels(**{THRESHOLDED: entries}))]
    (fault,) = check(said, aopc_thresholds=(0.1, 0.5)).faults
    assert fault.expected == "the thresholds of the first prediction, {0.1, 0.5}"
    assert set(fault.got.strip("{}").split(", ")) == {"0.1", "0.5", "0.7"}


def test_repeated_id_and_missing_prediction():
    said = [prediction("a", **labels(**{THRESHOLDED: ...})) for _ in range(2)]
    assert text(check(said).faults) == [
        "predictions:2: a: duplicate annotation_id, first on line 1",
        "predictions: b: no prediction for this annotation of gold (--skip-invalid scores the rest)",
    ]


def test_tokens_to_flip_needs_a_number_and_a_document_for_every_annotation():
    plain = {"classification": "X", SCORES: {"X": 1, "Y": 0}}
    gold = [*GOLD, annotation("c", "X"), annotation("d", "X", ("empty", 0, 0))]
    said = [prediction(id, **plain, tokens_to_flip=n) for id, n in zip("abcd", (1, None, 2, 3), strict=True)]
    assert text(check(said, gold).faults) == [
        "predictions:2: b: expected a number of tokens_to_flip, got None",
        "gold:3: c: the evidence documents have no tokens to divide tokens_to_flip by",
        "gold:4: d: the evidence documents have no tokens to divide tokens_to_flip by",
    ]


# ── warnings ────────────────────────────────────────────────────────────────────────────────────────────

OFF = {"X": 0.7, "Y": 0.7}
WARNINGS = [
    (
        [rationale("d", [(-1, 2)])],
        {},
        ["expected start_token >= 0, got -1:2; what is below 0 counts as wrong"],
    ),
    (
        [rationale("d", [(2, 2), (3, 1)])],
        {},
        [
            "expected start_token < end_token, got 2:2; an empty span never overlaps gold",
            "expected start_token < end_token, got 3:1; an empty span never overlaps gold",
        ],
    ),
    (
        [rationale("d", [(0, 1)]), rationale("d", [(0, 1)])],
        {},
        ["duplicate docid 'd'; only its last soft scores count"],
    ),
    ([], {SCORES: OFF}, [f"expected {SCORES} that sum to 1, got {OFF}"]),
    ([], {COMP: {"X": 1.5, "Y": -0.5}}, [f"expected {COMP} that sum to 1, got {{'X': 1.5, 'Y': -0.5}}"]),
    ([], {SUFF: {"X": nan, "Y": 1}}, [f"expected {SUFF} that sum to 1, got {{'X': nan, 'Y': 1}}"]),
    (
        [],
        {THRESHOLDED: [{"threshold": t, COMP: OFF, SUFF: {"X": 1}} for t in (0.1, 0.5)]},
        [f"expected {COMP} at threshold {t} that sum to 1, got {OFF}" for t in (0.1, 0.5)],
    ),
    (
        [],
        {SCORES: {"X": 0.4, "Y": 0.6}},
        ["expected a classification with the highest of its scores, 'Y', got 'X'"],
    ),
]


@pytest.mark.parametrize(("rationales", "changes", "expected"), WARNINGS)
def test_warning_of_a_prediction(rationales, changes, expected):
    first = prediction("a", rationale("d", [(0, 1)]), **labels())
    found = check([first, prediction("b", *rationales, **labels(**changes))], aopc_thresholds=(0.1, 0.5))
    assert found.faults == ()
    assert text(found.warnings) == [f"predictions:2: b: {line}" for line in expected]


def test_warnings_of_the_file():
    said = [prediction("a", rationale("d", [])), prediction("z", rationale("d", [(0, 1)]))]
    found = check(said)
    assert found.faults == ()
    assert text(found.warnings) == [
        "predictions:2: z: annotation_id is not in gold; it counts as wrong",
        "predictions: b: no prediction for this annotation of gold",
        f"predictions:1: a: the first rationale has no {HARD}, so the spans of 1 predictions are not scored",
    ]


# ── files ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def source(tmp_path):
    return write_source(tmp_path / "set", GOLD, {"d": "one two three\nfour", "e": "one two"})


def test_every_broken_line_and_every_fault_at_once(source, tmp_path):
    lines = [
        prediction("a", rationale("d", [(0, 9)])),
        '{"annotation_id": "b"',
        "",
        "[1, 2]",
        "1" * 5000,
        "[" * 100_000,
        prediction("b", rationale("nope")),
    ]
    path = write_lines(tmp_path / "p.jsonl", lines)
    found = text(check_predictions(source, "test", path).faults)
    assert len(found) == 7
    for line, expected in zip(
        found,
        [
            ":2: expected one JSON object, got Expecting ',' delimiter",
            ":3: expected one JSON object, got a blank line",
            ":4: expected one JSON object, got [1, 2]",
            ":5: expected one JSON object, got Exceeds the limit",
            ":6: expected one JSON object, got maximum recursion depth exceeded",
            ":1: a: expected a span inside d (4 tokens), got 0:9",
            ":7: b: expected a docid of the data set, got 'nope'",
        ],
        strict=True,
    ):
        assert line.startswith(f"{path}{expected}")


@pytest.mark.parametrize(
    ("scores", "got"), [([[1], [1, 2]], "[1]"), ([10**400, 0.5], "10000"), ([0.5, None], "None")]
)
def test_soft_scores_of_a_file_that_are_not_numbers(source, tmp_path, scores, got):
    path = write_lines(tmp_path / "p.jsonl", [prediction("a", rationale("e", soft=scores))])
    (fault,) = check_predictions(source, "test", path).faults
    assert str(fault).startswith(f"{path}:1: a: expected finite numbers in {SOFT} of e, got {got}")


def test_soft_scores_whose_squares_are_no_numbers_are_sound(source, tmp_path):
    path = write_lines(tmp_path / "p.jsonl", [prediction("a", rationale("d", soft=[1e200, 0.5, -1e308, 0]))])
    assert check_predictions(source, "test", path).faults == ()


@pytest.mark.parametrize("doc_id", ["", "x" * 300, "nul\0", "\ud800", "..", "docs/d"])
def test_docid_that_names_no_file_is_a_fault(source, tmp_path, doc_id):
    path = write_lines(tmp_path / "p.jsonl", [prediction("a", rationale(doc_id))])
    (fault,) = check_predictions(source, "test", path).faults
    assert fault.expected == "a docid of the data set"


def test_files_that_cannot_be_read(source, tmp_path):
    said = [prediction("a", rationale("d"))]
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(gzip.compress(json.dumps(said).encode())[:-12])
    latin = tmp_path / "latin.jsonl"
    latin.write_bytes(b'{"annotation_id": "\xe9"}\n')
    plain = tmp_path / "plain.jsonl.gz"
    plain.write_bytes(b"{}\n")
    for path in (tmp_path / "none.jsonl", cut, latin, plain, tmp_path):
        with pytest.raises(
            InputError, match=f"{path.name}: expected a readable .jsonl or .jsonl.gz file, got "
        ):
            check_predictions(source, "test", path)
    path = write_lines(tmp_path / "p.jsonl", said)
    with pytest.raises(InputError, match=r"val.jsonl: the file is missing or cannot be read"):
        check_predictions(source, "val", path)
    write_lines(tmp_path / "set" / "val.jsonl", [*GOLD, "", "3"])
    with pytest.raises(InputError) as caught:
        check_predictions(source, "val", path)
    assert text(caught.value.faults) == [
        f"{tmp_path}/set/val.jsonl:3: expected one JSON object, got a blank line",
        f"{tmp_path}/set/val.jsonl:4: expected one JSON object, got 3",
    ]
    (tmp_path / "set" / "docs" / "d").write_bytes(b"\xe9")
    with pytest.raises(InputError, match=r"docs/d: expected UTF-8 text, got 'utf-8' codec"):
        check_predictions(source, "test", path)


def test_documents_of_one_file(source, tmp_path):
    path = write_lines(tmp_path / "p.jsonl", [prediction("a", rationale("d"))])
    folder = tmp_path / "set"
    write_lines(folder / "docs.jsonl", [{"docid": "d", "document": "one"}, {"docid": 3}])
    with pytest.raises(InputError, match="set: both docs.jsonl and a docs folder are there; remove one"):
        check_predictions(source, "test", path)
    for doc in (folder / "docs").iterdir():
        doc.unlink()
    (folder / "docs").rmdir()
    with pytest.raises(InputError, match=r'docs.jsonl:2: expected "docid" and "document" strings, got'):
        check_predictions(source, "test", path)


def test_empty_file(source, tmp_path):
    path = tmp_path / "p.jsonl"
    path.touch()
    assert text(check_predictions(source, "test", path).faults) == [f"{path}: no predictions"]


@pytest.mark.parametrize("name", ["visible", "partial"])
def test_warnings_of_real_predictions_are_those_one_counts(name):
    path = golden() / "scorer" / f"movies_{name}_predictions.jsonl.gz"
    source = Source(data("movies"))
    found = check_predictions(source, "test", path)
    assert found.faults == ()
    known = {json.loads(line)["annotation_id"] for line in source.text("test.jsonl").splitlines()}
    said = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    ids = {p["annotation_id"] for p in said}
    spans = [s for p in said for r in p["rationales"] for s in r[HARD]]
    expected = {
        f"annotation_id is not in {source.place('test.jsonl')}": len(ids - known),
        f"no prediction for this annotation of {source.place('test.jsonl')}": len(known - ids),
        "expected start_token < end_token": sum(s["start_token"] >= s["end_token"] for s in spans),
        "expected a classification": sum(SCORES in p and p[SCORES][p["classification"]] < 0.5 for p in said),
    }
    counts = dict.fromkeys(expected, 0)
    for fault in found.warnings:
        counts[next(start for start in expected if fault.text.startswith(start))] += 1
    assert counts == expected
