from __future__ import annotations

from pathlib import Path

import pytest

from eraser import InputError
from tests.helpers.exports import imported, marked


def save(folder, name, text, *lines):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    (folder / f"{name}.ann").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def test_spans_their_pieces_and_folders_as_classes_are_read(tmp_path):
    spans = ("T1\tREASON 2 13\ttruly awful", "T2\tREASON 20 22;27 29\tDo go")
    more = ("A1\tStrong T1", "#1\tNote T1\thm", "R1\tSame Arg1:T1 Arg2:T2")
    save(tmp_path, "neg/1", "A truly awful film.\nDo not go.\n", *spans, *more)
    save(tmp_path, "pos/2", "A 😀 warm film.", "T1\tREASON 4 8\twarm")
    found = imported(tmp_path, label_from="folder")
    assert marked(found) == {"neg/1": ("neg", "truly awful Do go."), "pos/2": ("pos", "warm")}
    assert found.notes[:5] == (
        "form: brat's stand-off, a folder",
        "labels of spans: REASON 4 (--span-labels chooses)",
        "attributes not read: 1",
        "notes not read: 1",
        "relations not read: 1",
    )


def test_faults_have_their_file_and_line(tmp_path):
    save(tmp_path, "a", "A film.", "T1\tR 2 6\tfilm", "T2\tR 3")
    save(tmp_path, "b", "A film.", "T1\tR 6 2\tfilm")
    (tmp_path / "c.ann").write_text("")
    with pytest.raises(InputError) as error:
        imported(tmp_path, label_from="spans")
    assert str(error.value).splitlines() == [
        f"{tmp_path}/a.ann:2: expected T1, a tab, a label and offsets, got 'T2\\tR 3'",
        f"{tmp_path}/b.ann:1: expected offsets with start < end, got 'T1\\tR 6 2\\tfilm'",
        f"{tmp_path}/c.txt: expected a readable file, got No such file or directory",
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_line_ends_only_where_brat_ends_it(tmp_path, end):
    """The words of a span may have a separator of lines that Python would cut at."""
    text = "A dull\u2028film."
    (tmp_path / "1.txt").write_text(text, encoding="utf-8")
    (tmp_path / "1.ann").write_bytes(f"T1\tR 2 12\tdull\u2028film.{end}T2\tR 0 1\tA{end}".encode())
    save(tmp_path, "2", "Warm.")
    found = imported(tmp_path, label_from="spans")
    assert marked(found) == {"1": ("R", "A dull film."), "2": ("none", "")}
    assert not any("differ" in note for note in found.notes)


def test_the_folder_of_a_class_may_be_the_one_that_is_worked_in(tmp_path, monkeypatch):
    save(tmp_path / "neg", "1", "A dull film.", "T1\tR 2 6\tdull")
    save(tmp_path / "neg", "pos/2", "A warm film.")
    monkeypatch.chdir(tmp_path / "neg")
    assert marked(imported(Path(), label_from="folder")) == {"1": ("neg", "dull"), "pos/2": ("pos", "")}
