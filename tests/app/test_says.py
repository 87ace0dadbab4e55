from __future__ import annotations

from rationale_viewer.compute.explain import SLOW
from rationale_viewer.view.wording import COSTS, METHODS_SAY, UNKNOWN, cost_of, method_name, method_says

from rationale.attribution import METHODS


def test_every_method_is_told_in_words():
    assert set(METHODS_SAY) == set(METHODS)
    assert method_says("random").startswith("random: nothing, drawn at random")
    assert method_says("<mine>") == "<mine>: not a method of this project."


def test_slow_methods_are_named_so():
    assert {m for m in METHODS if method_name(m).endswith("(slow)")} == SLOW


def test_every_method_of_ours_has_a_cost():
    assert UNKNOWN not in {cost_of(m) for m in METHODS}
    assert cost_of("mine") == UNKNOWN
    assert {cost_of(m) for m in METHODS} | {UNKNOWN} == set(COSTS)
