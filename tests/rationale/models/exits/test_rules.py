"""The rules by which texts stop: worked by hand, and one text at a time."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rationale.models.exits.accumulator import Accumulator
from rationale.models.exits.rules import EXITS, layers_run

# Of three layers what each says of four texts: sure at once; of two minds, then sure; changing; never sure
OWN = torch.tensor([
    [[1.0, 0.0], [0.5, 0.5], [0.9, 0.1], [0.6, 0.4]],
    [[1.0, 0.0], [0.1, 0.9], [0.2, 0.8], [0.6, 0.4]],
    [[0.0, 1.0], [0.2, 0.8], [0.7, 0.3], [0.4, 0.6]],
])  # fmt: skip
HALTING = torch.full((3, 4), 0.5)


def played(name, dial, own=OWN, halting=HALTING):
    """Return the layers that each text ran, the answers, and which layers' heads were asked."""
    asked = []

    def read(layer, running, _):
        asked.append(layer)
        return own[layer, running], halting[layer, running]

    at = Accumulator(len(own), read, EXITS[name], dial)
    running, exits = torch.arange(own.shape[1]), torch.full((own.shape[1],), len(own))
    for layer in range(len(own)):
        stop = at.should_stop(layer, running, running)
        if stop is not None:
            exits[running[stop]] = layer + 1
            running = running[~stop]
        if not len(running):
            break
    return exits.tolist(), at.answer, asked


def entropy(p):
    return -(p * math.log2(p) + (1 - p) * math.log2(1 - p))


def test_entropy_stops_where_an_answer_is_sure_enough_and_gives_the_layers_own():
    exits, answer, asked = played("entropy", entropy(0.85))
    assert exits == [1, 2, 1, 3]
    assert answer.tolist() == [
        pytest.approx([1, 0]), pytest.approx([0.1, 0.9]), pytest.approx([0.9, 0.1]), pytest.approx([0.4, 0.6])
    ]  # fmt: skip
    assert asked == [0, 1, 2]
    assert played("entropy", entropy(0.79))[0] == [1, 2, 1, 3]
    assert played("entropy", 1.0)[0] == [1, 1, 1, 1]


def test_patience_counts_layers_in_a_row_that_give_one_class():
    """Two in a row of three layers: a dial of 3 / 2."""
    exits, answer, _ = played("patience", 3 / 2)
    assert exits == [2, 3, 3, 2]
    assert answer.argmax(-1).tolist() == [0, 1, 0, 0]
    assert played("patience", 1.0)[0] == [3] * 4
    assert played("patience", 3.0)[0] == [1] * 4


def test_depth_runs_some_layers_of_every_text_and_no_head_before_the_last():
    for dial, layers in ((0.0, 3), (1.0, 3), (3 / 2, 2), (3.0, 1), (50.0, 1)):
        exits, answer, asked = played("depth", dial)
        assert exits == [layers] * 4
        assert torch.equal(answer, OWN[layers - 1])
        assert asked == [layers - 1]
        assert layers_run(3, dial) == layers


def test_dact_gives_the_mixture_of_all_layers_run():
    """h is a half: a_2 = (y_1 + y_2) / 2, and a_3 is three quarters that and a quarter y_3."""
    _, answer, _ = played("published", 0.0)
    assert torch.allclose(answer, 0.75 * (OWN[0] + OWN[1]) / 2 + 0.25 * OWN[2])
    exits, first, _ = played("published", 1e9)
    assert exits == [1] * 4
    assert torch.equal(first, OWN[0])


@pytest.mark.parametrize("name", EXITS)
def test_dial_0_runs_every_layer(name):
    exits, answer, _ = played(name, 0.0)
    assert exits == [3] * 4
    if not EXITS[name].mixes:
        assert torch.equal(answer, OWN[2])


@st.composite
def texts(draw):
    layers, count, classes = draw(st.integers(2, 6)), draw(st.integers(1, 5)), draw(st.integers(2, 4))
    g = torch.Generator().manual_seed(draw(st.integers(0, 10**6)))
    sure = torch.rand(1, count, 1, generator=g) * 5
    own = (torch.randn(layers, count, classes, generator=g) * sure).softmax(-1)
    return own, (torch.randn(layers, count, generator=g) * 2 - 1).sigmoid()


@pytest.mark.parametrize("name", EXITS)
@given(texts=texts(), dials=st.tuples(st.floats(0.0, 20.0), st.floats(0.0, 20.0)))
def test_a_larger_dial_stops_no_text_later(name, texts, dials):
    own, halting = texts
    slow, fast = (played(name, dial, own, halting)[0] for dial in sorted(dials))
    assert all(f <= s for s, f in zip(slow, fast, strict=True))


@pytest.mark.parametrize("name", EXITS)
@given(texts=texts())
def test_the_dials_of_a_rule_go_from_every_layer_to_one(name, texts):
    own, halting = texts
    dials = EXITS[name].dials(len(own))
    assert list(dials) == sorted(dials)
    assert set(played(name, dials[0], own, halting)[0]) == {len(own)}
    assert set(played(name, dials[-1], own, halting)[0]) == {1}
