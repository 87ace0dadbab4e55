from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from rationale_viewer.view import html

from rationale.templates.palette import STEPS

NASTY = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "&amp;", "'", "שלום", "مرحبا",
    "👩\u200d💻", "\u202eevil", "a\u200db", "${x}", "{0}", "{}", "%s", "</style>", "javascript:alert(1)",
)  # fmt: skip
TAGS = {"div", "span", "bdi", "i", "b", "table", "tr", "th", "td", "p", "small", "style"}
ATTRIBUTES = {"class", "data-i", "title", "style", "scope", "aria-label", "role", "dir"}


class Reader(HTMLParser):
    """What a browser would make of it: tags, attributes, the text of words."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.inside = False

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.inside = tag == "bdi"
        if self.inside:
            self.words.append("")

    def handle_endtag(self, tag):
        self.inside = False if tag == "bdi" else self.inside

    def handle_data(self, data):
        if self.inside:
            self.words[-1] += data


def read(markup):
    reader = Reader()
    reader.feed(str(markup))
    reader.close()
    return reader


def scores(n):
    return np.linspace(-1, 1, n)


def all_of(words):
    n = len(words)
    pieces = [(w,) for w in words]
    gold = np.arange(n) % 2 == 0
    return {
        "highlighted": html.highlighted(words, scores(n), pieces, gold, {0: "out"}),
        "stacked": html.stacked(words, {w: scores(n) for w in words[:4]}, gold, {1: "new"}),
        "marked": html.marked(words, gold, np.arange(n) % 3 == 0, words),
        "stack_legend": html.stack_legend(words[:4]),
        "probabilities": html.probabilities(dict.fromkeys(words, 0.5), dict.fromkeys(words, 0.4), words[1]),
        "verdict": html.verdict(words[0], 0.5),
        "judgement": html.judgement(words[0], words[1], words),
        "predicted_labels": html.predicted_labels(words),
        "number": html.number(words[0], 0.5, 0.25),
        "plain": html.plain(" ".join(words)),
        "note": html.note(" ".join(words)),
        "facts": html.facts([(w, w, w) for w in words]),
    }


@pytest.mark.parametrize("name", all_of(NASTY))
def test_no_text_becomes_markup(name):
    reader = read(all_of(NASTY)[name])
    assert set(reader.tags) <= TAGS
    assert {a for a, _ in reader.attributes} <= ATTRIBUTES
    styles = [v for a, v in reader.attributes if a == "style"]
    assert all(re.fullmatch(r"width:\d+\.\d%", v) for v in styles)


@pytest.mark.parametrize("name", ["highlighted", "stacked", "marked"])
def test_words_arrive_as_they_were(name):
    assert read(all_of(NASTY)[name]).words == list(NASTY)


def test_what_is_told_arrives_as_it_was():
    body = html.highlighted(NASTY, scores(len(NASTY)), [(w,) for w in NASTY])
    titles = [value for name, value in read(body).attributes if name == "title"]
    assert all(t.startswith(f"{w} · score ") and t.endswith(f"pieces {w}")
               for t, w in zip(titles, NASTY, strict=True))  # fmt: skip


def test_a_page_escapes_its_title_and_keeps_its_body():
    page = str(html.page(NASTY[0], html.plain("x")))
    assert "<script" not in page
    assert "http" not in page
    assert page.count("<p") == 1


def test_ten_thousand_words():
    words = [f"w{i}" for i in range(10_000)]
    reader = read(html.highlighted(words, np.zeros(10_000), [("p",)] * 10_000))
    assert reader.words == words


def test_steps_scale_to_the_strongest_and_leave_unread_words_bare():
    assert html.steps(np.array([1.0, -0.5, 0.0, np.nan, 1e-9])) == [STEPS, -STEPS // 2, 0, 0, 1]
    assert html.steps(np.zeros(2)) == [0, 0]
    assert html.steps(np.array([])) == []


def test_words_that_are_gone_fade_and_those_taken_out_are_struck():
    body = str(
        html.highlighted(["a", "b", "c"], np.ones(3), [("a",)] * 3, np.array([True, False, True]), {2: "out"})
    )
    assert re.findall(r'class="w ([^"]*)"', body) == ["p8", "gone", "out"]


def test_probabilities_show_change_from_before():
    body = str(html.probabilities({"NEG": 0.25, "POS": 0.75}, {"NEG": 0.5, "POS": 0.5}))
    assert re.findall(r'<td class="n">([^<]*)</td>', body) == ["0.250", "-0.250", "0.750", "+0.250"]
    assert '<tr class="top"><th scope="row">POS' in body


def test_marks_differ_in_more_than_hue():
    underlines = re.findall(r"\.(hit|missed|extra) \{[^}]*border-bottom: 2px (\w+)", html.STYLE)
    assert dict(underlines) == {"hit": "solid", "missed": "dashed", "extra": "dotted"}


def test_a_hit_looks_the_same_in_both_panes():
    gold, selected = np.array([True, True, False]), np.array([True, False, True])
    annotators = str(html.marked("abc", gold, selected, shown=("hit", "missed")))
    model = str(html.marked("abc", gold, selected, shown=("hit", "extra")))
    assert re.findall(r'class="w ([^"]*)"', annotators) == ["hit", "missed", ""]
    assert re.findall(r'class="w ([^"]*)"', model) == ["hit", "", "extra"]


def test_scores_without_a_sign_have_a_hue_and_a_legend_of_their_own():
    body = str(html.highlighted(["a", "b"], np.array([1.0, 0.5]), [("a",), ("b",)], signed=False))
    assert re.findall(r'class="w ([^"]*)"', body) == ["u8", "u4"]
    both = {"attention": np.array([1.0]), "lime": np.array([-1.0])}
    bars = str(html.stacked(["a"], both, unsigned=["attention"]))
    assert re.findall(r'<i class="([^"]*)"', bars) == ["u8", "n8"]
    assert 'title="a · attention +1 · lime -1"' in bars
    unread = html.stacked(["a"], both | {"lime": np.array([np.nan])})
    assert 'title="a · attention +1 · lime no score"' in unread
    legend = str(html.score_legend("POS", unsigned=["attention"]))
    assert re.findall(r"</span> ([^<]+)", legend) == [
        "speaks for POS", "speaks against POS", "the stronger, the more it counts, for or against (attention)"
    ]  # fmt: skip
    alone = str(html.score_legend(None))
    assert re.findall(r"</span> ([^<]+)", alone) == ["the stronger, the more it counts, for or against"]


def test_styles_fetch_nothing():
    for style in (html.STYLE, str(html.framed()), html.PAGE_STYLE):
        assert "url(" not in style
        assert "@import" not in style


def test_words_stand_as_they_do_in_the_text():
    words, after = ("慢", "，", "好", "film", ",", "x"), ["", "", "\n", "", "  \t", "\u200b"]
    for body in (
        html.highlighted(words, scores(6), [(w,) for w in words], after=after),
        html.marked(words, np.ones(6, bool), np.zeros(6, bool), after=after),
    ):
        shown = re.sub(r"<(?!br)[^>]*>", "", str(body))
        assert shown == "慢，好<br>film, x"
    assert " <span" not in str(html.highlighted(words, scores(6), [(w,) for w in words], after=[""] * 6))


def test_no_line_ends_before_a_sign_that_closes():
    drawn = html.highlighted(
        ("so", "(", "dull", ")", ",", "no"), np.zeros(6), [()] * 6, after=[" ", "", "", "", " ", ""]
    )
    runs = re.findall(r'<span class="tied">(.*?</span>)</span>', drawn)
    assert [re.findall("<bdi>(.*?)</bdi>", run) for run in runs] == [["(", "dull", ")", ","]]


@pytest.mark.parametrize(
    ("words", "way"),
    [
        (("שלום", "film", "!"), "rtl"),
        (("3", "…", "مرحبا"), "rtl"),
        (("film", "שלום"), "ltr"),
        (("3", "!"), "ltr"),
    ],
)
def test_words_stand_in_the_direction_of_their_text(words, way):
    """Words are boxes: where those run left to right the first stands at the left, whatever its script."""
    n = len(words)
    marks = np.ones(n, bool), np.zeros(n, bool)
    for body in (
        html.highlighted(words, scores(n), None),
        html.highlighted(words, scores(n), None, after=[" "] * n),
        html.stacked(words, {"lime": scores(n)}),
        html.marked(words, *marks),
    ):
        assert re.findall('<div class="text[^"]*" dir="(...)">', body) == [way]
    assert '<p class="text" dir="auto">' in html.plain(" ".join(words))
