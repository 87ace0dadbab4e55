from __future__ import annotations

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from rationale.models.adaptive import unwrap
from rationale.models.dact import DactForSequenceClassification, FullDepth
from rationale.models.exits.accumulator import Accumulator
from rationale.models.exits.rules import EXIT_RULES, EXITS
from rationale.models.packed.encoder import run_packed
from rationale.models.packed.head import Head
from rationale.text.encode import Encoder
from tests.conftest import FAMILIES, tiny_model
from tests.helpers.models.batches import LENGTHS, batch
from tests.helpers.models.exits import RULES, answer_after, by_hand, exiting, first_states, stack
from tests.oracles import dact as oracle

N, MANY = 12, 1500


def deep(family, tokenizer, layers=6):
    config = tiny_model(family, tokenizer, ("NEG", "POS")).config
    config.num_hidden_layers = layers
    torch.manual_seed(4)
    return AutoModelForSequenceClassification.from_config(config).eval()


@pytest.fixture(scope="module", params=FAMILIES)
def dense(request, tokenizer):
    return tiny_model(request.param, tokenizer, ("NEG", "POS"))


# the equations, on random numbers


def random_sequences(classes):
    """y [N,sequence,C] and h [N,sequence], from vague to sure, from early to late."""
    g = torch.Generator().manual_seed(classes)
    sure = torch.rand(1, MANY, 1, generator=g, dtype=torch.float64) * 4
    late = torch.rand(1, MANY, generator=g, dtype=torch.float64) * 5 - 3
    y = (torch.randn(N, MANY, classes, generator=g, dtype=torch.float64) * sure).softmax(-1)
    return y, (torch.randn(N, MANY, generator=g, dtype=torch.float64) * 2 + late).sigmoid()


def drive(y, h, rule=None):
    """Run an accumulator as a batch does; return it, the exit layers, and a_n after each layer."""
    accumulator = Accumulator(len(y), lambda layer, first, real: (y[layer, first], h[layer, first]), rule)
    running, answers = torch.arange(y.shape[1]), []
    exits = torch.full_like(running, len(y))
    for layer in range(len(y)):
        stop = accumulator.should_stop(layer, running, running)
        answers.append(accumulator.answer.clone())
        if stop is not None:
            exits[running[stop]] = layer + 1
            running = running[~stop]
    return accumulator, exits, answers


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_answers_and_weights_are_the_papers(classes):
    y, h = random_sequences(classes)
    accumulator, exits, answers = drive(y, h)
    for i in range(0, MANY, 10):
        for n, (a, p) in enumerate(oracle.accumulate(y[:, i].tolist(), h[:, i].tolist())):
            assert answers[n][i].tolist() == pytest.approx(a, abs=1e-12)
            assert float(accumulator.ponder[n][i]) == pytest.approx(p, abs=1e-12)
    p, a = torch.stack(accumulator.ponder), torch.stack(answers)
    assert (p.diff(dim=0) < 0).all()
    assert (p[0] == h[0]).all()
    assert (a >= 0).all()
    assert torch.allclose(a.sum(-1), torch.ones(N, MANY, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(accumulator.logits().exp(), answers[-1], atol=1e-12)
    assert (exits == N).all()


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_rules_stop_where_they_say_and_never_change_a_class(classes):
    y, h = random_sequences(classes)
    full = drive(y, h)[2]
    found = {}
    for name in EXIT_RULES:
        accumulator, exits, _ = drive(y, h, EXITS[name])
        expected = [oracle.exit_layer(name, y[:, i].tolist(), h[:, i].tolist()) for i in range(MANY)]
        assert exits.tolist() == expected
        assert (accumulator.answer.argmax(-1) == full[-1].argmax(-1)).all()
        at_exit = torch.stack([full[n - 1][i] for i, n in enumerate(expected)])
        assert torch.equal(accumulator.answer, at_exit)
        assert set(expected) == set(range(1, N + 1))
        found[name] = exits
    assert (found["tight"] <= found["published"]).all()
    assert (found["tight"] < found["published"]).sum() > MANY / 50


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_tight_rule_stops_just_where_the_worst_that_may_come_no_longer_matters(classes):
    y, h = random_sequences(classes)
    for i in range(0, MANY, 3):
        for n, (a, p) in enumerate(oracle.accumulate(y[:, i].tolist(), h[:, i].tolist())[:-1], start=1):
            worst = oracle.worst(a, p, N - n)
            safe = oracle.of_class(worst) == oracle.of_class(a)
            ((top, second),) = torch.tensor([a], dtype=torch.float64).topk(2).values
            ask = (top, second, torch.tensor(p, dtype=torch.float64), N - n)
            assert bool(EXIT_RULES["tight"](*ask)) == safe
            assert safe or not EXIT_RULES["published"](*ask)


# the models


def test_answers_are_those_of_shorter_models_added_up(dense):
    """y_n is what Hugging Face's own model says with n layers and that layer's head."""
    model = exiting(dense)
    ids, real = batch(LENGTHS)
    accumulator = model.accumulator(halts=False)
    full = run_packed(dense, ids, torch.zeros_like(ids), real, model.select_tokens, accumulator)
    padded = FullDepth(model)(input_ids=ids, attention_mask=real.long())
    for row, (ys, hs) in enumerate(by_hand(model, dense)):
        found = oracle.accumulate(ys, hs)
        assert [float(p.detach()[row]) for p in accumulator.ponder] == pytest.approx(
            [p for _, p in found], abs=1e-5
        )
        for logits in (full.logits, padded.logits):
            assert logits[row].exp().tolist() == pytest.approx(found[-1][0], abs=1e-5)
    assert full.exit_layer.tolist() == [3] * len(LENGTHS)
    assert all((layer.kept == real).all() for layer in full.trace)


@pytest.mark.parametrize("rule", RULES)
def test_texts_stop_where_the_rule_says(dense, rule):
    model = exiting(dense, rule)
    ids, real = batch(LENGTHS)
    output = model(ids, real)
    for row, (ys, hs) in enumerate(by_hand(model, dense)):
        n = oracle.exit_layer(rule, ys, hs)
        assert int(output.exit_layer[row]) == n
        assert output.logits[row].exp().tolist() == pytest.approx(
            oracle.accumulate(ys, hs)[n - 1][0], abs=1e-5
        )
    assert len(set(output.exit_layer.tolist())) > 1


@torch.no_grad()
def test_every_head_begins_as_the_models_own_and_halting_units_undecided(dense):
    own = Head(dense)
    for shared in (False, True):
        model = DactForSequenceClassification.wrap(dense, shared_head=shared).eval()
        assert len(model.heads) == (0 if shared else 2)
        for n in (1, 2, 3):
            expected, first = answer_after(dense, n, own)
            y, h = model.read(n - 1, first)
            assert torch.allclose(y, expected, atol=1e-6)
            assert h.tolist() == [0.5] * len(LENGTHS)


@pytest.mark.parametrize("family", FAMILIES)
def test_early_exits_change_no_class_of_the_sample(family, tokenizer, sample):
    """Though the first layer's answers are of another class for some."""
    dense, encoder = deep(family, tokenizer), Encoder(tokenizer, 128)
    texts = encoder.encode([sample.text(e) for e in sample.splits["test"][:16]])
    b = encoder.collate([w for windows in texts for w in windows])
    stopped = {}
    for rule in RULES:
        model = exiting(dense, rule)
        found = model(b.ids, b.real, b.types)
        full = FullDepth(model)(input_ids=b.ids, attention_mask=b.real.long()).logits
        off = run_packed(
            unwrap(model), b.ids, b.types, b.real, model.select_tokens, model.accumulator(halts=False)
        )
        assert torch.allclose(off.logits.exp(), full.exp(), atol=1e-5)
        assert torch.equal(found.logits.argmax(-1), full.argmax(-1))
        first, _ = model.read(0, first_states(model, b.ids, b.real)[0])
        assert (first.argmax(-1) != full.argmax(-1)).any()
        stopped[rule] = found.exit_layer
        assert len(stopped[rule].unique()) >= 3
    assert (stopped["tight"] <= stopped["published"]).all()
    assert (stopped["tight"] < stopped["published"]).any()


def test_larger_dial_stops_no_text_later(dense):
    """The dial moves the exits and nothing else: what a text has said so far stays."""
    model, (ids, real), found = exiting(dense), batch(range(2, 34)), []
    accumulator = model.accumulator(halts=False)
    run_packed(unwrap(model), ids, ids * 0, real, model.select_tokens, accumulator)
    for dial in (0.0, 1e-9, 0.3, 1.0, 3.0, 1e9):
        model.config.dial = dial
        found.append(model(ids, real))
    exits = torch.stack([output.exit_layer for output in found])
    assert (exits[0] == 3).all()
    assert torch.allclose(found[0].logits, accumulator.logits(), atol=1e-5)
    assert (exits.diff(dim=0) <= 0).all()
    assert len(exits.float().mean(1).unique()) > 3
    assert (exits[-1] == 1).all()
    first, _ = model.read(0, first_states(model, ids, real)[0])
    assert torch.allclose(found[-1].logits.exp(), first, atol=1e-5)


def test_one_head_for_all_layers_is_the_models_own(dense):
    model = exiting(dense, shared_head=True)
    assert len(model.heads) == 0
    heads, _ = zip(*model.exit_heads(), strict=True)
    assert [h.classifier for h in heads] == [unwrap(model).classifier] * 3
    ids, real = batch(LENGTHS)
    logits = FullDepth(model)(input_ids=ids, attention_mask=real.long()).logits
    for row, (ys, hs) in enumerate(by_hand(model, dense)):
        assert logits[row].exp().tolist() == pytest.approx(oracle.accumulate(ys, hs)[-1][0], abs=1e-5)


@pytest.mark.parametrize("kind", [*FAMILIES, "stack"])
def test_saved_and_loaded_by_auto_classes(kind, tokenizer, tmp_path):
    model = stack() if kind == "stack" else exiting(tiny_model(kind, tokenizer, ("NEG", "POS")))
    model.save_pretrained(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"config.json", "model.safetensors"}
    assert AutoConfig.from_pretrained(tmp_path).model_type == "dact"
    loaded, info = AutoModelForSequenceClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info[k] for k in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    ids, real = batch(LENGTHS)
    found, expected = loaded.eval()(ids, real), model(ids, real)
    assert torch.allclose(found.logits, expected.logits, atol=1e-5)
    assert torch.equal(found.exit_layer, expected.exit_layer)
    assert all(torch.equal(a.kept, b.kept) for a, b in zip(found.trace, expected.trace, strict=True))
    assert type(loaded.model) is type(model.model)
    assert getattr(unwrap(loaded).config, "cut", None) == getattr(unwrap(model).config, "cut", None)
    assert loaded.config.id2label == unwrap(model).config.id2label


def test_choices_are_saved_too(tokenizer, tmp_path):
    dense = tiny_model("bert", tokenizer, ("NEG", "POS"))
    exiting(dense, "tight", shared_head=True, dial=1.5).save_pretrained(tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert (loaded.config.shared_head, len(loaded.heads)) == (True, 0)
    assert (loaded.halting_policy().rule, loaded.halting_policy().dial) == (EXITS["tight"], 1.5)
    assert loaded.accumulator(halts=False).rule is None
