from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from rationale.explanation import Explanation, explain
from rationale.front.notable import ShownExamples
from rationale.report.several.compare import compared
from tests.helpers.made_runs import run_folder

KEY = ("token_f1", "gold", "attention")


def explanation(words: tuple[str, ...], scores: list[float]) -> Explanation:
    return Explanation(words, np.array(scores), "POS", {"NEG": 0.25, "POS": 0.75}, "POS", "gradient_x_input")


def test_words_are_coloured_by_score_the_strongest_full():
    html = explanation(("fine", "but", "dull", "song"), [2.0, 0.0, -1.0, np.nan])._repr_html_()
    assert '<span title="+2" style="background:rgba(240,160,48,1.00);border-bottom:3px solid' in html
    assert '<span title="+0">but</span>' in html
    assert '<span title="-1" style="background:rgba(108,180,230,0.50);border-bottom:2px dotted' in html
    assert '<span title="not read" style="color:#70757d;font-style:italic">song</span>' in html
    assert "<b>POS</b> · P(NEG) 0.250 · P(POS) 0.750" in html
    assert "gradient_x_input" in html
    assert [t for t in ("for POS", "against", "counts more") if f">{t}</span>" in html] == [
        "for POS",
        "against",
    ]


def test_scores_without_a_sign_have_a_hue_and_a_legend_of_their_own():
    found = replace(explanation(("fine", "dull"), [2.0, 1.0]), method="saliency")._repr_html_()
    assert '<span title="+2" style="background:rgba(167,139,250,1.00);border-bottom:3px solid' in found
    assert "240,160,48" not in found
    assert ">counts more</span>" in found
    assert "against" not in found


def test_target_is_named_where_it_is_not_the_label():
    found = explanation(("fine",), [1.0])
    assert "of NEG" not in found._repr_html_()
    assert "of NEG" in Explanation(**{**vars(found), "target": "NEG"})._repr_html_()


@pytest.mark.parametrize("scores", [[0.0, 0.0], [np.nan, np.nan], []])
def test_texts_without_scores_are_shown(scores):
    html = explanation(("one", "two")[: len(scores)], scores)._repr_html_()
    assert "background:rgba" not in html
    assert html.count("<span") == len(scores)


def test_words_of_an_explanation_are_escaped(classifier):
    text = '<script>alert(1)</script> & "so" on'
    html = explain(classifier, text, "random", words="whitespace")._repr_html_()
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<script" not in explain(classifier, text, "random")._repr_html_()
    assert "&amp;" in html


def test_a_comparison_shows_both_values_and_their_difference(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = run_folder(tmp_path / "a<b", {KEY: {"e0": (0.9,), "e1": (0.5,)}})
    other = run_folder(tmp_path / "c", {KEY: {"e0": (0.7,), "e1": (0.3,)}})
    found = compared([one, other])
    html = found._repr_html_()
    assert "<td>0.200 [0.200, 0.200]</td><td>2</td>" in html
    assert "examples compared: 2 of 2 in" in html
    assert "a difference whose interval includes 0 is a tie" in html
    assert "a&lt;b" in html
    assert "a<b" not in html
    assert "| token_f1 ↑ | gold | attention |" in repr(found)


def example(words, label="POS", predicted="NEG"):
    """A notable example whose words annotators and a method picked."""
    item = SimpleNamespace(example=SimpleNamespace(id="e1"), truth=SimpleNamespace(label=label))
    rows = [("lime", None, [(word, "hit") for word in words])]
    one = {"item": item, "number": None, "predicted": predicted, "rows": rows}
    return ShownExamples("Wrong", "number", "gold", [one])._repr_html_()


@pytest.mark.parametrize("page", [explanation(("שלום", "film"), [2.0, 0.0])._repr_html_(), example(["שלום"])])
def test_a_text_stands_in_its_own_direction(page):
    """A browser takes the direction from the first letter of what is `auto`: the text, nothing before it."""
    assert re.search(r'<div dir="auto">\s*<span[^>]*>שלום</span>', page)


def test_a_text_without_labels_has_no_blank_where_they_would_stand():
    assert "annotators: no label, model: no label" in example(["film"], "", "")
    assert "annotators: POS, model: NEG" in example(["film"])


def test_an_explanation_that_names_no_class_says_none():
    """As other tools give them: neither an answer nor the class explained is known."""
    one = Explanation(("fine", "dull"), np.array([2.0, -1.0]), "", {}, "", "mine")
    page = one._repr_html_()
    assert ">for the class explained</span>" in page
    assert "no label" not in page
    assert re.search(r'<div style="font-size:.85em">\s*mine\s*·', page)
    of_several = replace(one, kind="labels", probs={"joy": 0.1}, target="joy")._repr_html_()
    assert "<b>no label</b> · P(joy) 0.100" in of_several
