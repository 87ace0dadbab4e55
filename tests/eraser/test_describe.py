"""What `data describe` says of data sets, counted by hand and, for real ones, by those who published them."""

from __future__ import annotations

from math import isnan

import pytest

from eraser.describe import describe, table_of
from eraser.load import load
from eraser.types import Dataset, Document, Evidence, Example, Span
from tests.helpers.paths import data

DOCUMENTS = {
    "d": Document("d", (("a", "b"), ("c", "d"))),
    "e": Document("e", (("a", "b", "c", "d", "e"),)),
    "same": Document("same", (("a", "b", "c", "d"),)),
}


def marked(*spans):
    return frozenset(Evidence(doc_id, Span(start, end)) for doc_id, start, end in spans)


def dataset(**splits):
    return Dataset("own", DOCUMENTS, splits)


def test_one_split_counted_by_hand():
    one, other = marked(("d", 0, 2), ("d", 1, 3)), marked(("e", 4, 5))
    rows = (
        Example("1", ("d",), "X", None, frozenset({one}), (one, one, one)),  # 3 of 4 words, spans of 2 and 2
        Example("2", ("d", "e"), "Y", None, frozenset({other}), (one,)),  # 1 of 9 words, a span of 1
        Example("3", ("e",), "X"),
    )
    found = describe(dataset(test=rows))["test"]
    assert (found.rows, found.labels, found.documents) == (3, {"X": 2, "Y": 1}, 2)
    assert (found.words_mean, found.words_max) == (4.5, 5)
    assert (found.with_evidence, found.evidence_spans, found.span_words) == (2, 3, 5 / 3)
    assert found.human_share == pytest.approx((3 / 4 + 1 / 9) / 2)
    assert (found.annotators, found.also_in) == ((0, 3), {})


def test_rows_of_other_splits_are_told_by_query_and_text_not_by_id():
    train = (Example("1", ("d",), "X", "why ?"), Example("2", ("e",), "X", "why ?"))
    test = (
        Example("3", ("same",), "Y", "why ?"),
        Example("4", ("same",), "Y", "why ?"),
        Example("5", ("same",), "Y", "how ?"),
    )
    found = describe(dataset(train=train, val=(), test=test))
    assert found["train"].also_in == {"val": 0, "test": 1}
    assert found["test"].also_in == {"train": 2, "val": 0}
    assert found["val"].rows == 0
    assert isnan(found["val"].words_mean)


def test_each_of_several_labels_is_counted():
    rows = (Example("1", ("d",), "rude|threat"), Example("2", ("e",), "rude"))
    assert describe(dataset(test=rows))["test"].labels == {"rude": 2, "threat": 1}


def test_as_text_and_as_a_table():
    rows = (Example("1", ("d",), "X", None, frozenset({marked(("d", 0, 2))})),)
    (facts,) = (found := describe(dataset(test=rows))).values()
    assert facts.lines(str) == [
        "examples 1  with_evidence 1  evidence_spans 1  human_share 0.5",
        "labels X 1",
        "documents 1  words mean 4.0, at most 4  span_words 2.0  annotators not told apart  also_in none",
    ]
    assert table_of(found, str).to_dict("records") == [
        {
            "split": "test",
            "rows": "1",
            "labels": "X 1",
            "documents": "1",
            "words, mean": "4.0",
            "words, most": "4",
            "rows with evidence": "1",
            "spans": "1",
            "words of a span": "2.0",
            "share of marked words": "0.5",
            "annotators": "not told apart",
            "rows also in": "none",
        }
    ]


def test_of_many_labels_the_first_are_listed():
    rows = tuple(Example(f"{n}", ("d",), f"{n:03d}") for n in range(30))
    line = describe(dataset(test=rows))["test"].lines(str)[1]
    assert line.startswith("labels 000 1, 001 1, ")
    assert line.endswith("019 1, and 10 more")


# rows, rows with evidence, spans, words of a document (mean, most), share of marked words
REAL = {
    "movies": {
        "train": (1600, 1599, 13878, 773.3, 2809, 0.0935),
        "val": (200, 200, 1517, 761.5, 1880, 0.0722),
        "test": (199, 199, 2047, 795.0, 2122, 0.3139),
    },
    "scifact": {
        "train": (405, 405, 591, 302.8, 2544, 0.2458),
        "val": (100, 100, 150, 326.5, 1304, 0.2468),
        "test": (188, 188, 275, 305.6, 2544, 0.2324),
    },
    "cose": {
        "train": (8752, 8752, 8752, 14.9, 67, 0.5164),
        "val": (1086, 1086, 1086, 15.0, 48, 0.5289),
        "test": (1079, 1079, 1079, 14.7, 60, 0.5524),
    },
    "fever": {
        "val": (6122, 6122, 8616, 271.9, 1266, 0.2162),
        "test": (6111, 6111, 8417, 256.9, 968, 0.2339),
    },
    "hatexplain_full": {
        "train": (15383, 8993, 13408, 23.5, 165, 0.4038),
        "val": (1922, 1141, 1717, 23.5, 70, 0.4111),
        "test": (1924, 1142, 1699, 23.1, 55, 0.3923),
    },
    "boolq": {
        "val": (1491, 1491, 1491, 3337.2, 99556, 0.0713),
        "test": (2807, 2807, 3148, 3411.3, 26654, 0.0721),
    },
}
SLOW = ("boolq", "fever", "movies")  # the last is counted in test_load.py too


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in REAL]
)
def test_real_data_sets(name):
    found = {}
    for split, f in describe(load(name, data(name))).items():
        words = round(f.words_mean, 1), f.words_max
        found[split] = (f.rows, f.with_evidence, f.evidence_spans, *words, round(f.human_share, 4))
    assert found == REAL[name]


def test_texts_that_hatexplain_has_in_two_splits():
    """As published: of its texts 3 are in train and val, 5 in train and test, 1 is in val and test."""
    found = describe(load("hatexplain_full", data("hatexplain_full")))
    assert found["val"].also_in == {"train": 3, "test": 1}
    assert found["test"].also_in == {"train": 6, "val": 1}  # one of the five stands twice in test


def test_labels_of_real_data_sets():
    assert load("cose", data("cose")).labels == ("A", "B", "C", "D", "E")
    assert load("scifact", data("scifact")).labels == ("REFUTES", "SUPPORTS")


@pytest.mark.slow
def test_boolq_has_ids_that_are_numbers():
    found = load("boolq", data("boolq"), ["val"])
    assert found.examples("val")[0].id == "9180"
    assert all(e.id.isdecimal() for e in found.examples("val"))
    assert max(len(e.gold) for e in load("boolq", data("boolq"), ["test"]).examples("test")) > 1
    assert found.examples("val")[0].label == "True"
