"""{train,test}.csv → a data set: who goes where, what is left out, and what is refused."""

import json

import pytest

from eraser import InputError
from eraser.load import load
from rationale.reproduce.prepare import prepare, sizes_of
from rationale.reproduce.sets import Limits

ALL = Limits()


def write(folder, train, test, head="text,label"):
    folder.mkdir()
    for name, rows in (("train", train), ("test", test)):
        (folder / f"{name}.csv").write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return folder


def toy(i):
    return f"toy number {i} is {'fine' if i % 2 else 'broken'}"


@pytest.fixture
def toys(tmp_path):
    """Twenty reviews of toys for training, one of which is also in test, and four for test."""
    train = [
        f"toy number {i} is {'fine' if i % 2 else 'broken'},{'good' if i % 2 else 'bad'}" for i in range(20)
    ]
    test = [train[3], "a dull toy,bad", "a merry toy,good", "a loud toy,bad"]
    return write(tmp_path / "toys", train, test)


def counts(dataset):
    return {split: len(examples) for split, examples in dataset.splits.items()}


def texts(dataset, split):
    return [" ".join(dataset.text(e).words) for e in dataset.splits[split]]


def test_val_is_drawn_from_train_and_texts_of_test_are_left_out_of_both(toys, tmp_path):
    found = prepare(toys, tmp_path / "out" / "toys", False, ALL)
    assert {split: len(examples) for split, examples in found.splits.items()} == {
        "train": 17,
        "val": 2,
        "test": 4,
    }
    assert texts(found, "test")[0] == "toy number 3 is fine"
    both = texts(found, "train") + texts(found, "val")
    assert sorted(both) == sorted(
        {f"toy number {i} is {'fine' if i % 2 else 'broken'}" for i in range(20) if i != 3}
    )
    labels = {" ".join(found.text(e).words): e.label for es in found.splits.values() for e in es}
    assert all(labels[t] == ("good" if "fine" in t else "bad") for t in both)


def test_limits_take_texts_at_random_and_leave_val_as_it_is(toys, tmp_path):
    whole = prepare(toys, tmp_path / "whole" / "toys", False, ALL)
    part = prepare(toys, tmp_path / "part" / "toys", False, Limits(5, 2))
    assert texts(part, "val") == texts(whole, "val")
    assert texts(part, "train") == texts(whole, "train")[:5]
    assert len(part.splits["test"]) == 2
    assert set(texts(part, "test")) < set(texts(whole, "test"))


def test_another_seed_draws_others(toys, tmp_path):
    one, other = (prepare(toys, tmp_path / str(seed) / "toys", False, ALL, seed) for seed in (0, 1))
    assert texts(one, "val") != texts(other, "val")


def test_of_pairs_the_text_is_read_before_text2(tmp_path):
    rows = ["it rains,the sun shines,0", "it rains a lot,it rains,1", "it snows,it is cold,1"] * 4
    rows = [f"day {i} {row}" for i, row in enumerate(rows)]
    source = write(
        tmp_path / "days",
        rows,
        ["night it rains,it is wet,1", "night it is dry,it rains,0"],
        "text,text2,label",
    )
    found = prepare(source, tmp_path / "out" / "days", True, ALL)
    [first, second] = found.splits["test"]
    assert (first.query, found.text(first).words) == ("night it rains", ("it", "is", "wet"))
    assert (second.query, second.label) == ("night it is dry", "0")


def test_a_finished_data_set_is_read_and_not_made_again(toys, tmp_path):
    out = tmp_path / "out" / "toys"
    made = prepare(toys, out, False, ALL)
    before = (out / "train.jsonl").stat().st_mtime_ns
    assert prepare(toys, out, False, ALL).splits == made.splits
    assert (out / "train.jsonl").stat().st_mtime_ns == before
    with pytest.raises(InputError, match="the folder holds results with other limits"):
        prepare(toys, out, False, Limits(5))


def test_a_data_set_in_eraser_format_keeps_its_own_val(toys, tmp_path):
    made = prepare(toys, tmp_path / "eraser" / "toys", False, ALL)
    found = prepare(tmp_path / "eraser" / "toys", tmp_path / "out" / "toys", False, Limits(3, 2))
    assert {split: len(examples) for split, examples in found.splits.items()} == {
        "train": 3,
        "val": 2,
        "test": 2,
    }
    assert texts(found, "val") == texts(made, "val")
    assert not (tmp_path / "out").exists()


def test_sizes_are_those_of_the_files(toys, tmp_path):
    assert sizes_of(toys) == Limits(20, 4, None)
    prepare(toys, tmp_path / "out" / "toys", False, ALL)
    assert sizes_of(tmp_path / "out" / "toys") == Limits(19, 4, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "test.csv").unlink(), "toys/test.csv: no such file"),
        (lambda f: (f / "train.csv").write_text("text,kind\na,b\n"), "label"),
        (lambda f: (f / "test.csv").write_text("text,label\nonly one,\n"), "label"),
    ],
)
def test_files_that_cannot_be_read_are_refused(toys, tmp_path, change, message):
    change(toys)
    with pytest.raises(InputError) as error:
        prepare(toys, tmp_path / "out" / "toys", False, ALL)
    assert message in str(error.value)
    assert not (tmp_path / "out" / "toys").exists()


def test_a_folder_that_holds_something_else_is_left_alone(toys, tmp_path):
    out = tmp_path / "out" / "toys"
    out.mkdir(parents=True)
    (out / "letter.txt").write_text("mine")
    with pytest.raises(InputError, match=r"the folder holds other files \(letter.txt\)"):
        prepare(toys, out, False, ALL)
    assert (out / "letter.txt").read_text() == "mine"


def test_limits_below_one_are_refused(toys, tmp_path):
    with pytest.raises(InputError, match="expected a test limit of at least 1, got 0"):
        prepare(toys, tmp_path / "out" / "toys", False, Limits(None, 0))


def test_what_is_written_says_what_it_was_made_of(toys, tmp_path):
    out = tmp_path / "out" / "toys"
    prepare(toys, out, False, Limits(5), 7)
    of = json.loads((out / "made.json").read_text())["of"]
    assert (of["limits"], of["seed"]) == ({"train": 5, "test": None, "val": 1000}, 7)
    assert load(None, out).name == "toys"
