from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from rationale_viewer.view import export, html
from rationale_viewer.view.icon import icon

from eraser import Text

pytestmark = pytest.mark.figures

WORDS = ("50%", "of_{x}", "<b>", "日本語", "👩\u200d💻", r"\input{x}", "fine")


def test_html_stands_alone():
    body = html.highlighted(WORDS, np.ones(len(WORDS)), [("p",)] * len(WORDS))
    page = export.as_html("a <title>", html.score_legend("POS"), body)
    assert page.startswith("<!doctype html>")
    assert "a &lt;title&gt;" in page
    for fetched in ("<script", "http:", "https:", "<link", "@import"):
        assert fetched not in page


def test_latex_escapes_every_word_and_colours_those_with_a_score():
    found = export.as_latex(WORDS, ["#ffffff"] * 6 + ["#f0a030"], "a\ntitle")
    lines = found.splitlines()
    assert lines[0] == "% a title"
    assert r"50\%" in lines
    assert r"of\_\{x\}" in lines
    assert r"\textless{}b\textgreater{}" in lines
    assert r"\textbackslash{}input\{x\}" in lines
    assert r"\colorbox[HTML]{F0A030}{\strut fine}" in lines


def test_png_is_a_picture_that_grows_with_the_text(tmp_path):
    sizes = []
    for n in (1, 40):
        path = tmp_path / f"{n}.png"
        path.write_bytes(export.as_png(WORDS * n, ["#a5decb"] * len(WORDS) * n, "$a_title$"))
        with Image.open(path) as picture:
            sizes.append(picture.size)
    assert sizes[0][0] == sizes[1][0]
    assert sizes[0][1] < sizes[1][1]


def test_words_of_a_picture_stay_on_its_lines():
    places, lines = export._places(["日本"] + ["word"] * 40)
    assert places[:2] == [(0, 0, 4), (0, 5, 4)]
    assert all(column + width <= export.COLUMNS for _, column, width in places)
    assert lines == places[-1][0] + 1


def test_jsonl_is_the_official_line_and_leaves_unread_words_out():
    text = Text("e1", ("a", "b", "c"), {"d": 0}, (0,))
    scores, picked = np.array([1.0, np.nan, 0.5]), np.array([True, True, False])
    record = json.loads(export.as_jsonl(text, "POS", {"POS": 1.0}, scores, picked))
    assert record["annotation_id"] == "e1"
    assert record["classification"] == "POS"
    (rationale,) = record["rationales"]
    assert rationale["hard_rationale_predictions"] == [{"start_token": 0, "end_token": 1}]
    assert rationale["soft_rationale_predictions"] == [1.0, -0.5, 0.5]


def test_words_of_a_file_stand_as_they_do_in_the_text(tmp_path):
    words, after = ("慢", "，", "好", "film", "x"), ["", "", "\n", " ", ""]
    found = export.as_latex(words, ["#ffffff"] * 5, "t", after)
    assert "慢%\n，%\n好\\newline\nfilm\nx%\n\\par}" in found
    places, lines = export._places(words, after)
    assert places == [(0, 0, 2), (0, 2, 2), (0, 4, 2), (1, 0, 4), (1, 5, 1)]
    assert lines == 2
    (tmp_path / "x.png").write_bytes(export.as_png(words, ["#a5decb"] * 5, "t", after))
    with Image.open(tmp_path / "x.png") as picture:
        assert picture.size[1] > 0


def test_jsonl_of_a_typed_text_tells_characters():
    text = Text.of("text", "warm, dull", "punctuation")
    record = json.loads(export.as_jsonl(text, "POS", {"POS": 1.0}, np.ones(3), np.array([True, False, True])))
    assert record["rationales"][0]["word_spans"] == [[0, 4], [4, 5], [6, 10]]


@pytest.mark.parametrize("kind", ["hit", "missed", "extra", ""])
def test_marks_have_a_colour_on_paper(kind):
    assert export.mark_colour(kind).startswith("#")


def test_icon_is_drawn_here():
    assert icon().size == (32, 32)


def test_latex_strikes_out_what_was_taken_out_and_frames_what_is_new():
    text = export.as_latex(("joy", "bo_re", "film"), ["#a5decb"] * 3, "t", None, {0: "out", 1: "new"})
    assert text.splitlines()[1].endswith(r"\usepackage[normalem]{ulem}")
    assert text.splitlines()[3:] == [
        r"\sout{joy}", r"\fbox{\strut bo\_re}", r"\colorbox[HTML]{A5DECB}{\strut film}", r"\par}",
    ]  # fmt: skip
    assert "ulem" not in export.as_latex(("joy",), ["#a5decb"], "t")
