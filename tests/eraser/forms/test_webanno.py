from __future__ import annotations

import pytest

from eraser import InputError
from tests.helpers.exports import each, imported, marked

HEAD = """#FORMAT=WebAnno TSV 3.3
#T_SP=de.tudarmstadt.ukp.dkpro.core.api.lexmorph.type.pos.POS|PosValue|coarseValue
#T_SP=webanno.custom.Reason|value
#T_RL=webanno.custom.Link|kind|BT_webanno.custom.Reason

"""
NEG = """
#Text=A truly \\[awful\\] 😀 film.
1-1\t0-1\tA\tDT\t_\t_\t_\t_\t
1-2\t2-7\ttruly\tRB\t_\tBAD[1]\t_\t_\t
1-3\t8-15\t\\[awful\\]\tJJ\t_\tBAD[1]\t_\t_\t
1-4\t16-18\t😀\tX\t_\t_\t_\t_\t
1-5\t19-23\tfilm\tNN\t_\t_\t_\t_\t
1-5.1\t21-23\tlm\t_\t_\tOTHER\t_\t_\t
1-6\t23-24\t.\t.\t_\t_\t_\t_\t

#Text=Do not go.
2-1\t25-27\tDo\t_\t_\t_\t_\t_\t
2-2\t28-31\tnot\t_\t_\t*[3]|BAD[4]\t_\t_\t
2-3\t32-34\tgo\t_\t_\t*[3]\t_\t_\t
2-4\t34-35\t.\t_\t_\t_\t_\t_\t
"""
POS = "\n#Text=Warm.\n1-1\t0-4\tWarm\t_\t_\tGOOD\t_\t_\t\n1-2\t4-5\t.\t_\t_\t_\t_\t_\t\n"


def folder(tmp_path, **files):
    for name, text in files.items():
        (tmp_path / "x" / name.partition("_")[0]).mkdir(parents=True, exist_ok=True)
        (tmp_path / "x" / name.partition("_")[0] / f"{name}.tsv").write_text(HEAD + text, encoding="utf-8")
    return tmp_path / "x"


def test_spans_of_tokens_parts_of_tokens_and_stacked_ones_are_read(tmp_path):
    found = imported(folder(tmp_path, neg_1=NEG, pos_1=POS), label_from="folder")
    assert marked(found) == {"neg_1": ("neg", "truly [awful] film. not go."), "pos_1": ("pos", "Warm.")}
    assert found.documents["neg_1"].string == "A truly [awful] 😀 film.\nDo not go."
    assert found.notes[:4] == (
        "form: INCEpTION's WebAnno TSV 3",
        "labels of spans: BAD 2, OTHER 1, Reason 1, GOOD 1 (--span-labels chooses)",
        "layer not read: POS, files: 2",
        "layer not read: Link, files: 2",
    )
    only = imported(tmp_path / "x", label_from="folder", span_labels=("OTHER",))
    assert marked(only)["neg_1"] == ("neg", "film.")


def test_a_folder_of_documents_has_a_file_for_each_user(tmp_path):
    for name, user, text in (
        ("a.txt", "anna", NEG),
        ("a.txt", "ben", NEG.replace("BAD[1]", "_")),
        ("b.txt", "ben", POS),
    ):
        (tmp_path / "annotation" / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "annotation" / name / f"{user}.tsv").write_text(HEAD + text, encoding="utf-8")
    found = imported(tmp_path / "annotation", label_from="spans")
    assert each(found) == {
        "a.txt": {"anna": [(1, 3), (4, 5), (6, 8)], "ben": [(4, 5), (6, 8)]},
        "b.txt": {"ben": [(0, 1)]},
    }


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("1-1\tx\tA", "4: expected a token line, got '1-1\\tx\\tA'"),
        ("1-1\t0-1\tZ\t_", "4: expected the token 'Z' next in its #Text, got '1-1\\t0-1\\tZ\\t_'"),
        ("1-1\t2-6\tfilm\t_", "4: expected the token 'film' next in its #Text, got '1-1\\t2-6\\tfilm\\t_'"),
        ("1-9.1\t0-1\tA\t_", "4: expected a part of a token above, got '1-9.1\\t0-1\\tA\\t_'"),
    ],
)
def test_a_line_that_is_no_token_of_its_text_is_told(tmp_path, line, told):
    (tmp_path / "x.tsv").write_text(f"#FORMAT=WebAnno TSV 3.3\n#T_SP=a.B|v\n#Text=A film\n{line}\n")
    with pytest.raises(InputError) as error:
        imported(tmp_path / "x.tsv", label_from="spans")
    assert str(error.value).splitlines()[0] == f"{tmp_path}/x.tsv:{told}"
