"""What is left out of files that the official scorer would stop at; the rest is scored as it would."""

from __future__ import annotations

import json
import tarfile

import pytest

from eraser.data.source import Source
from eraser.errors import InputError
from eraser.official.records import ScorerInputs, ScorerOptions
from eraser.official.scorer import score_official, score_valid
from eraser.official.skipping import rest_of
from tests.helpers.eraser.prediction_files import (
    COMP,
    GOLD,
    LENGTHS,
    SCORES,
    SOFT,
    SUFF,
    THRESHOLDED,
    annotation,
    assert_same,
    prediction,
    rationale,
    text,
    write_lines,
    write_source,
)
from tests.helpers.paths import data

DOCS = {"d": "one two three\nfour", "e": "one two", "f": "one two three"}
THREE = [*GOLD, annotation("c", "X", ("f", 1, 3))]
EVEN = {"X": 0.5, "Y": 0.5}


def said(id, doc_id, *spans, soft=None, **changes):
    fields = {"classification": "X", SCORES: {"X": 0.75, "Y": 0.25}, COMP: {"X": 0.5, "Y": 0.5}}
    fields |= {SUFF: {"X": 0.625, "Y": 0.375}} | changes
    record = prediction(id, rationale(doc_id, spans, soft), **fields)
    return {key: value for key, value in record.items() if value is not ...}


SOUND = [
    said("a", "d", (0, 2), soft=[0.9, 0.8, 0.1, 0.2]),
    said("b", "e", (1, 2), soft=[0.3, 0.6], classification="Y"),
    said("c", "f", (0, 2), soft=[0.5, 0.7, 0.1]),
]


@pytest.fixture
def score(tmp_path):
    """Score predictions of the three annotations, or of some of them, with and without what is invalid."""

    def run(predictions, gold=THREE, skip=True, **options):
        source = write_source(tmp_path / "set", gold, DOCS)
        path = write_lines(tmp_path / "p.jsonl", predictions)
        if skip:
            return score_valid(
                source, "test", path, ScorerOptions(**{"aopc_thresholds": (0.1, 0.5), **options})
            )
        return score_official(source, "test", path, **{"aopc_thresholds": (0.1, 0.5), **options})

    return run


def told(left_out):
    """What is said, without the place of the prediction file."""
    return [str(fault).split("p.jsonl:")[-1] for fault in left_out.why]


def test_of_a_sound_file_nothing_is_left_out(score):
    scores, left_out = score(SOUND)
    assert scores == score(SOUND, skip=False)
    assert (left_out.why, left_out.wrong, left_out.counts) == ((), (), [])


WHOLE_ROWS = {
    "no JSON": ('{"annotation_id": "b"', "2: expected one JSON object, got Expecting ',' delimiter"),
    "no object": ("[1]", "2: expected one JSON object, got [1]"),
    "no rationales": (
        prediction("b") | {"rationales": None},
        "2: b: expected a list of rationales, got None",
    ),
    "unknown document": (said("b", "nope"), "2: b: expected a docid of the data set, got 'nope'"),
    "an id no one can look up": (said(["b"], "e"), "2: ['b']: expected an annotation_id string, got ['b']"),
}


@pytest.mark.parametrize("what", WHOLE_ROWS)
def test_a_row_that_cannot_be_read_is_left_out_with_its_annotation(score, what):
    row, message = WHOLE_ROWS[what]
    scores, left_out = score([SOUND[0], row, SOUND[2]])
    assert scores == score([SOUND[0], SOUND[2]], [THREE[0], THREE[2]], skip=False)
    assert len(left_out.why) == 1
    assert told(left_out)[0].startswith(message)
    assert left_out.counts[0].startswith("left out of everything: 1 of 3 predictions: ")


def test_an_annotation_without_a_prediction_is_left_out_where_there_are_labels(score):
    scores, left_out = score(SOUND[:2])
    assert scores == score(SOUND[:2], THREE[:2], skip=False)
    assert left_out.counts == ["left out of everything: 1 of 3 annotations, which have no prediction: c"]


def test_an_annotation_without_a_prediction_counts_as_missed_where_there_are_none(score):
    bare = [{k: v for k, v in row.items() if k in ("annotation_id", "rationales")} for row in SOUND[:2]]
    scores, left_out = score(bare)
    assert scores == score(bare, skip=False)
    assert left_out.counts == []


def test_of_two_rows_with_one_id_the_first_sound_one_counts(score):
    broken, other = said("a", "nope"), said("b", "e", (0, 1), soft=[0.1, 0.2])
    scores, left_out = score([broken, *SOUND, other])
    assert scores == score(SOUND, skip=False)
    assert told(left_out) == [
        "1: a: expected a docid of the data set, got 'nope'",
        "5: b: duplicate annotation_id, first on line 3",
    ]
    assert left_out.counts == ["left out of everything: 2 of 5 predictions: a, b"]


def test_a_soft_list_of_another_length_takes_its_row_out_of_soft_scores_alone(score):
    rows = [said("a", "d", (0, 2), soft=[0.9] * 5), *SOUND[1:]]
    scores, left_out = score(rows)
    assert scores["token_soft_metrics"] == score(SOUND[1:], THREE[1:], skip=False)["token_soft_metrics"]
    sound = score(SOUND, skip=False)
    assert {k: v for k, v in scores.items() if k != "token_soft_metrics"} == {
        k: v for k, v in sound.items() if k != "token_soft_metrics"
    }
    assert told(left_out) == [f"1: a: expected 4 {SOFT}, one for each token of d, got 5"]
    assert left_out.counts == ["left out of token_soft_metrics: 1 of 3 predictions: a"]


def test_a_row_that_lacks_soft_scores_is_left_out_of_them_alone(score):
    rows = [SOUND[0], said("b", "e", (1, 2), classification="Y"), SOUND[2]]
    scores, left_out = score(rows)
    without_b = score([SOUND[0], SOUND[2]], [THREE[0], THREE[2]], skip=False)
    assert scores["token_soft_metrics"] == without_b["token_soft_metrics"]
    assert scores["token_prf"] == score(SOUND, skip=False)["token_prf"]
    assert told(left_out) == [f"2: b: {SOFT} is missing, but is in the other 2 predictions"]


def test_soft_scores_that_most_rows_lack_are_left_out(score):
    rows = [
        SOUND[0],
        *(said(row["annotation_id"], d, (0, 1)) for row, d in zip(SOUND[1:], "ef", strict=True)),
    ]
    scores, left_out = score(rows)
    assert "token_soft_metrics" not in scores
    bare = [said("a", "d", (0, 2)), *rows[1:]]
    assert scores == score(bare, skip=False)
    assert told(left_out) == [f"1: a: {SOFT} is not in the other 2 predictions; give it in all or in none"]


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ([(0, 2), (1, 2)], "2: b: expected spans of e that do not overlap, got 0:2 and 1:2"),
        (
            [(0, None)],
            "2: b: expected a span with start_token and end_token integers, got {'start_token': 0, 'e",
        ),
    ],
)
def test_spans_that_cannot_be_counted_take_row_and_annotation_out_of_the_hard_scores(score, spans, message):
    scores, left_out = score(
        [SOUND[0], said("b", "e", *spans, soft=[0.3, 0.6], classification="Y"), SOUND[2]]
    )
    without_b = score([SOUND[0], SOUND[2]], [THREE[0], THREE[2]], skip=False)
    for name in ("iou_scores", "rationale_prf", "token_prf"):
        assert scores[name] == without_b[name]
    for name in ("token_soft_metrics", "classification_scores"):
        assert scores[name] == score(SOUND, skip=False)[name]
    assert len(left_out.why) == 1
    assert told(left_out)[0].startswith(message)
    assert left_out.counts == ["left out of iou_scores, rationale_prf, token_prf: 1 of 3 predictions: b"]


def test_a_span_that_leaves_its_document_counts_as_wrong(score):
    """By hand: of e 3 words are predicted and 1 is gold, none is both; without them precision would rise."""
    gold = [annotation("a", "X", ("d", 0, 2)), annotation("b", "Y", ("e", 0, 1))]
    rows = [said("a", "d", (0, 2)), said("b", "e", (1, 4), classification="Y")]
    scores, left_out = score(rows, gold)
    assert scores["token_prf"]["instance_macro"] == {"p": 0.5, "r": 0.5, "f1": 0.5}
    assert scores["token_prf"]["instance_micro"]["p"] == 2 / 5
    assert left_out.why == ()
    (fault,) = left_out.wrong
    assert str(fault).endswith("p.jsonl:2: b: expected a span inside e (2 tokens), got 1:4")


def test_a_label_that_gold_lacks_counts_as_wrong(score):
    three = {"X": 0.25, "Y": 0.25, "Z": 0.5}
    rows = [
        *SOUND[:2],
        said(
            "c",
            "f",
            (0, 2),
            soft=[0.5, 0.7, 0.1],
            classification="Z",
            **dict.fromkeys((SCORES, COMP, SUFF), three),
        ),
    ]
    scores, left_out = score(rows)
    classes = scores["classification_scores"]
    assert classes["accuracy"] == 2 / 3
    assert classes["comprehensiveness"] == pytest.approx((0.25 - 0.25 + 0) / 3)  # b is of Y: 0.25 - 0.5
    assert classes["prf"].keys() == {"X", "Y", "accuracy", "macro avg", "weighted avg"}
    assert classes["prf"]["X"] == {"precision": 1.0, "recall": 0.5, "f1-score": 2 / 3, "support": 2.0}
    (fault,) = left_out.wrong
    assert str(fault).endswith("p.jsonl:3: c: expected one of the labels ['X', 'Y'], got 'Z'")


CLASS_FAULTS = [
    (
        {"classification": ..., SCORES: ..., COMP: ..., SUFF: ...},
        "classification is missing, but is in the oth",
    ),
    ({SCORES: None}, f"expected {SCORES}: an object of label and number, got None"),
    ({COMP: {"X": 1}}, f"expected {COMP} with a number for 'Y', got"),
    ({COMP: ...}, f"{COMP} is missing, but is in the other 2 predictions"),
    ({"classification": None}, "expected a classification string, got None"),
]


@pytest.mark.parametrize(("changes", "message"), CLASS_FAULTS)
def test_a_broken_classification_takes_its_row_out_of_that_part_alone(score, changes, message):
    row = said("b", "e", (1, 2), soft=[0.3, 0.6], **{"classification": "Y", **changes})
    scores, left_out = score([SOUND[0], row, SOUND[2]])
    without_b = score([SOUND[0], SOUND[2]], [THREE[0], THREE[2]], skip=False)
    assert scores["classification_scores"] == without_b["classification_scores"]
    assert scores["token_prf"] == score(SOUND, skip=False)["token_prf"]
    assert told(left_out)[0].startswith(f"2: b: {message}")
    assert left_out.counts == ["left out of classification_scores: 1 of 3 predictions: b"]


def test_a_field_that_most_rows_lack_is_left_out_and_the_row_scored(score):
    lacking = [{k: v for k, v in row.items() if k != COMP} for row in SOUND]
    scores, left_out = score([SOUND[0], *lacking[1:]])
    assert scores == score(lacking, skip=False)
    assert told(left_out) == [f"1: a: {COMP} is not in the other 2 predictions; give it in all or in none"]


def test_thresholds_unlike_those_of_most_take_their_row_out_of_aopc_alone(score):
    entries = [{"threshold": t, COMP: EVEN, SUFF: EVEN} for t in (0.1, 0.5)]
    rows = [row | {THRESHOLDED: entries} for row in SOUND]
    odd = [rows[0] | {THRESHOLDED: entries[:1]}, *rows[1:]]  # the first is the odd one
    scores, left_out = score(odd)
    whole = score(rows, skip=False)["classification_scores"]
    rest = score(rows[1:], THREE[1:], skip=False)["classification_scores"]
    found = scores["classification_scores"]
    assert {k: v for k, v in found.items() if "aopc" in k} == {k: v for k, v in rest.items() if "aopc" in k}
    assert found["accuracy"] == whole["accuracy"]
    assert found["comprehensiveness"] == whole["comprehensiveness"]
    assert left_out.counts == ["left out of the AOPC of classification_scores: 1 of 3 predictions: a"]


def test_gold_that_a_part_cannot_read_is_left_out_of_it_alone():
    gold = [*THREE[:2], annotation("c", "X", ("f", 1, 9))]
    inputs = ScorerInputs(gold, LENGTHS | {"f": (3,)}, list(enumerate(SOUND, start=1)))
    rest = rest_of(inputs, ScorerOptions())
    assert [a["annotation_id"] for a in rest.parts["token"].gold] == ["a", "b"]
    assert [a["annotation_id"] for a in rest.parts["hard"].gold] == ["a", "b", "c"]
    assert text(rest.left_out.why) == ["gold:3: c: expected evidence inside f (3 tokens), got 1:9"]


def test_an_extra_label_that_is_never_predicted_is_left_out(score):
    scores, left_out = score(SOUND, extra_labels=("normal",))
    assert scores == score(SOUND, skip=False)
    assert text(left_out.why)[0].endswith("p.jsonl: extra label 'normal' is never predicted")


def test_an_extra_label_of_gold_is_refused(score):
    with pytest.raises(InputError, match=r"expected an extra label, not one of gold's \['X', 'Y'\], got 'X'"):
        score(SOUND, extra_labels=("X",))


def test_where_nothing_is_left_it_is_refused(score):
    with pytest.raises(
        InputError, match=r"(?s)docid of the data set, got 'nope'\n.*: nothing is left to score$"
    ):
        score([said("a", "nope")])


def test_broken_gold_is_refused(score):
    with pytest.raises(InputError, match=r"set/test.jsonl:1: a: expected the keys \['annotation_id', 'class"):
        score(SOUND, [{"annotation_id": "a"}])


def test_of_many_ids_the_first_are_named(score):
    gold = [annotation(f"i{n}", "XY"[n % 2], ("d", 0, 1)) for n in range(30)]
    rows = [said(f"i{n}", "d" if n < 5 else "nope", (0, 1), classification="XY"[n % 2]) for n in range(30)]
    _, left_out = score(rows, gold)
    first = ", ".join(f"i{n}" for n in range(5, 15))
    assert left_out.counts == [f"left out of everything: 25 of 30 predictions: {first}, … and 15 more"]


# ── files of real pipelines ─────────────────────────────────────────────────────────────────────────────


def test_ids_and_labels_that_are_numbers(score):
    """As JSON integers or whole floats in gold, in predictions or in both: the same as strings."""
    gold = [annotation(n, label, *spans) for n, label, spans in (
        (9180, 1, [("d", 0, 2)]), (9181, 0, [("e", 0, 1)]), (9182, 1.0, [("f", 1, 3)])
    )]  # fmt: skip
    fields = {SCORES: {"1": 0.75, "0": 0.25}, COMP: {"1": 0.5, "0": 0.5}, SUFF: {"1": 0.5, "0": 0.5}}
    rows = [said(i, d, (0, 1), classification=c, **fields) for i, d, c in (
        (9180, "d", 1), ("9181", "e", 0.0), (9182.0, "f", "0")
    )]  # fmt: skip
    scores = score(rows, gold, skip=False)
    assert scores["classification_scores"]["accuracy"] == 2 / 3
    assert scores["classification_scores"]["prf"].keys() >= {"0", "1"}
    assert scores["token_prf"]["instance_micro"]["p"] == 2 / 3


def test_scores_as_lists_are_those_of_the_labels(score):
    as_lists = []
    for row in SOUND:
        lists = {f: [row[f]["X"], row[f]["Y"]] for f in (SCORES, COMP, SUFF)}
        as_lists.append(row | lists)
    as_lists[1] |= {"classification": 1}  # the place of Y
    as_lists[2] |= {"classification": 0}
    expected = score(SOUND, skip=False)
    assert score(as_lists, skip=False, labels=("X", "Y")) == expected
    with pytest.raises(InputError) as caught:
        score(as_lists, skip=False)
    assert (
        str(caught.value)
        .splitlines()[0]
        .endswith(
            f"p.jsonl:1: a: expected {SCORES}: an object of label and number, or as many --labels as there "
            "are numbers, got [0.75, 0.25]"
        )
    )
    with pytest.raises(InputError, match="as many --labels as there are numbers"):
        score(as_lists, skip=False, labels=("X", "Y", "Z"))


def test_thresholded_scores_as_lists(score):
    entries = [{"threshold": t, COMP: EVEN, SUFF: EVEN} for t in (0.1, 0.5)]
    rows = [row | {THRESHOLDED: entries} for row in SOUND]
    lists = [{**e, COMP: [0.5, 0.5], SUFF: [0.5, 0.5]} for e in entries]
    as_lists = [row | {THRESHOLDED: lists} for row in SOUND]
    assert score(as_lists, skip=False, labels=("X", "Y")) == score(rows, skip=False)


def test_a_number_that_is_a_label_is_that_label_and_no_place(score):
    gold = [annotation("a", "1", ("d", 0, 2)), annotation("b", "0", ("e", 0, 1))]
    rows = [said(i, d, (0, 1), classification=c, **{SCORES: [0.9, 0.1], COMP: ..., SUFF: ...})
            for i, d, c in (("a", "d", 1), ("b", "e", 0))]  # fmt: skip
    assert score(rows, gold, skip=False, labels=("1", "0"))["classification_scores"]["accuracy"] == 1


def test_labels_that_repeat_are_refused():
    with pytest.raises(InputError, match=r"expected labels that differ, got \['X', 'X'\]"):
        ScorerOptions(labels=("X", "X"))


def test_faults_of_rows_whose_documents_have_names_of_their_own_are_grouped(score, tmp_path):
    names = [f"Page_{'abcdefghijklmnop'[n]}" for n in range(16)]
    source = write_source(
        tmp_path / "set", [annotation("a", "X", (names[0], 0, 1))], dict.fromkeys(names, "w w")
    )
    rows = [prediction(f"i{n}", rationale(name, [(0, 1)], [0.5])) for n, name in enumerate(names)]
    path = write_lines(tmp_path / "p.jsonl", rows)
    with pytest.raises(InputError) as caught:
        score_official(source, "test", path)
    lines = str(caught.value).splitlines()
    assert len(lines) == 4
    assert lines[-1].startswith(
        f"{path}: … and 13 more rows where 2 {SOFT}, one for each token of Page_d was"
    )


# ── four files of other people's models ─────────────────────────────────────────────────────────────────

BERTS = [f"sayani_bert_{weight}" for weight in ("0point001", "1", "10", "100")]
ODD = ["1089740628802584577_twitter", "1103485105891434497_twitter", "1183597323127009281_twitter",
       "1198222005511675905_twitter", "16001308_gab"]  # fmt: skip


@pytest.fixture(scope="module")
def berts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("berts")
    with tarfile.open(data("predictions_hatexplain_bert", ".tar.xz")) as archive:
        archive.extractall(folder, filter="data")
    return folder / "predictions_hatexplain_bert"


@pytest.mark.parametrize("name", BERTS)
def test_real_predictions_meet_their_published_figures(berts, name):
    """All but those of soft scores: 5 of 1,142 lists are longer or shorter than their document here."""
    path = berts / name / "predictions.jsonl"
    options = ScorerOptions(extra_labels=("normal",))
    scores, left_out = score_valid(Source(berts / "gold"), "test", path, options)
    published = json.loads((berts / name / "reported_scores.json").read_text())
    soft = scores.pop("token_soft_metrics")
    assert_same(scores, {k: v for k, v in published.items() if k != "token_soft_metrics"})
    assert left_out.counts == [f"left out of token_soft_metrics: 5 of 1,142 predictions: {', '.join(ODD)}"]
    assert {fault.id for fault in left_out.why} == set(ODD)
    assert {fault.id for fault in left_out.wrong} <= set(ODD)
    for metric, value in published["token_soft_metrics"].items():
        assert abs(soft[metric] - value) < 5 / 1142  # five texts can move a mean of [0, 1] no further


@pytest.mark.parametrize("name", BERTS[:1])
def test_soft_scores_of_the_rest_are_those_of_a_file_of_the_rest(berts, name, tmp_path):
    folder = tmp_path / "rest"
    folder.mkdir()
    (folder / "docs.jsonl").write_bytes((berts / "gold" / "docs.jsonl").read_bytes())
    for target, lines in (
        (folder / "test.jsonl", (berts / "gold" / "test.jsonl").read_text().splitlines()),
        (folder / "p.jsonl", (berts / name / "predictions.jsonl").read_text().splitlines()),
    ):
        kept = [line for line in lines if json.loads(line)["annotation_id"] not in ODD]
        target.write_text("\n".join(kept) + "\n")
    rest = score_official(Source(folder), "test", folder / "p.jsonl", extra_labels=("normal",))
    scores, _ = score_valid(
        Source(berts / "gold"),
        "test",
        berts / name / "predictions.jsonl",
        ScorerOptions(extra_labels=("normal",)),
    )
    assert_same(scores["token_soft_metrics"], rest["token_soft_metrics"])


def test_without_skipping_they_are_refused(berts):
    path = berts / BERTS[0] / "predictions.jsonl"
    with pytest.raises(InputError) as caught:
        score_official(Source(berts / "gold"), "test", path, extra_labels=("normal",))
    assert {fault.id for fault in caught.value.faults} == set(ODD)
