"""Comprehensiveness and sufficiency, each with a p value: does the model know texts with words taken out?

The p values are those of the test `distribution`, of the first texts of a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from rationale.evaluation.plan import Plan
from rationale.trusting.checks.distribution import LEVEL, MEASURES, SIDES
from rationale.trusting.contract import Finding, TestResult, TrustSettings
from rationale.trusting.model.again import MORE
from rationale.trusting.run import run_tests
from rationale.trusting.subject import subject_of

TEST = "distribution"
COLUMNS = ["method", "metric", "p", "rejected", "n", "outside"]


def inside_table(findings: Sequence[Finding]) -> pd.DataFrame:
    """Return a row for each method and measure: p, the share of texts rejected one by one, a warning."""
    rows = [
        (f.method, MEASURES[side], p, f.details[side]["rejected"]["value"], f.n, p < LEVEL)
        for f in findings
        if f.test == TEST and f.outcome == "told"
        for side in SIDES
        for p in [f.details[side]["p"]]
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def inside_of(planned: Plan) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Test the first texts of a run that is computed; return the table, and what to tell of it in lines."""
    size = planned.run.settings.chunk
    first = replace(planned, examples=planned.examples[: -(-MORE // size) * size])
    subject = subject_of(first, TrustSettings(), planned.run.folder)
    (result,) = run_tests(subject, [TEST])
    table = inside_table(result.findings)
    return table, notes_of(table, result)


def notes_of(table: pd.DataFrame, result: TestResult) -> tuple[str, ...]:
    """Return which measures are asked of texts that the model does not know, or why that cannot be told."""
    if table.empty:
        why = result.findings[0].sentence.removeprefix("Cannot tell: ").removesuffix(".")
        return (f"whether the model knows texts with words taken out cannot be told: {why}",)
    where = f"of the first {table.n.iloc[0]} texts"
    found = [
        f"{measure} of {', '.join(rows.method)}: it is asked about texts outside the model's distribution "
        f"(p below {LEVEL} {where})"
        for measure, rows in table[table.outside].groupby("metric", sort=False)
    ]
    return tuple(found) or (f"texts with words taken out are not told from whole ones ({where})",)
