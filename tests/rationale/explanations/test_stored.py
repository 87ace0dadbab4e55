"""The explanations file: what is written is read again, and what is no such file is refused by line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eraser import InputError
from rationale.explanations.read import read_explanations
from rationale.explanations.stored import ImportedMethod, WordExplanation, hash_of_words

HEAD = {"explanations": 1, "name": "x", "tool": "", "settings": {}, "notes": [], "examples": 1}
ROW = {"id": "a", "text": "hash", "words": 3, "scores": [1, None, 0.5]}


def one(**more):
    return WordExplanation("a", hash_of_words(["x", "y"]), 2, **more)


def test_what_is_written_is_read_again(tmp_path):
    examples = [
        WordExplanation("é", "h1", 3, np.array([0.1, np.nan, -1e-300]), np.array([True, False, True]), "POS",
                        "NEG", {"tokens": 4}),
        WordExplanation("b", "h2", 1, np.array([1 / 3]), np.array([False])),
    ]  # fmt: skip
    made = ImportedMethod.of("shap", examples, tool="shap 1", settings={"n": 3}, notes=("a note",))
    found = read_explanations(made.save(tmp_path / "x.jsonl"))
    assert found.identity == made.identity
    assert (found.name, found.tool, found.settings, found.notes) == ("shap", "shap 1", {"n": 3}, ("a note",))
    for read, written in zip(found.examples.values(), examples, strict=True):
        assert read.scores.tolist() == pytest.approx(written.scores.tolist(), abs=0, nan_ok=True)
        assert (read.selected == written.selected).all()
        assert (read.id, read.label, read.target, read.counts) == (
            written.id, written.label, written.target, written.counts,
        )  # fmt: skip


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.none(), min_size=1).filter(
        lambda s: any(x is not None for x in s)
    )
)
def test_every_score_comes_back_to_the_last_digit(tmp_path_factory, scores):
    path = tmp_path_factory.mktemp("x") / "x.jsonl"
    values = np.array([np.nan if x is None else x for x in scores])
    ImportedMethod.of("x", [WordExplanation("a", "h", len(values), values)]).save(path)
    assert np.array_equal(read_explanations(path).examples["a"].scores, values, equal_nan=True)


@pytest.mark.parametrize(
    ("head", "row", "message"),
    [
        ({"explanations": 2}, {}, "x.jsonl:1: expected version 1 of the form, got 2"),
        ({"examples": 2}, {}, "expected 2 examples, as the first line says, got 1"),
        ({"name": "a/b"}, {}, "expected a name of at most 60 letters, digits, dots, hyphens and underscores"),
        ({"notes": None}, {}, 'x.jsonl:1: expected "notes" of kind list, got None'),
        ({}, {"words": 4}, "x.jsonl:2: a: expected 4 numbers or nulls, one per word, got 3 of them"),
        (
            {},
            {"scores": ["1", 2, 3]},
            "a: expected 3 numbers or nulls, one per word, got .'1', 2, 3.",
        ),
        ({}, {"scores": [None] * 3}, "x.jsonl:2: a: expected finite scores, and one at least, got others"),
        ({}, {"scores": None}, "x.jsonl:2: a: expected scores or picked words, got neither"),
        ({}, {"picked": [[0, 4]]}, r"expected spans \[start, end\) of words from 0 to 3, got \[0, 4\]"),
        ({}, {"picked": [1]}, r"expected spans \[start, end\) of words from 0 to 3, got 1"),
        ({}, {"counts": {"tokens": -1}}, 'expected whole numbers by name in "counts"'),
        ({}, {"label": 1}, 'expected a text in "label", got 1'),
        ({}, {"words": True}, 'expected a number of words in "words", got True'),
        ({}, {"id": 7}, 'expected texts in "id" and "text"'),
    ],
)
def test_a_file_of_another_form_is_refused(head, row, message, tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join(map(json.dumps, (HEAD | head, ROW | row))))
    with pytest.raises(InputError, match=message):
        read_explanations(path)


def test_other_files_are_refused_in_a_line(tmp_path):
    path = tmp_path / "x.jsonl"
    for text, message in {
        "": "got none .`rationale explanations import` makes one of other files.",
        '{"id": "a"}': "expected an explanations file, with",
        json.dumps(HEAD) + '\n{"scores": [NaN]}': "NaN .of a word without a score, write null.",
        json.dumps(HEAD | {"examples": 2}) + f"\n{json.dumps(ROW)}" * 2: "a: the example is explained twice",
    }.items():
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            read_explanations(path)
    with pytest.raises(InputError, match="the file cannot be read: No such file or directory"):
        read_explanations(tmp_path / "none.jsonl")


def test_only_explanations_are_overwritten_and_only_where_asked(tmp_path):
    made = ImportedMethod.of("x", [one(scores=np.ones(2))])
    path = made.save(tmp_path / "x.jsonl")
    with pytest.raises(InputError, match="a file of this name exists; choose another --out, or --overwrite"):
        made.save(path)
    made.save(path, overwrite=True)
    path.write_text("somebody's notes")
    with pytest.raises(InputError, match="a file of this name exists; it is no explanations file"):
        made.save(path, overwrite=True)
    assert path.read_text() == "somebody's notes"


def test_what_cannot_be_an_explanation_is_refused():
    for more, message in (
        ({"scores": np.ones(3)}, "a: expected 2 words, got 3"),
        ({"scores": np.array([np.inf, 1])}, "a: expected finite scores"),
        ({"scores": np.full(2, np.nan)}, "a: expected finite scores, and one at least"),
    ):
        with pytest.raises(InputError, match=message):
            one(**more)
    with pytest.raises(InputError, match="x: no explanations"):
        ImportedMethod.of("x", [])
