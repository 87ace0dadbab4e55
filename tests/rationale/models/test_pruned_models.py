"""Cut models of every family as Hugging Face's own, with adaptive models around them, and what they cost."""

from __future__ import annotations

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForSequenceClassification, Trainer, TrainingArguments, pipeline

from rationale.models.adapler import AdaplerForSequenceClassification
from rationale.models.flops import costs, full_costs
from rationale.models.pruning import PrunedForSequenceClassification, cut
from tests.conftest import dropping
from tests.helpers.models.batches import batch
from tests.helpers.models.cuttable import FIRST_ONE_A_FAMILY, ONE_A_FAMILY, logits, random_openings, tiny

TEXT = torch.arange(5, 22)[None]


def small_of(kind, seed=0, **more):
    """A cut model with heads, units and hidden dimensions gone, and in one layer all heads."""
    openings = random_openings(seed)
    openings.heads[1] = 0
    return cut(tiny(kind, **more), openings).requires_grad_(False)


@pytest.fixture(scope="module", params=ONE_A_FAMILY)
def kind(request):
    return request.param


@pytest.mark.slow
@pytest.mark.parametrize("kind", ONE_A_FAMILY)
def test_operations_are_those_torch_counts(kind):
    small = small_of(kind)
    for n in (1, 2, 17, 33):
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            small(input_ids=TEXT.repeat(1, 2)[:, :n])
        assert costs(small).dense(n) == counter.get_total_flops()
    assert full_costs(small) == costs(tiny(kind))
    assert costs(small).dense(17) < costs(tiny(kind)).dense(17)


@pytest.mark.parametrize("kind", FIRST_ONE_A_FAMILY)
@torch.no_grad()
def test_nothing_removed_around_a_cut_model_is_the_cut_model(kind):
    small = small_of(kind)
    around = AdaplerForSequenceClassification.wrap(small).eval()
    around.set_dial(0.0)
    ids, real = batch((17, 9, 1, 30, 2))
    expected = logits(small, "padded")
    assert torch.allclose(around(ids, real).logits, expected, atol=1e-5)
    assert torch.allclose(logits(around.without_removal(), "padded"), expected, atol=1e-5)


@torch.no_grad()
def test_removal_around_a_cut_model_is_the_same_in_a_batch_and_alone(kind):
    around = dropping(small_of(kind))
    ids, real = batch((17, 9, 1))
    together = around(ids, real)
    assert any((layer.kept != real).any() for layer in together.trace)
    for row, n in enumerate((17, 9, 1)):
        assert torch.allclose(around(ids[row : row + 1, :n]).logits[0], together.logits[row], atol=1e-5)


# --- as the library uses them


def pruned(kind, **more):
    return PrunedForSequenceClassification.from_dense(small_of(kind, **more)).eval()


@torch.no_grad()
def test_arguments_reach_the_model_inside(kind):
    model = pruned(kind)
    inner, labels = model.model, torch.tensor([1])
    plain = inner(input_ids=TEXT, labels=labels)
    found = model(TEXT, labels=labels, output_hidden_states=True)
    assert torch.equal(found.loss, plain.loss)
    assert torch.equal(found.logits, plain.logits)
    assert [h.shape[-1] for h in found.hidden_states] == [inner.config.cut["hidden"]] * 4
    as_tuple = model(TEXT, labels=labels, return_dict=False)
    assert isinstance(as_tuple, tuple)
    assert torch.equal(as_tuple[1], plain.logits)
    embedded = model(inputs_embeds=inner.get_input_embeddings()(TEXT))
    assert torch.allclose(embedded.logits, plain.logits, atol=1e-5)
    masked = model(torch.cat([TEXT, 0 * TEXT], 1), attention_mask=(torch.arange(34) < 17).long()[None])
    assert torch.allclose(masked.logits, plain.logits, atol=1e-5)


@torch.no_grad()
def test_loaded_in_half_precision_all_of_it_is(kind, tmp_path):
    model = pruned(kind)
    model.save_pretrained(tmp_path)
    half = AutoModelForSequenceClassification.from_pretrained(tmp_path, dtype=torch.bfloat16).eval()
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}
    exact = model(TEXT).logits
    assert (half(TEXT).logits.float() - exact).abs().max() < 0.1 * (1 + exact.abs().max())
    half.save_pretrained(tmp_path / "half")
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path / "half", dtype=torch.float32)
    assert {p.dtype for p in again.parameters()} == {torch.float32}


def test_a_pipeline_answers_as_the_model_does(kind, tokenizer, tmp_path):
    names = {"id2label": {0: "NEG", 1: "POS"}, "label2id": {"NEG": 0, "POS": 1}}
    model = pruned(kind, vocab_size=len(tokenizer), problem_type="multi_label_classification", **names)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    classify = pipeline("text-classification", model=str(tmp_path), device="cpu")
    (found,) = classify(["a dull film"], top_k=None)
    with torch.no_grad():
        expected = model(**tokenizer("a dull film", return_tensors="pt")).logits[0].sigmoid()
    assert {x["label"]: x["score"] for x in found} == pytest.approx(
        {"NEG": float(expected[0]), "POS": float(expected[1])}, abs=1e-5
    )


@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_the_librarys_trainer_measures_one(kind, tmp_path):
    pytest.importorskip("accelerate")
    model = pruned(kind)
    rows = [{"input_ids": TEXT[0], "labels": label} for label in (0, 1, 1)]
    arguments = TrainingArguments(str(tmp_path), use_cpu=True, report_to=[], disable_tqdm=True)
    found = Trainer(model=model, args=arguments).predict(rows)
    with torch.no_grad():
        expected = model(TEXT.expand(3, -1), labels=torch.tensor([0, 1, 1]))
    assert torch.allclose(torch.tensor(found.predictions), expected.logits, atol=1e-5)
    assert found.metrics["test_loss"] == pytest.approx(float(expected.loss), abs=1e-5)
