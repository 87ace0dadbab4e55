"""Scoring starts fast: it imports little, and reads lines by a faster reader that gives the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eraser.official.reading import parse_json
from tests.helpers.paths import PYTHONPATH

UNUSED = (
    "pandas", "scipy", "sklearn", "matplotlib", "pyarrow", "openpyxl", "regex", "tqdm", "platformdirs",
    "typer", "torch", "transformers", "eraser.load", "eraser.data.custom", "eraser.download", "rationale",
)  # fmt: skip
SCORING = """
import sys
from pathlib import Path
from eraser.data.source import Source
from eraser.official.scorer import score_official

print(score_official(Source(Path("data")), "test", Path("p.jsonl"))["token_soft_metrics"]["auprc"])
print(*sorted(sys.modules))
"""


def test_scoring_imports_nothing_that_it_does_not_use(tmp_path):
    (tmp_path / "data" / "docs").mkdir(parents=True)
    (tmp_path / "data" / "docs" / "d").write_text("a fine day\n")
    evidence = {"docid": "d", "text": "fine", "start_token": 1, "end_token": 2}
    gold = {"annotation_id": "1", "query": "", "evidences": [[evidence]], "classification": "POS"}
    (tmp_path / "data" / "test.jsonl").write_text(json.dumps(gold) + "\n")
    scores = {"docid": "d", "soft_rationale_predictions": [0.1, 0.9, 0.2]}
    (tmp_path / "p.jsonl").write_text(json.dumps({"annotation_id": "1", "rationales": [scores]}) + "\n")
    done = subprocess.run(
        [sys.executable, "-c", SCORING],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": PYTHONPATH},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    auprc, modules = done.stdout.splitlines()
    assert auprc == "1.0"
    assert "eraser.official.scorer" in modules.split()
    assert [name for name in UNUSED if name in modules.split()] == []


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=40)
@given(VALUES, st.booleans())
def test_a_line_is_what_python_reads_in_it(value, ascii_only):
    line = json.dumps(value, ensure_ascii=ascii_only)
    assert repr(parse_json(line)) == repr(json.loads(line))  # NaN and -0.0 too


@pytest.mark.parametrize(
    "line",
    [
        "123456789012345678901234567890", "-9223372036854775809", "1e400", "-0", '"\\ud800"', "NaN",
        "-Infinity", '{"a": 1, "a": 2}', " [1, 2.50] ", '"\ud800"', "1" * 4000,
    ],
)  # fmt: skip
def test_odd_lines_are_what_python_reads_in_them(line):
    assert repr(parse_json(line)) == repr(json.loads(line))


@pytest.mark.parametrize(
    "line", ["", "{", "[1,]", "01", "1.", "'a'", '"a\tb"', "[1] 2", "\ufeff1", "1" * 5000, "[" * 100_000]
)
def test_what_python_does_not_read_is_refused_in_its_words(line):
    with pytest.raises((ValueError, RecursionError)) as theirs:
        json.loads(line)
    with pytest.raises(theirs.type) as ours:
        parse_json(line)
    assert str(ours.value) == str(theirs.value)
