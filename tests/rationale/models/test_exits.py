"""Texts that stop early: in batches, in other models, in operations."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn
from transformers import AutoModelForSequenceClassification

from rationale.models.adaptive import unwrap
from rationale.models.dact import DactForSequenceClassification, FullDepth
from rationale.models.flops import Costs, costs, full_costs, kept_lengths
from rationale.models.packed.attention import SHORT, packed_layout
from rationale.models.packed.encoder import run_packed
from rationale.models.packed.head import Head
from rationale.models.pruning import cut
from tests.conftest import FAMILIES, dropping, tiny_model
from tests.helpers.models.batches import LENGTHS, batch, kept_words
from tests.helpers.models.counted import counted, text
from tests.helpers.models.cuttable import random_openings, tiny
from tests.helpers.models.exits import RULES, SURE, exiting, first_states, never, stack


@pytest.fixture(scope="module", params=FAMILIES)
def dense(request, tokenizer):
    return tiny_model(request.param, tokenizer, ("NEG", "POS"))


@pytest.fixture(scope="module", params=[*FAMILIES, "stack"])
def model(request, tokenizer):
    if request.param == "stack":
        return stack()
    return exiting(tiny_model(request.param, tokenizer, ("NEG", "POS")))


def test_batched_equals_alone_and_left_padded_equals_right_padded(model):
    ids, real = batch(LENGTHS)
    left_ids, left_real = batch(LENGTHS, "left")
    right, left = model(ids, real), model(left_ids, left_real)
    assert len(right.exit_layer.unique()) > 1
    assert torch.equal(left.exit_layer, right.exit_layer)
    assert torch.allclose(left.logits, right.logits, atol=1e-5)
    for row, n in enumerate(LENGTHS):
        alone = model(ids[row : row + 1, :n])
        assert int(alone.exit_layer[0]) == int(right.exit_layer[row])
        assert torch.allclose(alone.logits[0], right.logits[row], atol=1e-5)
        expected = kept_words(alone, 0, torch.ones(1, n, dtype=torch.bool))
        assert kept_words(right, row, real) == expected
        assert kept_words(left, row, left_real) == expected


@torch.no_grad()
def stop_after(model, ids, real, wanted):
    """Return the model with h = 0 for each text just after the layer wanted, and h = 1 before."""
    model = deepcopy(model)
    for n, (unit, first) in enumerate(zip(model.halting_units, first_states(model, ids, real), strict=True)):
        sign = torch.tensor([[SURE if layers > n + 1 else -SURE] for layers in wanted])
        found = torch.linalg.lstsq(nn.functional.pad(first, (0, 1), value=1.0), sign, driver="gelsd").solution
        unit.weight.copy_(found[None, :-1, 0])
        unit.bias.copy_(found[-1])
    return model


WANTED = {
    "all at once": (1, 1, 1, 1, 1),
    "all later": (2, 2, 2, 2, 2),
    "nobody": (3, 3, 3, 3, 3),
    "one left": (1, 1, 3, 1, 1),
    "one first": (3, 3, 3, 1, 3),
    "one after another": (2, 1, 3, 3, 2),
}


@pytest.mark.parametrize("case", WANTED)
def test_texts_leave_the_batch_and_no_other_notices(model, case):
    """Where h is 0 or 1, the answer is that of the head where the text stopped."""
    wanted, (ids, real) = WANTED[case], batch(LENGTHS)
    states = first_states(model, ids, real)
    everything = run_packed(unwrap(model), ids, ids * 0, real, model.select_tokens)
    found = stop_after(model, ids, real, wanted)(ids, real)
    assert found.exit_layer.tolist() == list(wanted)
    assert len(found.trace) == 3
    for row, n in enumerate(wanted):
        y, _ = model.read(n - 1, states[n - 1][row : row + 1])
        assert torch.allclose(found.logits[row].exp(), y[0], atol=1e-5)
        for layer, (a, b) in enumerate(zip(found.trace, everything.trace, strict=True)):
            runs = layer < n
            assert torch.equal(a.kept[row], b.kept[row] & runs)
            if b.contribution is None:
                assert a.contribution is None
            else:
                assert torch.allclose(a.contribution[row], b.contribution[row] * runs, atol=1e-5)


# rows


def test_rows_after_sequences_have_left_are_those_of_the_others():
    rows = packed_layout((3, 1, 4, 1, 5), torch.device("cpu"))
    for stop in ([0, 1, 0, 0, 1], [1, 0, 0, 0, 0], [0, 0, 0, 0, 1], [1, 1, 1, 0, 1], [1] * 5):
        found = rows.leave(torch.tensor(stop, dtype=torch.bool))
        lengths = [n for n, out in zip(rows.lengths, stop, strict=True) if not out]
        assert found.lengths == tuple(lengths)
        assert found.sequence_index.tolist() == [i for i, n in enumerate(lengths) for _ in range(n)]
    assert rows.leave(torch.zeros(5, dtype=torch.bool)) is rows


# models in models


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", ["dense", "cut"])
@torch.no_grad()
def test_nothing_dropped_and_nobody_stopped_is_the_model_inside(dense, kind, rule):
    inner = dense if kind == "dense" else cut(tiny(dense.config.model_type), random_openings(2))
    model = never(DactForSequenceClassification.wrap(dropping(inner), exit_rule=rule)).eval()
    ids, real = batch(LENGTHS)
    shrinking = model(ids, real)
    assert any((layer.kept != real).any() for layer in shrinking.trace)
    model.model.config.dial = 0.0
    output = model(ids, real)
    expected = inner(input_ids=ids, attention_mask=real.long()).logits.log_softmax(-1)
    assert torch.allclose(output.logits, expected, atol=1e-4)
    assert torch.allclose(output.logits.exp(), expected.exp(), atol=1e-5)
    assert output.exit_layer.tolist() == [3] * len(LENGTHS)
    assert all((layer.kept == real).all() for layer in output.trace)


def test_models_in_models_pass_on_what_is_not_their_own(dense):
    ids, real = batch(LENGTHS)
    dropper, stopper = dropping(dense), exiting(dense)
    outer = DactForSequenceClassification.wrap(dropper).eval()
    outer.heads.load_state_dict(stopper.heads.state_dict())
    outer.halting_units.load_state_dict(stopper.halting_units.state_dict())
    Head(unwrap(outer)).load_state_dict(Head(unwrap(stopper)).state_dict())
    inner = dropping(stopper)
    a, b = outer(ids, real), inner(ids, real)
    assert torch.equal(a.logits, b.logits)
    assert torch.equal(a.exit_layer, b.exit_layer)
    assert all(torch.equal(x.kept, y.kept) for x, y in zip(a.trace, b.trace, strict=True))
    assert not torch.equal(a.logits, stopper(ids, real).logits)
    assert dropper(ids, real).exit_layer is None
    assert (stopper.drops_tokens, outer.drops_tokens, inner.drops_tokens) == (False, True, True)
    assert outer.token_selectors() == tuple(outer.model.contribution_predictors)
    assert inner.token_selectors() == tuple(inner.contribution_predictors)
    assert (stopper.token_selectors(), dropper.exit_heads()) == ((), ())
    for found, owner in ((outer, outer), (inner, inner.model), (stopper, stopper)):
        heads, units = zip(*found.exit_heads(), strict=True)
        assert units == tuple(owner.halting_units)
        assert heads[:-1] == tuple(owner.heads)
        assert heads[-1].classifier is unwrap(owner).classifier
    for found in (outer, inner, stopper):
        full = found.without_removal()
        assert isinstance(full, FullDepth)
        assert torch.equal(full(input_ids=ids, attention_mask=real.long()).logits,
                           FullDepth(stopper)(input_ids=ids, attention_mask=real.long()).logits)  # fmt: skip
    assert dropper.without_removal() is dropper.model


# operations


def test_operations_of_texts_that_stop_are_those_torch_counts(model):
    price, layers = costs(model), set()
    for n in (1, 2, 17, 25, 31, 38):
        found, output = counted(model, text(n))
        assert price.shrinking([n], kept_lengths(output)).tolist() == [found]
        layers.add(int(output.exit_layer[0]))
    assert len(layers) > 1


def test_a_batch_is_spared_what_its_texts_are_spared_alone(model):
    """Lengths beyond those that are padded for attention; the stack's shrink below them."""
    if model.drops_tokens:
        model.model.config.dial = 0.0
    lengths = (SHORT + 1, 38, 30, 25)
    ids, real = batch(lengths)
    with torch.no_grad():
        packed = model.forward
        found, output = counted(lambda input_ids: packed(input_ids, real), ids)
    if model.drops_tokens:
        model.model.config.dial = 1.0
    kept = kept_lengths(output)
    assert len(output.exit_layer.unique()) > 1
    assert costs(model).shrinking(lengths, kept).sum() == found
    alone = [costs(model).shrinking([n], kept[:, [i]])[0] for i, n in enumerate(lengths)]
    assert costs(model).shrinking(lengths, kept).tolist() == alone


def test_costs_of_stopped_texts_add_up_by_hand():
    """What decides a removal runs on what the layer before kept, unless the text had stopped."""
    price = Costs((3, 5, 7), (2, 4, 6), remover=(11, 13, 17), exit=(29, 31, 37), embedding=19, head=0)
    start = 19 * 10
    one = start + 11 * 10 + 3 * 8 + 2 * 64 + 29
    two = one + 13 * 8 + 5 * 4 + 4 * 16 + 31
    three = two + 17 * 4 + 7 * 1 + 6 * 1 + 37
    kept = [[8, 8, 8], [0, 4, 4], [0, 0, 1]]
    assert price.shrinking([10, 10, 10], kept).tolist() == [one, two, three]


def test_full_depth_costs_the_dense_model_and_the_other_exits(model):
    inner, price = unwrap(model), costs(model)
    assert price.head == 0
    bare = costs(inner)
    assert price.exit[2] == bare.head + 2 * model.halting_units[2].in_features
    everything = np.tile(LENGTHS, (3, 1))
    removers = sum(price.remover) * np.array(LENGTHS)
    found = price.shrinking(LENGTHS, everything) - bare.dense(LENGTHS) - removers
    assert found.tolist() == [sum(price.exit) - bare.head] * len(LENGTHS)
    uncut = full_costs(model)
    assert (uncut.remover, uncut.exit) == ((0,) * 3, (0,) * 3)
    is_cut = hasattr(inner.config, "cut")
    assert (uncut.dense(LENGTHS) > bare.dense(LENGTHS)).tolist() == [is_cut] * len(LENGTHS)
    assert (uncut == bare) == (not is_cut)


def test_a_stack_saves_the_dials_of_all_its_models(adaptive, tmp_path):
    whole = DactForSequenceClassification.wrap(adaptive.model)
    whole.set_dial(0.25)
    whole.save_pretrained(tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert (loaded.config.dial, loaded.model.config.dial) == (0.25, 0.25)
    assert adaptive.model.config.dial == 1.0
