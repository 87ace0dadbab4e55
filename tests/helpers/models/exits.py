"""Models that exit after a layer of their choice."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn

from rationale.models.adaptive import unwrap
from rationale.models.dact import DactForSequenceClassification
from rationale.models.exits.accumulator import Accumulator
from rationale.models.exits.rules import EXIT_RULES
from rationale.models.packed.encoder import run_packed
from rationale.models.packed.head import Head
from rationale.models.pruning import cut
from tests.conftest import dropping
from tests.helpers.models.batches import LENGTHS, batch
from tests.helpers.models.cuttable import random_openings, tiny
from tests.oracles import dact as oracle

RULES = tuple(EXIT_RULES)
SURE = 100.0  # before σ: 1; −SURE: 0


@torch.no_grad()
def exiting(inner, rule="published", **settings):
    """A model around another one whose answers, and opinions on going on, differ between texts."""
    model = DactForSequenceClassification.wrap(inner, exit_rule=rule, **settings)
    model.eval().requires_grad_(False)
    torch.manual_seed(5)
    for weight in model.heads.parameters():
        weight.add_(torch.randn_like(weight) * 0.2)
    states = first_states(model, *batch(range(2, 34)))
    heads = [*model.heads, *[Head(unwrap(model))] * (len(states) - len(model.heads))]
    for head, unit, first in zip(heads, model.halting_units, states, strict=True):
        nn.init.normal_(unit.weight)
        spread(unit, unit, first, middle=-1.0)
        spread(head, [m for m in head.modules() if isinstance(m, nn.Linear)][-1], first)
    return model


def spread(module, linear, first, middle=0.0):
    """Scale the module's answers, which a linear gives, to this middle and a deviation of 2."""
    linear.weight.mul_(2 / module(first).std(0)[:, None])
    linear.bias.add_(middle - module(first).mean(0))


def first_states(model, ids, real):
    """Return the states of [CLS] [L,B,D] after each layer where nobody stops."""
    seen = []

    def read(layer, first, real):
        seen.append(first)
        return model.read(layer, first, real)

    run_packed(unwrap(model), ids, ids * 0, real, model.select_tokens, Accumulator(99, read, None))
    return torch.stack(seen)


def stack():
    """An exiting model around AdapLeR around a cut model."""
    return exiting(dropping(cut(tiny("bert"), random_openings(1))))


def never(model):
    for unit in model.halting_units:
        nn.init.zeros_(unit.weight)
        nn.init.constant_(unit.bias, SURE)
    return model


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
    heads = [*model.heads, *[Head(unwrap(model))] * (3 - len(model.heads))]
    layers = [answer_after(dense, n, head) for n, head in enumerate(heads, start=1)]
    ys = [y.tolist() for y, _ in layers]
    hs = [
        [oracle.sigmoid(float(u @ unit.weight[0]) + float(unit.bias)) for u in first]
        for unit, (_, first) in zip(model.halting_units, layers, strict=True)
    ]
    return list(zip(zip(*ys, strict=True), zip(*hs, strict=True), strict=True))
