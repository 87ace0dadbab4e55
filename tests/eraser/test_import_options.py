from __future__ import annotations

from eraser.data.custom.options import ColumnNames, ImportOptions


def test_what_came_later_is_in_the_manifest_only_where_it_was_chosen():
    """So that a folder that was imported before is known again."""
    before = {
        "columns": dict.fromkeys(("id", "rationale", "query", "split")) | {"text": "text", "label": "label"},
        "form": "auto",
        "marks": ("[[", "]]"),
        "shares": (0.8, 0.1, 0.1),
        "seed": 0,
        "words": None,
    }
    assert ImportOptions().as_record() == before
    chosen = ImportOptions(ColumnNames(annotator="who"), offsets="utf16", skip_invalid=True)
    found = chosen.as_record()
    assert found.pop("columns") == before["columns"] | {"annotator": "who"}
    more = {"offsets": "utf16", "skip_invalid": True}
    assert found == {k: v for k, v in before.items() if k != "columns"} | more
