from __future__ import annotations

import errno
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eraser import InputError
from eraser.data.custom.annotators import UNIQUE
from eraser.data.custom.options import ColumnNames, ImportOptions
from eraser.data.custom.read import WHOLE, read_custom
from eraser.data.write_eraser import write_eraser
from tests.helpers.eraser.own_files import FILMS, changed, films, gold, refused, save
from tests.helpers.eraser.texts import LETTERS, imported, spans_within, texts

# What is read is what comes back


def touched(text: str, spans: list[list[int]]) -> list[int]:
    """The words with a character in a span, found one character at a time."""
    word, found = -1, set()
    for i, character in enumerate(text):
        if character.isspace():
            continue
        if i == 0 or text[i - 1].isspace():
            word += 1
        if any(start <= i < end for start, end in spans):
            found.add(word)
    return sorted(found)


def with_marks(text: str, spans: list[list[int]]) -> str:
    for start, end in reversed(spans):
        text = f"{text[:start]}[[{text[start:end]}]]{text[end:]}"
    return text


def is_name(label: str) -> bool:
    """Return whether a label is neither empty nor a number, of which 0. is written as 0."""
    try:
        float(label)
    except ValueError:
        return bool(label.strip())
    return False


@st.composite
def rows_of_a_form(draw: st.DrawFn, form: str) -> list[tuple[dict[str, Any], list[int]]]:
    """Rows with rationales of that form, and the words that each marks."""
    found = []
    for i, text in enumerate(draw(st.lists(texts(), min_size=2, max_size=5))):
        label = "AB"[i] if i < 2 else draw(st.text(LETTERS, min_size=1).filter(is_name))
        row = {"text": text, "label": label, "query": draw(st.sampled_from(["", "Good ?"]))}
        n_words = len(text.split())
        spans = draw(spans_within(n_words if form in ("tokens", "bits") else len(text)))
        by_word = [w for a, b in spans for w in range(a, b)]
        marked = by_word if form in ("tokens", "bits") else touched(text, spans)
        bits = [int(w in marked) for w in range(n_words)]
        more = {"text": with_marks(text, spans)} if form == "marks" else {"rationale": spans}
        found.append((row | ({"rationale": bits} if form == "bits" else more), marked))
    return found


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl"])
@pytest.mark.parametrize("form", ["chars", "tokens", "bits", "marks"])
def test_words_labels_and_marks_survive_the_folder(form, kind, tmp_path_factory):
    @settings(max_examples=25, deadline=None)
    @given(rows_of_a_form(form))
    def survive(rows):
        folder = tmp_path_factory.mktemp("trip")
        files = {"test": save(folder / f"rows.{kind}", [row for row, _ in rows])}
        how = ImportOptions(rationale_form="tokens" if form == "bits" else form, words="whitespace")
        found = imported(folder / "out", files, how)
        assert gold(found) == {f"test-{n:05d}": marked for n, (_, marked) in enumerate(rows, start=1)}
        for (row, _), example in zip(rows, found.splits["test"], strict=True):
            words = row["text"].replace("[[", "").replace("]]", "").split()
            assert found.text(example).words == tuple(words)
            assert (example.label, example.query) == (row["label"].strip(), row["query"])

    survive()


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl"])
def test_ids_queries_and_columns_of_other_names(tmp_path, kind):
    rows = [
        {"n": 7, "review": "A film.", "stars": 1, "ask": "Good ?", "why": [[2, 7]]},
        {"n": "../x", "review": "Fun!", "stars": 5, "ask": "Bad ?", "why": []},
    ]
    columns = ColumnNames("review", "stars", "n", "why", "ask")
    found = imported(tmp_path / "out", {"val": save(tmp_path / f"x.{kind}", rows)}, ImportOptions(columns))
    examples = [(e.id, e.label, e.query) for e in found.splits["val"]]
    assert examples == [("7", "1", "Good ?"), ("../x", "5", "Bad ?")]
    assert gold(found) == {"7": [1], "../x": []}


def test_rationales_may_be_in_one_file_only(tmp_path):
    bare = [{"text": row["text"], "label": row["label"]} for row in FILMS[:2]]
    files = {"train": save(tmp_path / "a.csv", bare), "test": save(tmp_path / "b.jsonl", FILMS)}
    found = imported(tmp_path / "out", files, ImportOptions(rationale_form="chars"))
    assert gold(found) == {"train-00001": [], "train-00002": [], "a": [1, 2], "b": [1], "c": []}


def test_what_is_marked_in_a_text_is_one_group_of_runs(tmp_path):
    rows = changed(0, rationale=[[0, 1], [8, 13], [2, 7], [2, 9]])
    found = imported(
        tmp_path / "out", {"test": save(tmp_path / "x.csv", rows)}, ImportOptions(rationale_form="chars")
    )
    (group,) = found.splits["test"][0].gold
    assert [(e.span.start, e.span.end) for e in group] == [(0, 3)]


# Splits


def test_a_split_by_chance_has_each_label_in_like_shares_and_depends_on_the_seed(tmp_path):
    files = {WHOLE: save(tmp_path / "x.csv", films(100, "AAAB"))}
    found = [
        imported(tmp_path / f"out{i}", files, ImportOptions(seed=seed)) for i, seed in enumerate((0, 0, 1))
    ]
    for dataset in found:
        by_split = {s: [e.label for e in examples] for s, examples in dataset.splits.items()}
        assert {s: len(labels) for s, labels in by_split.items()} == {"train": 80, "val": 10, "test": 10}
        assert [labels.count("B") for labels in by_split.values()] == pytest.approx([20, 2.5, 2.5], abs=1)
        for examples in dataset.splits.values():
            assert [e.id for e in examples] == sorted(e.id for e in examples)
    assert found[0].splits == found[1].splits != found[2].splits
    assert found[0].documents == found[2].documents


def test_a_share_of_0_is_no_split(tmp_path):
    files = {WHOLE: save(tmp_path / "x.csv", films(10))}
    found = imported(tmp_path / "out", files, ImportOptions(fractions=(0.5, 0, 0.5)))
    assert {s: len(examples) for s, examples in found.splits.items()} == {"train": 5, "test": 5}


def test_a_column_may_name_the_splits(tmp_path):
    names = ["train", "Validation", "test", "dev ", "train"]
    rows = [row | {"part": name} for row, name in zip(films(5), names, strict=True)]
    files = {WHOLE: save(tmp_path / "x.jsonl", rows)}
    found = imported(tmp_path / "out", files, ImportOptions(ColumnNames(split="part")))
    numbers = {s: [int(e.id.removeprefix("row-")) for e in examples] for s, examples in found.splits.items()}
    assert numbers == {"train": [1, 5], "val": [2, 4], "test": [3]}


# What is told


def test_notes_tell_what_was_widened_left_out_and_shared(tmp_path):
    train = changed(0, rationale=[[3, 8], [1, 2], [14, 18]])
    test = [{"text": "A warm film.", "label": "POS"}, {"text": "Hm", "label": "NEUTRAL"}]
    files = {"train": save(tmp_path / "a.csv", train), "test": save(tmp_path / "b.csv", test)}
    assert read_custom("own", files, ImportOptions()).notes == (
        "form of the rationales: chars",
        "spans that begin or end inside a word, and mark all of it: 2 of 4 (fewer with --words punctuation)",
        "spans that touch no word: 1 of 4",
        "texts both in train and in test: 1",
        "labels in test and not in train: NEUTRAL",
    )
    assert read_custom("own", files, ImportOptions(rationale_form="none")).notes[:2] == (
        "form of the rationales: none",
        "the column of rationales was not read",
    )


# What is refused


def test_faults_of_all_files_are_told_at_once_and_in_their_order(tmp_path):
    rows = [FILMS[0] | {"text": "", "label": ""}, FILMS[1], FILMS[2] | {"id": "a"}]
    one, other = save(tmp_path / "a.csv", rows), tmp_path / "b.jsonl"
    save(other, changed(1, rationale=[[0, 99], [3, 2]]))
    pair = "expected [start, end) in characters, 0 <= start < end <= 12, got"
    refused(
        {"train": one, "val": tmp_path / "c.csv", "test": other},
        ImportOptions(rationale_form="chars"),
        "{}:2: a: expected a non-empty string in column 'text', got ''",
        "{}:2: a: expected a non-empty string in column 'label', got ''",
        "{}:4: a: duplicate id, first at {}:2",
        f"{tmp_path}/c.csv: expected a readable file, got No such file or directory",
        f"{other}:1: a: duplicate id, first at {{}}:2{UNIQUE}",
        f"{other}:2: b: duplicate id, first at {{}}:3{UNIQUE}",
        f"{other}:2: b: {pair} [0, 99]",
        f"{other}:2: b: {pair} [3, 2]",
    )


def test_of_many_faults_the_first_are_told_and_the_others_counted(tmp_path):
    files = {"train": save(tmp_path / "x.csv", [{"text": "", "label": "A"}] * 100)}
    told = "expected a non-empty string in column 'text', got ''"
    lines = [f"{{}}:{n + 1}: train-{n:05d}: {told}" for n in range(1, 4)]
    more = "… and 97 more rows where a non-empty string in column 'text' was expected"
    refused(files, ImportOptions(), *lines, f"{tmp_path}/x.csv: {more}")


def test_pairs_that_may_be_words_or_characters_are_not_guessed_at(tmp_path):
    rows = [row | {"rationale": [[0, 1]]} for row in (*FILMS, *FILMS[:2])]
    rows[3] |= {"id": "d", "rationale": [[1, 1]]}
    rows[4] |= {"id": "e", "text": "", "rationale": [[2, 3]]}
    files = {"test": save(tmp_path / "x.csv", rows)}
    told = (
        "the rationales may be in characters or in words: choose with `rationale data import "
        "--rationale-form chars` or `tokens` (in Python, rationale.load_data(…, rationale_form=…))"
    )
    refused(
        files,
        ImportOptions(),
        f"{{}}: {told}",
        "{}:5: d: expected [start, end) in words or characters, 0 <= start < end, got [1, 1]",
        "{}:6: e: expected a non-empty string in column 'text', got ''",
    )


def test_rationales_in_words_of_their_own_are_not_passed_over(tmp_path):
    rows = [row | {"rationale": "truly awful"} for row in FILMS[:2]]
    told = "expected a rationale as a JSON list, got 'truly awful'"
    refused(
        {"test": save(tmp_path / "x.csv", rows)}, ImportOptions(), f"{{}}:2: a: {told}", f"{{}}:3: b: {told}"
    )


def test_marks_in_the_text_that_are_not_in_pairs_are_told(tmp_path):
    rows = [
        {"text": "a [[b]]", "label": "A"},
        {"text": "a [[b", "label": "B"},
        {"text": "[[ ]]", "label": "B"},
    ]
    refused(
        {"test": save(tmp_path / "x.jsonl", rows)},
        ImportOptions(),
        "{}:2: test-00002: expected marks [[ and ]] in pairs, got [[ without ]] at character 2: '[[b'",
        "{}:3: test-00003: expected a text with words beside its marks, got '[[ ]]'",
    )


def test_a_row_of_no_known_split_is_told(tmp_path):
    rows = [row | {"part": part} for row, part in zip(FILMS, ("train", "test", "?"), strict=True)]
    told = "expected a split of train, val, test, validation, valid, dev, got '?'"
    refused(
        {WHOLE: save(tmp_path / "x.csv", rows)},
        ImportOptions(ColumnNames(split="part")),
        f"{{}}:4: c: {told}",
        "--skip-invalid (of data import, evaluate, trust) leaves such rows out, and says which",
    )


def test_one_label_in_all_rows_is_told(tmp_path):
    files = {
        "train": save(tmp_path / "x.csv", films(3, "A")),
        "test": save(tmp_path / "y.csv", films(1, "A")),
    }
    refused(files, ImportOptions(), "{}: expected at least two labels, got 'A' in every row")


def test_of_texts_left_out_for_a_tie_it_is_not_said_that_they_have_the_one_label(tmp_path):
    labels = (("a", "A", 1), ("a", "A", 2), ("b", "A", 1), ("b", "B", 2))
    rows = [{"id": i, "text": f"film {i}", "label": label, "annotator": who} for i, label, who in labels]
    left = "1 of 2, the others are invalid or their labels tie"
    refused(
        {"test": save(tmp_path / "x.csv", rows)},
        ImportOptions(),
        f"{{}}: expected at least two labels, got 'A' in every text that is left: {left}",
    )


@pytest.mark.parametrize(
    ("rows", "labels", "counts"),
    [(4, "AB", "2 of 'A', 2 of 'B'"), (21, "A" * 20 + "B", "20 of 'A', 1 of 'B'")],
)
def test_too_few_rows_of_a_label_for_the_shares_are_told(tmp_path, rows, labels, counts):
    files = {WHOLE: save(tmp_path / "x.csv", films(rows, labels))}
    told = "expected rows of each label for each share of 0.8,0.1,0.1 (or --split-column)"
    refused(files, ImportOptions(), f"{{}}: {told}, got {counts}")


@pytest.mark.parametrize(
    "shares", [(0.8, 0.2), (0.8, 0.1, 0.2), (1.1, -0.1, 0), (0, 0.5, 0.5), (float("nan"), 0, 0)]
)
def test_shares_that_are_none_are_told(shares):
    told = "expected three shares, for train, val and test, that sum to 1, the first above 0, got "
    with pytest.raises(InputError, match=rf"\A{told}{','.join(f'{s:g}' for s in shares)}\Z"):
        ImportOptions(fractions=shares)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"marks": ("[[", " ")}, "expected an opening and a closing mark, got ('[[', ' ')"),
        ({"seed": -1}, "expected a seed from 0 to 4294967295, got -1"),
        (
            {"rationale_form": "marks", "columns": ColumnNames(rationale="why")},
            "expected no column of rationales, as their form is marks, got 'why'",
        ),
        (
            {"rationale_form": "label-studio"},
            "expected rationale_form one of auto, chars, tokens, quotes, marks, none, got 'label-studio'",
        ),
        ({"offsets": "utf8"}, "expected offsets one of auto, codepoints, utf16, bytes, tokens, got 'utf8'"),
        ({"label_from": "file"}, "expected label_from one of field, spans, folder, got 'file'"),
    ],
)
def test_settings_that_cannot_be_used_are_told(settings, told):
    with pytest.raises(InputError, match=rf"\A{re.escape(told)}\Z"):
        ImportOptions(**settings)


# Whole or not at all


@pytest.fixture
def data(tmp_path):
    return read_custom(
        "own", {"test": save(tmp_path / "x.csv", FILMS)}, ImportOptions(rationale_form="chars")
    )


def test_a_failure_leaves_nothing_behind(data, tmp_path, monkeypatch):
    real = Path.write_text

    def full(self, *arguments, **options):
        if self.name == "test.jsonl":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, *arguments, **options)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(InputError, match=r"/out: the disk is full: No space left on device$"):
        write_eraser(data, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]


def test_a_folder_with_anything_in_it_is_left_alone(data, tmp_path):
    told = "expected a folder that is empty or not there, got"
    with pytest.raises(InputError, match=rf"{told} one with \['x.csv'\]$"):
        write_eraser(data, tmp_path)
    with pytest.raises(InputError, match=r"x\.csv: a file of this name exists; name another folder$"):
        write_eraser(data, tmp_path / "x.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]


def test_an_empty_folder_is_filled_unless_it_is_the_current_one(data, tmp_path, monkeypatch):
    for name in ("empty", "here"):
        (tmp_path / name).mkdir()
    write_eraser(data, tmp_path / "empty")
    there = sorted(path.name for path in (tmp_path / "empty").iterdir())
    assert there == ["docs.jsonl", "test.jsonl", "words.json"]
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(InputError, match=r"^\.: the current folder cannot be the output folder"):
        write_eraser(data, Path())


# Several labels a row, and numbers


def test_lists_of_labels_and_numbers_are_kept_as_text(tmp_path):
    given = [["NEG", "dull", "NEG"], [], "POS|warm", 3, 2.0, -0.25, [1, 4]]
    rows = [{"text": f"film {i}", "label": label} for i, label in enumerate(given)]
    found = imported(tmp_path / "own", {"test": save(tmp_path / "x.jsonl", rows)}, ImportOptions())
    wanted = ["NEG|dull", "", "POS|warm", "3", "2", "-0.25", "1|4"]
    assert [e.label for e in found.splits["test"]] == wanted


@pytest.mark.parametrize("kind", ["csv", "tsv", "json", "jsonl", "parquet", "xlsx"])
def test_a_boolean_label_is_the_same_in_every_kind_of_file(tmp_path, kind):
    rows = [{"text": f"film {i}", "label": label} for i, label in enumerate([True, False])]
    found = read_custom("own", {"test": save(tmp_path / f"x.{kind}", rows)}, ImportOptions())
    assert [e.label for e in found.splits["test"]] == ["True", "False"]


@pytest.mark.parametrize("labels", [["1.5", "2"], ["a|b", "a"]])
@pytest.mark.parametrize("shares", [(0.8, 0.1, 0.1), (0.1, 0.1, 0.8), (0.02, 0.48, 0.5)])
def test_rows_too_few_for_a_share_are_refused_in_a_line(tmp_path, labels, shares):
    rows = [{"text": f"film {i}", "label": labels[i % 2]} for i in range(4)]
    file = save(tmp_path / "x.jsonl", rows)
    with pytest.raises(InputError) as error:
        read_custom("own", {WHOLE: file}, ImportOptions(fractions=shares))
    listed = ",".join(map(str, shares))
    assert str(error.value) == (
        f"{file}: expected a row at least for each share of {listed}"
        " (--test takes all rows of a file as one split), got 4 rows"
    )


@pytest.mark.parametrize("labels", [["1.5", "2", "-3", "0.1"], ["a|b", "a", "b|c", "c"]])
def test_numbers_and_sets_of_labels_too_rare_for_like_shares_are_divided_by_chance(tmp_path, labels):
    rows = [{"text": f"film {i}", "label": labels[i % 4] + "7" * (i // 4)} for i in range(20)]
    found = read_custom("own", {WHOLE: save(tmp_path / "x.jsonl", rows)}, ImportOptions())
    assert {split: len(examples) for split, examples in found.splits.items()} == {
        "train": 16,
        "val": 2,
        "test": 2,
    }
    note = "rows were split at random, not stratified: some labels are too rare"
    assert note in found.notes
    again = read_custom("own", {WHOLE: tmp_path / "x.jsonl"}, ImportOptions())
    assert again.splits == found.splits
    common = [{"text": f"film {i}", "label": labels[i % 2]} for i in range(40)]
    assert note not in read_custom("own", {WHOLE: save(tmp_path / "y.jsonl", common)}, ImportOptions()).notes
