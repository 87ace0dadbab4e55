"""Models that drop tokens, or stop early, around every family: right, or refused for a reason given here.

A few families are tried by `make test`, all of them by `make test-families`.
"""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForSequenceClassification

from eraser import Dataset, Document, Example, InputError
from rationale.hf.classifier import load_classifier
from rationale.models.adapler import AdaplerForSequenceClassification
from rationale.models.adaptive import unwrap
from rationale.models.dact import DactForSequenceClassification
from rationale.models.flops import costs, kept_lengths, parts_by_layer
from rationale.models.inforcoef import InforCoefForSequenceClassification
from rationale.models.packed.encoder import check_packed, depth_of, keep_all, run_packed
from rationale.models.packed.head import answer
from rationale.models.packed.layers import anatomy_of
from rationale.models.packed.soft import anchors, run_padded, softly_answered, weighed
from rationale.training.adaptive import train_adaptive
from rationale.training.recipes.table import RECIPES
from tests.helpers.families.classifiers import FAMILIES, PAD, WORDS, family_model, family_tokenizer
from tests.helpers.families.methods import READS

FEW = ("albert", "distilbert", "modernbert", "deberta-v3", "qwen3", "gemma2")
LENGTHS = (30, 9, 1, 17, 2)
NEAR = {"mobilebert": 1e-4}  # states grow from layer to layer, and rounding with them
EARLY = {"gte": 3}  # seeds of units at which texts stop early, where the usual one has none

STACKS = "an encoder and a decoder"
REFUSED = {  # family → how the refusal goes on after the class's name
    "bart": STACKS,
    "t5": STACKS,
    "umt5": STACKS,
    "bloom": "an argument of its layers of sizes (8, 12) for ((2, 9), (3, 14))",
    "falcon": "TypeError when its layers are watched",
    "longformer": "TypeError when its layers are watched",
    "funnel": "0 layer calls, 3 expected",
    "squeezebert": "0 layer calls, 2 expected",
    "convbert": "logits ",  # apart on a packed row: its tokens read their neighbours
    "deberta": "logits ",  # apart where tokens are gone: distances end at the number of tokens that are left
    "xlnet": "an argument of its layers of sizes (18, 28) for ((2, 9), (3, 14))",
    "bigbird-sparse": "attention over blocks of tokens",
}
SERVED = [name for name in FAMILIES if name not in REFUSED]
every_family = pytest.mark.parametrize(
    "family", [name if name in FEW else pytest.param(name, marks=pytest.mark.families) for name in SERVED]
)


def batch():
    """Ids of words, padded, and which are real [B,T]."""
    draws = torch.Generator().manual_seed(0)
    ids = torch.randint(5, 60, (len(LENGTHS), max(LENGTHS) + 2), generator=draws)
    real = torch.arange(ids.shape[1]) < torch.tensor(LENGTHS)[:, None]
    return torch.where(real, ids, PAD), real


def alone(run, ids, real):
    """What each text has for an answer by itself."""
    return torch.cat([run(ids[i : i + 1, :n], real[i : i + 1, :n], i) for i, n in enumerate(LENGTHS)])


def fraying(row=None):
    """A rule that drops a quarter more before each layer, never what the head reads; of one row or of all."""
    drawn = torch.rand(len(LENGTHS), 64, generator=torch.Generator().manual_seed(1))

    def select_tokens(layer, states, rows):
        of = rows.sequence_index if row is None else torch.full_like(rows.sequence_index, row)
        kept = drawn[of, rows.position] > 0.25 * (layer + 1)
        kept[rows.anchor] = True
        return kept, None

    return select_tokens, drawn


def near(family):
    return NEAR.get(family, 5e-6)


@pytest.mark.families
@pytest.mark.parametrize("family", REFUSED)
def test_what_cannot_be_run_packed_is_refused_and_the_reason_told(family, record_property):
    model = family_model(family)
    name = type(model).__name__
    expected = "expected a classifier whose layers can be run on fewer tokens (see the docs, Model families)"
    with pytest.raises(InputError) as error:
        check_packed(model, "here")
    assert str(error.value).startswith(f"here: {expected}, got {name}: {REFUSED[family]}")
    record_property("refused", json.dumps({"packed": str(error.value).rpartition(f" got {name}: ")[2]}))


def test_bert_can_be_run_packed():
    check_packed(family_model("bert"), "here")


@every_family
@torch.no_grad()
def test_nothing_removed_is_the_dense_model(family):
    model, (ids, real) = family_model(family), batch()
    check_packed(model, family)
    assert anatomy_of(model).reads == READS.get(family, "first")
    dense = model(input_ids=ids, attention_mask=real.long()).logits
    found = run_packed(model, ids, None, real, keep_all)
    assert torch.allclose(found.logits, dense, atol=near(family))
    assert all(torch.equal(layer.kept, real) for layer in found.trace)


@every_family
@torch.no_grad()
def test_removal_in_a_batch_is_removal_alone_and_the_padded_model_with_what_is_gone_hidden(family):
    model, (ids, real) = family_model(family), batch()
    together = run_packed(model, ids, None, real, fraying()[0])
    each = alone(lambda i, r, row: run_packed(model, i, None, r, fraying(row)[0]).logits, ids, real)
    assert torch.allclose(together.logits, each, atol=near(family))
    assert len(LENGTHS) < int(together.trace[-1].kept.sum()) < int(real.sum()) / 2 + len(LENGTHS)
    states, drawn = [], fraying()[1][:, : ids.shape[1]]
    there = real

    def hiding(layer, entering, run):
        nonlocal there
        there = there & ((drawn > 0.25 * (layer + 1)) | anchors(model, real))
        seen = there[:, None, None]
        left = weighed(run, entering, lambda logits: logits.masked_fill(~seen, -1e9).softmax(-1))
        states[:] = [left]
        return left

    logits = run_padded(model, ids, None, real, hiding)
    hidden = softly_answered(model, logits, states[0], there.float())
    assert torch.allclose(together.logits, hidden, atol=near(family))
    assert torch.equal(together.trace[-1].kept, there)


@every_family
@torch.no_grad()
def test_the_head_of_the_last_states_is_the_models_answer(family):
    model, (ids, real) = family_model(family), batch()
    states = []
    found = run_packed(model, ids, None, real, keep_all, watch=states.append)
    rows = torch.arange(len(LENGTHS))
    read = {
        "first": lambda last: (last[:, 0],),
        "last": lambda last: (last[rows, real.sum(1) - 1],),
        "all": lambda last: (last, real),
    }[anatomy_of(model).reads](states[-1])
    assert torch.allclose(answer(model, *read), found.logits, atol=near(family))


def dropping(family):
    model = AdaplerForSequenceClassification.wrap(family_model(family))
    torch.manual_seed(3)
    for predictor in model.contribution_predictors:
        nn.init.normal_(predictor.dense.weight, std=0.5)
        nn.init.normal_(predictor.scorer.weight, std=0.3)
    model.eta.data.fill_(0.6)
    return model.eval().requires_grad_(False)


@every_family
def test_soft_is_hard_in_the_limit(family):
    ids, real = batch()
    model = dropping(family)
    hard, soft = model(ids, real), model.soft(ids, torch.zeros_like(ids), real, 1e20)
    assert len(LENGTHS) < int(hard.trace[-1].kept.sum()) < int(real.sum())
    for step, layer in zip(soft.steps, hard.trace, strict=True):
        assert torch.equal(((step.mask > 0.5) | step.anchor) & real, layer.kept)
    assert torch.allclose(soft.logits, hard.logits, atol=10 * near(family))
    sampler = InforCoefForSequenceClassification.wrap(family_model(family)).eval()
    torch.manual_seed(1)
    for each in sampler.samplers:  # so certain that no noise changes a mask
        nn.init.normal_(each.scorer.weight, std=1e5)
        nn.init.zeros_(each.scorer.bias)
    with torch.no_grad():
        hard, soft = sampler(ids, real), sampler.soft(ids, torch.zeros_like(ids), real)
    assert torch.allclose(soft.logits, hard.logits, atol=10 * near(family))


@every_family
@torch.no_grad()
def test_texts_that_stop_early_have_the_class_of_all_layers_and_are_not_held_up(family):
    ids, real = batch()
    model = DactForSequenceClassification.wrap(family_model(family)).eval()
    torch.manual_seed(EARLY.get(family, 2))
    for unit in model.halting_units:
        nn.init.normal_(unit.weight, std=1.0)
        nn.init.constant_(unit.bias, -2.0)
    found = model(ids, real)
    assert int(found.exit_layer.min()) < depth_of(family_model(family))
    each = alone(lambda i, r, _: model(i, r).logits, ids, real)
    assert torch.allclose(found.logits, each, atol=near(family))
    full = model.without_removal()(input_ids=ids, attention_mask=real.long()).logits
    assert torch.equal(full.argmax(-1), found.logits.argmax(-1))
    model.set_dial(0.0)
    everything = model(ids, real)
    assert everything.exit_layer.tolist() == [depth_of(family_model(family))] * len(LENGTHS)
    assert torch.allclose(everything.logits, full, atol=near(family))


def counted(run):
    """Return torch's own count, attention spelt out as its two matrix products."""
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        found = run()
    return counter.get_total_flops(), found


@every_family
def test_operations_are_those_torch_counts(family):
    ids, _ = batch()
    dense, shrinking = family_model(family), dropping(family)
    anatomy_of(unwrap(shrinking))  # watched by passes of its own
    for n in (1, 9, 30):
        flops, _ = counted(lambda n=n: dense(input_ids=ids[:1, :n]))
        assert float(costs(dense).dense(n)) == flops
        flops, output = counted(lambda n=n: shrinking(ids[:1, :n]))
        assert costs(shrinking).shrinking([n], kept_lengths(output)).tolist() == [flops]


@every_family
def test_the_parts_of_a_layer_add_up_to_what_it_costs(family):
    """The parts of a dense model are the dense model; DeBERTa's layers cost something for each text, too."""
    dense, lengths = family_model(family), np.array([1, 9, 30])
    parts = parts_by_layer(dense, lengths, np.tile(lengths, (depth_of(dense), 1)))
    assert (parts["matrices"] + parts["attention"]).tolist() == parts["dense"].tolist()


@every_family
def test_saved_and_loaded_it_answers_alike_and_in_half_precision_too(family, tmp_path):
    ids, real = batch()
    model = dropping(family)
    model.save_pretrained(tmp_path)
    found = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()(ids, real)
    assert torch.allclose(found.logits, model(ids, real).logits, atol=near(family))
    half = AutoModelForSequenceClassification.from_pretrained(tmp_path, dtype=torch.bfloat16).eval()
    assert half(ids, real).logits.isfinite().all()


def short_texts():
    """A few short texts of both labels for train and val."""
    documents, splits = {}, {"train": [], "val": []}
    for n in range(12):
        id, label = str(n), ("NEG", "POS")[n % 2]
        words = ("a", ("dull", "warm")[n % 2], *WORDS[n : n + 4])
        documents[id] = Document(id, (words,))
        splits["train" if n < 8 else "val"].append(Example(id, (id,), label))
    return Dataset("short", documents, {name: tuple(found) for name, found in splits.items()})


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["adapler", "dact", "inforcoef"])
@every_family
def test_it_trains(family, recipe, tmp_path):
    dense = copy.deepcopy(family_model(family))
    dense.save_pretrained(tmp_path / "dense")
    family_tokenizer(family).save_pretrained(tmp_path / "dense")
    how = {"device": "cpu", "precision": "float32", "batch_size": 4, "epochs": 1, "tolerance": 1.0}
    how |= {} if recipe == "dact" else {"hard_epochs": 1}
    record = train_adaptive(
        RECIPES[recipe], tmp_path / "dense", short_texts(), tmp_path / "m", RECIPES[recipe].settings.of(how)
    )
    assert all(entry["train_loss"] == entry["train_loss"] for entry in record["log"])
    trained = load_classifier(tmp_path / "m", device="cpu")
    assert trained.labels == ("NEG", "POS")
    weights = dict(trained.model.named_parameters())
    assert any(not torch.equal(w, weights[f"model.{n}"]) for n, w in dense.named_parameters())
