from __future__ import annotations

from dataclasses import replace

import pytest

from eraser import Dataset, Document, Evidence, Example, InputError, Span
from eraser.data.evidence_only import evidence_only

D = Document("d", (("a", "b", "c"), ("d", "e")))


def group(*spans):
    return frozenset(Evidence("d", Span(*s)) for s in spans)


MARKED = Example("m", ("d",), "yes", "why?", frozenset({group((1, 2)), group((3, 5))}), (group((1, 2)),))
BARE = Example("b", ("d",), "no", "who?")


def test_texts_are_their_marked_words_and_all_of_them_is_evidence():
    found = evidence_only(Dataset("x", {"d": D}, {"train": (MARKED, BARE)}, ("kept",), "file"))
    (example,) = found.splits["train"]
    assert found.documents[example.doc_ids[0]].sentences == (("b",), ("d", "e"))
    assert found.truth(example).gold.tolist() == [True] * 3
    assert (example.id, example.label, example.query, example.annotators) == ("m", "yes", "why?", ())
    assert found.notes == ("kept", "train: 1 texts without evidence left out")
    assert (found.name, found.source) == ("x", "file")


def test_touching_and_overlapping_marks_are_one_run():
    one = replace(MARKED, gold=frozenset({group((0, 2), (2, 3)), group((1, 4))}))
    found = evidence_only(Dataset("x", {"d": D}, {"train": (one,)}))
    assert found.documents["m"].sentences == (("a", "b", "c", "d"),)


def test_several_documents_of_one_text_are_read_in_order():
    other = Document("o", (("f", "g"),))
    gold = frozenset({frozenset({Evidence("o", Span(1, 2)), Evidence("d", Span(0, 1))})})
    both = Example("m", ("d", "o"), "yes", None, gold)
    found = evidence_only(Dataset("x", {"d": D, "o": other}, {"train": (both,)}))
    assert found.documents["m"].words == ("a", "g")


def test_a_split_without_evidence_is_refused():
    with pytest.raises(InputError, match="file: no example of val has evidence"):
        evidence_only(Dataset("x", {"d": D}, {"train": (MARKED,), "val": (BARE,)}, source="file"))


def test_the_sample_reduces(sample):
    found = evidence_only(sample)
    for split, examples in found.splits.items():
        before = {e.id: e for e in sample.splits[split]}
        for e in examples:
            assert len(found.text(e).words) == sample.truth(before[e.id]).gold.sum() > 0
