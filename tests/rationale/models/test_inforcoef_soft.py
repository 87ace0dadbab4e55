"""Infor-Coef in training: attention to what passes, sampled masks, the information bottleneck."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from transformers.models.bert.modeling_bert import eager_attention_forward

from rationale.models.inforcoef import (
    BOTTLENECKS,
    InforCoefForSequenceClassification,
    SampledLayer,
    passing,
    share_kept,
)
from rationale.models.packed.encoder import layers_of
from rationale.models.packed.layers import attention
from rationale.models.packed.soft import weighed
from tests.helpers.models.batches import LENGTHS, batch
from tests.helpers.models.samplers import KINDS, everyone, inner_of, sampling, soft
from tests.oracles import inforcoef as oracle

CERTAIN = 1e5  # scale of logits at which no noise changes a mask


@pytest.fixture(scope="module", params=KINDS)
def inner(request, tokenizer):
    return inner_of(request.param, tokenizer)


@pytest.fixture
def bert(tokenizer):
    return sampling(inner_of("bert", tokenizer))


# --- the two losses


@pytest.mark.parametrize("name", BOTTLENECKS)
def test_bottlenecks_are_those_of_the_slow_oracle(name):
    random = torch.Generator().manual_seed(0)
    real = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]], dtype=torch.bool)
    layers, before = [], real.float()
    for _ in range(3):
        own = torch.rand(3, 4, generator=random)
        own[:, 0], own[0, 2] = 1.0, 0.0  # [CLS], and a token dropped for certain
        s = own * before
        before = before * (s > 0.5)
        layers.append(SampledLayer(torch.randn(3, 4, 5, generator=random), own, s, before))
    found = BOTTLENECKS[name](layers, real)
    of = {"corrected": "s", "as_released": "own"}[name]
    slow = [(getattr(x, of).double().tolist(), x.states.double().tolist()) for x in layers]
    wanted = {"corrected": oracle.bottleneck, "as_released": oracle.bottleneck_as_released}[name]
    assert [float(x) for x in found] == pytest.approx(wanted(slow, real.tolist()), rel=1e-5)


def padded_and_turned(name):
    """Return a loss of a batch as it is, with more padding, and with its texts in another order."""
    random = torch.Generator().manual_seed(1)
    real = torch.tensor([[1, 1, 1], [1, 1, 0]], dtype=torch.bool)
    layer = SampledLayer(
        torch.randn(2, 3, 4, generator=random), *[torch.rand(2, 3, generator=random) * real] * 2, real
    )
    wider = SampledLayer(
        *(torch.cat([x, torch.zeros_like(x[:, :2])], 1) for x in (layer.states, layer.own, layer.s, real))
    )
    turned = SampledLayer(layer.states.flip(0), layer.own.flip(0), layer.s.flip(0), real)
    more = torch.cat([real, torch.zeros(2, 2, dtype=torch.bool)], 1)
    loss = BOTTLENECKS[name]
    return [torch.stack(loss([x], r)) for x, r in ((layer, real), (wider, more), (turned, real.flip(0)))]


def test_padding_and_order_change_only_the_released_form():
    plain, padded, turned = padded_and_turned("corrected")
    assert torch.allclose(plain, padded)
    assert torch.allclose(plain, turned)
    plain, padded, turned = padded_and_turned("as_released")
    assert float(padded[1]) == pytest.approx(float(plain[1]) * 3 / 5, abs=1e-4)  # a mean over padding too
    assert not torch.allclose(plain[1], turned[1])  # another first item, another logarithm


@pytest.mark.parametrize("name", BOTTLENECKS)
def test_bottlenecks_have_finite_gradients_where_the_entropy_has_none(name):
    s = torch.tensor([[1.0, 0.0, 0.5], [1.0, 1e-20, 1.0]], requires_grad=True)
    states = torch.ones(2, 3, 4, requires_grad=True)
    sum(BOTTLENECKS[name]([SampledLayer(states, s, s, s)], torch.ones(2, 3, dtype=torch.bool))).backward()
    assert torch.isfinite(s.grad).all()
    assert torch.isfinite(states.grad).all()


def test_the_share_of_tokens_kept_is_over_real_ones():
    real = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]], dtype=torch.bool)
    kept = torch.tensor([[1.0, 0, 1, 0], [1, 0, 0, 0]]), torch.tensor([[1.0, 0, 0, 0], [1, 0, 0, 0]])
    layers = [SampledLayer(torch.zeros(2, 4, 3), x, x, x) for x in kept]
    assert float(share_kept(layers, real)) == pytest.approx((3 / 6 + 2 / 6) / 2)


# --- attention


def qkv(seed=0, shape=(2, 3, 6, 4)):
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=random) * 2 for _ in range(3)]


def attend(q, k, v, passes, scaling=0.5):
    """Attention whose weights are those of keys that pass; d is 4."""
    return (passing(q @ k.transpose(-1, -2) * scaling, passes) @ v).transpose(1, 2)


def test_attention_to_keys_that_all_pass_is_hugging_faces_own(inner):
    q, k, v = qkv()
    module = torch.nn.Module().eval()
    eager, _ = eager_attention_forward(module, q, k, v, None, 0.3)
    assert torch.allclose(attend(q, k, v, torch.ones(2, 6), 0.3), eager, atol=1e-5)
    layer, states = layers_of(inner)[1], torch.randn(2, 5, layers_of(inner)[1].output.dense.out_features)
    with torch.no_grad(), attention(inner, "eager"):
        eager = layer(states, None)
        found = weighed(
            partial(layer, attention_mask=None), states, partial(passing, passes=torch.ones(2, 5))
        )
        assert torch.allclose(found, eager, atol=1e-5)


PASSES = torch.tensor([[1.0, 0.0, 1.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]])


@pytest.mark.parametrize("above", [0.0, 1e3], ids=["alike", "what is dropped would win"])
def test_attention_is_over_the_keys_that_pass_alone(above):
    q, k, v = qkv()
    k = k + above * (1 - PASSES)[:, None, :, None] * q.mean(2, keepdim=True)
    found = attend(q, k, v, PASSES)
    for b in range(2):
        for head in range(3):
            for t in range(6):
                row = [x.tolist() for x in (q[b, head, t], k[b, head], v[b, head], PASSES[b])]
                assert found[b, t, head].tolist() == pytest.approx(oracle.attend(*row), abs=1e-5)


def test_a_key_feels_what_its_passing_would_change_be_it_dropped_or_not():
    """Of weights p e / Σ p e a key's derivative is e (v - out) / Σ p e, at p = 0 too.

    But a dropped key counts as no more than the highest of those that pass, or its e might be infinite.
    """
    q, k, v = qkv()
    passes = PASSES.clone().requires_grad_()
    upstream = torch.randn(2, 6, 3, 4, generator=torch.Generator().manual_seed(9))
    out = attend(q, k, v, passes)
    (out * upstream).sum().backward()
    bounded = 0
    for b in range(2):
        for j in range(6):
            expected = 0.0
            for head in range(3):
                for t in range(6):
                    logits = [float(q[b, head, t] @ k[b, head, i]) / 2 for i in range(6)]
                    passing = [logits[i] for i in range(6) if PASSES[b, i]]
                    bounded += logits[j] > max(passing)
                    e = np.exp(min(logits[j], max(passing)))
                    gain = (v[b, head, j] - out[b, t, head].detach()) @ upstream[b, t, head]
                    expected += e / np.exp(passing).sum() * float(gain)
            assert float(passes.grad[b, j]) == pytest.approx(expected, rel=1e-4, abs=1e-4)
    assert 0 < bounded < 7 * 3 * 6


def test_gradients_stay_finite_where_a_dropped_key_would_have_all_the_weight():
    q, k, v = (x.requires_grad_() for x in qkv())
    passes = PASSES.clone().requires_grad_()
    out = attend(q * 1e3, k, v, passes)
    out.square().sum().backward()
    assert all(torch.isfinite(x.grad).all() for x in (q, k, v, passes))
    assert (passes.grad[PASSES == 0] != 0).any()


# --- sampled masks


def test_a_fresh_model_keeps_everything_and_is_the_dense_one(inner):
    fresh = InforCoefForSequenceClassification.wrap(inner).eval()
    ids, real = batch(LENGTHS)
    with torch.no_grad():
        dense = inner(input_ids=ids, attention_mask=real.long()).logits
        hard, sampled = fresh(ids, real), soft(fresh, ids, real)
    assert all((layer.kept == real).all() for layer in hard.trace)
    assert torch.allclose(hard.logits, dense, atol=1e-5)
    assert all((layer.passes.round() == real).all() for layer in sampled.layers)  # chance to fail: 1e-2
    assert torch.allclose(sampled.logits, dense, atol=1e-5)


def test_masks_are_drawn_as_often_as_the_odds_say_and_never_without_the_first(bert):
    everyone(bert, [0.0, np.log(3.0)])
    ids, real = batch((120, 100, 110))
    torch.manual_seed(0)
    first, second, _ = soft(bert, ids, real).layers
    words = int(real.sum()) - 3
    for layer, chance in ((first, 0.75), (second, 0.75**2)):
        kept = layer.passes.round()
        assert (kept[:, 0] == 1).all()
        assert (layer.s[:, 0] == 1).all()
        deviation = (chance * (1 - chance) / words) ** 0.5
        assert (float(kept.sum()) - 3) / words == pytest.approx(chance, abs=4 * deviation)


def test_dropped_stays_dropped_and_has_no_gradient_and_padding_never_passes(bert):
    ids, real = batch(LENGTHS)
    bert.train().requires_grad_(True)
    torch.manual_seed(1)
    layers = soft(bert, ids, real).layers
    before, revived = real.float(), 0
    for layer in layers:
        mask = layer.passes.detach().round()
        assert torch.allclose(layer.passes, mask, atol=1e-5)
        assert ((mask == 1) == ((layer.s > 0.5) & (before == 1))).all()
        assert (layer.s[before == 0] == 0).all()
        revived += int((before != mask).sum())
        before = mask
    assert revived > 10
    assert before.sum() > 2 * len(LENGTHS)
    gone = layers[0].passes.detach().round() == 0
    (moved,) = torch.autograd.grad(
        layers[1].passes[gone].sum(), bert.samplers[1].scorer.bias, retain_graph=True
    )
    assert not moved.any()
    own = bert.samplers[0].scorer.weight  # straight-through: the mask's gradient is that of s
    found = [torch.autograd.grad(x.sum(), own, retain_graph=True)[0] for x in (layers[0].passes, layers[0].s)]
    assert found[0].any()
    assert torch.allclose(*found)


def test_what_is_dropped_is_seen_by_nobody(bert):
    """Other pieces in dropped places change no answer, though a later sampler would keep them."""
    ids, real = batch((9, 7))
    gone = torch.zeros_like(real)
    gone[:, 2:5] = True
    chosen = torch.where(gone, -50.0, 50.0)
    for i, sampler in enumerate(bert.samplers):
        keep = chosen if i == 0 else chosen.abs()
        sampler.forward = lambda states, keep=keep: torch.stack([-keep, keep], -1)
    other = torch.where(gone, ids + 7, ids)
    found = [soft(bert, x, real).logits for x in (ids, other)]
    assert torch.equal(*found)
    dense = bert.model(input_ids=ids, attention_mask=real.long()).logits
    assert not torch.allclose(found[0], dense, atol=1e-3)


def test_soft_equals_hard_where_masks_are_certain(inner):
    certain = sampling(inner, CERTAIN)
    ids, real = batch(LENGTHS)
    hard, sampled = certain(ids, real), soft(certain, ids, real)
    assert torch.allclose(sampled.logits, hard.logits, atol=1e-5)
    for step, layer in zip(sampled.layers, hard.trace, strict=True):
        assert (step.passes.round().bool() == layer.kept).all()
    assert len(LENGTHS) < int(hard.trace[-1].kept.sum()) < int(real.sum())


def test_half_precision_runs_and_learns(bert):
    ids, real = batch(LENGTHS)
    bert.requires_grad_(True)
    found = []
    for wanted in (False, True):
        torch.manual_seed(5)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=wanted):
            found.append(soft(bert, ids, real))
    assert all(layer.s.dtype == torch.float32 for layer in found[1].layers)
    assert torch.allclose(found[1].logits.float(), found[0].logits, atol=0.2)
    found[1].logits.float().square().sum().backward()
    gradients = [p.grad for n, p in bert.samplers.named_parameters()]
    assert all(torch.isfinite(g).all() for g in gradients)
    assert all(s.scorer.weight.grad.any() for s in bert.samplers)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.isfinite(bert(ids, real).logits).all()
