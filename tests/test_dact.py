from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification

from eraser import InputError
from rationale.models.adaptive import plain
from rationale.models.dact import (
    EXIT_RULES,
    Accumulator,
    DactConfig,
    DactForSequenceClassification,
    FullDepth,
)
from rationale.models.encoder import Head, layers_of
from rationale.models.pruning import cut
from rationale.text import Encoder
from tests.conftest import FAMILIES, dropping, tiny_model
from tests.oracles import dact as oracle
from tests.test_gates import random_openings, tiny
from tests.test_packed import LENGTHS, batch

RULES = tuple(EXIT_RULES)
N, MANY = 12, 1500
NEVER = 100.0  # bias of a halting unit: h = 1


@torch.no_grad()
def exiting(inner, rule="published", bias=-1.0, **settings):
    """A model around another one, with heads that differ and halting units of all opinions."""
    model = DactForSequenceClassification.around(inner, exit_rule=rule, **settings)
    torch.manual_seed(5)
    for weight in model.heads.parameters():
        weight.add_(torch.randn_like(weight) * 0.2)
    for unit in model.halting_units:
        nn.init.normal_(unit.weight, std=0.3)
        nn.init.constant_(unit.bias, bias)
    return model.eval().requires_grad_(False)


def deep(family, tokenizer, layers=6):
    config = tiny_model(family, tokenizer, ("NEG", "POS")).config
    config.num_hidden_layers = layers
    torch.manual_seed(1)
    return AutoModelForSequenceClassification.from_config(config).eval()


@pytest.fixture(scope="module", params=FAMILIES)
def dense(request, tokenizer):
    return tiny_model(request.param, tokenizer, ("NEG", "POS"))


# the equations, on random numbers


def random_sequences(classes):
    """y [N,sequence,C] and h [N,sequence], from vague to sure, from early to late."""
    g = torch.Generator().manual_seed(classes)
    sure = torch.rand(1, MANY, 1, generator=g, dtype=torch.float64) * 4
    late = torch.rand(1, MANY, generator=g, dtype=torch.float64) * 5 - 3
    y = (torch.randn(N, MANY, classes, generator=g, dtype=torch.float64) * sure).softmax(-1)
    return y, (torch.randn(N, MANY, generator=g, dtype=torch.float64) * 2 + late).sigmoid()


def drive(y, h, rule=None):
    """Run an accumulator as a batch does; return it, the exit layers, and a_n after each layer."""
    accumulator = Accumulator(len(y), lambda layer, first: (y[layer, first], h[layer, first]), rule)
    running, answers = torch.arange(y.shape[1]), []
    exits = torch.full_like(running, len(y))
    for layer in range(len(y)):
        stop = accumulator.stops(layer, running, running)
        answers.append(accumulator.answer.clone())
        if stop is not None:
            exits[running[stop]] = layer + 1
            running = running[~stop]
    return accumulator, exits, answers


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_answers_and_weights_are_the_papers(classes):
    y, h = random_sequences(classes)
    accumulator, exits, answers = drive(y, h)
    for i in range(0, MANY, 10):
        for n, (a, p) in enumerate(oracle.accumulate(y[:, i].tolist(), h[:, i].tolist())):
            assert answers[n][i].tolist() == pytest.approx(a, abs=1e-12)
            assert float(accumulator.ponder[n][i]) == pytest.approx(p, abs=1e-12)
    p, a = torch.stack(accumulator.ponder), torch.stack(answers)
    assert (p.diff(dim=0) < 0).all()
    assert (p[0] == h[0]).all()
    assert (a >= 0).all()
    assert torch.allclose(a.sum(-1), torch.ones(N, MANY, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(accumulator.logits().exp(), answers[-1], atol=1e-12)
    assert (exits == N).all()


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_rules_stop_where_they_say_and_never_change_a_class(classes):
    y, h = random_sequences(classes)
    full = drive(y, h)[2]
    found = {}
    for name, rule in EXIT_RULES.items():
        accumulator, exits, _ = drive(y, h, rule)
        expected = [oracle.exit_layer(name, y[:, i].tolist(), h[:, i].tolist()) for i in range(MANY)]
        assert exits.tolist() == expected
        assert (accumulator.answer.argmax(-1) == full[-1].argmax(-1)).all()
        at_exit = torch.stack([full[n - 1][i] for i, n in enumerate(expected)])
        assert torch.equal(accumulator.answer, at_exit)
        assert set(expected) == set(range(1, N + 1))
        found[name] = exits
    assert (found["tight"] <= found["published"]).all()
    assert (found["tight"] < found["published"]).sum() > MANY / 50


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_tight_rule_stops_just_where_the_worst_that_may_come_no_longer_matters(classes):
    y, h = random_sequences(classes)
    for i in range(0, MANY, 3):
        for n, (a, p) in enumerate(oracle.accumulate(y[:, i].tolist(), h[:, i].tolist())[:-1], start=1):
            worst = oracle.worst(a, p, N - n)
            safe = oracle.of_class(worst) == oracle.of_class(a)
            ((top, second),) = torch.tensor([a], dtype=torch.float64).topk(2).values
            ask = (top, second, torch.tensor(p, dtype=torch.float64), N - n)
            assert bool(EXIT_RULES["tight"](*ask)) == safe
            assert safe or not EXIT_RULES["published"](*ask)


# the models


def answer_after(dense, n, head):
    """Return the answers [B,C] to the fixed batch of Hugging Face's own model of n layers with that head."""
    short = deepcopy(dense)
    short.base_model.encoder.layer = short.base_model.encoder.layer[:n]
    Head(short).load_state_dict(head.state_dict())
    ids, real = batch(LENGTHS)
    with torch.no_grad():
        found = short(input_ids=ids, attention_mask=real.long(), output_hidden_states=True)
    return found.logits.softmax(-1), found.hidden_states[-1][:, 0]


def by_hand(model, dense):
    """Return for each text of the fixed batch the oracle's ys and hs."""
    heads = [*model.heads, *[Head(plain(model))] * (3 - len(model.heads))]
    layers = [answer_after(dense, n, head) for n, head in enumerate(heads, start=1)]
    ys = [y.tolist() for y, _ in layers]
    hs = [
        [oracle_sigmoid(float(u @ unit.weight[0]) + float(unit.bias)) for u in first]
        for unit, (_, first) in zip(model.halting_units, layers, strict=True)
    ]
    return list(zip(zip(*ys, strict=True), zip(*hs, strict=True), strict=True))


def oracle_sigmoid(x):
    return float(torch.tensor(x, dtype=torch.float64).sigmoid())
