"""Small trainings, and what they leave."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import pytest
import torch
from safetensors.torch import load_file
from torch.optim.optimizer import Optimizer, register_optimizer_step_pre_hook

from rationale.hf.classifier import save_classifier
from rationale.models.gates import GateValues
from rationale.models.pruning import cut
from tests.conftest import tiny_model

PLAIN = {"batch_size": 8, "tolerance": 1.0, "precision": "float32", "device": "cpu"}


def few_of(sample, train=6, val=5, test=4):
    """The first examples of each split."""
    sizes = {"train": train, "val": val, "test": test}
    return replace(sample, splits={k: sample.splits[k][:n] for k, n in sizes.items()})


def saved(model, tokenizer, folder):
    """Save a classifier that reads 64 pieces at once."""
    folder.mkdir()
    save_classifier(model, tokenizer, folder)
    (folder / "rationale.json").write_text(json.dumps({"max_length": 64}))
    return folder


def save_dense(tokenizer, folder):
    return saved(tiny_model("bert", tokenizer, ("NEG", "POS")), tokenizer, folder / "dense")


def save_cut(tokenizer, folder):
    """Save the dense model cut to half its hidden dimensions, two heads a layer and 20 units."""
    ones = [torch.ones(s) for s in ((3, 4), (3, 48), (32,), (3,), (3,))]
    ones[0][:, 2:], ones[1][:, 20:], ones[2][::2] = 0, 0, 0
    model = cut(tiny_model("bert", tokenizer, ("NEG", "POS")), GateValues(*ones))
    return saved(model, tokenizer, folder / "small")


def weights(folder):
    return load_file(folder / "model.safetensors")


def same(folder, expected):
    found = weights(folder)
    assert found.keys() == expected.keys()
    return all(torch.equal(found[name], expected[name]) for name in found)


def killed(monkeypatch, owner, call, train, *run):
    """Train until the `call`-th step of a stage, and die there as Ctrl-C would have it."""
    calls, step = [], owner.step

    def dies(self, *arguments):
        calls.append(arguments)
        if len(calls) == call:
            raise KeyboardInterrupt
        return step(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(owner, "step", dies)
        with pytest.raises(KeyboardInterrupt):
            train(*run)


def steps_of(monkeypatch, owner):
    """Return a list that grows with each step of a stage."""
    seen, step = [], owner.step
    monkeypatch.setattr(owner, "step", lambda self, rows: seen.append(rows) or step(self, rows))
    return seen


class Step(NamedTuple):
    """What an optimiser's step saw."""

    gradient: torch.Tensor
    lr: float


def gradient_of(optimizer: Optimizer) -> torch.Tensor:
    """All gradients in a row."""
    params = [p for group in optimizer.param_groups for p in group["params"]]
    return torch.cat([p.grad.flatten() for p in params if p.grad is not None])


@contextmanager
def recorded_steps() -> Iterator[list[Step]]:
    """A list that grows with each step of any optimiser."""
    seen: list[Step] = []
    handle = register_optimizer_step_pre_hook(
        lambda optimizer, *_: seen.append(Step(gradient_of(optimizer), optimizer.param_groups[0]["lr"]))
    )
    try:
        yield seen
    finally:
        handle.remove()


def without_dropout(model: torch.nn.Module) -> torch.nn.Module:
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model
