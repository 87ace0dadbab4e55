"""Precision by the hardware's units, and devices by name."""

from __future__ import annotations

import pytest
import torch

from rationale.hf.device import use_bf16

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize("fast", [True, False])
def test_auto_is_bf16_where_that_is_faster(monkeypatch, fast):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: fast)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: fast)
    assert use_bf16("auto", CPU) == use_bf16("auto", CUDA) == fast
    assert not use_bf16("auto", torch.device("meta"))


def test_a_precision_that_is_asked_for_is_used(monkeypatch):
    for fast in (True, False):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda fast=fast: fast)
        assert use_bf16("bf16", CPU)
        assert not use_bf16("float32", CPU)
