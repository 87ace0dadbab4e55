from __future__ import annotations

import pytest

from eraser import InputError
from tests.helpers.exports import imported, marked

TAGS = {
    "BIO": ("B-R", "I-R", "B-R"),
    "IOB1": ("I-R", "I-R", "B-R"),
    "BIOES": ("B-R", "E-R", "S-R"),
    "BILUO": ("B-R", "L-R", "U-R"),
    "bare": ("B", "I", "B"),
}


@pytest.mark.parametrize("tags", TAGS.values(), ids=TAGS)
def test_every_scheme_of_tags_gives_the_same_spans(tmp_path, tags):
    first = f"# id = a\n# label = NEG\nA O\ntruly {tags[0]}\nawful {tags[1]}\nfilm {tags[2]}\n. O\n"
    (tmp_path / "x.bio").write_text(f"{first}\n# id = b\n# label = POS\nWarm {tags[0]}\n. O\n")
    found = imported(tmp_path / "x.bio")
    assert marked(found) == {"a": ("NEG", "truly awful film"), "b": ("POS", "Warm")}
    (group,) = found.splits["test"][0].gold
    assert len(group) == 1  # words side by side are one run, whoever marked them
    assert found.notes[-1] == "form of the rationales: chars"


def test_a_document_is_a_text_of_its_sentences(tmp_path):
    lines = [
        "-DOCSTART- -X- O",
        "",
        "A _ O",
        "film _ B-X",
        "",
        "Go _ B-Y",
        "",
        "-DOCSTART- -X- O",
        "",
        "Hm _ O",
        "",
    ]
    (tmp_path / "x.conll").write_text("\n".join(lines))
    found = imported(tmp_path / "x.conll", label_from="spans")
    assert marked(found) == {"test-00001": ("X|Y", "film Go"), "test-00002": ("none", "")}
    assert found.documents["test-00001"].string == "A film\nGo"


def test_a_line_without_a_tag_is_told(tmp_path):
    (tmp_path / "x.bio").write_text("# label = A\nA O\nfilm\n")
    with pytest.raises(InputError) as error:
        imported(tmp_path / "x.bio", form="bio")
    assert str(error.value) == f"{tmp_path}/x.bio:3: expected a token and a tag B-X, I-X or O, got 'film'"


def test_a_token_may_have_white_space_that_is_no_blank(tmp_path):
    """A no-break space between the figures of a number, as French is written."""
    path = tmp_path / "x.conll"
    path.write_text("# label = NEG\nprix\tO\n10\u00a0000\tB-R\neuros O\n\n# label = POS\nbon O\n")
    found = imported(path)
    assert found.documents["test-00001"].string == "prix 10\u00a0000 euros"
    assert marked(found)["test-00001"] == ("NEG", "10 000")


def test_a_folder_is_read_whether_or_not_its_form_is_named(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "anna.conll").write_text("# label = NEG\ndull B-R\n")
    (tmp_path / "x" / "ben.conll").write_text("# label = POS\nwarm O\n")
    found = imported(tmp_path / "x", form="bio")
    assert marked(found) == {"anna-test-00001": ("NEG", "dull"), "ben-test-00001": ("POS", "")}
    assert imported(tmp_path / "x").splits == found.splits
