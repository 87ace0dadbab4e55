from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from eraser import Dataset, Example, InputError
from eraser.types import Document, Evidence, Span
from rationale.attribution import AttributionInput, attribute
from rationale.hf.card import read_settings
from rationale.hf.classifier import load_classifier
from rationale.hf.rationale_head import FILE
from rationale.text.encode import Encoder
from rationale.training import dense
from rationale.training.align import Alignment, attention_loss, head_loss, with_marks
from rationale.training.dense import train_dense
from rationale.training.loop import training_windows
from rationale.training.settings import AlignSettings, TrainSettings
from tests.conftest import tiny_model

HUMAN = AlignSettings(align="human", align_weight=5.0)
SETTINGS = TrainSettings(
    epochs=6, lr=5e-3, batch_size=8, max_length=32, precision="float32", device="cpu", marks=HUMAN
)
WORDS = ("a", "film", "of", "the", "story", "and", "cast")


@pytest.fixture(scope="module")
def marked():
    """Texts in which one word tells the label, and people marked it."""
    random, documents, splits = np.random.default_rng(0), {}, {}
    for split, n in (("train", 64), ("val", 16)):
        examples = []
        for i in range(n):
            label, at = ("NEG", "POS")[i % 2], int(random.integers(0, 6))
            words = [str(w) for w in random.choice(WORDS, 8)]
            words[at] = {"NEG": "dull", "POS": "moving"}[label]
            id, evidence = f"{split}{i}", Evidence(f"{split}{i}", Span(at, at + 1))
            documents[id] = Document(id, (tuple(words),))
            examples.append(Example(id, (id,), label, gold=frozenset({frozenset({evidence})})))
        splits[split] = tuple(examples)
    return Dataset("marked", documents, splits)


@pytest.fixture
def start(tokenizer, marked):
    def made():
        model = tiny_model("bert", tokenizer, marked.labels)
        with torch.no_grad():  # as they are made, its layers leave nothing that tells one token from another
            for name, weights in model.named_parameters():
                weights.mul_(0.2 if "layer" in name and weights.dim() == 2 else 1.0)
        return model, tokenizer

    return made


def words_of(classifier, dataset, split, method):
    """Return (scores, gold) of every example that people marked."""
    examples = [e for e in dataset.examples(split) if e.evidence]
    texts = [dataset.text(e) for e in examples]
    windows = classifier.encoder.encode(texts)
    cases = [AttributionInput(w, len(t.words), 0) for w, t in zip(windows, texts, strict=True)]
    found = attribute(classifier, method, cases)
    return [(a.scores, dataset.truth(e).gold) for a, e in zip(found, examples, strict=True)]


def share_on_marks(pairs):
    return float(np.mean([np.nansum(s * g) / np.nansum(s) for s, g in pairs]))


def test_attention_loss_is_the_cross_entropy_of_marks_and_looks():
    looks = torch.tensor([[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]])
    marks = torch.tensor([[0.0, 1.0, 3.0], [0.0, 0.0, 0.0]])  # nobody marked the second
    expected = -(0.25 * math.log(0.3) + 0.75 * math.log(0.5)) / 2
    assert float(attention_loss(looks, marks)) == pytest.approx(expected, abs=1e-5)


def test_head_loss_is_the_mean_over_pieces_of_marked_windows():
    logits = torch.tensor([[0.0, 2.0, 9.0], [5.0, 5.0, 5.0]])
    real = torch.tensor([[True, True, False], [True, True, True]])
    marks = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    expected = (math.log(2) + math.log1p(math.exp(2.0))) / 2 / 2
    assert float(head_loss(logits, marks, real)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "loss", [lambda found, marks, real: attention_loss(found.softmax(1), marks), head_loss]
)
def test_texts_without_marks_teach_nothing_and_parts_add_up(loss):
    torch.manual_seed(0)
    found = torch.rand(6, 5, requires_grad=True)
    marks, real = (torch.rand(6, 5) > 0.5).float(), torch.rand(6, 5) > 0.2
    marks = (marks * real).index_fill(0, torch.tensor([1, 4]), 0.0)
    whole = loss(found, marks, real)
    whole.backward()
    assert (found.grad[[1, 4]] == 0).all()
    assert (found.grad[0] != 0).any()
    found = found.detach()
    parts = loss(found[:2], marks[:2], real[:2]) * 2 + loss(found[2:], marks[2:], real[2:]) * 4
    assert float(parts / 6) == pytest.approx(whole.item(), rel=1e-5)


def test_what_is_taught_is_what_the_method_attention_reads(start, marked, tmp_path):
    train_dense(start, marked, tmp_path / "m", replace(SETTINGS, epochs=1, marks=AlignSettings()))
    classifier = load_classifier(tmp_path / "m")
    text = marked.text(marked.examples("val")[0])
    (windows,) = classifier.encoder.encode([text])
    batch = classifier.encoder.collate(windows)
    marks = torch.zeros(batch.ids.shape)
    marks[0, 3] = 1.0  # one piece: the loss is the logarithm of its share
    logits, loss = Alignment(replace(HUMAN, align_weight=1.0), classifier).losses(batch, marks)
    expected = classifier.model(input_ids=batch.ids, **classifier.inputs(batch)).logits
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=0)
    with torch.inference_mode():
        classifier.model.set_attn_implementation("eager")
        out = classifier.model(input_ids=batch.ids, **classifier.inputs(batch), output_attentions=True)
    look = out.attentions[-1].mean(1)[0, 0, 3]  # from [CLS]
    assert loss.item() == pytest.approx(-math.log(look.item()) / len(windows), abs=1e-3)


def test_taught_attention_is_on_the_marks_and_the_record_says_so(start, marked, tmp_path):
    plain = replace(SETTINGS, marks=AlignSettings())
    shares = {}
    for name, settings in (("plain", plain), ("taught", SETTINGS)):
        train_dense(start, marked, tmp_path / name, settings)
        classifier = load_classifier(tmp_path / name)
        shares[name] = share_on_marks(words_of(classifier, marked, "train", "attention"))
    assert shares["taught"] > shares["plain"] + 0.1
    assert read_settings(tmp_path / "taught")["training"]["align"] == "human"
    assert "align" not in read_settings(tmp_path / "plain")["training"]


@pytest.mark.parametrize("form", ["head", "both"])
def test_learned_scores_are_those_of_the_head_that_was_trained(start, marked, tmp_path, form):
    taught = replace(SETTINGS, marks=replace(HUMAN, align_form=form))
    train_dense(start, marked, tmp_path / "m", taught)
    classifier = load_classifier(tmp_path / "m")
    pairs = words_of(classifier, marked, "train", "learned")
    inside = np.mean([s[g].mean() for s, g in pairs])
    outside = np.mean([s[~g].mean() for s, g in pairs])
    assert inside > outside + 0.02
    plain = replace(classifier, rationale_head=None)
    assert classifier.identity() != plain.identity()
    with pytest.raises(InputError, match="no rationale head"):
        words_of(plain, marked, "train", "learned")


def test_killed_run_goes_on_to_the_same_head(start, marked, tmp_path, monkeypatch):
    settings = replace(SETTINGS, marks=replace(HUMAN, align_form="both"), checkpoint_seconds=0.0)
    train_dense(start, marked, tmp_path / "whole", settings)
    step, calls = dense._Run._step, []

    def dies(run, rows):
        calls.append(rows)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return step(run, rows)

    monkeypatch.setattr(dense._Run, "_step", dies)
    with pytest.raises(KeyboardInterrupt):
        train_dense(start, marked, tmp_path / "cut", settings)
    monkeypatch.setattr(dense._Run, "_step", step)
    train_dense(start, marked, tmp_path / "cut", settings)
    whole, cut = (load_classifier(tmp_path / name).identity() for name in ("whole", "cut"))
    assert whole == cut


def test_data_without_marks_or_annotators_are_refused(start, marked, tmp_path):
    bare = {s: tuple(replace(e, gold=frozenset()) for e in es) for s, es in marked.splits.items()}
    with pytest.raises(InputError, match="--align human needs human evidence on train"):
        train_dense(start, replace(marked, splits=bare), tmp_path / "m", SETTINGS)
    alone = {s: tuple(replace(e, annotators=()) for e in es) for s, es in marked.splits.items()}
    shares = replace(SETTINGS, marks=replace(HUMAN, align_gold="share"))
    with pytest.raises(InputError, match="needs the marks of single annotators on train"):
        train_dense(start, replace(marked, splits=alone), tmp_path / "other", shares)


@pytest.mark.parametrize(
    ("marks", "message"),
    [
        (AlignSettings(align_weight=2.0), "--align human with its other options, got --align-weight"),
        (AlignSettings(align="human", align_weight=0.0), "--align-weight above 0"),
        (
            AlignSettings(align="human", align_layers="9"),
            "--align-layers of numbers from 1 to 3, or all, got '9'",
        ),
        (AlignSettings(align="human", align_heads="x"), "--align-heads of numbers from 1 to"),
    ],
)
def test_settings_of_marks_that_cannot_be_are_refused(start, marked, tmp_path, marks, message):
    with pytest.raises(InputError, match=message):
        train_dense(start, marked, tmp_path / "m", replace(SETTINGS, marks=marks))


def test_share_of_annotators_is_what_they_marked_on_average(marked, tokenizer):
    one = marked.examples("train")[0]
    both = replace(one, annotators=(one.evidence, frozenset()))
    dataset = replace(marked, splits={"train": (both,)})
    windows = training_windows(Encoder(tokenizer, 128), dataset, [both])
    union, share = (
        with_marks(windows, dataset, replace(HUMAN, align_gold=gold)) for gold in ("union", "share")
    )
    for one, other in zip(union, share, strict=True):
        assert set(np.unique(one.marks)) <= {0.0, 1.0}
        np.testing.assert_allclose(other.marks, one.marks / 2)


@pytest.mark.parametrize("fault", ["width", "text", "large"])
def test_a_head_that_does_not_belong_is_refused(start, marked, tmp_path, fault):
    folder = tmp_path / "m"
    train_dense(start, marked, folder, replace(SETTINGS, epochs=1, marks=AlignSettings()))
    file = folder / FILE
    if fault == "width":
        save_file({"weight": torch.zeros(3), "bias": torch.zeros(())}, file)
    else:
        file.write_bytes(b"x" * (10 if fault == "text" else 2**20 + 1))
    with pytest.raises(InputError, match="rationale head of " + ("at most" if fault == "large" else "width")):
        load_classifier(folder)
