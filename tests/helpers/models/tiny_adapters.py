"""Tiny LoRA adapters, as PEFT saves them."""

from __future__ import annotations

import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerBase

from tests.helpers.families.tiny import save_family

TARGETS = {
    "bert": ["query", "value"], "roberta": ["query"], "distilbert": ["q_lin"], "albert": ["query"],
    "gpt2": ["c_attn"], "opt": ["q_proj"], "llama": ["q_proj", "v_proj", "down_proj"], "qwen2": "all-linear",
    "mistral": r".*layers\.1.*proj",
}  # fmt: skip
HEADS = {"distilbert": ["pre_classifier", "classifier"]}


def make(
    folder: Path,
    family: str = "bert",
    n_labels: int = 2,
    tokenizer: PreTrainedTokenizerBase | None = None,
    **settings: Any,
) -> tuple[Any, Path]:
    """Write an adapter as peft does, and the headless model it is of; return what peft's own model says."""
    peft = import_module("peft")  # an extra
    base = save_family(folder.parent / f"{folder.name}-base", family)
    own = AutoModelForSequenceClassification.from_pretrained(base)
    own.base_model.save_pretrained(base)
    torch.manual_seed(1)
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=n_labels)
    how = {"r": 4, "lora_alpha": 16, "target_modules": TARGETS[family], "modules_to_save": HEADS.get(family)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft's own, of GPT-2's matrices
        model = peft.get_peft_model(model, peft.LoraConfig(**{"task_type": "SEQ_CLS", **how, **settings}))
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if "lora_" in name or "modules_to_save" in name:
                    weight.add_(torch.randn_like(weight) * 0.3)
        model.save_pretrained(folder)
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)
    return model.eval(), base
