"""What a tokenizer may take of time and memory: by how it is made, or else in a process that may die."""

from __future__ import annotations

import json
import re

import pytest

from eraser import Text
from rationale.hf.classifier import SHIPPED, load_tokenizer
from rationale.text import tokenizer_trial as trial
from rationale.text.encode import Encoder
from rationale.text.tokenizer_bounds import PATTERNS, unbounded
from tests.helpers.refusals import refusal

GREEDY = {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}
DOUBLING = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
TWICE = {"type": "Sequence", "normalizers": [DOUBLING] * 40}


@pytest.fixture
def folder(tmp_path, tokenizer):
    """A tokenizer's folder, with parts of its file replaced."""

    def make(**parts):
        tokenizer.save_pretrained(tmp_path / "t")
        file = tmp_path / "t" / "tokenizer.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | parts))
        return tmp_path / "t"

    return make


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(trial, "SECONDS", 3.0)
    monkeypatch.setattr(trial, "MEMORY", 2**30)


def texts(string):
    return [Text("t", (string,), {"d": 0}, (0,))]


def test_all_kinds_of_published_tokenizers_are_bounded_by_themselves(all_kinds, monkeypatch):
    monkeypatch.setattr(trial, "run", None)  # nothing is tried elsewhere
    for name, found in all_kinds.items():
        assert trial.Trial(found.backend_tokenizer).reason is None, name
        assert unbounded(json.loads(found.backend_tokenizer.to_str())) is None, name
        found_windows = Encoder(found, 64).encode(texts("a warm film"))
        assert found_windows[0][0].has_words
    assert trial.Trial(load_tokenizer(SHIPPED).backend_tokenizer).reason is None


def test_a_pattern_that_takes_exponential_time_is_refused_with_the_texts(folder, quick, monkeypatch):
    at = folder(pre_tokenizer=GREEDY)
    found = Encoder(load_tokenizer(at), 64)  # it reads short texts
    remedy = (
        "(nothing bounds it: a pre_tokenizer Split '(a+)+$'; use a tokenizer without it, or shorter texts)"
    )
    line = refusal(found.encode, texts(("a" * 22 + "!") * 5_000))
    assert line == f"{at}: the tokenizer needs more than 4 s for this text {remedy}"
    monkeypatch.setattr(trial, "SECONDS", 300.0)  # a busy machine takes its time
    line = refusal(found.encode, texts("a" * 60 + "!"))  # that many tries the engine itself refuses
    assert line.startswith(f"{at}: the tokenizer fails on this text: 'pyo3_runtime.Panic")
    assert found.encode(texts("a warm film"))[0][0].has_words


def test_forty_doublings_are_refused_when_it_is_loaded(folder, quick):
    at = folder(normalizer=TWICE)
    line = refusal(load_tokenizer, at)
    assert line.startswith(f"{at}/tokenizer.json: the tokenizer needs more than ")
    assert line.endswith(
        " (nothing bounds it: a normalizer Replace 'a'; use a tokenizer without it, or shorter texts)"
    )
    assert re.search(r"more than (1 GiB|3 s) for these 3 texts ", line)


def test_what_is_tried_elsewhere_and_is_well_reads_the_same(folder, tokenizer):
    odd = {"type": "Split", "pattern": {"Regex": r"(?<=\w)-(?=\w)"}, "behavior": "Isolated", "invert": False}
    usual = {"type": "BertPreTokenizer"}
    at = folder(pre_tokenizer={"type": "Sequence", "pretokenizers": [odd, usual]})
    found = Encoder(load_tokenizer(at), 64)
    assert found._trial.reason == "a pre_tokenizer Split " + repr(odd["pattern"]["Regex"])
    (windows,), (plain,) = (
        found.encode(texts("a warm-ish film")),
        Encoder(tokenizer, 64).encode(texts("a warm-ish film")),
    )
    assert windows[0].ids.tolist() == plain[0].ids.tolist()


def test_a_file_that_is_no_tokenizer_is_told_by_who_tried(folder):
    at = folder(pre_tokenizer={"type": "Unheard"})
    line = refusal(load_tokenizer, at)
    assert line.startswith(f"{at}/tokenizer.json: the tokenizer fails on these 3 texts: ")


def test_a_text_longer_than_any(folder, monkeypatch):
    monkeypatch.setattr(trial, "LONGEST_TEXT", 10)
    found = Encoder(load_tokenizer(folder()), 64)
    assert refusal(found.encode, texts("a" * 11)) == "expected texts of at most 10 characters, got 11"


def replaces(pattern, content):
    return {"normalizer": {"type": "Replace", "pattern": pattern, "content": content}}


MODEL = {"type": "BPE", "vocab": {"a": 0}, "merges": []}
TEMPLATE = {"type": "TemplateProcessing", "pair": [], "special_tokens": {}}
ONE = {"Sequence": {"id": "A", "type_id": 0}}
CASES = [
    ({}, None),
    (replaces({"String": " "}, "▁"), None),
    (replaces({"String": ""}, ""), "a normalizer Replace ''"),
    (replaces({"String": "a"}, "aa"), "a normalizer Replace 'a'"),
    (replaces({"Regex": " {2,}"}, "▁"), None),
    (replaces({"Regex": " {2,}"}, "▁▁"), "a normalizer Replace ' {2,}'"),
    (replaces({"Regex": "(a|a)*b"}, ""), "a normalizer Replace '(a|a)*b'"),
    ({"normalizer": {"type": "Sequence", "normalizers": [{"type": "ByteLevel"}] * 2}},
     "2 steps in its normalizer"),
    ({"normalizer": {"type": "Sequence", "normalizers": [{"type": "Strip"}] * 33}},
     "33 steps in its normalizer"),
    ({"normalizer": {"type": "Prepend", "prepend": "x" * 1001}}, "a normalizer Prepend"),
    ({"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAAAGFhAA=="}}, None),
    ({"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAAA" + "GFh" * 40 + "AA=="}},
     "a normalizer Precompiled"),
    ({"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "x+x+y"}}}, "a pre_tokenizer Split 'x+x+y'"),
    ({"decoder": {"type": "Replace", "pattern": {"Regex": "(a{999}){999}"}}},
     "a decoder Replace '(a{999}){999}'"),
    ({"post_processor": {**TEMPLATE, "single": [ONE]}}, None),
    ({"post_processor": {**TEMPLATE, "single": [ONE, ONE]}}, "a post_processor TemplateProcessing"),
    ({"model": {"type": "WordPiece", "vocab": {}, "max_input_chars_per_word": 10**9}},
     "words of up to 1000000000 characters"),
    ({"model": {"type": "Unigram", "vocab": [["a" * 1001, 0.0]]}}, "a piece of 1001 characters"),
    ({"model": {"type": "Other"}}, "a model Other"),
    ({"model": None}, "no model"),
]  # fmt: skip


@pytest.mark.parametrize(("parts", "found"), CASES)
def test_what_bounds_a_tokenizer_and_what_does_not(parts, found):
    assert unbounded({"model": MODEL, **parts}) == found


def test_patterns_are_linear():
    """Each reads a text twenty times as long, of one kind of character, in far less than its square."""
    from tokenizers import Regex, pre_tokenizers

    for pattern in PATTERNS:
        cut = pre_tokenizers.Split(Regex(pattern), "isolated")
        for text in ("a", "A", " ", "\n", " \n", "1", "中", "!", "a ", "'"):
            assert "".join(p for p, _ in cut.pre_tokenize_str(text * 20_000 + "x")) == text * 20_000 + "x"
