"""Packed rows filled up to whole steps: fewer shapes to compile kernels for, the same answers."""

from __future__ import annotations

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from rationale.models.adaptive import unwrap
from rationale.models.inforcoef import InforCoefForSequenceClassification
from rationale.models.packed import attention as packed
from rationale.models.packed.attention import LEAST_STEP, LONG, pad_to_multiple, step_of
from rationale.models.packed.layers import anatomy_of
from tests.conftest import FAMILIES, dropping, tiny_model
from tests.helpers.models.batches import batch

FEW, MANY = (3, 14, 1, 9), (17, 9, 1, 30, 2)  # both ways to attend


def samples(model):
    """Return the model with samplers that drop about half of the tokens."""
    wrapped = InforCoefForSequenceClassification.wrap(model).eval()
    torch.manual_seed(0)
    for sampler in wrapped.samplers:
        nn.init.normal_(sampler.scorer.weight)
        nn.init.zeros_(sampler.scorer.bias)
    return wrapped


@pytest.fixture(params=[*FAMILIES, "samplers"])
def model(request, tokenizer):
    if request.param == "samplers":
        return samples(tiny_model(next(iter(FAMILIES)), tokenizer, ("NEG", "POS")))
    return dropping(tiny_model(request.param, tokenizer, ("NEG", "POS")))


def rows_worked_on(model):
    """Return a list into which each linear map of layers, predictors and samplers writes its rows."""
    anatomy_of(unwrap(model))  # watched by passes of its own
    met: list[int] = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and re.search(r"\.layer\.|predictors|samplers", name):
            module.register_forward_pre_hook(lambda _, given: met.append(given[0].shape[-2]))
    return met


def always_filled(monkeypatch):
    monkeypatch.setattr(packed, "_compiles", lambda states: True)


@pytest.mark.parametrize("lengths", [FEW, MANY])
def test_filled_rows_change_no_answer_and_no_gradient(model, lengths, monkeypatch):
    ids, real = batch(lengths)
    model.requires_grad_(True)
    met = rows_worked_on(model)
    plain = model(ids, real)
    plain.logits.sum().backward()
    gradients = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    assert any(rows % LEAST_STEP for rows in met), "nothing here needs filling"
    met.clear()
    model.zero_grad()
    always_filled(monkeypatch)
    filled = model(ids, real)
    filled.logits.sum().backward()
    assert met
    assert all(rows % step_of(rows) == 0 for rows in met)
    assert torch.allclose(filled.logits, plain.logits, atol=1e-6)
    for a, b in zip(filled.trace, plain.trace, strict=True):
        assert (a.kept == b.kept).all()
        assert torch.allclose(a.contribution, b.contribution, atol=1e-6)
    for parameter, before in zip(model.parameters(), gradients, strict=True):
        assert (parameter.grad is None) == (before is None)
        assert before is None or torch.allclose(parameter.grad, before, atol=1e-5)


def test_half_precision_on_a_cpu_is_filled_and_float32_is_not(model):
    ids, real = batch(MANY)
    met = rows_worked_on(model)
    with torch.inference_mode():
        model(ids, real)
        assert met[0] == sum(MANY)
        met.clear()
        with torch.autocast("cpu", torch.bfloat16):
            model(ids, real)
    assert all(rows % LEAST_STEP == 0 for rows in met)


@given(st.integers(1, LONG))
def test_filling_is_a_sixteenth_at_most_but_in_the_shortest_rows(tokens):
    filling = -tokens % step_of(tokens)
    assert filling < LEAST_STEP or filling <= tokens / 16


def test_rows_have_few_sizes_and_long_ones_their_own():
    sizes = {tokens + -tokens % step_of(tokens) for tokens in range(1, LONG + 1)}
    assert len(sizes) < 70  # of 2,048; oneDNN keeps 1,024 kernels, a layer takes about six
    assert step_of(LONG + 1) == 1


def test_work_of_one_number_a_row_is_cut_back_on_the_rows_axis():
    states = torch.randn(5, 3, dtype=torch.bfloat16)
    assert torch.equal(pad_to_multiple(lambda x: x[:, 0], states), states[:, 0])
    assert torch.equal(pad_to_multiple(lambda x: x * 2, states[None]), states[None] * 2)
