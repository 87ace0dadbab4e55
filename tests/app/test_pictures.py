"""Cards and animations of a highlighted text."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from rationale_viewer.view import html
from rationale_viewer.view.picture import animation, card
from rationale_viewer.view.picture.card import Box, Card, Label, as_png, as_svg, laid_out

from rationale.templates.palette import BAR, GONE, PAPER, shade

WORDS = ("A", "warm", "<b>film</b>", "&", "日本", "\x07bell", "x" * 300)
CARD = Card("POS 0.982", "movies · survivors", WORDS, [1, 8, -3, 0, 2, 0, 4], speaks="POS")
KEPT = np.array([[True] * 7, [False, True, True] + [False] * 4, [False, True] + [False] * 5])


def test_every_word_is_on_the_card_in_its_colour_and_inside_it():
    layout = laid_out(CARD)
    labels = {item.text: item for item in layout.items if isinstance(item, Label)}
    assert {"POS 0.982", "movies · survivors", "speaks for POS", "speaks against POS", *WORDS[:5]} <= set(
        labels
    )
    colours = [item.colour for item in layout.items if isinstance(item, Box)]
    assert colours[:3] == [shade(1).light, shade(8).light, shade(-3).light]
    for item in labels.values():
        assert item.x >= 0
        assert item.x + item.width <= card.WIDTH - card.MARGIN + 1
        assert item.y < layout.height


def test_a_text_that_runs_from_right_to_left_begins_at_the_right():
    words = ("שלום", "לכם", "film")
    plain = [laid_out(Card("POS", "m", w, [8, 0, 0], speaks="POS")).items for w in (words, words[::-1])]
    (first, second, third), begin = (
        [next(i for i in items if isinstance(i, Label) and i.text == w) for w in words] for items in plain
    )
    assert first.x + first.width == pytest.approx(card.WIDTH - card.MARGIN)
    assert first.x > second.x + second.width > second.x > third.x + third.width
    assert begin[2].x == card.MARGIN  # by its first word this one runs from left to right
    box = next(i for i in plain[0] if isinstance(i, Box))
    assert (box.x, box.width) == pytest.approx((first.x - card.PAD / 2, first.width + card.PAD))


def test_words_beyond_the_last_line_are_counted():
    layout = laid_out(Card("POS", "m", ["word"] * 2000, [1] * 2000))
    shown = [i.text for i in layout.items if isinstance(i, Label)]
    (rest,) = [text for text in shown if text.startswith("… and ")]
    assert rest == f"… and {2000 - shown.count('word')} more words"


def test_one_word_beyond_the_last_line_is_one_word():
    fitting = texts(["word"] * 2000).count("word")
    assert texts(["word"] * (fitting + 1)).count("… and 1 more word") == 1


def texts(words):
    return [i.text for i in laid_out(Card("POS", "m", words, [1] * len(words))).items if isinstance(i, Label)]


@pytest.mark.parametrize("speaks", ["POS", "a label of many words that leaves the foot no room"])
def test_the_foot_never_stands_on_the_legend(speaks):
    items = laid_out(Card("POS", "m", ["word"] * 2000, [1] * 2000, speaks=speaks, foot="layer 3 of 6")).items
    foot = next(i for i in items if isinstance(i, Label) and i.text == "layer 3 of 6")
    others = [i for i in items if isinstance(i, Label) and i is not foot and abs(i.y - foot.y) < card.SMALL]
    assert all(i.x + i.width <= foot.x for i in others)
    assert len(others) == (2 if speaks == "POS" else 0)


def test_words_that_a_layer_dropped_are_pale():
    layout = laid_out(Card("POS", "m", ("a", "b"), [8, 8], kept=np.array([True, False])))
    words = {i.text: i.colour for i in layout.items if isinstance(i, Label)}
    assert words["b"] == GONE.light != words["a"]
    violet, boxes = shade(8, signed=False).light, [i for i in layout.items if isinstance(i, Box)]
    assert [box.colour for box in boxes].count(violet) == 2  # word, legend


def test_words_that_were_taken_out_are_struck_out_and_new_ones_framed():
    marks = {0: "out", 1: "new"}
    layout = laid_out(Card("NEG", "m", ("joy", "bore", "film"), [8, 8, 0], marks=marks))
    words = {i.text: i for i in layout.items if isinstance(i, Label)}
    boxes = [i for i in layout.items if isinstance(i, Box) and i.y < words["joy"].y + 30]
    line, frame, inside = sorted(boxes, key=lambda box: box.x)
    assert (line.x, line.y, line.width) == (words["joy"].x, words["joy"].y, words["joy"].width)
    assert [b.colour for b in (line, frame, inside)] == [GONE.light, BAR.light, PAPER.light]
    assert words["joy"].colour == GONE.light != words["bore"].colour
    as_png(Card("NEG", "m", ("joy", "bore"), [8, 8], marks=marks))


def test_a_legend_says_the_same_as_the_page():
    said = [i.text for i in laid_out(Card("NEG", "m", ("a",), [1])).items if isinstance(i, Label)]
    assert said[-1] == "the stronger, the more it counts, for or against"
    assert said[-1] in html.score_legend(None)


def test_svg_is_xml_without_markup_of_others_and_as_large_as_the_png():
    root = ElementTree.fromstring(as_svg(CARD))
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert names == {"svg", "title", "rect", "g", "text"}
    assert "<b>film</b>" in [e.text for e in root.iter() if e.tag.endswith("text")]
    with Image.open(BytesIO(as_png(CARD))) as picture:
        assert picture.size == (int(root.get("width")), int(root.get("height")))
        assert picture.size >= (1200, 630)


@pytest.mark.parametrize("make", [animation.as_gif, animation.as_webp])
def test_an_animation_has_a_frame_for_each_layer(make):
    with Image.open(BytesIO(make(CARD, KEPT))) as moving:
        assert moving.n_frames == len(KEPT)
        assert moving.size == (600, laid_out(CARD).height // 2)


def test_frames_tell_how_many_words_are_left():
    feet = [frame.foot for frame in animation.frames(CARD, KEPT)]
    assert feet == ["7 words go in", "layer 1 of 2: 2 of 7 words", "layer 2 of 2: 1 of 7 words"]


def test_the_animated_page_has_no_script_and_fades_each_word_after_its_last_layer():
    body = html.highlighted(WORDS, np.ones(7), [("p",)] * 7)
    page = animation.as_html("<title>", body, html.score_legend(None), KEPT)
    assert "<script" not in page
    assert "http" not in page
    assert "&lt;title&gt;" in page
    first, second = page.index("@keyframes f0"), page.index("@keyframes f1")
    assert '.w[data-i="0"],.w[data-i="3"]' in page[first:second]
    assert '.w[data-i="2"]{animation:f1 ' in page[second:]
    assert '.w[data-i="1"]' not in page.split("</style>")[0]  # is kept to the end
    assert "prefers-reduced-motion" in page
