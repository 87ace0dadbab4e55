"""A broken copy of a method of each family is caught, and the method itself is not."""

from __future__ import annotations

from itertools import product

import pytest

from rationale.attribution.methods import METHODS
from rationale.trusting.contract import TrustSettings
from rationale.trusting.run import run_tests
from tests.helpers.decided import dropping, texts
from tests.helpers.trusted import SPOILT, spoilt, subject

FAMILIES = {
    "attention": "attention",
    "gradient": "gradient_x_input",
    "perturbation": "leave_one_out",
    "survivors": "survivors",
}
TESTS = ("matched", "decision", "people")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """The outcome of each test for each family's method, its broken copies and the baselines."""
    folder = tmp_path_factory.mktemp("broken")
    with pytest.MonkeyPatch.context() as patch:
        for name, how in product(FAMILIES.values(), SPOILT):
            patch.setitem(METHODS, f"{name}-{how}", spoilt(METHODS[name], how))
        copies = (f"{name}-{how}" for name, how in product(FAMILIES.values(), SPOILT))
        methods = (*FAMILIES.values(), *copies, "position", "random")
        few = TrustSettings(draws=20, span_draws=3)
        found = subject(folder, methods, texts(), dropping(folder), few)
        results = list(run_tests(found, TESTS))
    return {m: {r.test: r.of(m) for r in results} for m in methods}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_method_that_knows_passes(outcomes, family):
    assert {f.outcome for f in outcomes[FAMILIES[family]].values()} == {"pass"}


@pytest.mark.parametrize(("family", "how"), list(product(FAMILIES, SPOILT)))
def test_a_broken_copy_is_caught(outcomes, family, how):
    assert "fail" in {f.outcome for f in outcomes[f"{FAMILIES[family]}-{how}"].values()}


@pytest.mark.parametrize("method", ["random", "position"])
def test_the_baselines_fail(outcomes, method):
    assert {t: f.outcome for t, f in outcomes[method].items()} == dict.fromkeys(TESTS, "fail")
