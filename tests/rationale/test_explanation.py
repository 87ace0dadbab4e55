"""A typed text explained: its words, where they stand in it, and what cut it."""

from __future__ import annotations

import numpy as np
import pytest

from eraser import InputError
from rationale.explanation import Explanation, explain
from rationale.front.explanations import Explanations
from tests.helpers.tokenizers import SENTENCES


def test_a_comma_is_a_word_of_its_own(classifier):
    text = " A warm,  moving film.\n\nNever dull!"
    found = explain(classifier, text, "gradient_x_input")
    assert found.words == ("A", "warm", ",", "moving", "film", ".", "Never", "dull", "!")
    assert (found.text, found.cut, found.note) == (text, "punctuation", None)
    assert tuple(text[start:end] for start, end in found.spans) == found.words
    assert np.isfinite(found.scores).all()
    spaced = explain(classifier, "A warm , moving film . Never dull !", "gradient_x_input")
    np.testing.assert_allclose(found.scores, spaced.scores, atol=1e-6)


def test_what_cuts_is_asked_for(classifier):
    found = explain(classifier, "warm, dull", "random", words="whitespace")
    assert (found.words, found.cut, found.note) == (("warm,", "dull"), "whitespace", None)
    pieces = explain(classifier, "warm, dull", "gradient_x_input").scores
    whole = explain(classifier, "warm, dull", "gradient_x_input", words="whitespace").scores
    assert whole == pytest.approx([pieces[0] + pieces[1], pieces[2]], abs=1e-6)
    told = r"^expected words cut by whitespace, punctuation, characters, got 'tokens'$"
    with pytest.raises(InputError, match=told):
        explain(classifier, "warm", "random", words="tokens")


@pytest.mark.parametrize("text", SENTENCES[:3])
def test_characters_of_scripts_without_spaces_are_words_and_it_is_told(classifier, text):
    found = explain(classifier, text, "random")
    assert found.cut == "characters"
    assert found.note == "words: characters, as the text is written without spaces between words"
    assert len(found.words) > 10
    assert [text[start:end] for start, end in found.spans] == list(found.words)


@pytest.mark.parametrize("text", ["", " \n", "\u200b"])
def test_a_text_without_words_is_refused(classifier, text):
    with pytest.raises(InputError, match=r"^text: the text has no words$"):
        explain(classifier, text, "random")


def test_words_alone_are_a_text_too():
    found = Explanation(("a", "", "film"), np.zeros(3), "POS", {"POS": 1.0}, "POS", "random")
    assert (found.text, found.spans) == ("a film", ((0, 1), (1, 1), (2, 6)))


def test_what_is_printed_is_the_answer_and_the_first_words():
    found = Explanation(
        ("a", "b\x1b"), np.array([0.5, 2.0]), "NEG", {"NEG": 0.75, "POS": 0.25}, "POS", "lime"
    )
    assert repr(found) == "NEG; POS 0.250; lime: 'b\\x1b' 2.00, 'a' 0.500"
    assert repr(Explanations(("a b\x1b",), ("lime",), ((found,),))) == f"0: {found!r}"


def test_a_page_shows_the_text_with_its_own_gaps(classifier):
    page = explain(classifier, "慢，好看\nfilm, dull", "random", words="characters")._repr_html_()
    flat = "".join(page.split('<div dir="auto">')[1].split("\n"))
    shown = "".join(part.split(">", 1)[-1] for part in flat.replace("</span>", "").split("<span"))
    assert "慢，好看<br>film, dull" in shown
