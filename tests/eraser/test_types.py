from __future__ import annotations

import re
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eraser import Dataset, Document, Evidence, Example, Span
from eraser.types import mask_from_spans, runs

checked = settings(deadline=None, derandomize=True, database=None)
masks = st.lists(st.booleans(), max_size=40).map(lambda words: np.array(words, dtype=bool))
spans = st.tuples(st.integers(0, 12), st.integers(1, 8)).map(lambda p: Span(p[0], p[0] + p[1]))


@pytest.mark.parametrize(("start", "end"), [(3, 3), (4, 2), (-1, 2), (-3, -1), (0, 0)])
def test_a_span_without_words_or_before_the_text_is_refused(start, end):
    message = f"a span needs 0 <= start < end, got start {start}, end {end}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Span(start, end)


def test_a_span_does_not_change():
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'end'"):
        Span(1, 2).end = 3  # type: ignore[misc]


def test_spans_sort_by_start_then_end():
    assert sorted([Span(2, 3), Span(0, 9), Span(0, 4)]) == [Span(0, 4), Span(0, 9), Span(2, 3)]


@pytest.mark.parametrize(
    ("a", "b", "overlap", "iou"),
    [
        (Span(0, 4), Span(0, 4), 4, 1.0),
        (Span(0, 4), Span(2, 6), 2, 2 / 6),
        (Span(0, 8), Span(2, 4), 2, 2 / 8),
        (Span(0, 2), Span(2, 4), 0, 0.0),
        (Span(0, 2), Span(7, 9), 0, 0.0),
    ],
)
def test_overlap_and_iou_worked_by_hand(a, b, overlap, iou):
    assert a.overlap(b) == b.overlap(a) == overlap
    assert a.iou(b) == b.iou(a) == iou


@checked
@given(spans, spans)
def test_overlap_and_iou_are_those_of_the_sets_of_words(a, b):
    x, y = set(range(a.start, a.end)), set(range(b.start, b.end))
    assert len(a) == len(x)
    assert a.overlap(b) == len(x & y)
    assert a.iou(b) == len(x & y) / len(x | y)


@checked
@given(masks)
def test_mask_of_undoes_runs(mask):
    assert mask_from_spans(runs(mask), len(mask)).tolist() == mask.tolist()


@checked
@given(masks)
def test_runs_are_in_order_and_as_long_as_they_can_be(mask):
    found = runs(mask)
    assert all(left.end < right.start for left, right in zip(found, found[1:], strict=False))
    assert sum(map(len, found)) == mask.sum()


@checked
@given(st.frozensets(spans, max_size=5))
def test_mask_of_marks_the_words_of_any_span_also_where_they_overlap(marked):
    mask = mask_from_spans(marked, 20)
    assert [i for i in range(20) if mask[i]] == sorted({i for s in marked for i in range(s.start, s.end)})


def test_a_document_knows_its_words_and_where_sentences_begin():
    document = Document("d", (("A", "film", "."), (), ("Dull", ".")))
    assert document.words == ("A", "film", ".", "Dull", ".")
    assert document.sentence_starts == (0, 3, 3)
    assert Document("nothing", ()).words == Document("nothing", ()).sentence_starts == ()


A = Document("a", (("A", "film", "."), ("Dull", ".")))
B = Document("b", (("Great", "fun"),))


def dataset(*examples: Example, documents=(A, B)) -> Dataset:
    return Dataset("tiny", {d.id: d for d in documents}, {"test": examples})


def marked(*places: tuple[str, int, int]) -> frozenset[Evidence]:
    return frozenset(Evidence(doc_id, Span(start, end)) for doc_id, start, end in places)


def test_the_text_of_several_documents_is_theirs_in_the_examples_order():
    example = Example("e", ("b", "a"), "POS")
    text = dataset(example).text(example)
    assert text.example_id == "e"
    assert text.words == ("Great", "fun", "A", "film", ".", "Dull", ".")
    assert text.doc_starts == {"b": 0, "a": 2}
    assert text.sentence_starts == (0, 2, 5)
    assert text.query is None


def test_evidence_of_all_groups_and_documents_becomes_spans_over_the_text():
    first, second = marked(("a", 1, 3), ("b", 0, 1)), marked(("a", 1, 3), ("a", 4, 5))
    example = Example("e", ("b", "a"), "POS", gold=frozenset({first, second}))
    assert example.evidence == marked(("a", 1, 3), ("b", 0, 1), ("a", 4, 5))
    truth = dataset(example).truth(example)
    assert truth.label == "POS"
    assert truth.n_words == 7
    assert truth.spans == {Span(3, 5), Span(0, 1), Span(6, 7)}
    assert truth.gold.tolist() == [True, False, False, True, True, False, True]


def test_an_example_without_evidence_has_a_gold_mask_of_false():
    example = Example("e", ("a",), "NEG")
    assert dataset(example).truth(example).gold.tolist() == [False] * 5


def test_human_share_is_the_mean_over_examples_that_have_evidence():
    examples = (
        Example("one", ("a",), "NEG", gold=frozenset({marked(("a", 0, 2))})),
        Example("both", ("a", "b"), "NEG", gold=frozenset({marked(("a", 3, 4), ("b", 0, 2))})),
        Example("none", ("b",), "POS"),
    )
    assert dataset(*examples).human_share("test") == pytest.approx((2 / 5 + 3 / 7) / 2, abs=1e-15)


def test_human_share_of_a_split_without_evidence_is_nan():
    assert np.isnan(dataset(Example("e", ("a",), "NEG")).human_share("test"))


def test_labels_are_those_of_all_splits_sorted():
    splits = {"train": (Example("1", ("a",), "POS"), Example("2", ("a",), "NEG")), "test": ()}
    assert Dataset("tiny", {"a": A}, splits | {"val": (Example("3", ("a",), "MID"),)}).labels == (
        "MID",
        "NEG",
        "POS",
    )


@pytest.mark.parametrize(
    ("queries", "matters"),
    [
        ((None, None), False),
        (("Good ?", "Good ?"), False),
        (("Good ?", None, ""), False),
        (("Who ? || Ann", "Who ? || Bob"), True),
    ],
)
def test_a_query_matters_only_where_it_varies(queries, matters):
    examples = tuple(Example(str(n), ("a",), "POS", query) for n, query in enumerate(queries))
    found = dataset(*examples)
    assert found.query_matters is matters
    assert [found.text(e).query for e in examples] == [q if matters else None for q in queries]


def test_where_the_data_came_from_does_not_make_two_data_sets_differ():
    assert Dataset("x", {}, {}, (), "here") == Dataset("x", {}, {}, (), "there")
    assert Dataset("x", {}, {}, ("a note",)) != Dataset("x", {}, {})


def test_the_second_text_of_a_pair_can_stand_alone_with_the_first_as_its_query():
    documents = {
        "1_premise": Document("1_premise", (("a", "film"),), "a  film"),
        "1_hypothesis": Document("1_hypothesis", (("it", "is"), ("warm",)), "it is\nwarm"),
    }
    example = Example("1", ("1_premise", "1_hypothesis"), "yes")
    pair = Dataset("x", documents, {"test": (example,)}).text(example)
    assert (pair.words, pair.second, pair.sentence_starts) == (
        ("a", "film", "it", "is", "warm"),
        2,
        (0, 2, 4),
    )
    assert pair.sides == (("a  film", ((0, 1), (3, 7))), ("it is\nwarm", ((0, 2), (3, 5), (6, 10))))
    alone = pair.unpaired()
    assert (alone.words, alone.query, alone.string) == (("it", "is", "warm"), "a  film", "it is\nwarm")
    assert (alone.doc_starts, alone.sentence_starts, alone.second) == ({"1_hypothesis": 0}, (0, 2), None)
    assert alone.unpaired() is alone


@pytest.mark.parametrize(
    "doc_ids", [("1_premise",), ("1_premise", "2_hypothesis"), ("1_hypothesis", "1_premise"), ("a", "b"), ()]
)
def test_documents_of_other_names_are_no_pair(doc_ids):
    assert not Example("1", doc_ids, "yes").is_pair
