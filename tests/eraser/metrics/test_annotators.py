from __future__ import annotations

import re
from itertools import permutations
from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eraser import Dataset, Document, Evidence, Example, InputError, Prediction
from eraser.load import load
from eraser.metrics.annotators import annotator_agreement, human_ceiling
from eraser.metrics.table import METRICS, Score
from eraser.types import runs
from tests.helpers.paths import data
from tests.oracles import agreement as oracle

checked = settings(deadline=None, derandomize=True, database=None, max_examples=50)

SLOW = {
    "token_f1": oracle.token_f1,
    "iou_f1_one_to_one": oracle.iou_f1_one_to_one,
    "false_positive_rate": oracle.false_positive_rate,
}


def dataset_of(*posts: list[str]) -> Dataset:
    """Posts p0, p1 and so on, each the annotators' marks written as "1100"."""
    examples, documents = [], {}
    for n, people in enumerate(posts):
        id, n_words = f"p{n}", max(map(len, people), default=1)
        marks = [np.array([mark == "1" for mark in person]) for person in people]
        each = tuple(frozenset(Evidence(id, span) for span in runs(mask)) for mask in marks)
        examples.append(Example(id, (id,), "offensive", annotators=each))
        documents[id] = Document(id, (tuple("w" * n_words),))
    return Dataset("posts", documents, {"test": tuple(examples)})


def ceiling(*posts: list[str], **options) -> dict[str, Score]:
    dataset = dataset_of(*posts)
    return {s.metric: s for s in human_ceiling(dataset, dataset.splits["test"], **options)}


def said(id: str, picked: str) -> Prediction:
    rationale = np.array([mark == "1" for mark in picked])
    return Prediction(id, "offensive", {}, rationale.astype(float), rationale)


def agreement(posts: list[list[str]], *picked: str, **options) -> Score:
    dataset = dataset_of(*posts)
    predictions = [said(f"p{n}", mask) for n, mask in enumerate(picked)]
    return annotator_agreement(dataset, dataset.splits["test"], predictions, **options)


# The definitions rewritten slowly


def slow_others(people: list[str], number: int, others: str) -> list[bool]:
    rest = [person for n, person in enumerate(people) if n != number]
    votes = [sum(person[word] == "1" for person in rest) for word in range(len(people[number]))]
    return [v > 0 if others == "union" else v > len(rest) / 2 for v in votes]


def slow_ceiling(people: list[str], metric: str, others: str) -> float | None:
    people = [person for person in people if "1" in person]
    if len(people) < 2:
        return None
    found = []
    for number, person in enumerate(people):
        spans = oracle.predicted_spans(slow_others(people, number, others))
        columns = SLOW[metric](spans, [mark == "1" for mark in person])
        if columns is not None:
            found.append(columns[0])
    return sum(found) / len(found) if found else None


def slow_agreement(people: list[str], picked: str) -> float | None:
    people = [person for person in people if "1" in person]
    if len(people) < 2:
        return None
    marks = [oracle.predicted_spans([mark == "1" for mark in person]) for person in people]
    each = [oracle.token_f1(spans, [mark == "1" for mark in picked])[0] for spans in marks]
    return sum(each) / len(each)


# Worked by hand

THREE = ["110000", "011000", "000011"]


def test_each_annotator_against_the_union_of_the_others():
    found = ceiling(THREE)
    # 110000 on 011011: 1 hit of 2 and 4; 011000 on 110011: the same; 000011 on 111000: none
    assert found["token_f1"].value == pytest.approx((2 / 6 + 2 / 6 + 0) / 3)
    # 0:2 on 1:3 4:6 is a third; 1:3 on 0:2 4:6 likewise; 4:6 on 0:3 nothing
    assert found["iou_f1_one_to_one"].value == 0
    assert found["false_positive_rate"].value == pytest.approx((1 / 2 + 1 / 2 + 2 / 3) / 3)


def test_each_annotator_against_what_both_of_the_others_marked():
    found = ceiling(["1110", "0110", "0011"], others="majority")
    # 1110 on 0010, 0110 on 0010, 0011 on 0110
    assert found["token_f1"].value == pytest.approx((2 / 4 + 2 / 3 + 2 / 4) / 3)
    assert found["iou_f1_one_to_one"].value == pytest.approx((0 + 1 + 0) / 3)
    assert found["false_positive_rate"].value == pytest.approx((2 / 3 + 1 / 3 + 1 / 2) / 3)


def test_an_annotator_whose_others_agree_on_nothing_is_left_out_of_the_majority():
    found = ceiling(THREE, others="majority")
    # only 000011 has others with a word in common, and marks none of it
    assert {name: s.value for name, s in found.items()} == {
        "token_f1": 0,
        "iou_f1_one_to_one": 0,
        "false_positive_rate": pytest.approx(2 / 5),
    }
    nothing = ceiling(["100", "010", "001"], others="majority")["token_f1"]
    assert (nothing.n, nothing.left_out) == (0, 1)
    assert isnan(nothing.value)


def test_of_four_annotators_the_majority_of_the_others_is_two():
    found = ceiling(["1000", "1100", "1100", "0011"], others="majority")
    # the others of the first: 1100 (two of three); of the second and third: 1000; of the fourth: 1100
    assert found["token_f1"].value == pytest.approx((2 / 3 + 2 / 3 + 2 / 3 + 0) / 4)


def test_people_who_agree_are_at_the_better_end():
    found = ceiling(["0110", "0110", "0110"], ["10", "10"])
    for name, value in (("token_f1", 1), ("iou_f1_one_to_one", 1), ("false_positive_rate", 0)):
        assert found[name] == Score(name, value, value, value, 2, 0)
        assert value == METRICS[name].range[1 if METRICS[name].higher_is_better else 0]


def test_examples_weigh_alike_however_many_annotated_them():
    found = ceiling(["10", "10"], ["100", "010", "001"])["token_f1"]
    assert found.value == pytest.approx((1 + 0) / 2)


def test_who_marked_nothing_is_left_out_and_so_is_an_example_with_one_annotator():
    found = ceiling(["110", "100", "000"], ["110"], ["110", "000"], [])["token_f1"]
    assert (found.value, found.n, found.left_out) == (pytest.approx(2 / 3), 1, 3)


def test_where_the_others_marked_every_word_there_is_no_false_positive():
    found = ceiling(["11", "11"], ["10", "10"])
    assert (found["false_positive_rate"].n, found["false_positive_rate"].left_out) == (1, 1)
    assert found["token_f1"].n == 2


def test_a_method_against_each_annotator_alone():
    found = agreement([THREE, ["1"], ["10", "11"]], "110001", "1", "11")
    first, second = (4 / 5 + 2 / 5 + 2 / 5) / 3, (2 / 3 + 1) / 2
    assert found.value == pytest.approx((first + second) / 2)
    assert (found.metric, found.n, found.left_out) == ("token_f1", 2, 1)


def test_examples_that_are_left_out_need_no_prediction():
    dataset = dataset_of(["1"], ["10", "11"], [])
    found = annotator_agreement(dataset, dataset.splits["test"], [said("p9", "1"), said("p1", "11")])
    assert (found.n, found.left_out) == (1, 2)


# Against the slow rewrite

person = st.integers(0, 2**6 - 1).map(lambda bits: f"{bits:06b}")
crowds = st.lists(st.lists(person, max_size=4), min_size=1, max_size=5)


@checked
@given(crowds, st.sampled_from(["union", "majority"]))
def test_ceilings_are_those_of_the_slow_definitions(posts, others):
    for name, found in ceiling(*posts, others=others).items():
        expected = [slow_ceiling(people, name, others) for people in posts]
        known = [x for x in expected if x is not None]
        assert (found.n, found.left_out) == (len(known), len(posts) - len(known))
        assert found.value == pytest.approx(np.mean(known) if known else np.nan, nan_ok=True)


@checked
@given(crowds, st.data())
def test_agreement_is_that_of_the_slow_definition(posts, data):
    picked = [data.draw(person)[: max(map(len, people), default=1)] for people in posts]
    found = agreement(posts, *picked)
    each = [slow_agreement(people, p) for people, p in zip(posts, picked, strict=True)]
    known = [x for x in each if x is not None]
    assert (found.n, found.left_out) == (len(known), len(posts) - len(known))
    assert found.value == pytest.approx(np.mean(known) if known else np.nan, nan_ok=True)


@checked
@given(st.lists(person, min_size=2, max_size=2))
def test_two_annotators_are_one_another_s_union_and_majority(people):
    union, majority = ceiling(people), ceiling(people, others="majority")
    assert {n: s.value for n, s in union.items()} == pytest.approx(
        {n: s.value for n, s in majority.items()}, nan_ok=True
    )
    between = union["token_f1"].value
    as_the_first = agreement([people], people[0]).value
    assert as_the_first == pytest.approx((1 + between) / 2, nan_ok=True)


@checked
@given(st.lists(person, min_size=3, max_size=3), st.sampled_from(["union", "majority"]))
def test_the_order_of_annotators_does_not_matter(people, others):
    orders = [ceiling(list(order), others=others) for order in permutations(people)]
    for name in SLOW:
        values = [found[name].value for found in orders]
        assert values == pytest.approx([values[0]] * 6, nan_ok=True)


def test_intervals_hold_the_value_and_follow_the_seed():
    random = np.random.default_rng(0)
    posts = [[f"{bits:06b}" for bits in random.integers(1, 64, 3)] for _ in range(40)]
    one, again, other = (ceiling(*posts, seed=seed)["token_f1"] for seed in (1, 1, 2))
    assert one == again
    assert one.low != other.low
    assert one.low < one.value < one.high


# What is refused


def test_others_of_another_name():
    with pytest.raises(InputError, match=r"^expected others union or majority, got 'most'\Z"):
        ceiling(THREE, others="most")


def test_predictions_that_are_missing_or_of_another_length_are_named_all_at_once():
    message = "p0: expected a rationale of 6 words, got 5\np2: expected a rationale of 2 words, got none"
    with pytest.raises(InputError, match=rf"^{re.escape(message)}\Z"):
        agreement([THREE, ["1"], ["10", "11"]], "11000")


# The real data


@pytest.fixture(scope="module")
def real() -> Dataset:
    return load("hatexplain", data("hatexplain"), ["test"])


@pytest.mark.parametrize("others", ["union", "majority"])
def test_real_annotators_score_as_the_slow_definitions_say(real, others):
    examples = real.splits["test"]
    people = []
    for example in examples:
        masks = [[False] * len(real.text(example).words) for _ in example.annotators]
        for mask, marked in zip(masks, example.annotators, strict=True):
            for piece in marked:
                mask[piece.span.start : piece.span.end] = [True] * len(piece.span)
        people.append(["".join("01"[mark] for mark in mask) for mask in masks])
    for found in human_ceiling(real, examples, others=others):
        expected = [slow_ceiling(p, found.metric, others) for p in people]
        known = [x for x in expected if x is not None]
        assert (found.n, found.left_out) == (len(known), 1924 - len(known))
        assert found.value == pytest.approx(np.mean(known), abs=1e-12)


def test_a_real_method_that_marks_every_word_recalls_all_of_each_annotator(real):
    """Token F1 is then 2 share / (1 + share), share being what the annotator marked."""
    examples = real.splits["test"]
    predictions, expected = [], []
    for example in examples:
        n_words = len(real.text(example).words)
        everything = np.ones(n_words, dtype=bool)
        predictions.append(Prediction(example.id, "offensive", {}, everything * 1.0, everything))
        shares = [sum(len(e.span) for e in person) / n_words for person in example.annotators]
        shares = [share for share in shares if share]
        if len(shares) > 1:
            expected.append(np.mean([2 * share / (1 + share) for share in shares]))
    found = annotator_agreement(real, examples, predictions)
    assert found.n == len(expected) == 1142
    assert found.value == pytest.approx(np.mean(expected), abs=1e-12)
