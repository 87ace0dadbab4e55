from __future__ import annotations

import json

import numpy as np
import pytest
from rationale_viewer.session.start import VARIABLE, LaunchConfig
from rationale_viewer.view import told
from streamlit.testing.v1 import AppTest

from eraser.data.custom.options import ImportOptions
from eraser.data.custom.read import read_custom
from eraser.data.write_eraser import write_eraser
from tests.helpers.app.pages import SCRIPT, checked
from tests.helpers.eraser.own_files import save


def test_ranks_put_the_highest_first_and_skip_unread_words():
    assert told.ranks(np.array([0.1, 0.5, np.nan, 0.5])) == [3, 1, None, 2]


def test_what_is_told_of_a_word():
    scores = np.array([0.5, np.nan, np.nan])
    found = told.told_of(scores, [("un", "##fit"), (), ("far",)])
    dropped, unread = "no score: the tokenizer drops it", "no score: not read by the model"
    assert found == ["score +0.5 · rank 1 of 1 · pieces un | ##fit", dropped, unread]
    assert told.told_of(scores) == ["score +0.5 · rank 1 of 1", unread, unread]
    assert told.scores_of(scores) == ["score +0.5", unread, unread]


@pytest.mark.parametrize("page", ["Explain", "Annotators"])
def test_a_word_that_the_tokenizer_drops_is_not_said_to_be_too_far(monkeypatch, folders, tmp_path, page):
    """The tokenizer makes no piece of a zero-width joiner that stands alone."""
    rows = [{"id": x, "text": "warm \u200d film", "label": x, "rationale": [[0, 4]]} for x in ("NEG", "POS")]
    files = {"test": save(tmp_path / "x.jsonl", rows)}
    options = ImportOptions(rationale_form="chars", words="whitespace")
    write_eraser(read_custom("own", files, options), tmp_path / "own")
    given = LaunchConfig((str(folders / "dense"),), "own", str(tmp_path / "own"))
    monkeypatch.setenv(VARIABLE, given.as_json())
    at = AppTest.from_file(SCRIPT, default_timeout=60)
    at.query_params |= {"page": page, "example": "POS", "method": "random", "split": "test"}
    body = json.loads(checked(at.run()).get("bidi_component")[0].proto.json)["body"]
    wanted = {"Explain": "the tokenizer drops it", "Annotators": "not read by the model"}[page]
    assert f"no score: {wanted}" in body
    assert "nan" not in body
