"""What a model's answer quotes: JSON in every dress, and lists of lines."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rationale.explanations.quotes.answers import KEYS, MOST_ANSWER, read_answer

LIST, JSON, AMONG = "a list of quotes", "JSON", "JSON among other text"
MENDED, LINES = "JSON that was repaired", "numbered or bulleted lines"


@pytest.mark.parametrize(
    ("value", "quotes", "how"),
    [
        (["dull", " no plot "], ["dull", "no plot"], LIST),
        ({"label": "NEG", "quotes": ["dull", "slow"]}, ["dull", "slow"], LIST),
        ([{"quote": "dull"}, {"quote": "slow"}], ["dull", "slow"], LIST),
        ({"Label": "NEG", "Quotes": ["dull"]}, ["dull"], LIST),
        ({"quotes": None}, [], LIST),
        ([], [], LIST),
        ('[{"rationales": "dull"}, {"rationales": "slow"}]', ["dull", "slow"], JSON),
        ('{"label": "NEG", "quotes": [{"text": "dull"}]}', ["dull"], JSON),
        ('```json\n["dull"]\n```', ["dull"], JSON),
        ('```\n{"quotes": "dull"}```\n', ["dull"], JSON),
        ('"dull"', ["dull"], JSON),
        ('<think>Is it ["slow"]?\n</think>\n["dull"]', ["dull"], JSON),
        ('Is it ["slow"]?</think>["dull"]', ["dull"], JSON),
        ('Sure! Here it is:\n```json\n{"quotes": ["dull"]}\n```\nAnything else?', ["dull"], AMONG),
        ('The [sic] film: ["dull"] as asked', ["dull"], AMONG),
        ('[{"quotes": "dull",}, {"quotes": "slow",},]', ["dull", "slow"], MENDED),
        ('[{"quotes": "dull"}, {"quotes": "slow"}', ["dull", "slow"], MENDED),
        ('{"quotes": ["dull", "slow"', ["dull", "slow"], MENDED),
        ('[{"quotes": "dull", "quotes": "slow"]', ["dull", "slow"], MENDED),
        ('{"quotes": ["a , ] b",]}', ["a , ] b"], MENDED),
        ('1. dull\n2) "no plot" because nothing happens\n(3) **slow**', ["dull", "no plot", "slow"], LINES),
        ("Reasons:\n- dull\n* “no plot”\n• it's slow", ["dull", "no plot", "it's slow"], LINES),
    ],
)
def test_passages_are_read_in_order_and_how_is_told(value, quotes, how):
    found = read_answer(value)
    assert (list(found.quotes), found.how) == (quotes, how)


@pytest.mark.parametrize(
    "more", [{"text": "A warm, moving film."}, {"reason": "It says warm."}, {"Words": 2}]
)
def test_what_else_an_object_says_is_no_passage(more):
    for answer in ({**more, "label": "POS", "quotes": ["warm"]}, {"quotes": ["warm"], **more}):
        assert read_answer(json.dumps(answer)).quotes == ("warm",)
    assert read_answer({**more, "quotes": []}).quotes == ()


def test_a_key_that_json_has_twice_loses_nothing():
    assert read_answer('{"quotes": "dull", "quotes": "slow"}').quotes == ("dull", "slow")


def test_only_fields_for_passages_are_read_and_other_entries_counted():
    found = read_answer('[{"quotes": "dull", "why": "no fun"}, {"qoutes": "slow"}, 3, null, " "]')
    assert (found.quotes, found.without_quote) == (("dull",), 4)
    assert read_answer('{"mine": "dull", "quotes": "slow"}', "mine").quotes == ("dull",)
    assert read_answer('{"quotes": "slow"}', "mine") is None


@pytest.mark.parametrize(
    "value",
    [
        None,
        5,
        "The film is dull.",
        "",
        {"label": "NEG", "zitate": ["dull"]},
        '[{"qoutes": "dull"}]',
        'Sure: {"qoutes": "dull"',
        "3",
        '<think>Is it ["dull"]?',
        '["dull"] or ["slow"]',  # which is meant?
        '[{"quotes": "theater","smile"}]',
        '[{"quotes": "the word "dull" is"}]',
        '{"quotes": ["dull", "slo',  # the last passage is not whole
        "[" * 5000,
        '["dull"' + " " * MOST_ANSWER,
    ],
)
def test_what_is_in_no_known_form_is_not_read(value):
    assert read_answer(value) is None


@pytest.mark.parametrize("hard", ['"\\"', "[{", "```\n ", '[,"', "- ** ", '{"a":', "<think>", "</think>"])
def test_an_answer_that_is_made_to_take_long_does_not(hard):
    """A reader that looks again from every place would not end: the answer is as long as answers may be."""
    read_answer(hard * (MOST_ANSWER // len(hard)))


texts = st.text(min_size=1).filter(lambda t: t.strip())
forms = st.sampled_from([
    lambda quotes: quotes,
    lambda quotes: json.dumps(quotes),
    lambda quotes: json.dumps({"label": "A", "quotes": quotes}, ensure_ascii=False),
    lambda quotes: "Well:\n" + json.dumps([{"quote": q} for q in quotes]) + "\nDone.",
    lambda quotes: "```json\n" + json.dumps(quotes, indent=2) + "\n```",
    lambda quotes: json.dumps([{"quote": q} for q in quotes])[:-1] + ",]",
    lambda quotes: json.dumps({"quotes": quotes})[:-2],
])  # fmt: skip


@given(st.lists(texts, min_size=1, max_size=5), forms)
def test_whatever_is_quoted_comes_back(quotes, form):
    assert list(read_answer(form(quotes)).quotes) == [quote.strip() for quote in quotes]


def test_every_key_is_known():
    assert all(read_answer(json.dumps([{key: "dull"}])).quotes == ("dull",) for key in KEYS)


def test_lists_inside_lists_without_end_are_not_read():
    value = ["dull"]
    for _ in range(5000):
        value = [value]
    assert read_answer(value) is None
    assert read_answer({"quotes": value}) is None
