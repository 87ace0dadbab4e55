"""A run that is read batch by batch writes what one in memory writes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from rationale.evaluation.per_example import per_example_metrics
from rationale.evaluation.plan import joined, plan
from rationale.evaluation.stored.columns import PER_EXAMPLE, TIMES, ColumnsFile
from rationale.report.write import write_run
from rationale.settings import EvaluateSettings

SETTINGS = EvaluateSettings(
    "sample", "tiny", methods=("attention", "integrated_gradients", "random"), limit=7, ig_steps=2,
    budgets=("ratio", "gold"), fractions=(0.2,), chunk=3,
)  # fmt: skip


def contents(folder):
    """Every file a run wrote but its parts, byte for byte."""
    files = (p for p in folder.rglob("*") if p.is_file() and p.parent.name != "parts")
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


@pytest.mark.slow
@pytest.mark.parametrize("drops", [False, True])
def test_batches_write_what_the_whole_writes(classifier, adaptive, sample, tmp_path, drops):
    asked = replace(SETTINGS, methods=(*SETTINGS.methods, *(("survivors",) if drops else ())))
    planned = plan(adaptive if drops else classifier, sample, asked, tmp_path / "run")
    batches = list(planned.batches())
    assert [len(b.items) for b in batches] == [3, 3, 1]
    whole = joined(batches)
    write_run(iter(batches), sample, tmp_path / "batches")
    write_run(whole, sample, tmp_path / "whole")
    found, expected = contents(tmp_path / "batches"), contents(tmp_path / "whole")
    assert found.keys() == expected.keys()
    assert {name for name in found if found[name] != expected[name]} <= {PER_EXAMPLE, TIMES}
    for name in (PER_EXAMPLE, TIMES):  # the same numbers
        one, other = ColumnsFile(tmp_path / "batches" / name), ColumnsFile(tmp_path / "whole" / name)
        assert one.ids == other.ids
        assert list(one) == list(other)
        for key in one:
            np.testing.assert_array_equal(one[key], other[key])
    assert ("layers.csv" in found) == drops
    assert (whole.savings is None) != drops


def test_what_people_tell_counts_every_example_of_the_run(classifier, sample, tmp_path):
    """Of seven examples four have single annotators; two of them a community."""
    examples = list(sample.splits["test"])
    for i in (0, 3, 4, 6):
        one = examples[i].evidence
        examples[i] = replace(examples[i], annotators=(one, one), tags=frozenset({"Women"} if i < 4 else ()))
    told = replace(sample, splits={**sample.splits, "test": tuple(examples)})
    planned = plan(classifier, told, SETTINGS, tmp_path / "run")
    batches = list(planned.batches())
    write_run(iter(batches), told, tmp_path / "batches")
    write_run(joined(batches), told, tmp_path / "whole")
    table = pd.read_csv(tmp_path / "batches" / "annotators.csv")
    assert (table.n + table.left_out == 7).all()
    assert table.equals(pd.read_csv(tmp_path / "whole" / "annotators.csv"))


def test_every_example_is_measured_alike_alone(classifier, sample, tmp_path):
    planned = plan(classifier, sample, SETTINGS, tmp_path)
    batches = list(planned.batches())
    whole = per_example_metrics(joined(batches))
    parts = [per_example_metrics(batch) for batch in batches]
    for key, of_all in whole.items():
        assert [row for part in parts for row in part[key]] == of_all, key


def test_a_run_that_fails_half_way_leaves_what_was_there(classifier, sample, tmp_path):
    planned = plan(classifier, sample, SETTINGS, tmp_path)
    write_run(planned.batches(), sample, tmp_path)
    before = contents(tmp_path)

    def broken():
        yield planned.batch(0)
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        write_run(broken(), sample, tmp_path)
    assert contents(tmp_path) == before
