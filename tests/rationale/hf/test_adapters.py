"""Adapters are read as the models they make of others; what else they might do is refused."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from eraser import InputError
from eraser.errors import short_repr
from rationale.hf import adapters
from rationale.hf.classifier import load_classifier, new_classifier
from rationale.hf.compress import compress
from rationale.hf.folder_checks import RESAVE
from tests.helpers.families.tiny import save_family, tiny_tokenizer
from tests.helpers.models.tiny_adapters import TARGETS, make
from tests.helpers.paths import ROOT

pytest.importorskip("peft", reason="needs peft, an extra")

TUNES = "`rationale train dense --backbone PATH` fine-tunes a pretrained encoder"

MERGE = "merged where it was made by model.merge_and_unload().save_pretrained(FOLDER)"
FITS = f"an adapter of kind LORA with numbers that fit its matrices, or one {MERGE}"


@torch.no_grad()
def logits(model):
    ids = torch.tensor([[0, 5, 6, 7, 8, 9, 2]])
    return model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits


def change(folder, **changes):
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def refusing(start):
    """Expect a message that starts so."""
    return pytest.raises(InputError, match=rf"\A{re.escape(start)}")


def refused(folder, message):
    with pytest.raises(InputError, match=rf"\A{re.escape(message)}\Z"):
        load_classifier(folder, device="cpu")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapters") / "adapter"
    make(folder)
    return folder


@pytest.fixture
def adapter(made, tmp_path):
    """A folder to spoil."""
    return shutil.copytree(made, tmp_path / "adapter")


def spoil(adapter, change_weights):
    file = adapter / adapters.WEIGHTS
    save_file(change_weights(load_file(file)), file)
    return file


@pytest.mark.parametrize("family", TARGETS)
@pytest.mark.parametrize("n_labels", [2, 3])
def test_an_adapter_answers_as_peft_lets_it(tmp_path, family, n_labels):
    model, _ = make(tmp_path / "adapter", family, n_labels)
    found = load_classifier(tmp_path / "adapter", device="cpu")
    torch.testing.assert_close(logits(found.model), logits(model), rtol=1e-4, atol=1e-5)
    assert type(found.model).__module__.startswith("transformers.models.")
    assert not [name for name, _ in found.model.named_modules() if "lora" in name]
    assert len(found.labels) == n_labels


@pytest.mark.parametrize("settings", [
    {"use_dora": True}, {"use_rslora": True}, {"lora_bias": True}, {"init_lora_weights": "gaussian"},
    {"rank_pattern": {"query": 2}, "alpha_pattern": {"value": 5}}, {"lora_dropout": 0.3},
    {"target_modules": ["word_embeddings", "query"]}, {"layers_to_transform": [1]}, {"task_type": None,
     "modules_to_save": ["classifier"]},
])  # fmt: skip
def test_adapters_of_many_settings_answer_as_peft_lets_them(tmp_path, settings):
    model, _ = make(tmp_path / "adapter", **settings)
    found = load_classifier(tmp_path / "adapter", device="cpu")
    torch.testing.assert_close(logits(found.model), logits(model), rtol=1e-4, atol=1e-5)


def test_labels_are_those_of_a_whole_base_or_given(tmp_path):
    model, base = make(tmp_path / "adapter")
    assert load_classifier(tmp_path / "adapter", device="cpu").labels == ("NEG", "POS")
    file = base / "config.json"
    file.write_text(json.dumps({k: v for k, v in json.loads(file.read_text()).items() if "label" not in k}))
    assert load_classifier(tmp_path / "adapter", device="cpu").labels == ("LABEL_0", "LABEL_1")
    assert load_classifier(tmp_path / "adapter", device="cpu", labels=("A", "B")).labels == ("A", "B")


def test_an_adapter_without_a_head_leaves_that_of_a_whole_classifier(tmp_path):
    model, base = make(tmp_path / "adapter", task_type=None)
    assert not [name for name in load_file(tmp_path / "adapter" / adapters.WEIGHTS) if "classifier" in name]
    refused(tmp_path / "adapter", f"{tmp_path / 'adapter'}: not a fine-tuned classifier: no weights for classifier.bias, classifier.weight; {TUNES}")  # noqa: E501  # fmt: skip
    save_family(base, "bert")  # of the same weights, with a head
    assert load_classifier(tmp_path / "adapter", device="cpu").labels == ("NEG", "POS")


def test_the_tokenizer_is_the_adapters_or_the_models(tmp_path):
    make(tmp_path / "without")
    assert load_classifier(tmp_path / "without", device="cpu").encoder.max_length == 64
    make(tmp_path / "with", tokenizer=tiny_tokenizer("pad", "bos", "eos", "cls", model_max_length=30))
    assert load_classifier(tmp_path / "with", device="cpu").encoder.max_length == 30


def test_an_adapter_is_a_backbone_of_its_own_labels(adapter):
    model, _ = new_classifier(adapter, ("A", "B"))
    assert model.config.id2label == {0: "A", 1: "B"}
    with pytest.raises(
        InputError, match=r": expected an adapter of .*, got RuntimeError: .* size mismatch for "
    ):
        new_classifier(adapter, ("A", "B", "C"))


def test_an_adapter_cannot_be_compressed(adapter, tmp_path):
    with pytest.raises(InputError, match=r": the model has no model.safetensors that holds all weights\Z"):
        compress(adapter, tmp_path / "small")


def test_a_peft_that_does_not_work_here_is_named(adapter, monkeypatch):
    def fails(name):
        raise ImportError("cannot import name 'X'")

    monkeypatch.setattr(adapters, "import_module", fails)
    expected = f"peft to read an adapter (pip install peft), or the adapter {MERGE}"
    refused(
        adapter,
        f"{adapter}: expected {expected}, got ImportError: cannot import name 'X'",
    )


NO_BASE = [
    "../../etc/passwd", "/nowhere", "http://example.org/x", "file:///etc", "~/x", "a\nb", "", "a/b/c", "\0",
    "x" * 10**5, 5, None, ["a"], {},
]  # fmt: skip


@pytest.mark.parametrize("base", NO_BASE, ids=range(len(NO_BASE)))
def test_a_model_that_is_no_folder_and_no_hub_id_is_not_looked_for(adapter, base):
    change(adapter, base_model_name_or_path=base)
    expected = "base_model_name_or_path of a folder that is there, or a hub id"
    refused(adapter, f"{adapter}/adapter_config.json: expected {expected}, got {short_repr(base)}")


def test_an_adapter_of_an_adapter_is_refused(adapter, made):
    for base in (adapter, made):
        change(adapter, base_model_name_or_path=str(base))
        with pytest.raises(InputError, match=re.escape(f"{adapter}/adapter_config.json: its base model ")):
            load_classifier(adapter, device="cpu")


def test_the_model_of_an_adapter_is_checked_as_any(tmp_path):
    _, base = make(tmp_path / "adapter")
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "config.json").write_text("the password is swordfish")
    change(tmp_path / "adapter", base_model_name_or_path=str(secret))
    with pytest.raises(
        InputError, match=rf"\A{re.escape(str(secret))}/config.json: expected JSON, got "
    ) as error:
        load_classifier(tmp_path / "adapter", device="cpu")
    assert "swordfish" not in str(error.value)
    change(tmp_path / "adapter", base_model_name_or_path=str(base))
    config = base / "config.json"
    record = json.loads(config.read_text())
    for spoilt, message in [
        (
            {"model_type": "evil", "auto_map": {"AutoConfig": "evil.C"}},
            "the model needs its own code",
        ),
        ({"hidden_size": 10**6}, "the configuration describes "),
        ({"attn_implementation": "some/body"}, ""),
    ]:
        config.write_text(json.dumps(record | spoilt))
        with pytest.raises(InputError, match=rf"\A{re.escape(str(config))}: {message}"):
            load_classifier(tmp_path / "adapter", device="cpu")
    config.write_text(json.dumps(record))
    torch.save(load_file(base / "model.safetensors"), base / "pytorch_model.bin")
    (base / "model.safetensors").unlink()
    got = f"only pytorch_model.bin, which may hold code; {RESAVE}"
    refused(tmp_path / "adapter", f"{base}: no safetensors, {got}")


@pytest.mark.parametrize("spoilt", [
    {"r": 10**9}, {"r": 0}, {"r": "x"}, {"r": True}, {"lora_alpha": float("inf")}, {"lora_alpha": None},
    {"peft_type": "PREFIX_TUNING"}, {"peft_type": None}, {"megatron_config": {"a": 1}},
    {"layer_replication": [[0, 10**9]]}, {"rank_pattern": {"(a+)+$": 4}}, {"rank_pattern": {"query": 10**9}},
    {"alpha_pattern": {"query": "x"}}, {"alpha_pattern": [1]}, {"bias": "all"}, {"use_dora": 3},
    {"init_lora_weights": "pissa"}, {"use_qalora": True}, {"trainable_token_indices": [1]},
    {"target_parameters": ["x"]}, {"of_tomorrow": 1}, {"revision": "evil"}, {"loftq_config": {"a": 1}},
    {"megatron_core": "evil"},
])  # fmt: skip
def test_settings_that_do_more_than_the_matrices_say_are_refused(adapter, spoilt):
    change(adapter, **spoilt)
    if "peft_type" in spoilt:
        got = f"peft_type {spoilt['peft_type']!r}"
        refused(adapter, f"{adapter}/adapter_config.json: expected {FITS}, got {got}")
    key = next(iter(spoilt))
    with pytest.raises(
        InputError, match=re.escape(f"{adapter}/adapter_config.json: expected {FITS}, got {key} ")
    ):
        load_classifier(adapter, device="cpu")


@pytest.mark.parametrize("spoilt", [
    {"target_modules": "(a+)+$"}, {"target_modules": ["embeddings"]}, {"exclude_modules": "(a+)+$"},
    {"modules_to_save": ["embeddings"]}, {"auto_mapping": {"parent_library": "evil"}},
    {"task_type": "EVIL"}, {"layers_pattern": "(a+)+$"}, {"peft_version": "9"},
])  # fmt: skip
def test_settings_that_only_trained_or_searched_change_nothing(adapter, made, spoilt):
    change(adapter, **spoilt)
    want = logits(load_classifier(made, device="cpu").model)
    assert torch.equal(logits(load_classifier(adapter, device="cpu").model), want)


def test_an_adapter_changes_nothing_but_matrices_and_head(adapter):
    name = "base_model.model.bert.embeddings.word_embeddings.weight"
    file = spoil(adapter, lambda weights: weights | {name: torch.zeros(3, 3)})
    expected = f"weights of the classifier's head (classifier, dropout), or an adapter {MERGE}"
    refused(adapter, f"{file}: expected {expected}, got some of bert")


@pytest.mark.parametrize(("spoilt", "message"), [
    (lambda w: {k: v for k, v in w.items() if "layer.0.attention.self.query.lora_B" not in k},
     "got ValueError: no counterpart of base_model.model.bert.encoder.layer.0.attention.self.query.lora_B"),
    (lambda w: {k.replace("layer.0", "layer.9"): v for k, v in w.items()},
     "got ValueError: no counterpart of base_model.model.bert.encoder.layer.9.attention.self.query.lora_A"),
    (lambda w: {k: v[:, :5].contiguous() if "lora_A" in k else v for k, v in w.items()},
     "got RuntimeError: Error(s) in loading state_dict for PeftModel: size mismatch for "),
    (lambda w: {k: v for k, v in w.items() if k != "base_model.model.classifier.bias"}, "got KeyError: "),
])  # fmt: skip
def test_matrices_that_do_not_fit_are_named(adapter, spoilt, message):
    spoil(adapter, spoilt)
    base = json.loads((adapter / "adapter_config.json").read_text())["base_model_name_or_path"]
    with pytest.raises(InputError, match=re.escape(f"{adapter}: expected an adapter of {base}, {message}")):
        load_classifier(adapter, device="cpu")


def test_weights_of_no_adapter_are_refused(adapter):
    file = spoil(adapter, lambda w: {k.removeprefix("base_model.model."): v for k, v in w.items()})
    with pytest.raises(
        InputError, match=re.escape(f"{file}: expected weights called base_model.model.…, got '")
    ):
        load_classifier(adapter, device="cpu")
    save_file({"base_model.model.classifier.weight": torch.zeros(2, 32)}, file)
    refused(adapter, f"{file}: no matrices called lora_A and lora_B")
    file.write_bytes(b"x" * 100)
    with pytest.raises(InputError, match=re.escape(f"{file}: expected a safetensors file, got ")):
        load_classifier(adapter, device="cpu")


def test_pickled_adapters_are_never_opened(adapter, monkeypatch):
    file = adapter / adapters.WEIGHTS
    torch.save(load_file(file), adapter / "adapter_model.bin")
    file.unlink()
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("opened"))
    got = "only adapter_model.bin, which may hold code"
    refused(adapter, f"{adapter}: the adapter has no adapter_model.safetensors: {got}")
    (adapter / "adapter_model.bin").unlink()
    refused(adapter, f"{adapter}: the adapter has no adapter_model.safetensors")


def test_a_whole_model_and_an_adapter_in_one_folder_are_refused(model_folder):
    (model_folder / "adapter_config.json").write_text(
        json.dumps({"base_model_name_or_path": "somebody/model"})
    )
    refused(model_folder, f"{model_folder}: the folder holds both an adapter and a whole model; keep one")


@pytest.mark.parametrize("text", ["{", "[]", "3", "[" * 10**5])
def test_a_broken_configuration_is_named(adapter, text):
    (adapter / "adapter_config.json").write_text(text)
    with pytest.raises(
        InputError, match=rf"\A{re.escape(str(adapter))}/adapter_config.json: expected (a )?JSON"
    ):
        load_classifier(adapter, device="cpu")


def hub(cache, name, folder):
    """Put a folder where the hub's cache has it."""
    place = cache / "hub" / f"models--{name.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("0" * 40)
    shutil.copytree(folder, place / "snapshots" / ("0" * 40))


@pytest.mark.slow
@pytest.mark.parametrize("tokenizer", [None, tiny_tokenizer("pad", "bos", "eos", "cls", model_max_length=30)])
def test_an_adapter_on_the_hub_is_read_as_one_in_a_folder(tmp_path, tokenizer):
    model, base = make(tmp_path / "adapter", tokenizer=tokenizer)
    change(tmp_path / "adapter", base_model_name_or_path="some/base")
    hub(tmp_path / "hf", "some/adapter", tmp_path / "adapter")
    hub(tmp_path / "hf", "some/base", base)
    code = (
        "import torch; from rationale.hf.classifier import load_classifier\n"
        "found = load_classifier('some/adapter', device='cpu'); ids = torch.tensor([[0, 5, 6, 7, 8, 9, 2]])\n"
        "answer = found.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits\n"
        "print(found.encoder.max_length, *answer[0].tolist())"
    )
    offline = {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
    root = str(ROOT)
    done = subprocess.run([sys.executable, "-c", code], cwd=root, env=os.environ | offline, capture_output=True, text=True, check=False)  # noqa: E501  # fmt: skip
    assert done.returncode == 0, done.stderr
    length, *answer = done.stdout.split()
    assert int(length) == (64 if tokenizer is None else 30)
    torch.testing.assert_close(torch.tensor([list(map(float, answer))]), logits(model), rtol=1e-4, atol=1e-5)
