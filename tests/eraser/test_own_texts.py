"""Texts that were given as such stay as they are, and spans of their characters come out as they went in."""

from __future__ import annotations

import json
import re
import tarfile

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import eraser.data.on_disk
from eraser import Dataset, Document, Evidence, Example, InputError, Prediction, Span, Text
from eraser.data.custom.options import ImportOptions
from eraser.data.custom.read import read_custom
from eraser.data.evidence_only import evidence_only
from eraser.data.official_records import official_record
from eraser.data.write_eraser import write_eraser
from eraser.load import load
from eraser.words import cut_words
from rationale.evaluation.plan import evaluate
from rationale.settings import EvaluateSettings
from rationale.stream import read_stream
from tests.helpers.eraser.own_files import gold, save
from tests.helpers.eraser.texts import imported, spans_within, texts

SLOW, DULL = "故事开头很慢，我差点睡着。", "演员很出色，我很喜欢！"
CHINESE = [
    {"id": "slow", "text": SLOW, "label": "NEG", "rationale": [[4, 6]]},
    {"id": "fine", "text": DULL, "label": "POS", "rationale": [[2, 5], [7, 10]]},
]
LINES = [
    {"id": "a", "text": "  A film,\n\nbut  dull... ", "label": "NEG", "rationale": [[15, 22]]},
    {"id": "b", "text": "Warm", "label": "POS", "rationale": [[0, 4]]},
]


def written(tmp_path, rows, **how):
    return imported(tmp_path / "out", {"test": save(tmp_path / "rows.jsonl", rows)}, ImportOptions(**how))


def characters(dataset):
    """What people marked in each example, in characters, as a prediction of it would tell."""
    found = {}
    for example in dataset.splits["test"]:
        text, truth = dataset.text(example), dataset.truth(example)
        said = Prediction(example.id, "x", {"x": 1.0}, np.zeros(truth.n_words), truth.gold)
        (record,) = official_record(text, said)["rationales"]
        hard = record["hard_rationale_predictions"]
        found[example.id] = [[span["start_char"], span["end_char"]] for span in hard]
    return found


def test_spans_of_a_script_without_spaces_stay_spans_of_characters(tmp_path):
    found = written(tmp_path, CHINESE, rationale_form="chars")
    assert found.cutter == "characters"
    assert gold(found) == {"slow": [4, 5], "fine": [2, 3, 4, 7, 8, 9]}
    assert characters(found) == {row["id"]: row["rationale"] for row in CHINESE}
    assert found.documents["slow"].plain == (SLOW, tuple((i, i + 1) for i in range(len(SLOW))))
    assert read_custom(
        "own", {"test": tmp_path / "rows.jsonl"}, ImportOptions(rationale_form="chars")
    ).notes == (
        "form of the rationales: chars",
        "words: characters, as 2 of 2 texts are written without spaces between words",
    )


def test_the_floor_is_no_longer_right_by_one_word_a_text(tmp_path, classifier):
    data = written(
        tmp_path,
        [row | {"id": f"{row['id']}{i}"} for row in CHINESE for i in range(10)],
        rationale_form="chars",
    )
    how = EvaluateSettings(dataset="own", model="m", methods=("random",), budgets=("gold",))
    found = evaluate(classifier, data, how, tmp_path / "run")
    f1 = []
    for item, said in zip(found.items, found.predictions["random", "gold"], strict=True):
        both = (item.truth.gold & said.rationale).sum()
        f1.append(2 * both / (item.truth.gold.sum() + said.rationale.sum()))
    assert 0 < np.mean(f1) < 0.9
    assert "words: characters" in found.notes


def test_line_breaks_and_double_spaces_reach_the_model(tmp_path, all_kinds):
    from rationale.text.encode import Encoder

    found = written(tmp_path, LINES, rationale_form="chars")
    example = found.splits["test"][0]
    (window,) = Encoder(all_kinds["llama3"], 512).encode([found.text(example)])[0]
    assert window.ids.tolist() == all_kinds["llama3"](LINES[0]["text"])["input_ids"]
    assert window.ids.tolist() != all_kinds["llama3"]("A film, but dull...")["input_ids"]


def test_the_folder_keeps_eraser_files_and_the_texts_beside_them(tmp_path):
    written(tmp_path, LINES, rationale_form="chars", words="punctuation")
    lines = {p.name: p.read_text(encoding="utf-8").splitlines() for p in (tmp_path / "out").iterdir()}
    assert sorted(lines) == ["docs.jsonl", "test.jsonl", "texts.jsonl", "words.json"]
    assert json.loads(lines["words.json"][0]) == {"words": "punctuation"}
    assert [json.loads(line) for line in lines["docs.jsonl"]] == [
        {"docid": "a", "document": "A film ,\nbut dull ..."},
        {"docid": "b", "document": "Warm"},
    ]
    assert [json.loads(line) for line in lines["texts.jsonl"]] == [
        {
            "docid": "a",
            "text": LINES[0]["text"],
            "words": [[2, 3], [4, 8], [8, 9], [11, 14], [16, 20], [20, 23]],
        }
    ]
    (first, _) = (json.loads(line) for line in lines["test.jsonl"])
    place = {"start_token": 4, "end_token": 6, "start_sentence": -1, "end_sentence": -1}
    assert first["evidences"] == [[{"docid": "a", **place, "text": "dull ..."}]]


@pytest.mark.parametrize("how", ["whitespace", "punctuation", "characters"])
def test_spans_come_out_as_they_went_in(how, tmp_path_factory):
    @settings(max_examples=40)
    @given(st.data())
    def trip(data):
        folder = tmp_path_factory.mktemp("trip")
        rows = []
        for i in range(3):
            text = data.draw(texts())
            rows.append({"text": text, "label": "AB"[i % 2], "rationale": data.draw(spans_within(len(text)))})
        assume(all(cut_words(row["text"], how) for row in rows))  # not of signs alone that nobody sees
        files = {"test": save(folder / "1.jsonl", rows)}
        first = imported(folder / "one", files, ImportOptions(rationale_form="chars", words=how))
        out = characters(first)
        again = [row | {"rationale": out[f"test-{n:05d}"]} for n, row in enumerate(rows, start=1)]
        files = {"test": save(folder / "2.jsonl", again)}
        second = imported(folder / "two", files, ImportOptions(rationale_form="chars", words=how))
        assert gold(second) == gold(first)
        assert characters(second) == out

    trip()


# Rationales that count words


@pytest.mark.parametrize(
    ("text", "value", "how", "marked"),
    [
        ("Slow, but a joy.", [[0, 1], [3, 4]], "punctuation", ["Slow", ",", "joy", "."]),
        ("Slow, but a joy.", [1, 0, 0, 1], "punctuation", ["Slow", ",", "joy", "."]),
        ("Slow, but a joy.", [0, 0, 0, 1], "punctuation", ["joy", "."]),
        ("Slow, but a joy.", [0, 1, 0, 0, 1, 0], "punctuation", [",", "joy"]),
        (SLOW, [0] * 4 + [1, 1] + [0] * 7, "characters", ["很", "慢"]),
        (SLOW, [[4, 6]], "characters", ["很", "慢"]),
        (SLOW, [[0, 1]], "characters", list(SLOW)),
    ],
)
def test_rationales_count_words_between_spaces_or_else_those_that_were_cut(
    tmp_path, text, value, how, marked
):
    rows = [{"text": text, "label": label, "rationale": value} for label in "AB"]
    found = written(tmp_path, rows, rationale_form="tokens", words=how)
    example = found.splits["test"][0]
    words, mask = found.text(example).words, found.truth(example).gold
    assert [w for w, m in zip(words, mask, strict=True) if m] == marked


def test_what_rationales_count_is_told_where_it_may_be_two_things(tmp_path):
    rows = [{"text": "Slow, but a joy.", "label": label, "rationale": [0, 1, 0, 0, 1, 0]} for label in "AB"]
    files = {"test": save(tmp_path / "rows.jsonl", rows)}
    notes = read_custom("own", files, ImportOptions(rationale_form="tokens", words="punctuation")).notes
    assert "words: punctuation; rationales count words by punctuation" in notes
    rows[0] |= {"rationale": [[0, 4]]}
    rows[1] |= {"rationale": [[0, 9]]}
    files = {"test": save(tmp_path / "rows.jsonl", [*rows, rows[0]])}
    told = (
        r"rows\.jsonl:2: test-00002: expected \[start, end\) in words, 0 <= start < end <= 4, got \[0, 9\]$"
    )
    with pytest.raises(InputError, match=told):
        read_custom("own", files, ImportOptions(rationale_form="tokens", words="punctuation"))


# Folders that are not as they should be

DOCS = [{"docid": "d", "document": "A film .\nDull"}]
GOOD = {"docid": "d", "text": "A film.\n\nDull", "words": [[0, 1], [2, 6], [6, 7], [9, 13]]}
ROW = {"annotation_id": "e", "classification": "A", "query": "", "evidences": [], "docids": ["d"]}


def folder_with(tmp_path, *lines, cutter=None, docs=DOCS):
    for name, rows in {"docs": docs, "test": [ROW], "texts": lines}.items():
        text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
        (tmp_path / f"{name}.jsonl").write_text(text, encoding="utf-8")
    if cutter is not None:
        (tmp_path / "words.json").write_text(cutter, encoding="utf-8")
    return tmp_path


@pytest.fixture(params=["in memory", "from disk", "from an archive"])
def loaded(request, monkeypatch, tmp_path):
    def load_from(folder):
        if request.param == "from an archive":
            archive = tmp_path.parent / f"{tmp_path.name}.tar.gz"
            with tarfile.open(archive, "w:gz") as file:
                file.add(folder, arcname="own")
            return load("own", archive)
        monkeypatch.setattr(eraser.data.on_disk, "LARGE", 0 if request.param == "from disk" else 2**30)
        return load("own", folder)

    return load_from


def test_texts_are_read_beside_words(loaded, tmp_path):
    other = {"docid": "none", "text": 'of no example, "quoted"', "words": []}
    found = loaded(folder_with(tmp_path, other, GOOD, cutter='{"words": "punctuation"}'))
    (example,) = found.splits["test"]
    assert found.text(example) == Text(
        "e", ("A", "film", ".", "Dull"), {"d": 0}, (0, 3), None, "A film.\n\nDull"
    )
    assert found.text(example).plain[1] == tuple(map(tuple, GOOD["words"]))
    assert (found.cutter, found.notes[-1]) == ("punctuation", "words: punctuation")


def test_a_text_that_is_its_words_between_spaces_needs_no_line(loaded, tmp_path):
    found = loaded(folder_with(tmp_path, cutter='{"words": "whitespace"}'))
    assert found.text(found.splits["test"][0]).string == "A film . Dull"


def test_without_either_file_words_are_all_there_is(loaded, tmp_path):
    folder = folder_with(tmp_path)
    (folder / "texts.jsonl").unlink()
    found = loaded(folder)
    assert found.text(found.splits["test"][0]).string is None
    assert (found.cutter, "words" in " ".join(found.notes)) == (None, False)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", r"texts.jsonl:1: expected one JSON object, got "),
        ({"docid": ["d"], "text": "A"}, r'texts.jsonl:1: expected "docid" and "text" strings, got '),
        (GOOD | {"text": 3}, r'texts.jsonl:1: expected "docid" and "text" strings, got '),
        (GOOD | {"words": None}, r'texts.jsonl:1: d: expected "words", a list of [start, end), got None'),
        (GOOD | {"words": [[0, 1]]}, "texts.jsonl:1: d: expected [start, end) of each of 4 words, got 1"),
        (
            GOOD | {"text": "A song.\n\nDull"},
            "texts.jsonl:1: d: expected the word 'film', got 'song.\\n\\nDull'",
        ),
        (GOOD | {"text": "A film. So Dull"}, "texts.jsonl:1: d: expected the word 'Dull', got 'So Dull'"),
        (
            GOOD | {"text": "A film.\n\nDull, too"},
            "texts.jsonl:1: d: expected a text that ends with its last word, got ', too'",
        ),
        *(
            (
                GOOD | {"words": [*GOOD["words"][:3], last]},
                f"texts.jsonl:1: d: expected [9, 13] for the word 'Dull', got {last!r}",
            )
            for last in ([9, 12], [8, 13], [13, 9], [9, 99], [-4, 13], [9.0, 13], [True, 13], "9,13", [9], 9)
        ),
    ],
)
def test_a_text_that_does_not_fit_its_words_is_refused_in_one_line(loaded, tmp_path, line, told):
    folder = folder_with(tmp_path, line)
    with pytest.raises(InputError) as error:
        _ = loaded(folder).documents["d"]
    (only,) = str(error.value).splitlines()
    assert told in only


@pytest.mark.parametrize(
    "cutter", ["[]", '"whitespace"', '{"words": "lines"}', "{}", '{"words": ["whitespace"]}']
)
def test_another_cutter_is_refused(loaded, tmp_path, cutter):
    told = r'words.json: expected "words" of whitespace, punctuation, characters, got '
    with pytest.raises(InputError, match=re.escape(told)):
        loaded(folder_with(tmp_path, GOOD, cutter=cutter))
    with pytest.raises(InputError, match=r"words\.json: expected JSON, got "):
        loaded(folder_with(tmp_path, GOOD, cutter="{"))


# Texts of several documents, and parts of texts


def test_own_texts_of_several_documents_are_one_after_the_other():
    documents = {
        "a": Document("a", (("A", "film"),), " A  film"),
        "b": Document("b", (("it", "'s"),)),
        "c": Document("c", (("So",),), "So\n"),
    }
    example = Example("e", ("a", "b", "c"), "x")
    text = Dataset("d", documents, {"test": (example,)}).text(example)
    assert text.plain == (" A  film it 's So\n", ((1, 2), (4, 8), (9, 11), (12, 14), (15, 17)))
    bare = Dataset("d", {"b": documents["b"]}, {}).text(Example("e", ("b",), "x"))
    assert (bare.string, bare.plain[0]) == (None, "it 's")


def test_evidence_alone_is_a_part_of_the_text_itself():
    document = Document("d", (tuple("故事很慢我不喜欢"),), "故事很慢，我不喜欢".replace("，", " "))
    marked = frozenset({frozenset({Evidence("d", Span(2, 4)), Evidence("d", Span(5, 8))})})
    example = Example("e", ("d",), "x", gold=marked)
    found = evidence_only(Dataset("d", {"d": document}, {"test": (example,)}))
    assert found.text(found.splits["test"][0]).plain[0] == "很慢 不喜欢"


def test_words_of_a_data_set_are_written_without_a_file_of_texts(tmp_path):
    data = Dataset("d", {"d": Document("d", (("A", "film"),))}, {"test": (Example("e", ("d",), "x"),)})
    write_eraser(data, tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["docs.jsonl", "test.jsonl"]


# The command


def test_the_command_tells_what_it_chose_and_takes_what_it_is_told(rationale, tmp_path):
    save(tmp_path / "x.jsonl", CHINESE)
    code, out, err = rationale("data", "import", "--test", "x.jsonl", "--out", "own")
    assert (code, err) == (0, "")
    assert "  note: words: characters, as 2 of 2 texts are written without spaces between words\n" in out
    options = ("--test", "x.jsonl", "--words", "whitespace", "--rationale-form", "chars")
    code, out, err = rationale("data", "import", *options, "--out", "whole")
    assert (code, err) == (0, "")
    assert "  note: words: whitespace\n" in out
    assert "spans that begin or end inside a word, and mark all of it: 3 of 3" in out
    assert gold(load("whole", tmp_path / "whole")) == {"slow": [0], "fine": [0]}


def test_attribute_tells_what_it_chose_and_takes_what_it_is_told(rationale, model_folder, tmp_path):
    save(tmp_path / "x.jsonl", CHINESE)
    command = (
        "attribute",
        "--file",
        "x.jsonl",
        "--model",
        model_folder,
        "--methods",
        "random",
        "--out",
        "out",
    )
    code, out, err = rationale(*command)
    assert code == 0, err
    assert "note: words: characters, as 2 of 2 texts are written without spaces between words\n" in out
    assert f"0 of {len(SLOW) + len(DULL)} words not read" in out
    code, _, err = rationale(*command, "--words", "punctuation")
    assert (code, "holds results with other words ('characters' there)" in err) == (2, True)
    code, out, err = rationale(*command, "--words", "punctuation", "--overwrite")
    assert code == 0, err
    assert "note" not in out
    assert [row["words"] for row in read_stream(tmp_path / "out")] == [
        ["故事开头很慢", "，", "我差点睡着", "。"],
        ["演员很出色", "，", "我很喜欢", "！"],
    ]
