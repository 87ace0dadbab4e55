"""Infor-Coef at inference: tokens really go; families, cut models, what others make of it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from rationale.attribution import AttributionInput, attribute
from rationale.hf.classifier import load_classifier, save_classifier
from rationale.inference.savings import scale_thresholds
from rationale.models.flops import costs, kept_lengths
from rationale.models.inforcoef import InforCoefForSequenceClassification, TokenSampler
from rationale.text.windows import OUTSIDE
from tests.conftest import tiny_model
from tests.helpers.models.batches import LENGTHS, batch, kept_words
from tests.helpers.models.counted import counted, text
from tests.helpers.models.samplers import KINDS, LABELS, classifier_of, everyone, inner_of, sampling, soft
from tests.oracles.survivors import slow_contribution, slow_survivors


@pytest.fixture(scope="module")
def classifier(tokenizer):
    return classifier_of(tokenizer)


@pytest.fixture(scope="module", params=KINDS)
def inner(request, tokenizer):
    return inner_of(request.param, tokenizer)


@pytest.fixture(scope="module")
def model(inner):
    return sampling(inner)


@pytest.fixture
def bert(tokenizer):
    """A model of the test's own."""
    return sampling(tiny_model("bert", tokenizer, LABELS))


# --- inference


def test_a_sampler_is_the_papers_and_begins_with_keeping():
    """LayerNorm → Linear → LayerNorm → GELU → Linear, one token's numbers at a time."""
    torch.manual_seed(0)
    sampler, states = TokenSampler(6).requires_grad_(False), torch.randn(4, 6) * 3

    def norm(x, of):
        mean = sum(x) / len(x)
        deviation = math.sqrt(sum((a - mean) ** 2 for a in x) / len(x) + of.eps)
        return [
            (a - mean) / deviation * float(w) + float(b)
            for a, w, b in zip(x, of.weight, of.bias, strict=True)
        ]

    def linear(x, of):
        return [sum(a * float(w) for a, w in zip(x, row, strict=True)) + float(b)
                for row, b in zip(of.weight, of.bias, strict=True)]  # fmt: skip

    for parameter in sampler.parameters():
        torch.nn.init.normal_(parameter)
    found = sampler(states).tolist()
    for row, z in zip(states.tolist(), found, strict=True):
        hidden = norm(linear(norm(row, sampler.before), sampler.dense), sampler.after)
        hidden = [0.5 * x * (1 + math.erf(x / math.sqrt(2))) for x in hidden]
        assert z == pytest.approx(linear(hidden, sampler.scorer), abs=1e-4)
    wide = TokenSampler(200)
    wide.reset()
    assert wide.scorer.bias.tolist() == [-5.0, 5.0]
    assert float(wide.scorer.weight.std().detach()) == pytest.approx(0.02, rel=0.15)  # 4 deviations


def test_batched_equals_alone_and_left_padded_equals_right_padded(model):
    ids, real = batch(LENGTHS)
    left_ids, left_real = batch(LENGTHS, "left")
    right, left = model(ids, real), model(left_ids, left_real)
    assert torch.allclose(right.logits, left.logits, atol=1e-5)
    assert len(LENGTHS) < int(right.trace[-1].kept.sum()) < int(real.sum())
    for row, n in enumerate(LENGTHS):
        alone = model(ids[row : row + 1, :n])
        assert torch.allclose(alone.logits[0], right.logits[row], atol=1e-5)
        expected = kept_words(alone, 0, torch.ones(1, n, dtype=torch.bool))
        assert kept_words(right, row, real) == expected
        assert kept_words(left, row, left_real) == expected


def test_inference_draws_nothing(model):
    ids, real = batch(LENGTHS)
    before = torch.get_rng_state()
    first = model(ids, real)
    assert torch.equal(torch.get_rng_state(), before)
    soft(model, ids, real)
    again = model(ids, real)
    assert torch.equal(first.logits, again.logits)
    assert all(torch.equal(a.kept, b.kept) for a, b in zip(first.trace, again.trace, strict=True))


def test_the_first_token_stays_though_every_sampler_drops_it(inner):
    stern = sampling(inner)
    everyone(stern, [30.0, -30.0])
    ids, real = batch(LENGTHS)
    with torch.no_grad():
        hard, sampled, alone = stern(ids, real), soft(stern, ids, real), inner(input_ids=ids[:, :1]).logits
    assert all(layer.kept.nonzero().tolist() == [[b, 0] for b in range(len(LENGTHS))] for layer in hard.trace)
    assert torch.allclose(hard.logits, alone, atol=1e-5)
    assert torch.allclose(sampled.logits, alone, atol=1e-5)


@pytest.fixture
def dialled(bert):
    """The model as a function of the dial, on a fixed batch."""
    ids, real = batch(LENGTHS)

    def at(dial):
        bert.config.dial = dial
        return bert(ids, real)

    return at


@pytest.mark.parametrize("dial", [0.0, 0.3, 1.0, 2.5])
def test_tokens_go_on_where_the_odds_of_keeping_reach_the_dial(dialled, dial):
    _, before = batch(LENGTHS)
    for layer in dialled(dial).trace:
        odds = layer.contribution / (1 - layer.contribution)
        expected = before & (odds >= dial)
        expected[:, 0] = True
        assert torch.equal(layer.kept, expected)
        assert ((layer.contribution > 0) == before).all()
        before = layer.kept


def test_dial_at_zero_is_the_dense_model_and_a_larger_one_keeps_a_subset(bert, dialled):
    ids, real = batch(LENGTHS)
    everything = dialled(0.0)
    assert all((layer.kept == real).all() for layer in everything.trace)
    dense = bert.model(input_ids=ids, attention_mask=real.long()).logits
    assert torch.allclose(everything.logits, dense, atol=1e-5)
    sizes, before = [], real
    for dial in (0.5, 1.0, 2.0, 1e9):
        kept = dialled(dial).trace[0].kept
        assert not (kept & ~before).any()
        sizes, before = [*sizes, int(kept.sum())], kept
    assert sizes == sorted(set(sizes), reverse=True)
    assert sizes[-1] == len(LENGTHS)


def test_thresholds_come_back_as_set_and_scale_as_the_dial(bert, dialled):
    trained = bert.thresholds
    assert trained.tolist() == pytest.approx([np.exp(-0.35)] * 3, rel=1e-6)
    keeping = [s.scorer.bias[1].item() for s in bert.samplers]
    for factor in (0.3, 1.0, 3.0):
        bert.set_thresholds(trained)
        wanted = dialled(factor)
        bert.set_thresholds(trained * factor)
        assert torch.allclose(bert.thresholds, trained * factor)
        found = dialled(1.0)
        assert torch.equal(found.logits, wanted.logits)
        assert all(torch.equal(a.kept, b.kept) for a, b in zip(found.trace, wanted.trace, strict=True))
    assert [s.scorer.bias[1].item() for s in bert.samplers] == keeping
    different = torch.tensor([0.5, 1.0, 4.0])
    bert.set_thresholds(different)
    assert bert.thresholds.tolist() == pytest.approx([0.5, 1.0, 4.0])


def test_saved_and_loaded_by_auto_classes(model, tmp_path):
    model.config.dial = 1.5
    model.save_pretrained(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"config.json", "model.safetensors"}
    assert AutoConfig.from_pretrained(tmp_path).model_type == "inforcoef"
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    ids, real = batch(LENGTHS)
    with torch.no_grad():
        assert torch.equal(loaded(ids, real).logits, model(ids, real).logits)
    model.config.dial = 1.0
    assert getattr(loaded.model.config, "cut", None) == getattr(model.model.config, "cut", None)


def test_saved_and_loaded_as_a_classifier(model, classifier, tmp_path):
    save_classifier(model, classifier.encoder.tokenizer, tmp_path)
    found = load_classifier(tmp_path, device="cpu")
    assert found.labels == LABELS
    ids, real = batch(LENGTHS)
    assert torch.equal(found.model(ids, real).logits, model(ids, real).logits)


def test_the_model_is_left_with_its_own_attention(model):
    ids, real = batch((5,))
    model(ids, real)
    soft(model, ids, real)
    assert model.model.config._attn_implementation == "sdpa"


# --- what others make of it


@pytest.mark.parametrize("wanted", [1.3, 2.0, 4.0])
def test_thresholds_are_scaled_to_the_wanted_speedup(bert, classifier, sample, wanted):
    one = replace(classifier, model=bert)
    texts = one.encoder.encode([sample.text(e) for e in sample.splits["test"][:12]])
    windows = [w for ws in texts for w in ws]
    trained = bert.thresholds
    reached = scale_thresholds(one, windows, wanted)
    assert reached == pytest.approx(wanted, rel=0.03)
    price, dense, shrunk = costs(bert), 0.0, 0.0
    for window in windows:
        output = bert(torch.tensor(window.ids)[None], None, torch.tensor(window.types)[None])
        dense += float(price.dense(len(window)))
        shrunk += float(price.shrinking([len(window)], kept_lengths(output))[0])
    assert dense / shrunk == pytest.approx(reached, rel=1e-3)
    factors = bert.thresholds / trained
    assert torch.allclose(factors, factors[0].expand(3), rtol=1e-4)


@pytest.mark.parametrize("confident", [0.0, 20.0])
def test_samplers_that_keep_everything_can_be_scaled_too(classifier, sample, confident):
    """Their odds are e^10 at the start, and larger where training left the masks decided."""
    model = InforCoefForSequenceClassification.wrap(classifier.model).eval().requires_grad_(False)
    model.set_thresholds(model.thresholds * np.exp(-confident))
    one = replace(classifier, model=model)
    windows = [w for e in sample.splits["test"][:6] for w in one.encoder.encode([sample.text(e)])[0]]
    assert scale_thresholds(one, windows, 3.0) == pytest.approx(3.0, rel=0.03)


def test_operations_with_removal_are_those_torch_counts(model):
    price, removed = costs(model), 0
    for n in (1, 2, 17, 39):
        found, output = counted(model, text(n))
        assert price.shrinking([n], kept_lengths(output)).tolist() == [found]
        removed += n - int(output.trace[-1].kept.sum())
    assert removed > 10


@pytest.mark.parametrize(
    ("method", "slow"), [("survivors", slow_survivors), ("contribution", slow_contribution)]
)
def test_its_own_methods_attribute_words(model, classifier, sample, method, slow):
    one = replace(classifier, model=model)
    texts = [sample.text(e) for e in sample.splits["test"][:3]]
    cases = [
        AttributionInput(w, len(t.words), 1) for w, t in zip(one.encoder.encode(texts), texts, strict=True)
    ]
    for case, found in zip(cases, attribute(one, method, cases), strict=True):
        of_words, survived = np.full(case.n_words, -np.inf), np.zeros(case.n_words, dtype=bool)
        for window in case.windows:
            last = one.model(torch.tensor(window.ids)[None], None, torch.tensor(window.types)[None]).trace[-1]
            for word, score, stays in zip(window.word, slow(one, window), last.kept[0], strict=True):
                if word != OUTSIDE:
                    of_words[word] = max(of_words[word], score)
                    survived[word] |= bool(stays)
        assert found.scores.tolist() == pytest.approx(of_words.tolist(), abs=1e-5)
        if method == "survivors":
            assert found.selected.tolist() == survived.tolist()
        else:
            assert found.selected is None


def test_other_methods_explain_the_encoder_with_nothing_removed(model, classifier, sample):
    example = sample.text(sample.splits["test"][0])
    cases = [AttributionInput(classifier.encoder.encode([example])[0], len(example.words), 1)]
    found, plain = (
        attribute(replace(classifier, model=m), "gradient_x_input", cases)[0].scores
        for m in (model, model.model)
    )
    assert found.tolist() == pytest.approx(plain.tolist())
