from __future__ import annotations

import json

import pytest

import rationale as front

TEXT = "a warm film , never dull ."


def test_each_word_has_a_line_with_the_score_of_each_method(rationale, model_folder):
    code, out, err = rationale(
        "explain", TEXT, "a film", "--model", model_folder, "--methods", "attention,random"
    )
    assert (code, err) == (0, "")
    answer, head, *rows = out.splitlines()
    (why, _) = front.explain(model_folder, [TEXT, "a film"], ["attention", "random"]).found
    assert answer == f"{why[0].label} {why[0].probs[why[0].label]:#.3g}"
    assert head.split() == ["word", "attention", "random"]
    assert [row.split()[0] for row in rows[:7]] == TEXT.split()
    assert [float(row.split()[2]) for row in rows[:7]] == pytest.approx(why[1].scores, rel=5e-3)
    assert rows[9].split()[0] == "a"  # of the second text, below its own answer and head
    assert rows[-1] == f"next: rationale app --model {model_folder}"


def test_a_word_that_is_read_in_part_is_noted(rationale, model_folder):
    asked = ("--model", model_folder, "--methods", "position", "--words", "whitespace")
    _, out, _ = rationale("explain", f"{'a.' * 100} film", *asked)
    note = "note: words longer than a window, of which only the beginning was read: 1"
    assert out.splitlines()[-2:] == [note, f"next: rationale app --model {model_folder}"]


def test_json_holds_words_with_their_places_and_all_scores(rationale, model_folder):
    _, out, _ = rationale(
        "explain", TEXT, "--model", model_folder, "--methods", "position", "--query", "is it good ?", "--json"
    )
    found = json.loads(out)
    assert found["texts"] == ["is it good ?", TEXT]
    assert [found["texts"][w["side"]][w["start"] : w["end"]] for w in found["words"]] == [
        w["word"] for w in found["words"]
    ]
    assert len(found["scores"]["position"]) == len(found["words"]) == 11
    assert sum(found["probs"].values()) == pytest.approx(1)


def test_json_holds_a_text_as_it_was_given(rationale, model_folder):
    text = "It\x92s a \x7f warm film"
    _, out, _ = rationale("explain", text, "--model", model_folder, "--methods", "position", "--json")
    assert json.loads(out)["texts"] == [text]


def test_another_class_is_named_beside_the_answer(rationale, model_folder):
    label = front.explain(model_folder, TEXT, "random")[0].label
    other = {"NEG": "POS", "POS": "NEG"}[label]
    _, out, _ = rationale("explain", TEXT, "--model", model_folder, "--methods", "random", "--target", other)
    assert out.startswith(f"{label}; explained: {other} 0.")


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ((" ",), "text 1: the text has no words"),
        ((TEXT, "--methods", "nothing"), "nothing"),
        ((TEXT, "--target", "GOOD"), "expected a target of NEG, POS, got 'GOOD'"),
    ],
)
def test_what_cannot_be_explained_is_one_line(rationale, model_folder, asked, line):
    code, out, err = rationale("explain", *asked, "--model", model_folder)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert line in err


def test_spaces_around_names_are_no_part_of_them(rationale, model_folder):
    spaced = rationale("explain", TEXT, "--model", model_folder, "--methods", "random, position",
                       "--labels", "bad, good")  # fmt: skip
    close = rationale("explain", TEXT, "--model", model_folder, "--methods", "random,position",
                      "--labels", "bad,good")  # fmt: skip
    assert spaced == close
    assert (spaced[0], spaced[1].splitlines()[1].split()) == (0, ["word", "random", "position"])


def test_a_seed_below_zero_is_refused_in_one_line(rationale, model_folder):
    code, _, err = rationale("explain", TEXT, "--model", model_folder, "--seed", -1, "--methods", "random")
    assert (code != 0, err) == (True, "error: expected a seed of at least 0, got -1\n")
