from __future__ import annotations

import json
import shutil
from copy import deepcopy
from dataclasses import replace
from functools import partial

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    BartConfig,
    BartForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
)

from rationale.hf.classifier import load_classifier, save_classifier
from rationale.hf.tokenizer_files import check_first_token
from rationale.training.adaptive import train_adaptive
from rationale.training.recipes.adapler.recipe import ADAPLER
from rationale.training.recipes.adapler.settings import AdaplerSettings
from tests.conftest import FAMILIES, dropping, tiny_model
from tests.helpers.refusals import refusal

train_adapler = partial(train_adaptive, ADAPLER)
SETTINGS = AdaplerSettings(epochs=1, batch_size=64, precision="float32", device="cpu", target="human")


@pytest.fixture
def few(sample):
    return replace(sample, splits={k: examples[:4] for k, examples in sample.splits.items()})


@pytest.fixture
def adapler_folder(model_folder, tokenizer):
    """The folder of a saved token-dropping model."""
    folder = model_folder.parent / "adapler"
    folder.mkdir()
    save_classifier(dropping(tiny_model("bert", tokenizer, ("NEG", "POS"))), tokenizer, folder)
    return folder


def without_specials(folder):
    """Let the folder's tokenizer put nothing around a text."""
    file = folder / "tokenizer.json"
    record = json.loads(file.read_text())
    record["post_processor"] = None
    file.write_text(json.dumps(record))


def test_tokenizer_that_does_not_begin_with_cls_is_refused(model_folder, adapler_folder, few, tmp_path):
    for folder in (model_folder, adapler_folder):
        without_specials(folder)
    expected = "expected a tokenizer whose first token is [CLS] or its like, got 'a'"
    assert (
        refusal(train_adapler, model_folder, few, tmp_path / "m", SETTINGS) == f"{model_folder}: {expected}"
    )
    assert refusal(load_classifier, adapler_folder) == f"{adapler_folder}: {expected}"
    assert load_classifier(model_folder).labels == ("NEG", "POS")  # a dense model needs none
    assert not (tmp_path / "m").exists()


def test_tokenizer_that_begins_with_a_token_that_is_not_special_is_refused(tokenizer, classifier):
    other = deepcopy(tokenizer)
    check_first_token(other, classifier.model, "here")
    other.cls_token = "[MASK]"
    expected = "here: expected a tokenizer whose first token is [CLS] or its like, got '[CLS]'"
    assert refusal(check_first_token, other, classifier.model, "here") == expected
    other.cls_token = None
    assert refusal(check_first_token, other, classifier.model, "here") == expected


@pytest.mark.parametrize(
    ("bad", "shown"), [(0.0, "0.0"), (-0.5, "-0.5"), (1.5, "1.5"), (float("nan"), "nan")]
)
def test_checkpoint_with_a_threshold_outside_its_range_is_refused(adapler_folder, bad, shown):
    file = adapler_folder / "model.safetensors"
    weights = load_file(file)
    weights["eta"] = torch.tensor([0.5, bad, 1.0])
    save_file(weights, file, metadata={"format": "pt"})
    assert (
        refusal(load_classifier, adapler_folder)
        == f"{adapler_folder}: expected thresholds eta in (0, 1], got {shown}"
    )


def test_thresholds_at_both_ends_of_what_training_makes_are_taken(adapler_folder):
    file = adapler_folder / "model.safetensors"
    save_file({**load_file(file), "eta": torch.tensor([0.01, 0.5, 1.0])}, file, metadata={"format": "pt"})
    assert load_classifier(adapler_folder).model.eta.tolist() == pytest.approx([0.01, 0.5, 1.0])


@pytest.mark.parametrize(
    ("lost", "named"),
    [
        ("contribution_predictors.1.dense.bias", "contribution_predictors.1.dense.bias"),
        ("contribution", "contribution_predictors.0.dense.bias, contribution_predictors.0.dense.weight, "
                         "contribution_predictors.0.scorer.bias"),
        ("eta", "eta"),
        ("model.classifier", "model.classifier.bias, model.classifier.weight"),
    ],
)  # fmt: skip
def test_checkpoint_without_weights_it_needs_is_refused(adapler_folder, lost, named):
    file = adapler_folder / "model.safetensors"
    kept = {k: v for k, v in load_file(file).items() if not k.startswith(lost)}
    save_file(kept, file, metadata={"format": "pt"})
    expected = f"{adapler_folder}: not a fine-tuned classifier: no weights for {named}; "
    expected += "`rationale train dense --backbone PATH` fine-tunes a pretrained encoder"
    assert refusal(load_classifier, adapler_folder) == expected


def saved(model, tokenizer, folder):
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


NAMES = {"id2label": {0: "NEG", 1: "POS"}, "label2id": {"NEG": 0, "POS": 1}}


@pytest.fixture
def bart(tokenizer, tmp_path):
    sizes = {f"{stack}_{size}": n for stack in ("encoder", "decoder")
             for size, n in (("layers", 1), ("attention_heads", 2), ("ffn_dim", 8))}  # fmt: skip
    ids = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "decoder_start_token_id": 3}
    config = BartConfig(
        vocab_size=len(tokenizer), d_model=8, max_position_embeddings=130, **sizes, **ids, **NAMES
    )
    return saved(BartForSequenceClassification(config), tokenizer, tmp_path / "bart")


def test_a_model_of_two_stacks_is_refused(bart, model_folder, few, tmp_path):
    expected = (
        "expected a classifier whose layers can be run on fewer tokens (see the docs, Model families), "
        "got BartForSequenceClassification: an encoder and a decoder"
    )
    found = refusal(train_adapler, bart, few, tmp_path / "one", SETTINGS)
    assert found.removeprefix(f"{bart}: ") == expected
    assert refusal(train_adapler, model_folder, few, tmp_path / "two", SETTINGS, bart) == expected
    assert not (tmp_path / "one").exists()
    assert not (tmp_path / "two").exists()


def test_one_layer_is_enough(tokenizer, few, tmp_path):
    config = DistilBertConfig(
        vocab_size=len(tokenizer),
        n_layers=1,
        dim=8,
        n_heads=2,
        hidden_dim=8,
        max_position_embeddings=130,
        **NAMES,
    )
    dense = saved(DistilBertForSequenceClassification(config), tokenizer, tmp_path / "dense")
    train_adapler(dense, few, tmp_path / "m", SETTINGS)
    assert len(load_classifier(tmp_path / "m", device="cpu").model.eta) == 1


def named(folder, *labels):
    """Let the labels of a folder's model have other names."""
    config = json.loads((folder / "config.json").read_text())
    names = {str(n): label for n, label in enumerate(labels)}
    config |= {"id2label": names, "label2id": {label: int(n) for n, label in names.items()}}
    (folder / "config.json").write_text(json.dumps(config))


def test_dense_model_with_other_labels_is_refused(model_folder, few, tmp_path):
    named(model_folder, "NEG", "GOOD")
    expected = f"{model_folder}: expected a model with the labels ['NEG', 'POS'] "
    assert refusal(train_adapler, model_folder, few, tmp_path / "m", SETTINGS).startswith(expected)
    alike = {s: tuple(replace(e, label="NEG") for e in of) for s, of in few.splits.items()}
    one = replace(few, splits=alike)
    named(model_folder, "NEG", "POS")
    expected = f"{model_folder}: expected labels ['NEG'], got these too: ['POS']"
    assert refusal(train_adapler, model_folder, one, tmp_path / "m", SETTINGS) == expected


def test_labels_in_another_order_train_the_same_model(tokenizer, few, tmp_path):
    settings = replace(SETTINGS, class_weights=(1.0, 3.0), hard_epochs=1)
    inner = tiny_model("bert", tokenizer, ("NEG", "POS"))
    turned = tiny_model("bert", tokenizer, ("POS", "NEG"))
    with torch.no_grad():
        turned.classifier.weight.copy_(inner.classifier.weight.flip(0))
        turned.classifier.bias.copy_(inner.classifier.bias.flip(0))
    found = []
    for name, model in (("plain", inner), ("turned", turned)):
        folder = tmp_path / name
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        train_adapler(folder, few, tmp_path / f"{name}-fast", settings)
        found.append(load_file(tmp_path / f"{name}-fast" / "model.safetensors"))
    for name, weights in found[0].items():
        other = found[1][name]
        other = other.flip(0) if name.endswith(("classifier.weight", "classifier.bias")) else other
        torch.testing.assert_close(weights, other, rtol=0, atol=1e-4, msg=name)


@pytest.mark.parametrize("split", ["train", "val"])
def test_data_without_a_split_is_refused(model_folder, few, tmp_path, split):
    bare = replace(few, splits={k: v for k, v in few.splits.items() if k != split})
    expected = f"{few.source}: training needs a {split} split, which is missing or empty"
    assert refusal(train_adapler, model_folder, bare, tmp_path / "m", SETTINGS) == expected


def test_models_own_folder_is_no_place_for_another(model_folder, few):
    settings = {"max_length": 64, "training": {"epochs": 1}}
    (model_folder / "rationale.json").write_text(json.dumps(settings))
    before = (model_folder / "model.safetensors").read_bytes()
    expected = f"the output folder is or contains the input {model_folder}; choose another --out"
    assert refusal(train_adapler, model_folder, few, model_folder, SETTINGS) == f"{model_folder}: {expected}"
    assert (model_folder / "model.safetensors").read_bytes() == before


def test_model_that_never_was_is_refused(few, model_folder, tmp_path):
    gone = tmp_path / "gone"
    shutil.rmtree(gone, ignore_errors=True)
    expected = f"{gone}: no such folder: --dense is what `rationale train dense` wrote"
    assert refusal(train_adapler, gone, few, tmp_path / "m", SETTINGS) == expected


@pytest.fixture(scope="module", params=FAMILIES)
def adapler(request, tokenizer):
    return dropping(tiny_model(request.param, tokenizer, ("NEG", "POS")))


def room_of(model):
    """Return how many tokens the position table of the tiny models holds: RoBERTa's skips the padding's."""
    return 129 if model.model.config.model_type == "roberta" else 130


def test_sequence_longer_than_the_position_table_is_refused_hard_and_soft(adapler):
    room = room_of(adapler)
    for n in (room, room + 1):
        ids = torch.full((2, n), 7)
        real = torch.ones_like(ids, dtype=torch.bool)
        real[0, 5:] = False
        calls = (lambda: adapler(ids, real), lambda: adapler.soft(ids, ids * 0, real, 10.0))  # noqa: B023
        for call in calls:
            if n == room:
                assert torch.isfinite(call().logits).all()
                continue
            expected = f"expected at most {room} tokens in a sequence (the position table), got {n}"
            assert refusal(call) == expected


def test_padding_beyond_the_position_table_costs_hard_removal_nothing(adapler):
    ids = torch.arange(5, 25)[None]
    padded = torch.nn.functional.pad(ids, (0, 500))
    expected = adapler(ids).logits
    assert torch.allclose(adapler(padded, padded > 0).logits, expected, atol=1e-5)


def test_one_token_alone_is_classified_alike_hard_and_soft(adapler):
    ids, real = torch.tensor([[2]]), torch.ones(1, 1, dtype=torch.bool)
    hard = adapler(ids)
    assert [layer.kept.tolist() for layer in hard.trace] == [[[True]]] * 3
    assert [layer.contribution.tolist() for layer in hard.trace] == [[[1.0]]] * 3
    for lam in (10.0, 1e20):
        soft = adapler.soft(ids, torch.zeros_like(ids), real, lam)
        assert torch.allclose(soft.logits, hard.logits, atol=1e-5)
        assert [float(step.length[0]) for step in soft.steps] == [1.0] * 3
    assert torch.allclose(adapler.model(input_ids=ids).logits, hard.logits, atol=1e-5)


def test_empty_sequence_is_refused(adapler):
    expected = "expected at least one token in each sequence, got an empty one"
    ids = torch.full((2, 4), 7)
    real = torch.tensor([[True] * 4, [False] * 4])
    assert refusal(adapler, ids, real) == expected
    none = torch.zeros(1, 0, dtype=torch.long)
    assert refusal(adapler, none) == expected
    assert refusal(adapler.soft, none, none, none.bool(), 10.0) == expected
