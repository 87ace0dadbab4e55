from __future__ import annotations

import math
from dataclasses import fields, replace

import pytest
import torch
from torch import nn
from transformers import DistilBertConfig, DistilBertForSequenceClassification

from eraser import InputError
from rationale.models.encoder import layers_of, run_packed
from rationale.models.gates import (
    LIMIT,
    START,
    Dimensions,
    Gates,
    Lagrangian,
    Openings,
    draw,
    gate,
    gated,
    median,
    open_chance,
    settle,
    target,
)
from tests.conftest import FAMILIES
from tests.test_packed import LENGTHS, batch

SIZES = Dimensions(layers=3, heads=3, units=10, hidden=24)
KINDS = (*FAMILIES, "projected")  # ELECTRA whose embeddings are narrower than its states
NAMES = [field.name for field in fields(Openings)]


def tiny(kind, seed=0):
    """A classifier of SIZES in which every weight, bias and norm is random."""
    config_class, model_class = FAMILIES["electra" if kind == "projected" else kind]
    config = config_class(
        vocab_size=1500,
        hidden_size=SIZES.hidden,
        embedding_size=16 if kind == "projected" else SIZES.hidden,
        num_hidden_layers=SIZES.layers,
        num_attention_heads=SIZES.heads,
        intermediate_size=SIZES.units,
        max_position_embeddings=40,
        pad_token_id=0,
    )
    model = model_class(config).eval()
    torch.manual_seed(seed)
    for name, parameter in model.named_parameters():
        nn.init.normal_(parameter, mean=1.0 if name.endswith("LayerNorm.weight") else 0.0, std=0.3)
    return model


def all_open(sizes=SIZES):
    n = sizes.layers
    shapes = ((n, sizes.heads), (n, sizes.units), (sizes.hidden,), (n,), (n,))
    return Openings(*map(torch.ones, shapes))


def random_openings(seed):
    """A third of the gates closed, a third open, the rest between."""
    g = torch.Generator().manual_seed(seed)

    def gates(one):
        return (torch.rand(one.shape, generator=g) * 3 - 1).clamp(0, 1)

    return Openings(*(gates(getattr(all_open(), name)) for name in NAMES))


def keep_all(layer, states, rows):
    return torch.ones(len(states), dtype=torch.bool), None


def logits(model, way):
    """Return the model's answers to a fixed batch, run padded or packed."""
    ids, real = batch(LENGTHS)
    if way == "packed":
        return run_packed(model, ids, torch.zeros_like(ids), real, keep_all).logits
    return model(input_ids=ids, attention_mask=real.long()).logits


# the equations, one number at a time


def slow_sigmoid(x):
    return 1 / (1 + math.exp(-x))


def slow_gate(u, a):
    q = slow_sigmoid((math.log(u) - math.log(1 - u) + a) / (2 / 3))
    return min(1.0, max(0.0, 1.2 * q - 0.1))


def slow_chance(a):
    return 1 - slow_sigmoid(2 / 3 * math.log(0.1 / 1.1) - a)


def slow_settle(alphas):
    n_closed = round(sum(1 - slow_chance(a) for a in alphas))
    closed = sorted(range(len(alphas)), key=lambda i: alphas[i])[:n_closed]
    return [0.0 if i in closed else slow_gate(0.5, a) for i, a in enumerate(alphas)]


def test_gate_and_chance_are_the_papers():
    for a in (-6.0, -1.7, -0.3, 0.0, 1.2, 4.0):
        assert float(open_chance(torch.tensor(a))) == pytest.approx(slow_chance(a), abs=1e-6)
        for u in (1e-5, 0.03, 0.5, 0.71, 0.999):
            assert float(gate(torch.tensor(u), torch.tensor(a))) == pytest.approx(slow_gate(u, a), abs=1e-5)


def test_drawn_gates_are_open_as_often_as_the_chance_says():
    torch.manual_seed(0)
    alpha = torch.tensor([-3.0, -1.5, 0.0, 1.0, 3.0])
    n = 200_000
    drawn = draw(alpha.expand(n, 5))
    chance = open_chance(alpha)
    deviation = (chance * (1 - chance) / n).sqrt()
    assert (((drawn > 0).float().mean(0) - chance).abs() < 4 * deviation).all()
    assert (drawn == 1).any()
    assert ((drawn > 0) & (drawn < 1)).any()


def test_median_is_the_middle_of_the_draws():
    torch.manual_seed(0)
    alpha = torch.tensor([-1.0, 0.0, 0.5])
    assert torch.allclose(draw(alpha.expand(200_001, 3)).median(0).values, median(alpha), atol=0.01)


def test_settled_gates_are_the_papers_count_and_the_rest_medians():
    torch.manual_seed(1)
    alphas = 3 * torch.randn(6, 9)
    expected = [slow_settle(row) for row in alphas.tolist()]
    assert torch.allclose(settle(alphas), torch.tensor(expected), atol=1e-5)


def test_settled_rows_lose_as_many_as_are_expected_closed():
    alpha = torch.tensor([[4.0, 3.9, 3.8, -4.0, 0.1], [9.0, 9.0, 9.0, 9.0, 9.0]])
    assert (settle(alpha) > 0).tolist() == [[True, True, True, False, True], [True] * 5]
    many = torch.linspace(0.0, 1.0, 100)  # medians above 0, about a tenth expected closed
    n_closed = round(float((1 - open_chance(many)).sum()))
    assert n_closed > 5
    assert (settle(many) > 0).tolist() == [False] * n_closed + [True] * (100 - n_closed)


@torch.no_grad()
def test_at_first_all_is_open():
    gates = Gates(SIZES)
    for name in NAMES:
        alpha = getattr(gates, name)
        assert alpha.shape == getattr(all_open(), name).shape
        assert (alpha - START).abs().max() < 0.1
        assert (getattr(gates.expected(), name) == 1).all()
    assert float(gates.sparsity()) == pytest.approx(0.0, abs=1e-3)
    gates.clamp()
    assert float(gates.heads.max()) == pytest.approx(LIMIT)


# sparsity


def slow_sparsity(chances, sizes):
    """Sum over every weight of the six matrices of a layer the chance that it stays."""
    left = 0.0
    for i in range(sizes.layers):
        for dim in range(sizes.hidden):
            for h in range(sizes.heads):
                for _ in range(4 * sizes.head_width):
                    left += (
                        float(chances.attention[i]) * float(chances.heads[i, h]) * float(chances.hidden[dim])
                    )
            for unit in range(sizes.units):
                for _ in range(2):
                    left += float(chances.ffn[i]) * float(chances.units[i, unit]) * float(chances.hidden[dim])
    full = sizes.layers * (4 * sizes.hidden**2 + 2 * sizes.hidden * sizes.units)
    return 1 - left / full


@torch.no_grad()
def test_expected_sparsity_is_the_sum_over_all_weights():
    sizes = Dimensions(layers=2, heads=2, units=5, hidden=6)
    torch.manual_seed(2)
    gates = Gates(sizes)
    for alpha in gates.parameters():
        alpha.data.normal_(0, 2)
    assert float(gates.sparsity()) == pytest.approx(slow_sparsity(gates.chances(), sizes), abs=1e-5)
    found = gates.expected().binary()
    assert float(found.sparsity(sizes.head_width)) == pytest.approx(slow_sparsity(found, sizes), abs=1e-5)


def test_sparsity_falls_as_any_gate_opens():
    gates = Gates(SIZES)
    for alpha in gates.parameters():
        alpha.data.fill_(0.5)
    gates.sparsity().backward()
    assert all((alpha.grad < 0).all() for alpha in gates.parameters())


# the Lagrangian


def test_target_rises_in_a_line():
    assert [target(step, 4, 0.8) for step in range(6)] == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 0.8])
    assert target(0, 0, 0.8) == 0.8


def test_multipliers_climb_and_gates_descend():
    penalty, sparsity = Lagrangian(), torch.tensor(0.25, requires_grad=True)
    optimiser = torch.optim.SGD(
        [{"params": [sparsity]}, {"params": penalty.parameters(), "maximize": True}], lr=0.1
    )
    penalty.linear.data.fill_(2.0)
    penalty.quadratic.data.fill_(3.0)
    loss = penalty(sparsity, 0.75)
    assert float(loss.detach()) == pytest.approx(2 * -0.5 + 3 * 0.25)
    loss.backward()
    optimiser.step()
    assert float(penalty.linear.detach()) == pytest.approx(2 - 0.1 * 0.5)  # up the gradient, ŝ − t
    assert float(penalty.quadratic.detach()) == pytest.approx(3 + 0.1 * 0.25)  # (ŝ − t)²
    assert float(sparsity.detach()) == pytest.approx(0.25 - 0.1 * (2 + 2 * 3 * -0.5))


def test_training_reaches_the_wanted_sparsity():
    torch.manual_seed(0)
    gates, penalty = Gates(SIZES), Lagrangian()
    optimiser = torch.optim.Adam(
        [{"params": gates.parameters()}, {"params": penalty.parameters(), "maximize": True}], lr=0.05
    )
    for step in range(600):
        optimiser.zero_grad()
        penalty(gates.sparsity(), target(step, 150, 0.6)).backward()
        optimiser.step()
        gates.clamp()
    assert float(gates.sparsity().detach()) == pytest.approx(0.6, abs=0.03)


# gates on a model


@pytest.mark.parametrize("way", ["padded", "packed"])
@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_nothing_closed_is_the_dense_model(kind, way):
    model = tiny(kind)
    dense = logits(model, way)
    with gated(model, all_open()):
        assert torch.allclose(logits(model, way), dense, atol=1e-6)
    with gated(model, random_openings(0)):
        assert not torch.allclose(logits(model, way), dense, atol=1e-2)
    assert torch.equal(logits(model, way), dense)  # no hook stays behind


@pytest.mark.parametrize("part", ["attention", "ffn"])
@torch.no_grad()
def test_a_closed_sublayer_adds_only_its_bias(part):
    model = tiny("bert")
    layer = layers_of(model)[1]
    openings = all_open()
    getattr(openings, part)[1] = 0
    states = torch.randn(2, 5, SIZES.hidden)
    with gated(model, openings):
        found = layer(states)
    output = layer.attention.output if part == "attention" else layer.output
    if part == "attention":
        between = output.LayerNorm(states + output.dense.bias)
        expected = layer.feed_forward_chunk(between)
    else:
        between, _ = layer.attention(states)
        expected = output.LayerNorm(between + output.dense.bias)
    assert torch.allclose(found, expected, atol=1e-6)


@torch.no_grad()
def test_states_are_zero_in_closed_dimensions_and_normed_over_open_ones():
    model = tiny("roberta")
    ids, real = batch(LENGTHS)
    hidden = random_openings(3).hidden
    openings = replace(all_open(), hidden=hidden)
    with gated(model, openings):
        states = model(input_ids=ids, attention_mask=real.long(), output_hidden_states=True).hidden_states
    norm = model.roberta.embeddings.LayerNorm
    opened = hidden > 0
    for state in states:
        assert (state[..., ~opened] == 0).all()
    plain = (states[0][..., opened] / hidden[opened] - norm.bias[opened]) / norm.weight[opened]
    assert plain.mean(-1).abs().max() < 1e-5
    assert torch.allclose(plain.var(-1, unbiased=False), torch.ones(ids.shape), atol=1e-4)


@pytest.mark.parametrize("way", ["padded", "packed"])
@pytest.mark.parametrize("kind", ["bert", "projected"])
def test_gradients_reach_every_gate_that_is_not_clipped(kind, way):
    model = tiny(kind)
    gates = Gates.of(model)
    for alpha in gates.parameters():
        alpha.data.fill_(0.3)
    torch.manual_seed(5)
    openings = gates.sample()
    with gated(model, openings):
        logits(model, way).square().sum().backward()
    moved = 0
    for name in NAMES:
        value, gradient = getattr(openings, name).detach(), getattr(gates, name).grad
        free = (value > 0) & (value < 1)
        assert free.any()
        assert (gradient[~free] == 0).all()
        alive = torch.ones_like(free)
        if name in ("heads", "units"):  # a closed sublayer's own gates cannot matter
            coarse = openings.attention if name == "heads" else openings.ffn
            alive &= (coarse > 0)[:, None]
        assert (gradient[free & alive] != 0).all()
        moved += int((gradient != 0).sum())
    assert moved > 20


def test_a_model_without_gates_is_refused():
    model = DistilBertForSequenceClassification(DistilBertConfig(n_layers=1, dim=8, n_heads=2, hidden_dim=8))
    with pytest.raises(
        InputError, match=r"^expected a classifier whose matrices can be cut .* got DistilBert"
    ):
        Gates.of(model)
