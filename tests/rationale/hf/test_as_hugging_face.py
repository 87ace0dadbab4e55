"""Adaptive models are Hugging Face models: what the library's own tools ask of one, they answer."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import Dataset
from transformers import (
    AutoModelForSequenceClassification,
    Qwen3Config,
    Qwen3ForSequenceClassification,
    Trainer,
    TrainingArguments,
    pipeline,
)

from eraser import InputError
from rationale.models.dact import DactForSequenceClassification
from rationale.models.inforcoef import InforCoefForSequenceClassification
from tests.conftest import dropping, tiny_model
from tests.helpers.models.batches import LENGTHS, batch

NAMES = {"id2label": {0: "NEG", 1: "POS"}, "label2id": {"NEG": 0, "POS": 1}}


def decoder(tokenizer):
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=3, num_attention_heads=4, head_dim=8,
        num_key_value_heads=2, intermediate_size=48, max_position_embeddings=130, pad_token_id=0,
        initializer_range=0.3, **NAMES,
    )  # fmt: skip
    return Qwen3ForSequenceClassification(config).eval()


def made(kind, tokenizer):
    inner = decoder(tokenizer) if kind == "decoder" else tiny_model("bert", tokenizer, ("NEG", "POS"))
    if kind == "dact":
        return DactForSequenceClassification.wrap(inner).eval()
    if kind == "inforcoef":
        return InforCoefForSequenceClassification.wrap(inner).eval()
    return dropping(inner)


@pytest.fixture(params=["adapler", "decoder", "dact", "inforcoef"])
def model(request, tokenizer):
    return made(request.param, tokenizer)


@pytest.fixture
def inputs():
    ids, real = batch(LENGTHS)
    return {"input_ids": ids, "attention_mask": real.long()}


def test_the_first_thing_returned_is_the_logits_and_a_tuple_where_it_is_asked_for(model, inputs):
    output = model(**inputs)
    assert output[0] is output.logits is output["logits"]
    assert output.loss is None
    plain = model(**inputs, return_dict=False)
    assert type(plain) is tuple
    assert torch.equal(plain[0], output.logits)


def test_labels_give_the_loss(model, inputs):
    labels = torch.tensor([0, 1, 1, 0, 1])
    output = model(**inputs, labels=labels)
    assert torch.allclose(output.loss, cross_entropy(output.logits, labels))
    assert torch.equal(model(**inputs, labels=labels, return_dict=False)[0], output.loss)


def test_hidden_states_are_in_place_and_nothing_where_a_token_was_gone(tokenizer, inputs):
    model = made("adapler", tokenizer)
    assert model(**inputs).hidden_states is None
    output = model(**inputs, output_hidden_states=True)
    assert len(output.hidden_states) == len(output.trace) + 1
    reached = [inputs["attention_mask"].bool(), *(layer.kept for layer in output.trace)]
    for states, there in zip(output.hidden_states, reached, strict=True):
        assert torch.equal(states.abs().sum(-1) > 0, there)
    model.set_dial(0.0)
    dense = model.model(**inputs, output_hidden_states=True).hidden_states
    found = model(**inputs, output_hidden_states=True).hidden_states
    real = inputs["attention_mask"].bool()
    assert all(torch.allclose(a[real], b[real], atol=1e-5) for a, b in zip(dense, found, strict=True))


def test_hidden_states_of_texts_that_stopped_are_there_for_all_layers(tokenizer, inputs):
    model = made("dact", tokenizer)
    model.set_exit("depth", 2.0)
    output = model(**inputs, output_hidden_states=True)
    whole = model.model(**inputs, output_hidden_states=True).hidden_states
    assert output.exit_layer.tolist() == [2] * len(output.logits)
    real = inputs["attention_mask"].bool()
    for found, states in zip(output.hidden_states[:2], whole[:2], strict=True):
        assert torch.allclose(found[real], states[real], atol=1e-5)
    assert [h.shape for h in output.hidden_states] == [h.shape for h in whole]
    assert not any(h.any() for h in output.hidden_states[2:])


def test_word_embeddings_do_as_well_as_ids(model, inputs):
    embeds = model.get_input_embeddings()(inputs["input_ids"])
    found = model(inputs_embeds=embeds, attention_mask=inputs["attention_mask"])
    assert torch.allclose(found.logits, model(**inputs).logits, atol=1e-5)


def test_neither_and_both_are_refused(model, inputs):
    with pytest.raises(InputError, match=r"^expected input_ids or inputs_embeds, got neither$"):
        model(attention_mask=inputs["attention_mask"])
    embeds = model.get_input_embeddings()(inputs["input_ids"])
    with pytest.raises(InputError, match=r"^expected input_ids or inputs_embeds, got both$"):
        model(inputs_embeds=embeds, **inputs)


def test_loaded_in_half_precision_it_runs(model, inputs, tmp_path):
    model.save_pretrained(tmp_path)
    half = AutoModelForSequenceClassification.from_pretrained(tmp_path, dtype=torch.bfloat16).eval()
    assert half.dtype == torch.bfloat16
    with torch.no_grad():
        found = half(**inputs)
    assert found.logits.isfinite().all()


def test_the_librarys_pipeline_gives_its_probabilities(model, tokenizer, tmp_path):
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    texts = ["a warm film", "dull and long , a dull film that never ends"]
    told = pipeline("text-classification", model=str(tmp_path), device="cpu", top_k=None)(texts)
    encoded = tokenizer(texts, return_tensors="pt", padding=True)
    with torch.no_grad():
        output = model(input_ids=encoded.input_ids, attention_mask=encoded.attention_mask)
    for scores, probs in zip(told, output.logits.softmax(-1).tolist(), strict=True):
        by_label = {score["label"]: score["score"] for score in scores}
        assert [by_label["NEG"], by_label["POS"]] == pytest.approx(probs, abs=1e-6)


class Rows(Dataset):
    """A few texts with labels, as a Trainer takes them."""

    def __init__(self) -> None:
        self.ids, self.real = batch(LENGTHS)

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, i):
        return {"input_ids": self.ids[i], "attention_mask": self.real[i].long(), "labels": i % 2}


def test_the_librarys_trainer_trains_and_evaluates_it(model, tmp_path):
    model.requires_grad_(True)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    told = TrainingArguments(
        output_dir=str(tmp_path), per_device_train_batch_size=2, max_steps=2, report_to=[], use_cpu=True,
        save_strategy="no", learning_rate=1e-3, disable_tqdm=True, logging_strategy="no",
    )  # fmt: skip
    trainer = Trainer(model=model, args=told, train_dataset=Rows(), eval_dataset=Rows())
    trainer.train()
    moved = [n for n, weight in model.named_parameters() if not torch.equal(weight, before[n])]
    assert any("layer" in name for name in moved)
    assert trainer.evaluate()["eval_loss"] > 0
    assert trainer.predict(Rows()).predictions.shape == (len(LENGTHS), 2)
