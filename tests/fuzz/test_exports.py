"""Rows of exports in which anything stands where something else was expected: refused, never a traceback."""

from __future__ import annotations

import contextlib
import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eraser import InputError
from eraser.data.forms.table import ANNOTATION_FORMS
from tests.helpers.export_rows import FLAT, MIN, NESTED, PRODIGY_NEG, PRODIGY_POS, TASKS
from tests.helpers.exports import imported

ROWS = {
    "label-studio": TASKS,
    "label-studio-min": MIN,
    "argilla": [*NESTED, *FLAT],
    "prodigy": [PRODIGY_NEG, PRODIGY_POS],
    "annotators": [{"id": 1, "tokens": ["A", "b"], "annotators": [{"rationale": [0, 1], "label": "A"}]}],
    "doccano": [
        {"id": 1, "text": "A film.", "cats": ["NEG"], "entities": [[2, 6, "R"]]},
        {"id": 2, "text": "A", "annotations": [{"label": 1, "start_offset": 0, "end_offset": 1, "user": 1}]},
    ],
    "spacy": [{"text": "A b.", "cats": {"NEG": 1.0}, "spans": {"sc": [{"start": 2, "end": 3}]}}],
}  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 30) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def places(value, at=()):
    """Yield the way to every value inside a row."""
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*at, key))


@st.composite
def spoiled(draw, rows):
    """Rows with other values in up to three places."""
    rows = copy.deepcopy(rows)
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from([p for p in places(rows) if len(p) > 1]))
        inside = rows
        for key in way:
            inside = inside[key]
        inside[last] = draw(JSON)
    return rows


def test_every_form_of_rows_is_spoiled():
    assert ROWS.keys() == {name for name, form in ANNOTATION_FORMS.items() if form.of_row is not None}


@pytest.mark.parametrize("form", ROWS)
@pytest.mark.parametrize("asked", ["auto", "itself"])
def test_a_spoiled_export_is_read_or_refused(form, asked, tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz") / "x.jsonl"

    @settings(max_examples=60, deadline=None)
    @given(spoiled(ROWS[form]), st.booleans())
    def read(rows, skip):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        with contextlib.suppress(InputError):
            imported(path, form=form if asked == "itself" else "auto", skip_invalid=skip)

    read()
