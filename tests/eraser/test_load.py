from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import eraser.data.source
from eraser import Dataset, Document, Evidence, Example, InputError, Span
from eraser.load import load
from tests.helpers.eraser.annotations import DOCS, annotation, at, json_lines, make
from tests.helpers.paths import data


def gold(*groups: list[tuple[str, int, int]]) -> frozenset[frozenset[Evidence]]:
    return frozenset(frozenset(Evidence(d, Span(a, b)) for d, a, b in group) for group in groups)


def pack(folder: Path, prefix: str, mode: str = "w:gz") -> Path:
    """Write the folder's files, and its folders, as an archive whose names begin with `prefix`."""
    path = folder.parent / "tiny.tar.gz"
    with tarfile.open(path, mode) as archive:
        for file in sorted(folder.rglob("*")):
            archive.add(file, prefix + str(file.relative_to(folder)), recursive=False)
    return path


def only(dataset: Dataset, split: str = "test") -> Example:
    (example,) = dataset.splits[split]
    return example


def refused(path: Path, *lines: str, **options: Any) -> None:
    """Loading is refused with just these lines; {} in one stands for the path."""
    text = "\n".join(re.escape(line.replace("{}", str(path))) for line in lines)
    with pytest.raises(InputError, match=rf"^{text}\Z"):
        load("tiny", path, **options)


# What is read


def test_a_folder_becomes_documents_and_examples(tmp_path):
    evidences = [[at("d1", 0, 2), at("d2", 1, 3)], [at("d1", 3, 5)]]
    folder = make(
        tmp_path,
        train=[annotation("e1", docids=["d2", "d1"], evidences=evidences)],
        test=[annotation("e2", classification="NEG"), annotation("e3", query=None)],
    )
    groups = gold([("d1", 0, 2), ("d2", 1, 3)], [("d1", 3, 5)])
    found = load("tiny", folder)
    assert found == Dataset(
        "tiny",
        {
            "d1": Document("d1", (("A", "film", "."), ("Not", "dull", "."))),
            "d2": Document("d2", (("Great", "fun", "!"),)),
        },
        {
            "train": (Example("e1", ("d2", "d1"), "POS", "Good ?", groups),),
            "test": (Example("e2", ("d1",), "NEG", "Good ?"), Example("e3", ("d1",), "POS", None)),
        },
        ("test: 2 examples without evidence",),
    )
    assert found.source == str(folder)
    assert found.truth(only(found, "train")).spans == {Span(3, 5), Span(1, 3), Span(6, 8)}


def test_only_documents_that_an_example_needs_are_read(tmp_path):
    assert list(load("tiny", make(tmp_path, test=[annotation(docids=["d2"])])).documents) == ["d2"]


def test_docs_jsonl_keeps_empty_words_where_docs_drops_them(tmp_path):
    text = " A  film \n\nNot dull\n"
    folder = make(tmp_path, {"d1": text}, test=[annotation()])
    assert load("tiny", folder).documents["d1"].sentences == (("A", "film"), ("Not", "dull"))
    (folder / "docs.jsonl").write_text(json_lines([{"docid": "d1", "document": text}]))
    sentences = load("tiny", folder).documents["d1"].sentences
    assert sentences == (("A", "", "film"), ("",), ("Not", "dull"), ("",))


def test_a_multirc_query_is_kept_as_question_and_answer(tmp_path):
    rows = [annotation("e1", query="Who ? || Ann"), annotation("e2", query="Who ? || Bob")]
    found = load("tiny", make(tmp_path, test=rows))
    assert [found.text(e).query for e in found.splits["test"]] == ["Who ? || Ann", "Who ? || Bob"]


@pytest.mark.parametrize("fields", [{"docids": None}, {"docids": []}, {}])
def test_without_docids_the_evidence_names_the_documents(tmp_path, fields):
    row = annotation(evidences=[[at("d2", 0, 1)], [at("d1", 0, 1), at("d1", 2, 3)]])
    row = {k: v for k, v in row.items() if k != "docids"} | fields
    assert only(load("tiny", make(tmp_path, test=[row]))).doc_ids == ("d1", "d2")


def test_evidence_without_words_names_its_document_too(tmp_path):
    found = load("tiny", make(tmp_path, test=[annotation(docids=None, evidences=[[at("d2", 1, 1)]])]))
    assert only(found) == Example("e1", ("d2",), "POS", "Good ?")


@pytest.mark.parametrize("evidences", [None, [], [[]], [None]])
def test_without_docids_and_evidence_the_id_names_the_document(tmp_path, evidences):
    found = load("tiny", make(tmp_path, test=[annotation("d1", docids=None, evidences=evidences)]))
    assert only(found) == Example("d1", ("d1",), "POS", "Good ?")
    assert found.notes == ("test: 1 examples without evidence",)


def test_a_document_named_twice_is_read_once(tmp_path):
    found = load("tiny", make(tmp_path, test=[annotation(docids=["d2", "d1", "d2"])]))
    assert only(found).doc_ids == ("d2", "d1")


def test_zero_length_spans_are_left_out_with_a_note(tmp_path):
    evidences = [[at("d1", 2, 2), at("d1", 0, 2)], [at("d1", 9, 9)], [at("d1", 4, 5)]]
    found = load("tiny", make(tmp_path, test=[annotation(evidences=evidences)]))
    assert only(found).gold == gold([("d1", 0, 2)], [("d1", 4, 5)])
    assert found.notes == ("test: 2 zero-length evidence spans left out",)


def test_a_span_may_end_with_its_document_and_cross_sentences(tmp_path):
    found = load("tiny", make(tmp_path, test=[annotation(evidences=[[at("d1", 2, 6)]])]))
    assert only(found).gold == gold([("d1", 2, 6)])


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_end_ends_a_sentence_and_an_annotation(tmp_path, end):
    lines = json_lines([annotation("e1"), annotation("e2")]).replace("\n", end)
    folder = make(tmp_path, {"d1": f"A film .{end}{end}Not dull .{end}"}, test=lines)
    found = load("tiny", folder)
    assert found.documents["d1"].sentences == (("A", "film", "."), ("Not", "dull", "."))
    assert [e.id for e in found.splits["test"]] == ["e1", "e2"]


@pytest.mark.parametrize("line_end", ["\u2028", "\x85", "\x0b", "\x0c"])
def test_other_line_ends_are_part_of_a_word(tmp_path, line_end):
    folder = make(
        tmp_path, {"d1": f"A fi{line_end}lm"}, test=json.dumps(annotation(query="é"), ensure_ascii=False)
    )
    assert load("tiny", folder).documents["d1"].sentences == (("A", f"fi{line_end}lm"),)


def test_a_line_separator_inside_json_does_not_end_the_annotation(tmp_path):
    row = json.dumps(annotation(query="Good\u2028or bad ?"), ensure_ascii=False)
    assert only(load("tiny", make(tmp_path, test=row))).query == "Good\u2028or bad ?"


def test_words_are_cut_at_the_space_only(tmp_path):
    words = ("😀", "👩‍👩‍👧", "e\u0301te\u0301", "10\u00a0000", "a\tb", "ﬁlm", "\u200b")
    evidences = [[at("d1", 3, 5)]]
    folder = make(tmp_path, {"d1": f"\u00a0 {'  '.join(words)} \t"}, test=[annotation(evidences=evidences)])
    found = load("tiny", folder)
    assert found.documents["d1"].words == words
    assert found.truth(only(found)).gold.tolist() == [False] * 3 + [True] * 2 + [False] * 2


def test_splits_asked_for_are_those_read(tmp_path):
    folder = make(tmp_path, train=[annotation("e1")], val=[annotation("e2")], test="not read, so not refused")
    assert list(load("tiny", folder, ["train"]).splits) == ["train"]
    assert list(load("tiny", folder, iter(["val", "train"])).splits) == ["val", "train"]


@pytest.mark.parametrize("prefix", ["", "./", "movies/", "./movies/", "erasers/movies/"])
@pytest.mark.parametrize("mode", ["w:gz", "w"])
def test_an_archive_is_read_like_its_folder(tmp_path, prefix, mode):
    rows = [annotation("e1", evidences=[[at("d1", 1, 2)]]), annotation("d2", docids=None)]
    folder = make(tmp_path, train=rows, test=[annotation("e3", docids=["d2"])])
    assert load("tiny", pack(folder, prefix, mode)) == load("tiny", folder)


def test_an_archive_with_docs_jsonl_is_read_like_its_folder(tmp_path):
    folder = make(tmp_path, {}, test=[annotation()])
    (folder / "docs.jsonl").write_text(json_lines([{"docid": "d1", "document": "A\n\nfilm"}]))
    found = load("tiny", pack(folder, "movies/"))
    assert found == load("tiny", folder)
    assert found.documents["d1"].words == ("A", "", "film")


# What is refused


def test_a_folder_that_is_not_there(tmp_path):
    refused(tmp_path / "nowhere", "{}: no such data set folder or .tar.gz archive")


def test_a_folder_without_splits(tmp_path):
    expected = "no train.jsonl, val.jsonl or test.jsonl (nor HateXplain's dataset.json); "
    expected += "`rationale data import` makes such a folder of tables and annotation exports"
    refused(make(tmp_path), "{}: " + expected)


def test_splits_that_are_not_there(tmp_path):
    folder = make(tmp_path, train=[annotation()])
    lines = ["{}/test.jsonl: no such file", "{}/val.jsonl: no such file"]
    refused(folder, *lines, splits=["val", "train", "test"])
    refused(folder, *lines, splits=iter(["val", "test"]))


def test_a_line_of_broken_json(tmp_path):
    folder = make(tmp_path, test=json.dumps(annotation()) + '\n\n{"annotation_id": "e2",\n')
    error = "Expecting property name enclosed in double quotes: line 1 column 24 (char 23)"
    refused(folder, "{}/test.jsonl:3: expected one JSON object, got " + error)


def test_a_line_nested_beyond_all_measure(tmp_path):
    with pytest.raises(InputError, match=r"test\.jsonl:1: expected one JSON object, got .*recursion"):
        load("tiny", make(tmp_path, test="[" * 200_000))


def test_a_number_of_too_many_digits(tmp_path):
    with pytest.raises(InputError, match=r"test\.jsonl:1: expected one JSON object, got .*5000 digits"):
        load("tiny", make(tmp_path, test='{"annotation_id": ' + "1" * 5000 + "}"))


@pytest.mark.parametrize("line", ["[1, 2]", '"a string"', "null", "3"])
def test_a_line_that_is_no_object(tmp_path, line):
    got = repr(json.loads(line))
    refused(make(tmp_path, test=line), "{}/test.jsonl:1: expected one JSON object, got " + got)


def test_an_id_given_twice_in_a_split(tmp_path):
    folder = make(tmp_path, test=[annotation("e1"), annotation("e2"), annotation("e1")])
    refused(folder, "{}/test.jsonl:3: expected a new annotation_id string, got 'e1'")


@pytest.mark.parametrize("id", [None, True, 7.5, ["e1"]])
def test_an_id_that_is_no_string(tmp_path, id):
    folder = make(tmp_path, test=[annotation(id)])
    refused(folder, f"{{}}/test.jsonl:1: expected a new annotation_id string, got {id}")


def test_an_id_of_two_lines_is_still_named_on_one(tmp_path):
    folder = make(tmp_path, test=[annotation("e\n1", classification=True)])
    refused(folder, "{}/test.jsonl:1: e 1: expected a classification string, got True")


def test_no_classification(tmp_path):
    row = annotation()
    del row["classification"]
    folder = make(tmp_path, val=[annotation("e2", classification=True)], test=[row])
    refused(
        folder,
        "{}/val.jsonl:1: e2: expected a classification string, got True",
        "{}/test.jsonl:1: e1: expected a classification string, got None",
    )


def test_a_query_that_is_no_string(tmp_path):
    folder = make(tmp_path, test=[annotation(query=["Good ?"])])
    refused(folder, "{}/test.jsonl:1: e1: expected a query string or null, got ['Good ?']")


@pytest.mark.parametrize("doc_id", ["d9", "", "d\0", "\ud800", "d" * 300])
def test_a_document_that_is_not_there(tmp_path, doc_id):
    folder = make(tmp_path, test=[annotation(docids=[doc_id])])
    with pytest.raises(InputError, match=r"tiny/docs.*: the file is missing or cannot be read$"):
        load("tiny", folder)
    with pytest.raises(InputError, match=r"tiny\.tar\.gz/docs.*: the file is missing or cannot be read$"):
        load("tiny", pack(folder, "tiny/"))


def test_documents_that_docs_jsonl_does_not_have(tmp_path):
    folder = make(tmp_path, {}, test=[annotation(docids=["d1", "d9", "d5"])])
    (folder / "docs.jsonl").write_text(json_lines([{"docid": "d1", "document": "A film"}]))
    refused(
        folder,
        "{}/docs.jsonl: d5: no line with this docid",
        "{}/docs.jsonl: d9: no line with this docid",
    )


def test_a_line_of_docs_jsonl_without_a_text(tmp_path):
    folder = make(tmp_path, {}, test=[annotation()])
    (folder / "docs.jsonl").write_text(json_lines([{"docid": "d1", "document": ["A", "film"]}]))
    got = "{'docid': 'd1', 'document': ['A', 'film']}"
    refused(folder, '{}/docs.jsonl:1: expected "docid" and "document" strings, got ' + got)


@pytest.mark.parametrize("docids", [None, "d1", ["d1", 2], {"d1": 1}])
def test_no_list_of_docids_and_no_evidence(tmp_path, docids):
    folder = make(tmp_path, test=[annotation(docids=docids)])
    got = [] if docids is None else docids
    refused(folder, f"{{}}/test.jsonl:1: e1: expected docids or evidence that names a document, got {got!r}")


def test_a_span_that_ends_outside_its_document(tmp_path):
    folder = make(tmp_path, test=[annotation(docids=["d1", "d2"], evidences=[[at("d2", 2, 4)]])])
    refused(folder, "{}/test.jsonl:1: e1: expected a span inside d2 (3 words), got 2:4")


def test_evidence_in_a_document_of_another_example(tmp_path):
    rows = [annotation("e1", evidences=[[at("d2", 0, 1)]]), annotation("e2", docids=["d2"])]
    folder = make(tmp_path, test=rows)
    refused(folder, "{}/test.jsonl:1: e1: expected evidence in one of its docids ['d1'], got 'd2'")


@pytest.mark.parametrize(
    ("start", "end"), [(3, 1), (-1, 2), (0, None), ("0", "1"), (0.0, 1.0), (False, True)]
)
def test_a_span_reversed_or_not_of_whole_numbers(tmp_path, start, end):
    folder = make(tmp_path, test=[annotation(evidences=[[at("d1", start, end)]])])
    expected = "{}/test.jsonl:1: e1: expected a docid and 0 <= start_token <= end_token, got "
    refused(folder, expected + repr(at("d1", start, end)))


def test_a_span_without_document(tmp_path):
    folder = make(tmp_path, test=[annotation(evidences=[[{"start_token": 0, "end_token": 1}]])])
    expected = "{}/test.jsonl:1: e1: expected a docid and 0 <= start_token <= end_token, got "
    refused(folder, expected + repr(at(None, 0, 1)))


@pytest.mark.parametrize("evidences", [5, "d1", {"docid": "d1"}, [5], [{"docid": "d1"}]])
def test_evidences_that_are_no_list_of_lists(tmp_path, evidences):
    folder = make(tmp_path, test=[annotation(evidences=evidences)])
    refused(folder, f"{{}}/test.jsonl:1: e1: expected evidences as a list of lists, got {evidences!r}")


def test_a_piece_of_evidence_that_is_no_object(tmp_path):
    folder = make(tmp_path, test=[annotation(evidences=[["d1"]])])
    refused(folder, "{}/test.jsonl:1: e1: expected an evidence object, got 'd1'")


def test_annotations_that_are_not_utf8(tmp_path):
    folder = make(tmp_path, test=b'{"annotation_id": "caf\xe9"}\n')
    error = "'utf-8' codec can't decode byte 0xe9 in position 22: invalid continuation byte"
    refused(folder, "{}/test.jsonl: expected UTF-8 text, got " + error)


def test_a_document_that_is_not_utf8(tmp_path):
    folder = make(tmp_path, test=[annotation()])
    (folder / "docs" / "d1").write_bytes(b"A \xff film")
    error = "'utf-8' codec can't decode byte 0xff in position 2: invalid start byte"
    refused(folder, "{}/docs/d1: expected UTF-8 text, got " + error)


def test_faults_of_all_lines_and_splits_are_reported_at_once(tmp_path):
    train = [annotation("e1"), annotation("e1"), annotation("e2", classification=None)]
    val = json_lines([annotation("e3", evidences=[[at("d1", 2, 1)]])]) + "{\n"
    test = [annotation("e4", evidences=[[at("d2", 0, 1)]])]
    folder = make(tmp_path, train=train, val=val, test=test)
    error = "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"
    refused(
        folder,
        "{}/train.jsonl:2: expected a new annotation_id string, got 'e1'",
        "{}/train.jsonl:3: e2: expected a classification string, got None",
        "{}/val.jsonl:1: e3: expected a docid and 0 <= start_token <= end_token, got " + repr(at("d1", 2, 1)),
        "{}/val.jsonl:2: expected one JSON object, got " + error,
        "{}/test.jsonl:1: e4: expected evidence in one of its docids ['d1'], got 'd2'",
    )


def test_all_spans_outside_their_documents_are_reported_at_once(tmp_path):
    rows = [annotation("e1", evidences=[[at("d1", 5, 7)], [at("d1", 8, 9)]]), annotation("e2", docids=["d2"])]
    folder = make(tmp_path, train=rows, test=[annotation("e3", docids=["d2"], evidences=[[at("d2", 0, 99)]])])
    refused(
        folder,
        "{}/train.jsonl:1: e1: expected a span inside d1 (6 words), got 5:7",
        "{}/train.jsonl:1: e1: expected a span inside d1 (6 words), got 8:9",
        "{}/test.jsonl:1: e3: expected a span inside d2 (3 words), got 0:99",
    )


def test_faults_are_kept_apart_for_a_program(tmp_path):
    folder = make(tmp_path, test=[annotation("e1", query=1)])
    with pytest.raises(InputError, match="expected a query string or null, got 1") as caught:
        load("tiny", folder)
    (fault,) = caught.value.faults
    assert (fault.file, fault.line, fault.id) == (str(folder / "test.jsonl"), 1, "e1")
    assert (fault.expected, fault.got) == ("a query string or null", "1")


def test_a_file_that_is_no_archive(tmp_path):
    path = tmp_path / "tiny.tar.gz"
    path.write_text("<html>404</html>")
    with pytest.raises(
        InputError, match=r"/tiny\.tar\.gz: expected a readable tar archive, got file could not"
    ):
        load("tiny", path)


def archive_of_noise(tmp_path: Path) -> bytes:
    """Bytes that do not compress, so that cutting and turning bits hit the files and not their names."""
    noise = np.random.default_rng(0).integers(97, 123, 200_000, dtype=np.uint8).tobytes().decode()
    return pack(make(tmp_path, {"d1": noise}, test=[annotation()]), "tiny/").read_bytes()


def test_an_archive_that_ends_early(tmp_path):
    path = tmp_path / "cut.tar.gz"
    path.write_bytes(archive_of_noise(tmp_path)[:50_000])
    with pytest.raises(InputError, match=r"/cut\.tar\.gz: expected a readable tar archive, got .*end"):
        load("tiny", path)


@pytest.mark.parametrize("percent", range(5, 100, 5))
@pytest.mark.parametrize("stretch", [b"\x00", b"\xff"])
def test_an_archive_with_a_damaged_stretch(tmp_path, percent, stretch):
    """Damage shows as a broken stream, as a wrong checksum, or as an archive that seems to end early."""
    damaged = bytearray(archive_of_noise(tmp_path))
    where = len(damaged) * percent // 100
    damaged[where : where + 64] = stretch * 64
    path = tmp_path / "damaged.tar.gz"
    path.write_bytes(damaged)
    with pytest.raises(InputError, match=r"/damaged\.tar\.gz: expected a readable tar archive, got \S"):
        load("tiny", path)


def test_an_archive_of_another_kind_of_compressed_file(tmp_path):
    path = tmp_path / "tiny.tar.gz"
    path.write_bytes(gzip.compress(b"no archive inside"))
    with pytest.raises(InputError, match=r"/tiny\.tar\.gz: expected a readable tar archive, got \S"):
        load("tiny", path)


def test_an_archive_without_splits(tmp_path):
    expected = "no train.jsonl, val.jsonl or test.jsonl (nor HateXplain's dataset.json); "
    expected += "`rationale data import` makes such a folder of tables and annotation exports"
    refused(pack(make(tmp_path), "tiny/"), "{}: " + expected)


def test_faults_in_an_archive_name_the_file_in_it(tmp_path):
    path = pack(make(tmp_path, test=[annotation(classification=None)]), "tiny/")
    refused(path, "{}/test.jsonl:1: e1: expected a classification string, got None")


def test_an_archive_that_unpacks_to_too_much(tmp_path, monkeypatch):
    monkeypatch.setattr(eraser.data.source, "MAX_BYTES", 1000)
    folder = make(tmp_path, DOCS | {"d3": "word " * 1000}, test=[annotation()])
    refused(pack(folder, ""), "{}: the archive unpacks to more than 1000 bytes")


def test_links_in_an_archive_are_not_followed(tmp_path):
    path = pack(make(tmp_path, {}, test=[annotation()]), "", "w")
    (tmp_path / "outside").write_text("A film")
    with tarfile.open(path, "a") as archive:
        link = tarfile.TarInfo("docs/d1")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "outside")
        archive.addfile(link, io.BytesIO())
    refused(path, "{}/docs/d1: the file is missing or cannot be read")


# The real data: the numbers are those of the table in its README

REAL = {
    # examples, classes, spans, groups, documents, mean and most words, share, words in a span
    "movies": {
        "train": (1600, {"NEG": 800, "POS": 800}, 13878, 13878, 1600, 773.3, 2809, 0.093, 7.701),
        "val": (200, {"NEG": 100, "POS": 100}, 1517, 1517, 200, 761.5, 1880, 0.072, 6.561),
        "test": (199, {"NEG": 100, "POS": 99}, 2067, 199, 199, 795.0, 2122, 0.314, 23.187),
    },
    "multirc": {
        "train": (4806, {"False": 2658, "True": 2148}, 11298, 4806, 396, 302.7, 618, 0.172, 21.239),
        "val": (3214, {"False": 1762, "True": 1452}, 7498, 3214, 56, 296.3, 562, 0.185, 22.844),
        "test": (4848, {"False": 2773, "True": 2075}, 11286, 4848, 83, 293.1, 490, 0.178, 21.448),
    },
    "hatexplain_eraser": {
        "train": (3267, {"hatespeech": 1740, "offensive": 1527}, 4863, 3267, 3267, 23.4, 165, 0.409, 6.139),
        "val": (1141, {"hatespeech": 593, "offensive": 548}, 1717, 1141, 1141, 23.4, 55, 0.411, 6.154),
        "test": (1142, {"hatespeech": 594, "offensive": 548}, 1699, 1142, 1142, 23.5, 54, 0.392, 5.982),
    },
}
NOTES = {
    "movies": ("train: 1 examples without evidence", "test: 20 zero-length evidence spans left out"),
    "multirc": (),
    "hatexplain_eraser": (),
}


def described(dataset: Dataset, split: str, zero_length: int) -> tuple[Any, ...]:
    examples = dataset.splits[split]
    doc_ids = {d for e in examples for d in e.doc_ids}
    lengths = [len(dataset.documents[d].words) for d in doc_ids]
    spans = [e.span for example in examples for e in example.evidence]
    n_spans, n_words = len(spans) + zero_length, sum(map(len, spans))
    share = sum(dataset.truth(e).gold.mean() for e in examples) / len(examples)
    return (
        len(examples),
        Counter(e.label for e in examples),
        n_spans,
        sum(len(e.gold) for e in examples),
        len(doc_ids),
        round(sum(lengths) / len(lengths), 1),
        max(lengths),
        round(share, 3),
        round(n_words / n_spans, 3),
    )


@pytest.mark.parametrize("name", list(REAL))
def test_real_data_has_the_documented_counts(name):
    dataset = load(name, data(name))
    assert dataset.notes == NOTES[name]
    zero_length = {("movies", "test"): 20}
    assert {s: described(dataset, s, zero_length.get((name, s), 0)) for s in dataset.splits} == REAL[name]
    assert dataset.query_matters is (name == "multirc")


@pytest.mark.parametrize("docid", ["../../secret", "..", "a/../../../secret"])
def test_a_document_outside_the_data_set_is_refused(tmp_path, docid):
    (tmp_path / "secret").write_text("do not read")
    folder = make(tmp_path, test=[annotation(docids=[docid])])
    refused(folder, f"{folder}: expected a file inside the data set, got 'docs/{docid}'")


@pytest.mark.parametrize("field", ["annotation_id", "query", "classification"])
def test_a_lone_surrogate_is_refused(tmp_path, field):
    folder = make(tmp_path, test=[annotation() | {field: "\ud800"}])
    with pytest.raises(InputError, match=r"test.jsonl:1: .* text without lone surrogates, got '.ud800'"):
        load("tiny", folder)


def test_an_id_longer_than_a_name_of_a_file_is_a_fault_of_its_line(tmp_path):
    record = {"annotation_id": "x" * 300, "classification": "POS", "evidences": []}
    (tmp_path / "docs").mkdir()
    (tmp_path / "test.jsonl").write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"test\.jsonl:1: x{300}: expected docids or evidence that names"):
        load("x", tmp_path)
