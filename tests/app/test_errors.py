"""Wrong predictions and the words that decide them, counted by hand."""

from __future__ import annotations

import re
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
from rationale_viewer.compute.agreement import ScoredExample, pairwise_f1
from rationale_viewer.compute.errors import deciding, deciding_words, surest_first
from rationale_viewer.compute.explain import PREDICTED
from rationale_viewer.pages import errors
from rationale_viewer.pages.choice import RationaleChoice
from rationale_viewer.pages.errors import AT_ONCE, says_first

from tests.helpers.app.pages import markup

WORDS = ("Dull", "warm", "film")


def one(name: str, scores: list[float], right: bool | None, sure: float) -> ScoredExample:
    none, probs = np.zeros(3, bool), {"NEG": 1 - sure, "POS": sure}
    return ScoredExample(name, "NEG", (), "POS", probs, np.array(scores), none, none, {}, "class", right)


JUDGED = [
    one("a", [0.9, 0.1, 0.0], False, 0.6),
    one("b", [0.1, 0.9, np.nan], True, 0.9),
    one("c", [0.3, 0.2, 0.1], False, 0.8),
    one("d", [0.1, np.nan, 0.2], False, 0.7),
    one("e", [2.0, 1.0, 0.0], True, 0.9),
    one("f", [0.0, -1.0, 0.0], False, 0.95),
]


def test_errors_come_surest_first_and_right_ones_not_at_all():
    assert [j.id for j in surest_first(JUDGED)] == ["f", "c", "d", "a"]


def test_the_highest_score_decides_and_none_where_nothing_speaks_for_the_answer():
    assert [deciding(j, WORDS) for j in JUDGED] == ["dull", "warm", "dull", "film", "dull", None]
    assert deciding(one("x", [np.nan] * 3, False, 1.0), WORDS) is None


def test_words_are_counted_in_errors_and_in_right_ones():
    """Of four errors "dull" decides two and "film" one, of two right ones "dull" one; "warm" decides none."""
    table = deciding_words(JUDGED, {j.id: WORDS for j in JUDGED})
    assert table.to_dict("records") == [
        {"word": "dull", "wrong": 2, "of_wrong": 0.5, "right": 1, "of_right": 0.5},
        {"word": "film", "wrong": 1, "of_wrong": 0.25, "right": 0, "of_right": 0.0},
    ]
    assert deciding_words(JUDGED[1:2], {"b": WORDS}).empty


def test_a_word_is_named_only_where_it_decides_again_and_again():
    table = deciding_words(JUDGED, {j.id: WORDS for j in JUDGED})
    assert says_first(table.iloc[0], 4, 2) == "“dull” decides 2 of 4 errors, and 1 of 2 right answers."
    assert says_first(table.iloc[1], 4, 2) == "No word decides more than one of the 4 errors."
    assert says_first(table.iloc[1], 1, 2) == "“film” decides 1 of 1 errors, and 0 of 2 right answers."


def test_annotators_agreement_is_the_f1_of_every_two():
    """{0,1} and {1,2} share one word of two each: 0.5; {0,1} and {} none; two without marks agree."""
    masks = [np.array(m, bool) for m in ([1, 1, 0], [0, 1, 1], [0, 0, 0], [0, 0, 0])]
    found = pairwise_f1(masks)
    assert found[0].tolist()[1:] == [0.5, 0.0, 0.0]
    assert found[2, 3] == 1.0
    np.testing.assert_array_equal(found, found.T)
    assert np.isnan(np.diag(found)).all()


def test_errors_are_shown_with_what_decides_them(open_app):
    at = open_app("Errors", model="dense", method="gradient_x_input")
    assert "speaks for the predicted class<" in markup(at)
    n = int(re.search(r">(\d+) of 40 predictions are wrong \(all 40 examples of test\)", markup(at)).group(1))
    assert 0 < n < 40
    assert "A word decides a text where no other has a higher score." in markup(at)
    assert {"word", "wrong", "right"} <= set(at.dataframe[0].value.columns)
    shown = [e.label for e in at.main.expander if "annotators say" in e.label]
    assert len(shown) == min(n, AT_ONCE)
    assert ", decided by “" in shown[0]


@pytest.mark.parametrize(
    ("target", "explained"), [("POS", "the class POS"), ("gold", "the class that annotators gave")]
)
def test_of_another_class_than_the_predicted_one_no_word_is_said_to_decide(open_app, target, explained):
    at = open_app("Errors", model="dense", method="gradient_x_input", **{"class": target})
    assert f"speaks for {explained}<" in markup(at)
    assert "A word scores highest in a text where no other has a higher score." in markup(at)
    title = at.main.expander[-1].label.replace("\\", "")
    assert f", highest for {explained}: “" in title
    assert not re.search("decides|decided by", markup(at) + title)


def test_an_answer_of_no_labels_is_named(monkeypatch):
    """Annotators gave none of several labels, and the model said one."""
    none = replace(one("a", [0.9, 0.1, 0.0], False, 0.6), label="", predicted="joy", kind="labels")
    titles = []
    monkeypatch.setattr(errors.st, "expander", lambda title, **_: titles.append(title) or nullcontext())
    monkeypatch.setattr(errors.st, "html", lambda _: None)
    choice = RationaleChoice("lime", PREDICTED, (), list, "", "")
    errors._drawn([none], {"a": WORDS}, choice)
    assert "annotators say no label, the model joy" in titles[0]
