"""Texts of any characters on the viewer's pages and in the report: they are read as text, never as markup."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from rationale_viewer.view import html

from rationale.explanation import Explanation
from rationale.report.page import Cell, Column
from rationale.templates import fragment
from tests.fuzz.spoil import Tried, fuzz

TAGS = {"div", "span", "bdi", "i", "b", "table", "caption", "tr", "th", "td", "p", "small"}
EVENTS = ("on", "href", "src", "srcdoc", "formaction")
WORDS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=12) | st.sampled_from((
    "<script>", "</span>", "&lt;", "&amp;lt;", "&#60;", '"', "'", "' onload='x", '" onload="x', "<!--", "-->",
    "<![CDATA[", "]]>", "<?php", "{{ x }}", "{% x %}", "{0}", "%(x)s", "\u2028", "</style>", "<a href=x>",
    "javascript:x", "&", "<", ">", "&nbsp", "&notit;",
))  # fmt: skip
SCORES = st.sampled_from((0.0, 1.0, -1.0, 0.25, -1e-9, 1e30, float("nan")))


class Reader(HTMLParser):
    """Tags, attributes and text, as a browser reads them."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.bare: list[str] = []  # the text right in each element
        self.open: list[int] = []
        self.others: list[str] = []  # comments and declarations
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self.bare.append("")
        if tag not in ("meta", "img", "br", "input"):
            self.open.append(len(self.tags) - 1)

    def handle_endtag(self, tag):
        assert self.tags[self.open.pop()] == tag

    def handle_data(self, data):
        if self.open:
            self.bare[self.open[-1]] += data

    def handle_comment(self, data):
        self.others.append(data)

    handle_decl = handle_pi = unknown_decl = handle_comment

    def all(self, tag):
        return [text for name, text in zip(self.tags, self.bare, strict=True) if name == tag]

    def values(self, attribute):
        return [value for name, value in self.attributes if name == attribute]


def read(markup):
    """Read a part of a page that may hold no more than the known tags, and nothing that runs."""
    Tried.inputs += 1
    Tried.answers += 1
    reader = Reader(str(markup))
    assert set(reader.tags) <= TAGS
    assert not reader.others
    assert not [name for name, _ in reader.attributes if name.startswith(EVENTS)]
    return reader


@st.composite
def texts(draw):
    words = draw(st.lists(WORDS, min_size=1, max_size=6))
    n = len(words)
    scores = np.array(draw(st.lists(SCORES, min_size=n, max_size=n)))
    masks = [np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n))) for _ in "ab"]
    return words, scores, *masks


@fuzz(150)
@given(texts())
def test_highlighted(text):
    words, scores, kept, _ = text
    reader = read(html.highlighted(words, scores, [(w, w) for w in words], kept, {0: "out"}))
    assert reader.all("bdi") == words
    told = reader.values("title")
    assert all(t.startswith(f"{w} · ") for t, w in zip(told, words, strict=True))
    ends = ["taken out", *((f"pieces {w} | {w}", "not read by the model") for w in words[1:])]
    assert all(t.endswith(end) for t, end in zip(told, ends, strict=True))


@fuzz(100)
@given(texts(), st.lists(WORDS, min_size=1, max_size=3, unique=True))
def test_stacked(text, methods):
    words, scores, kept, _ = text
    reader = read(html.stacked(words, dict.fromkeys(methods, scores), kept, {0: "out"}))
    assert reader.all("bdi") == words
    assert all(f"{m} " in title for title in reader.values("title") for m in methods)
    legend = read(html.stack_legend(methods)).all("span")
    assert legend[1:] == [f" {m}" for m in methods]


@fuzz(100)
@given(texts())
def test_marked(text):
    words, _, gold, picked = text
    reader = read(html.marked(words, gold, picked, words))
    assert reader.all("bdi") == words
    assert reader.values("title") == [f"{w} · {w}" for w in words]


@fuzz(150)
@given(st.lists(WORDS, min_size=1, max_size=5, unique=True))
def test_labels_notes_and_facts(labels):
    first, last = labels[0], labels[-1]
    shown = read(html.probabilities(dict.fromkeys(labels, 0.5), dict.fromkeys(labels, 0.25), first))
    assert shown.all("th") == labels
    assert shown.values("aria-label") == [first]
    assert read(html.verdict(first, 0.5)).all("b") == [first]
    judged = read(html.judgement(first, last, labels))
    assert judged.all("b")[0] == first
    assert judged.all("small") == [f"about {label}" for label in labels]
    assert read(html.note(first)).all("p") == [first]
    assert read(html.plain(first)).all("p") == [first]
    assert read(html.facts([(w, w, w) for w in labels])).all("small") == labels
    assert f"speaks for {first}" in "".join(read(html.score_legend(first, fading=True)).bare)


@fuzz(60)
@given(WORDS)
def test_a_page(title):
    Tried.inputs += 1
    Tried.answers += 1
    reader = Reader(str(html.page(title, html.plain(title))))
    assert reader.all("title") == [title]
    assert reader.all("p") == [title]
    assert reader.tags == ["html", "head", "meta", "title", "meta", "style", "body", "p"]


@fuzz(150)
@given(texts(), WORDS, WORDS)
def test_an_explanation(text, label, target):
    words, scores, *_ = text
    found = Explanation(tuple(words), scores, label, {label: 0.5, target: 0.5}, target, target)
    reader = read(found._repr_html_())
    assert reader.all("b") == [label]
    *legend, shown = reader.all("span")[: -len(words)], reader.all("span")[-len(words) :]
    assert legend in ([[]], [[f"for {target}", "against"]], [["counts more"]])
    # a template's line ends stand after each word, which may itself end in some
    assert [t.removesuffix("\n") for t in shown] == words or [t.rstrip("\n") for t in shown] == [
        w.rstrip("\n") for w in words
    ]


@fuzz(100)
@given(WORDS, st.lists(WORDS, min_size=1, max_size=3), WORDS)
def test_a_comparison(title, columns, legend):
    values = {"title": title, "pairs": [(title, columns, [columns])], "legend": legend}
    reader = read(fragment("comparison.html", **values))
    assert reader.all("th") == reader.all("td") == columns
    assert reader.all("caption") == [title]
    assert [t.rstrip("\n") for t in reader.all("p")] == [t.rstrip("\n") for t in (title, legend)]


def report_of(word):
    """The values of a report, every text of them the same."""
    facts = {
        "settings": {"dataset": word, "split": word, "model": word, word: (word, word)}, "examples": 1,
        "with_human_evidence": 1, "words": 1, "words_unread": 1, "device": word, "notes": [word],
        "intervals": word, "budgets": [word], "versions": {word: word},
    }  # fmt: skip
    ranking = {"value": 0.5, "low": 0.25, "high": 0.75, "n": 1, "better": "higher", "left_out": 0,
               "tied": False, "rank": word, "method": word, "below_random": False}  # fmt: skip
    item = {"example": {"id": word}, "truth": {"label": word}}
    example = {
        "item": item,
        "number": 0.5,
        "predicted": word,
        "rows": [(word, 0.5, [(word, "hit"), (word, "")])],
    }
    section, picture = {"title": word, "number": word, "examples": [example]}, (word, "AAAA")
    return {
        "facts": facts, "model": word, "right": [(word, 1)], "explained": [word], "budget": word,
        "length": f"all {word}",
        "verdict": [word], "more": [word], "methods": [word],
        "columns": [Column(word, word, {word: Cell(word, word)})],
        "rankings": [(word, word, [ranking])], "first": picture, "costs": picture,
        "figures": {"agreement": (word, "AAAA", word)}, "drawn": [word], "inside": True,
        "wrong": section, "apart": [section],
        "examples": section, "annotators": [(word, word, [word], [{word: word}])], "command": word,
    }  # fmt: skip


@fuzz(60)
@given(WORDS)
def test_a_report(word):
    Tried.inputs += 1
    Tried.answers += 1
    reader = Reader(fragment("report.html", **report_of(word)))
    plain = Reader(fragment("report.html", **report_of("plain")))
    assert reader.tags == plain.tags
    assert [name for name, _ in reader.attributes] == [name for name, _ in plain.attributes]
    assert [t for t in reader.others if not t.lower().startswith("doctype")] == []
    assert word in "".join(reader.all("title"))
    names = ("tradeoff", "cost", "agreement")
    assert reader.values("alt") == [f"{name}: {word}" for name in names]
