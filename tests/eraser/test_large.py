"""Folders read from disk as they are used give what those held in memory give."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import eraser.data.on_disk
from eraser import Dataset, InputError
from eraser.data.on_disk import Examples
from eraser.load import load
from tests.helpers.eraser.annotations import annotation, at, json_lines, make
from tests.helpers.paths import data

DOCS = [{"docid": "d1", "document": "A film .\nNot dull ."}, {"docid": "d2", "document": "Great fun !"}]


@pytest.fixture
def large(monkeypatch):
    """Everything is large."""
    monkeypatch.setattr(eraser.data.on_disk, "LARGE", 0)


def held(dataset: Dataset) -> Dataset:
    """The same in memory, with the documents that examples need."""
    splits = {split: tuple(examples) for split, examples in dataset.splits.items()}
    wanted = {d for examples in splits.values() for e in examples for d in e.doc_ids}
    return replace(dataset, documents={d: dataset.documents[d] for d in wanted}, splits=splits)


def both(folder):
    """The folder read in both ways: a data set, or what is wrong with it."""
    found = []
    for limit in (2**30, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(eraser.data.on_disk, "LARGE", limit)
            try:
                found.append(load("tiny", folder))
            except InputError as error:
                found.append(str(error))
    return found


def with_docs_jsonl(tmp_path, docs=DOCS, **splits):
    folder = make(tmp_path, {}, **splits)
    (folder / "docs").rmdir()
    (folder / "docs.jsonl").write_text(json_lines(docs))
    return folder


@pytest.mark.parametrize("kind", ["docs", "docs.jsonl"])
def test_what_is_read_as_it_is_used_is_what_memory_would_hold(tmp_path, kind):
    rows = [
        annotation("e1", evidences=[[at("d1", 1, 2), at("d1", 3, 3)]]),
        annotation("e2", docids=["d2", "d1"], query="Fun ?"),
    ]
    write = make if kind == "docs" else with_docs_jsonl
    folder = write(tmp_path, train=rows, test=[annotation("e3", evidences=[[at("d2", 0, 2)]], docids=None)])
    eager, lazy = both(folder)
    assert isinstance(lazy.splits["train"], Examples)
    assert held(lazy) == eager
    assert (lazy.labels, lazy.query_matters) == (eager.labels, eager.query_matters)
    assert lazy.human_share("train") == eager.human_share("train")
    assert sorted(lazy.documents) == ["d1", "d2"] == sorted(eager.documents)
    assert len(lazy.documents) == 2
    assert "d3" not in lazy.documents
    for split, examples in eager.splits.items():
        for example, other in zip(examples, lazy.splits[split], strict=True):
            assert lazy.text(other) == eager.text(example)
            assert lazy.truth(other).gold.tolist() == eager.truth(example).gold.tolist()


def test_a_slice_is_read_as_it_is_used_too(tmp_path, large):
    found = load("tiny", make(tmp_path, test=[annotation(f"e{i}") for i in range(9)])).splits["test"]
    assert [e.id for e in found[2:6][1:]] == ["e3", "e4", "e5"]
    assert found[-1].id == "e8"
    assert isinstance(found[:3], Examples)
    with pytest.raises(IndexError):
        found[9]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["movies", "multirc", "hatexplain_eraser"])
def test_real_data_are_the_same(name, tmp_path):
    import tarfile

    with tarfile.open(data(name)) as archive:
        archive.extractall(tmp_path, filter="data")
    (folder,) = {path.parent for path in tmp_path.rglob("test.jsonl")}
    eager, lazy = both(folder)
    picked = np.random.default_rng(0).permutation(len(eager.splits["test"]))[:50]
    assert lazy.notes == eager.notes
    for i in picked.tolist():
        one, other = eager.splits["test"][i], lazy.splits["test"][i]
        assert one == other
        assert eager.text(one) == lazy.text(other)


names = st.sampled_from(["d1", "d2", "d3", "../d1", ""])
spans = st.builds(at, names, st.integers(-1, 3), st.integers(0, 9))
records = st.fixed_dictionaries(
    {
        "annotation_id": st.one_of(st.sampled_from(["e1", "e2", "e3", "e4"]), st.none()),
        "classification": st.sampled_from(["POS", "NEG", "POS", 1]),
        "docids": st.one_of(st.none(), st.lists(names, max_size=2)),
        "evidences": st.lists(st.lists(spans, max_size=2), max_size=2),
        "query": st.one_of(st.none(), st.sampled_from(["a", "b"])),
    }
)
lines = st.one_of(
    records.map(json.dumps), records.map(json.dumps), st.sampled_from(["", " ", "{", "[]", '"x"', "\x85"])
)


@given(st.lists(lines, max_size=5), st.booleans(), st.sampled_from(["\n", "\r\n"]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_wrong_is_told_alike(tmp_path_factory, rows, in_jsonl, end):
    """The first fault alone where documents are missing: one way looks for them last."""
    write = with_docs_jsonl if in_jsonl else make
    eager, lazy = both(write(tmp_path_factory.mktemp("set"), test=end.join(rows)))
    if isinstance(eager, Dataset):
        assert held(lazy) == eager
    else:
        assert isinstance(lazy, str)
        if not any(what in eager + lazy for what in ("readable file", "this docid", "inside the data set")):
            assert set(eager.splitlines()) <= set(lazy.splitlines())


def test_every_document_that_is_not_there_is_told_once(tmp_path, large):
    rows = [annotation("e1", docids=["d9"]), annotation("e2", docids=["d8"]), annotation("e3", docids=["d9"])]
    folder = with_docs_jsonl(tmp_path, test=rows)
    with pytest.raises(InputError) as caught:
        load("tiny", folder)
    told = f"{folder}/docs.jsonl: {{}}: no line with this docid"
    assert str(caught.value) == "\n".join(told.format(d) for d in ("d9", "d8"))


def test_two_names_of_one_hash_are_two_names(tmp_path, large, monkeypatch):
    monkeypatch.setattr(eraser.data.on_disk, "_hash", lambda name: 7)
    rows = [annotation("e1", docids=["d2"]), annotation("e2", docids=["d1"])]
    found = load("tiny", with_docs_jsonl(tmp_path, test=rows))
    assert [found.text(e).words[0] for e in found.splits["test"]] == ["Great", "A"]
    assert "d3" not in found.documents


def test_of_two_documents_with_one_id_the_last_counts(tmp_path):
    again = [*DOCS, {"docid": "d1", "document": "Another film"}]
    for found in both(with_docs_jsonl(tmp_path, again, test=[annotation()])):
        assert found.documents["d1"].words == ("Another", "film")


def test_an_id_given_twice_is_told_with_its_line(tmp_path, large):
    folder = make(tmp_path, test=[annotation("e1"), annotation("e2"), annotation("e1"), annotation("e1")])
    with pytest.raises(InputError) as caught:
        load("tiny", folder)
    told = f"{folder}/test.jsonl:{{}}: expected a new annotation_id string, got 'e1'"
    assert str(caught.value).splitlines() == [told.format(3), told.format(4)]


@pytest.mark.parametrize("fields", [{"classification": None}, {"id": "e"}])
def test_faults_end_at_a_hundred(tmp_path, large, fields):
    folder = make(tmp_path, test=[annotation(**({"id": f"e{i}"} | fields)) for i in range(300)])
    with pytest.raises(InputError) as caught:
        load("tiny", folder)
    assert len(caught.value.faults) == 100


def test_a_mark_at_the_beginning_of_a_file_is_no_part_of_it(tmp_path):
    folder = with_docs_jsonl(tmp_path, test=[annotation()])
    for file in folder.glob("*.jsonl"):
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    for found in both(folder):
        assert found.documents["d1"].words == ("A", "film", ".", "Not", "dull", ".")


def test_a_byte_that_is_no_utf8_is_told_with_its_line(tmp_path, large):
    folder = make(tmp_path, test=json.dumps(annotation()).encode() + b"\n\xe9")
    with pytest.raises(InputError, match=r"test\.jsonl:2: expected UTF-8 text, got 'utf-8' codec"):
        load("tiny", folder)


def test_a_file_that_was_changed_meanwhile_is_told(tmp_path, large):
    folder = make(tmp_path, test=[annotation("e1"), annotation("e2")])
    found = load("tiny", folder)
    (folder / "test.jsonl").write_text(json_lines([annotation("e3"), annotation("e4")]))
    with pytest.raises(InputError, match=r"test\.jsonl: the file changed while it was in use"):
        _ = found.splits["test"][1]
    (folder / "test.jsonl").unlink()
    with pytest.raises(InputError, match=r"test\.jsonl: the file cannot be read any more: No such file"):
        _ = found.splits["test"][1]


def test_a_lone_carriage_return_is_told(tmp_path, large):
    folder = make(tmp_path, test=json_lines([annotation("e1"), annotation("e2")]).replace("\n", "\r"))
    with pytest.raises(InputError) as caught:
        load("tiny", folder)
    told = "expected lines of a large file that end in LF or CR LF, got CR"
    assert str(caught.value) == f"{folder}/test.jsonl:1: {told}"


@pytest.mark.parametrize("write", [make, with_docs_jsonl])
def test_what_is_read_as_it_is_used_can_be_compared_and_sent(tmp_path, large, write):
    folder = write(tmp_path, test=[annotation("e1"), annotation("e2")])
    found = load("tiny", folder)
    assert found == found  # noqa: PLR0124
    assert found != load("tiny", folder)  # as two open files are
    assert len({found.documents, found.splits["test"]}) == 2
    sent = pickle.loads(pickle.dumps(found))
    assert held(sent) == held(found)
    assert repr(load("tiny", folder).splits) == repr(found.splits)
    assert str(folder) in repr(found.documents)
