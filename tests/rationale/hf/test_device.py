"""Precision by the hardware's units, and devices by name."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import rationale
from rationale.front.given import loaded
from rationale.hf.device import use_bf16, where_it_runs
from rationale.pass_cache import PassCache, now, once
from tests.conftest import tiny_model

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


@pytest.mark.parametrize(
    ("held", "told"), [("float32", "float32"), ("bfloat16", "bf16"), ("float16", "float16")]
)
def test_a_model_in_memory_runs_in_what_its_matrices_are_held_in_and_says_so(tokenizer, held, told):
    model = tiny_model("bert", tokenizer, ("NEG", "POS")).to(getattr(torch, held))
    classifier = rationale.load((model, tokenizer), device="cpu")
    asked = replace(classifier, bf16=True)
    for of, expected in ((classifier, told), (asked, "bf16")):
        assert of.where().split(", ")[-1] == expected
        assert loaded(of, None, {})[1]["precision"] == expected


def test_a_gpu_by_its_number_is_named_and_waited_for(monkeypatch):
    second, waited = torch.device("cuda:1"), []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: f"GPU of {device}")
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device=None: waited.append(device))
    assert where_it_runs(second, "float32") == "GPU of cuda:1, float32"
    once(PassCache(device=second), "key", lambda: waited.append("computed"))
    assert waited == [second, "computed", second]
    now(CPU)  # nothing to wait for
    assert len(waited) == 3
