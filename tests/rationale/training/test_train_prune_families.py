"""`train prune` on a tiny model of each family, from the dense folder to the cut one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from transformers import AlbertConfig, AlbertForSequenceClassification, AutoModelForSequenceClassification

from eraser import InputError
from rationale.hf.classifier import load_classifier
from rationale.inference.savings import measure_removal
from rationale.models.adapler import AdaplerForSequenceClassification
from rationale.models.packed.encoder import keep_all, run_packed
from rationale.training.adaptive import train_adaptive
from rationale.training.recipes.prune import PRUNE
from rationale.training.recipes.settings import PruneSettings
from rationale.training.settings import StepSettings
from tests.helpers.models.batches import LENGTHS, batch
from tests.helpers.models.cuttable import COMMON, ONE_A_FAMILY, tiny
from tests.helpers.models.trainings import PLAIN, few_of, saved

NAMES = {"id2label": {0: "NEG", 1: "POS"}, "label2id": {"NEG": 0, "POS": 1}, "max_position_embeddings": 70}
SETTINGS = PruneSettings(
    epochs=2, hard_epochs=1, hard_lr=1e-3, step=StepSettings(lr=1e-3, distill=1.0), sparsity=0.5, gate_lr=8.0,
    sparsity_warmup=0.0, multiplier_lr=1.0, **PLAIN,
)  # fmt: skip


@pytest.fixture(scope="module")
def few(sample):
    few = few_of(sample)
    return replace(few, splits={k: v[:2] if k == "val" else v for k, v in few.splits.items()})


@pytest.mark.slow
@pytest.mark.parametrize("kind", ONE_A_FAMILY)
def test_both_stages_make_a_cut_model_that_loads(kind, few, tokenizer, tmp_path):
    dense = saved(tiny(kind, vocab_size=len(tokenizer), **NAMES), tokenizer, tmp_path / "dense")
    record = train_adaptive(PRUNE, dense, few, tmp_path / "m", SETTINGS)
    assert [(e["stage"], e["epoch"]) for e in record["log"]] == [("gates", 0), ("gates", 1), ("cut", 0)]
    counts, kept = record["log"][1]["cut"], record["kept"]
    assert counts["hidden"] < 24
    assert kept["speedup"] > 1
    one = load_classifier(tmp_path / "m", device="cpu")
    assert one.model.config.cut == counts
    assert round(measure_removal(one, few, "val").speedup, 3) == kept["speedup"]
    auto = AutoModelForSequenceClassification.from_pretrained(tmp_path / "m").eval()
    ids, real = batch(LENGTHS)
    with torch.no_grad():
        padded = auto(input_ids=ids, attention_mask=real.long()).logits
        packed = run_packed(one.model, ids, torch.zeros_like(ids), real, keep_all).logits
        around = AdaplerForSequenceClassification.wrap(one.model).eval()
        around.set_dial(0.0)
        assert torch.allclose(packed, padded, atol=1e-5)
        assert torch.allclose(around(ids, real).logits, padded, atol=1e-5)
    assert padded.std(0).min() > 1e-3  # answers differ


def test_a_family_that_cannot_be_cut_is_refused_before_a_step(few, tokenizer, tmp_path):
    config = AlbertConfig(
        **(COMMON | NAMES), embedding_size=8, vocab_size=len(tokenizer), pad_token_id=0, initializer_range=0.3
    )
    torch.manual_seed(0)
    dense = saved(AlbertForSequenceClassification(config).eval(), tokenizer, tmp_path / "dense")
    with pytest.raises(InputError) as caught:
        train_adaptive(PRUNE, dense, few, tmp_path / "m", SETTINGS)
    expected = (
        "expected a classifier whose matrices can be cut (BERT-likes, DistilBERT, ModernBERT, DeBERTa, "
        "Llama-likes, Gemma 2 and 3, Nomic and GTE), got AlbertForSequenceClassification: "
        "its layers are of another kind"
    )
    assert str(caught.value) == expected
    assert not (tmp_path / "m").exists()
