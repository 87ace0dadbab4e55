from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from rationale.models.gates import (
    LIMIT,
    START,
    Gates,
    Lagrangian,
    binarise,
    draw,
    gate,
    gated,
    median,
    prob_open,
    target,
)
from rationale.models.packed.layers import base_of, layers_of
from rationale.models.packed.matrices import Dimensions, dimensions
from tests.helpers.models.batches import LENGTHS, batch
from tests.helpers.models.cuttable import (
    FIRST_ONE_A_FAMILY,
    NAMES,
    SIZES,
    all_open,
    logits,
    random_openings,
    tiny,
    without_scales,
)

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
        assert float(prob_open(torch.tensor(a))) == pytest.approx(slow_chance(a), abs=1e-6)
        for u in (1e-5, 0.03, 0.5, 0.71, 0.999):
            assert float(gate(torch.tensor(u), torch.tensor(a))) == pytest.approx(slow_gate(u, a), abs=1e-5)


def test_drawn_gates_are_open_as_often_as_the_chance_says():
    torch.manual_seed(0)
    alpha = torch.tensor([-3.0, -1.5, 0.0, 1.0, 3.0])
    n = 200_000
    drawn = draw(alpha.expand(n, 5))
    chance = prob_open(alpha)
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
    assert torch.allclose(binarise(alphas), torch.tensor(expected), atol=1e-5)


def test_settled_rows_lose_as_many_as_are_expected_closed():
    alpha = torch.tensor([[4.0, 3.9, 3.8, -4.0, 0.1], [9.0, 9.0, 9.0, 9.0, 9.0]])
    assert (binarise(alpha) > 0).tolist() == [[True, True, True, False, True], [True] * 5]
    many = torch.linspace(0.0, 1.0, 100)  # medians above 0, about a tenth expected closed
    n_closed = round(float((1 - prob_open(many)).sum()))
    assert n_closed > 5
    assert (binarise(many) > 0).tolist() == [False] * n_closed + [True] * (100 - n_closed)


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


def slow_sparsity(chances, sizes, full):
    """Sum over every weight of a layer's matrices the chance that it stays."""
    left = 0.0
    for i in range(sizes.layers):
        for dim in range(sizes.hidden):
            for h in range(sizes.heads):
                for _ in range(sizes.of_head):
                    left += (
                        float(chances.attention[i]) * float(chances.heads[i, h]) * float(chances.hidden[dim])
                    )
            for unit in range(sizes.units):
                for _ in range(sizes.of_unit):
                    left += float(chances.ffn[i]) * float(chances.units[i, unit]) * float(chances.hidden[dim])
    return 1 - left / full


BERTS = Dimensions(layers=2, heads=2, units=5, hidden=6, of_head=4 * 3, of_unit=2)
GROUPED = Dimensions(layers=2, heads=2, units=5, hidden=6, of_head=(3 + 1 + 1 + 3) * 4, of_unit=3)


@pytest.mark.parametrize(
    ("sizes", "full"), [(BERTS, 2 * (4 * 6**2 + 2 * 6 * 5)), (GROUPED, 2 * 6 * (64 + 15))]
)
@torch.no_grad()
def test_expected_sparsity_is_the_sum_over_all_weights(sizes, full):
    torch.manual_seed(2)
    gates = Gates(sizes)
    for alpha in gates.parameters():
        alpha.data.normal_(0, 2)
    assert float(gates.sparsity()) == pytest.approx(slow_sparsity(gates.chances(), sizes, full), abs=1e-5)
    found = without_scales(gates.expected())
    assert float(found.sparsity(sizes)) == pytest.approx(slow_sparsity(found, sizes, full), abs=1e-5)


# What hangs on one head (a group of two, where keys are shared) of width 8 and on one unit, by hand
HANGING = {
    "bert": (8 + 8 + 8 + 8, 2),
    "distilbert": (8 + 8 + 8 + 8, 2),
    "modernbert": (8 + 8 + 8 + 8, 3),
    "deberta": (8 + 8 + 8 + 8 + 8 + 8, 2),  # and keys and queries of distances
    "deberta-shared": (8 + 8 + 8 + 8, 2),
    "deberta-own": (8 + 8 + 8 + 8 + 8 + 8, 2),
    "llama": (16 + 8 + 8 + 16, 3),
    "eurobert": (8 + 8 + 8 + 8, 3),
    "gemma3": (16 + 8 + 8 + 16, 3),
    "nomic": (8 + 8 + 8 + 8, 3),
}


@pytest.mark.parametrize("kind", HANGING)
def test_sizes_count_the_matrices_that_are_there(kind):
    of_head, of_unit = HANGING[kind]
    assert dimensions(tiny(kind)) == SIZES._replace(of_head=of_head, of_unit=of_unit)


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
@pytest.mark.parametrize("kind", FIRST_ONE_A_FAMILY)
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
def test_closed_sublayers_that_no_norm_follows_add_only_their_bias():
    for kind in ("biased", "llama"):
        model, openings, entering, left = tiny(kind), all_open(), [], []
        openings.attention[1] = openings.ffn[1] = 0
        layer = layers_of(model)[1]
        layer.register_forward_pre_hook(lambda _, args, to=entering: to.append(args[0]))
        layer.register_forward_hook(lambda _, __, out, to=left: to.append(out))
        with gated(model, openings):
            logits(model, "padded")
        added = layer.attn.Wo.bias + layer.mlp.Wo.bias if kind == "biased" else 0.0
        assert torch.allclose(left[0], entering[0] + added, atol=1e-6)


def states_of(model, openings):
    """Return the states that enter each layer and leave the last, and what the encoder ends with."""
    ids, real = batch(LENGTHS)
    found, layers = [], layers_of(model)
    handles = [x.register_forward_pre_hook(lambda _, args: found.append(args[0])) for x in layers]
    handles += [layers[-1].register_forward_hook(lambda _, __, out: found.append(out))]
    with gated(model, openings):
        ended = base_of(model)(input_ids=ids, attention_mask=real.long())[0]
    for handle in handles:
        handle.remove()
    return [s[0] if isinstance(s, tuple) else s for s in found], ended


@pytest.mark.parametrize("kind", FIRST_ONE_A_FAMILY)
@torch.no_grad()
def test_states_are_zero_in_closed_dimensions(kind):
    openings = random_openings(3)
    states, ended = states_of(tiny(kind), openings)
    assert len(states) == SIZES.layers + 1
    for state in (*states, ended):
        assert (state[..., openings.hidden == 0] == 0).all()
        assert (state[batch(LENGTHS)[1]][:, openings.hidden > 0] != 0).any(-1).all()


@torch.no_grad()
def test_norms_that_write_the_stream_see_open_dimensions_and_are_scaled():
    model = tiny("roberta")
    hidden = random_openings(3).hidden
    states, _ = states_of(model, replace(all_open(), hidden=hidden))
    norm = model.roberta.embeddings.LayerNorm
    opened = hidden > 0
    plain = (states[0][..., opened] / hidden[opened] - norm.bias[opened]) / norm.weight[opened]
    assert plain.mean(-1).abs().max() < 1e-5
    assert torch.allclose(plain.var(-1, unbiased=False), torch.ones(plain.shape[:-1]), atol=1e-4)


@pytest.mark.parametrize("kind", ["modernbert", "llama", "gemma"])
@torch.no_grad()
def test_norms_that_only_read_the_stream_see_open_dimensions_and_are_not_scaled(kind):
    model = tiny(kind)
    hidden = random_openings(3).hidden
    _, ended = states_of(model, replace(all_open(), hidden=hidden))
    norm = base_of(model).final_norm if kind == "modernbert" else base_of(model).norm
    opened = hidden > 0
    plain = ended[..., opened] / (norm.weight[opened] + (1 if kind == "gemma" else 0))
    if kind == "modernbert":
        assert plain.mean(-1).abs().max() < 1e-5
    assert torch.allclose(plain.square().mean(-1), torch.ones(plain.shape[:-1]), atol=1e-3)


@torch.no_grad()
def test_embeddings_that_no_norm_follows_are_scaled():
    model, openings = tiny("llama"), random_openings(3)
    states, _ = states_of(model, openings)
    ids, _ = batch(LENGTHS)
    assert torch.equal(states[0], model.model.embed_tokens.weight[ids] * openings.hidden)


@pytest.mark.parametrize("way", ["padded", "packed"])
@pytest.mark.parametrize("kind", ["bert", "projected", "modernbert", "deberta", "llama", "gemma3"])
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
