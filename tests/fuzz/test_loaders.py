"""Data sets of every format, spoilt: they load with all their evidence in place, or are refused."""

from __future__ import annotations

import io
import json
import shutil
import tarfile

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from eraser.data.custom.options import ColumnNames, ImportOptions
from eraser.data.custom.read import WHOLE, read_custom
from eraser.data.eraser_format import read_documents
from eraser.data.source import Source
from eraser.data.write_eraser import write_eraser
from eraser.load import load
from tests.fuzz.spoil import JUNK, ODD_TEXT, answer_of, damaged, file_of, fuzz, lines_of, spoilt
from tests.helpers.fuzz.tables import GOLD, TEXTS, filled, tables

DOCS = [{"docid": id, "document": text} for id, text in TEXTS.items()]
POST = {
    "post_id": "p1", "post_tokens": ["you", "fine", "people"],
    "annotators": [{"label": "normal", "annotator_id": 1, "target": ["None"]},
                   {"label": "offensive", "annotator_id": 2, "target": ["Women", "Other"]},
                   {"label": "offensive", "annotator_id": 3, "target": ["Women"]}],
    "rationales": [[0, 1, 1], [0, 0, 1]],
}  # fmt: skip
POSTS = {"p1": POST, "p2": POST | {"post_id": "p2", "rationales": []}}
DIVISIONS = {"train": ["p1"], "val": [], "test": ["p2"]}


def consistent(dataset):
    """Every example has its documents, its evidence inside them, and one mark for each word."""
    assert dataset is not None
    for split in dataset.splits:
        for example in dataset.splits[split]:
            text, truth = dataset.text(example), dataset.truth(example)
            assert truth.n_words == len(text.words) == len(truth.gold) == len(dataset.votes(example))
            assert truth.gold.sum() >= (len(truth.spans) > 0)
            assert all(span.end <= truth.n_words for span in truth.spans)
            assert isinstance(example.id, str)
            assert isinstance(example.label, str)
        dataset.human_share(split)
    assert list(dataset.labels) == sorted(dataset.labels)


def tried(name, path):
    found = answer_of(load, name, path)
    if found is not None:
        consistent(found)


@fuzz(300)
@given(file_of(GOLD))
def test_folders_with_a_file_for_each_document(folder, gold):
    data = folder / "files"
    if not data.exists():
        filled(data, {f"docs/{id}": text.encode() for id, text in TEXTS.items()})
    (data / "test.jsonl").write_bytes(gold)
    tried("x", data)


@fuzz(200)
@given(file_of(GOLD, 1), file_of(DOCS))
def test_folders_with_documents_as_lines(folder, gold, docs):
    tried("x", filled(folder / "lines", {"val.jsonl": gold, "docs.jsonl": docs}))


PLACES = [[0, 3], [5, 9], [10, 14], [14, 15], [17, 20], [21, 26]]
OWN = [
    {"docid": "a", "text": "One  fine film.\n\nTwo words ", "words": PLACES},
    {"docid": "b", "text": " dull", "words": [[1, 5]]},
]


@fuzz(200)
@given(file_of(OWN), file_of([{"words": "punctuation"}]))
def test_texts_beside_documents(folder, texts, cutter):
    files = {"test.jsonl": lines_of(GOLD[:1]), "docs.jsonl": lines_of(DOCS), "texts.jsonl": texts}
    data = filled(folder / "texts", files | {"words.json": cutter})
    found = answer_of(load, "x", data)
    if found is not None:
        consistent(found)
        text, spans = found.text(found.splits["test"][0]).plain
        words = found.documents["a"].words
        assert (
            tuple(text[start:end] for start, end in spans)
            == words
            == tuple("One fine film . Two words".split())
        )


@fuzz(60)
@given(damaged(TEXTS["c"].encode()))
def test_documents_of_any_bytes(folder, text):
    files = {"docs/c": text, "test.jsonl": lines_of(GOLD[2:])}
    tried("x", filled(folder / "bytes", files))


@fuzz(60)
@given(ODD_TEXT)
def test_names_of_documents(folder, name):
    source = Source(filled(folder / "names", {"docs/a": b"a"}))
    found = answer_of(read_documents, source, [name])
    assert found is None or found[name].words == ("a",)


def packed(files: dict[str, bytes], mode: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


ARCHIVED = {"./x/test.jsonl": lines_of(GOLD), "./x/docs.jsonl": lines_of(DOCS)}


@fuzz(100)
@given(st.sampled_from(("w", "w:gz", "w:bz2")).flatmap(lambda mode: damaged(packed(ARCHIVED, mode))))
def test_archives(folder, data):
    (folder / "x.tar.gz").write_bytes(data)
    tried("x", folder / "x.tar.gz")


@fuzz(300)
@given(spoilt(POSTS), spoilt(DIVISIONS, 1), st.none() | file_of([{"text": "a b", "label": "x"}]))
def test_hatexplain(folder, posts, divisions, train):
    files = {"dataset.json": json.dumps(posts), "post_id_divisions.json": json.dumps(divisions)}
    extra = {} if train is None else {"train_text.jsonl": train}
    tried("hatexplain", filled(folder / "posts", {n: t.encode() for n, t in files.items()} | extra))


# A user's own files

SHARES = ((0.8, 0.1, 0.1), (1.0, 0.0, 0.0), (0.5, 0.25, 0.25), (float("nan"), 0, 1), (2, -1, 0))
NAMES = st.one_of(st.none(), st.sampled_from(("id", "text", "rationale", "query", "split", "no")))


@st.composite
def readings(draw):
    """The arguments of Reading."""
    split = draw(st.sampled_from((None, "split")))
    columns = ColumnNames("text", "label", draw(NAMES), draw(NAMES), draw(NAMES), split)
    form = draw(st.sampled_from(("auto", "auto", "chars", "tokens", "marks", "none")))
    marks = draw(st.just(("[[", "]]")) | st.tuples(ODD_TEXT, ODD_TEXT))
    shares = draw(st.sampled_from(SHARES))
    return columns, form, marks, shares, draw(st.integers(-1, 2**32))


def read_and_write(path, how, out):
    """Read a file; what is written of it must read back the same."""
    found = read_custom("own", {WHOLE: path}, ImportOptions(*how))
    shutil.rmtree(out, ignore_errors=True)
    write_eraser(found, out)
    return found


@fuzz(400)
@given(tables(), readings())
def test_own_files(folder, table, how):
    suffix, data = table
    path = folder / f"own{suffix}"
    path.write_bytes(data)
    found = answer_of(read_and_write, path, how, folder / "written")
    if found is None:
        return
    consistent(found)
    again = load("own", folder / "written")
    assert again.labels == found.labels
    assert again.splits.keys() == found.splits.keys()
    for split, examples in found.splits.items():
        for one, other in zip(examples, again.splits[split], strict=True):
            assert (one.id, one.label, one.query or "") == (other.id, other.label, other.query or "")
            assert found.text(one).words == again.text(other).words
            assert np.array_equal(found.truth(one).gold, again.truth(other).gold)


@fuzz(100)
@given(st.sampled_from((".jsonl", ".csv", ".tsv")), st.binary(max_size=40), JUNK)
def test_own_files_of_any_bytes(folder, suffix, data, junk):
    path = folder / f"any{suffix}"
    path.write_bytes(b"text,label\n" + data + lines_of(junk))
    answer_of(read_and_write, path, (), folder / "written")
