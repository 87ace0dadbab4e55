"""Tests share one model: the check after each of them sees whatever one of them changed in it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.helpers.left_behind import changed, settings, state_of


def train(model):
    model[1].train()


def scale(model):
    model[0].weight.data.mul_(2)  # which no version counter tells


def pass_back(model):
    model(torch.ones(1, 2)).sum().backward()


def freeze(model):
    model[0].bias.requires_grad_(False)


def watch(model):
    model[0].register_forward_hook(lambda *_: None)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (scale, ["0.weight"]),
        (freeze, ["0.bias: learns"]),
        (pass_back, ["0.weight: gradient", "0.bias: gradient"]),
        (train, ["1: trains"]),
        (watch, ["0: hooks"]),
        (lambda model: model(torch.ones(1, 2)), []),
    ],
)
def test_what_a_test_left_in_a_model_is_named(change, told):
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout()).eval()
    before = state_of(model)
    change(model)
    assert changed(before, state_of(model)) == told


def test_what_a_test_left_in_the_process_is_named():
    before = settings()
    with torch.no_grad():
        assert changed(before, settings()) == ["gradients"]
    assert changed(before, settings()) == []
