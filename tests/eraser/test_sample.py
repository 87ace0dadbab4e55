from __future__ import annotations

import json
from collections import Counter

import pytest

from eraser import Dataset
from eraser.load import SAMPLE, load

SPLITS = ("train", "val", "test")


@pytest.fixture(scope="module")
def sample() -> Dataset:
    return load("sample")


def test_it_loads_without_a_note(sample):
    assert sample.notes == ()
    assert tuple(sample.splits) == SPLITS


def test_it_has_enough_reviews_and_both_classes_everywhere(sample):
    assert sum(map(len, sample.splits.values())) >= 60
    assert len(sample.splits["test"]) >= 30
    for split in SPLITS:
        classes = Counter(e.label for e in sample.splits[split])
        assert set(classes) == {"NEG", "POS"}
        assert min(classes.values()) / max(classes.values()) >= 2 / 3, (split, classes)


def test_every_review_has_40_to_160_words(sample):
    for document in sample.documents.values():
        words = [word for word in document.words if any(c.isalnum() for c in word)]
        assert 40 <= len(words) <= 160, document.id


def test_every_example_is_one_review_with_two_spans_or_more(sample):
    for split in SPLITS:
        for example in sample.splits[split]:
            assert example.doc_ids == (example.id,)
            assert len(example.evidence) >= 2, example.id
            assert not sample.truth(example).gold.all(), example.id


def test_no_two_spans_of_a_review_overlap(sample):
    for split in SPLITS:
        for example in sample.splits[split]:
            assert sum(len(e.span) for e in example.evidence) == sample.truth(example).gold.sum(), example.id


def test_the_text_of_evidence_is_the_documents_own_in_the_sentences_it_names(sample):
    for split in SPLITS:
        for line in (SAMPLE / f"{split}.jsonl").read_text(encoding="utf-8").splitlines():
            for group in json.loads(line)["evidences"]:
                for piece in group:
                    document = sample.documents[piece["docid"]]
                    start, end = piece["start_token"], piece["end_token"]
                    assert " ".join(document.words[start:end]) == piece["text"]
                    starts = [*document.sentence_starts, len(document.words)]
                    assert starts[piece["start_sentence"]] <= start
                    assert end <= starts[piece["end_sentence"]]


def test_no_sentence_is_in_two_splits(sample):
    seen = {
        split: {" ".join(s) for e in sample.splits[split] for s in sample.documents[e.id].sentences}
        for split in SPLITS
    }
    for a, b in (("train", "val"), ("train", "test"), ("val", "test")):
        assert not seen[a] & seen[b]


def test_ids_and_documents_belong_to_one_split_and_every_document_to_some(sample):
    ids = Counter(e.id for split in SPLITS for e in sample.splits[split])
    doc_ids = Counter(d for split in SPLITS for e in sample.splits[split] for d in e.doc_ids)
    assert set(ids.values()) == set(doc_ids.values()) == {1}
    assert set(doc_ids) == {file.name for file in (SAMPLE / "docs").iterdir()}


def test_no_two_reviews_are_the_same(sample):
    assert len({d.words for d in sample.documents.values()}) == len(sample.documents)
