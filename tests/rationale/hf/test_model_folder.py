"""Model folders that mean harm, or are damaged, are refused before they cost anything."""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import shutil
import sys
from pathlib import Path
from threading import Thread

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES

from eraser import InputError
from rationale.hf import adapters
from rationale.hf.classifier import load_classifier, new_classifier
from rationale.hf.folder_checks import RESAVE, _at_most, _parts, _refuse_sizes, _TooManyParts
from tests.conftest import tiny_model
from tests.helpers.families.tiny import save_family

GIANT = 2 * 2**30  # bytes that may be asked for beyond what there is: far less than what these sizes ask


def change(folder, **changes):
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def refused(folder, message):
    with pytest.raises(InputError, match=rf"\A{re.escape(message)}\Z"):
        load_classifier(folder)


@pytest.fixture
def little_memory():
    """What is asked for far beyond what is used is refused by the system, and so seen here."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + GIANT, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.ckpt"])
def test_pickled_weights_are_never_opened(model_folder, name, monkeypatch):
    torch.save(load_file(model_folder / "model.safetensors"), model_folder / name)
    (model_folder / "model.safetensors").unlink()
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("opened"))
    got = f"only {name}, which may hold code; {RESAVE}"
    refused(model_folder, f"{model_folder}: no safetensors, {got}")


def test_a_folder_without_weights_is_refused(model_folder):
    (model_folder / "model.safetensors").unlink()
    refused(model_folder, f"{model_folder}: the model has no safetensors file")


def test_damaged_weights_are_refused(model_folder):
    file = model_folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"model\.safetensors: expected a safetensors file, got .*[Hh]eader"):
        load_classifier(model_folder)


def test_weights_that_may_not_be_read_are_told_so(model_folder, monkeypatch):
    def denied(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr("rationale.hf.folder_checks.regular", denied)
    refused(model_folder, f"{model_folder}/model.safetensors: cannot read: Permission denied")


@pytest.mark.parametrize("name", ["../stolen.safetensors", "/stolen.safetensors", "a/b.safetensors",
                                  "..\\stolen.safetensors", "..", "", "pickled.bin"])  # fmt: skip
def test_an_index_names_no_file_elsewhere(model_folder, name):
    weights = model_folder / "model.safetensors"
    shutil.copy(weights, model_folder.parent / "stolen.safetensors")
    names = dict.fromkeys(load_file(weights), name)
    weights.unlink()
    index = model_folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": names}))
    refused(model_folder, f"{index}: expected safetensors files beside the index, got {name!r}")


def test_a_fifo_in_place_of_weights_is_not_waited_for(model_folder):
    (model_folder / "model.safetensors").unlink()
    os.mkfifo(shard := model_folder / "a.safetensors")
    (model_folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "a.safetensors"}}')
    refused(model_folder, f"{shard}: expected a regular file, got a FIFO")


def test_weights_in_several_files_are_loaded(model_folder):
    weights = load_file(model_folder / "model.safetensors")
    parts = {name: f"part-{i % 2}.safetensors" for i, name in enumerate(weights)}
    for part in sorted(set(parts.values())):
        own = {name: w for name, w in weights.items() if parts[name] == part}
        save_file(own, model_folder / part, metadata={"format": "pt"})
    (model_folder / "model.safetensors").unlink()
    record = {"metadata": {}, "weight_map": parts}
    (model_folder / "model.safetensors.index.json").write_text(json.dumps(record))
    loaded = load_classifier(model_folder).model.state_dict()
    assert all(torch.equal(loaded[name], weights[name]) for name in weights)


@pytest.mark.parametrize("text", ["{", "[]", '{"weight_map": 3}', '{"weight_map": {"w": 3}}'])
def test_a_broken_index_is_named(model_folder, text):
    (model_folder / "model.safetensors").unlink()
    (model_folder / "model.safetensors.index.json").write_text(text)
    with pytest.raises(InputError, match=r"model\.safetensors\.index\.json: expected (a )?(JSON|weight_map)"):
        load_classifier(model_folder)


@pytest.mark.parametrize(
    ("field", "size", "message"),
    [
        ("hidden_size", 10**9, "the configuration describes "),
        ("vocab_size", 10**9, "the configuration describes "),
        ("intermediate_size", 10**7, "the configuration describes "),
        ("max_position_embeddings", 10**8, "the configuration describes "),
        (
            "vocab_size",
            10**12,
            "expected vocab_size from 0 to 2147483648, far above any model's, got 1000000000000",
        ),
        ("hidden_size", -1, "expected hidden_size from 0 to 2147483648, far above any model's, got -1"),
        (
            "num_hidden_layers",
            10**5,
            "expected num_hidden_layers from -16384 to 16384, far above any model's, got 100000",
        ),
        (
            "num_hidden_layers",
            10**4,
            "the configuration describes more than ",
        ),  # noqa: E501
        ("num_labels", -1, "expected num_labels from 0 to {most}, the largest size of its weights, got -1"),
        (
            "num_labels",
            10**9,
            "expected num_labels from 0 to {most}, the largest size of its weights, got 1000000000",
        ),
    ],
)
@pytest.mark.usefixtures("little_memory")
def test_sizes_far_beyond_the_weights_are_refused_before_memory_is_asked_for(
    model_folder, field, size, message
):
    weights = load_file(model_folder / "model.safetensors").values()
    n, most = sum(w.numel() for w in weights), max(max(w.shape) for w in weights)
    change(model_folder, **{field: size})
    place = f"{model_folder}/config.json: {message.format(n=n, most=most)}"
    with pytest.raises(InputError, match=rf"\A{re.escape(place)}[\d]*( weights)?.*\Z"):
        load_classifier(model_folder)


def test_sizes_inside_a_wrapped_configuration_are_checked_too(model_folder):
    inner = json.loads((model_folder / "config.json").read_text()) | {"num_hidden_layers": 10**6}
    change(model_folder, model_type="adapler", encoder=inner)
    place = f"{model_folder}/config.json"
    refused(model_folder, f"{place}: expected num_hidden_layers from -16384 to 16384, far above any model's, got 1000000")  # noqa: E501  # fmt: skip


LOOPS = [  # whatever it is called that a family builds in a loop
    ("mobilebert", "num_feedforward_networks"), ("albert", "inner_group_num"),
    ("albert", "num_hidden_groups"), ("roberta", "num_hidden_layers"),
    ("gpt2", "n_layer"), ("t5", "num_layers"), ("bart", "decoder_layers"),
]  # fmt: skip


@pytest.mark.parametrize(("family", "field"), LOOPS)
@pytest.mark.parametrize("count", [9000, 10**9])
@pytest.mark.usefixtures("little_memory")
def test_what_is_built_in_a_loop_is_counted_while_it_is_built(family, field, count, tmp_path):
    folder = save_family(tmp_path / family, family)
    load_classifier(folder, device="cpu")
    change(folder, **{field: count})
    counted = r"the configuration describes more than \d+ parts, but \d+ matrices and vectors are stored"
    named = rf"expected {field} from -16384 to 16384, far above any model's, got {count}"
    with pytest.raises(InputError, match=rf"\A{re.escape(str(folder))}/config.json: ({counted}|{named})\Z"):
        load_classifier(folder, device="cpu")


def test_parts_of_a_model_built_in_another_thread_are_not_counted():
    with _at_most(3):
        others = Thread(target=lambda: [torch.nn.Linear(1, 1) for _ in range(100)])
        others.start()
        others.join()
        torch.nn.Linear(1, 1)  # two weights
        with pytest.raises(_TooManyParts):
            torch.nn.Linear(1, 1)
    torch.nn.Linear(1, 1)


def test_lists_of_repetitions_are_bounded(tmp_path):
    folder = save_family(tmp_path / "m", "bert")
    change(folder, model_type="gpt_neo", attention_types=[[["global", "local"], 10**9]])
    place = f"{folder}/config.json: expected numbers up to 16384 in attention_types"
    refused(folder, f"{place}, got 1000000000")


HARMLESS = {  # fields of other meanings, as real configurations have them
    "max_window_layers": 70, "num_key_value_groups": 512, "first_k_dense_replace": 61, "n_group": 8,
    "mlp_only_layers": [0, 60], "moe_layer_freq": 1, "topk_group": 4, "num_experts": 16384,
    "n_routed_experts": 256, "num_nextn_predict_layers": 1, "feature_layer": -2, "vision_feature_layer": -1,
    "no_rope_layers": [1] * 99, "layer_types": ["full_attention"] * 2, "num_conv_pos_embedding_groups": 64,
    "num_feedforward_networks": 300, "suppress_tokens": [1, 2, 15000], "upsample_groups": 512,
}  # fmt: skip


@pytest.mark.parametrize("field", HARMLESS)
def test_fields_that_count_no_layers_of_this_model_are_let_pass(tmp_path, field):
    folder = save_family(tmp_path / "m", "qwen2")
    change(folder, **{field: HARMLESS[field]})
    load_classifier(folder, device="cpu")


def test_configurations_as_the_library_makes_them_are_let_pass():
    """Every default of every classifier's configuration, beside few and small weights."""
    shapes = {"embeddings": (300000, 8)}  # vocabularies are large
    for model_type in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES:
        config = CONFIG_MAPPING[model_type]().to_dict()
        for part in _parts(config):
            _refuse_sizes(part, shapes, Path(model_type))


def test_a_file_far_too_large_is_refused_before_it_is_read(model_folder):
    file = model_folder / "config.json"
    with file.open("ab") as opened:
        opened.truncate(2**26 + 1)  # which takes no room on the disk
    refused(model_folder, f"{file}: expected a file of at most 67108864 bytes, got 67108865")


def test_a_size_that_is_not_the_weights_is_named(model_folder):
    change(model_folder, intermediate_size=49)
    name = "bert.encoder.layer.0.intermediate.dense.bias"
    refused(model_folder, f"{model_folder}: expected {name} of shape [49], as config.json says, got [48]")


def test_layers_left_out_by_the_configuration_are_a_fault(model_folder):
    change(model_folder, num_hidden_layers=1)
    name = "bert.encoder.layer.1.attention.output.LayerNorm.bias"
    refused(model_folder, f"{model_folder}: config.json has no place for the stored weights {name}")  # noqa: E501  # fmt: skip


CODE = {"AutoConfig": "evil.Config", "AutoModelForSequenceClassification": "evil.Model"}


@pytest.mark.parametrize("model_type", ["evil", "bert"])
def test_code_beside_the_weights_never_runs(model_folder, model_type):
    ran = model_folder.parent / "ran"
    (model_folder / "evil.py").write_text(f"open({str(ran)!r}, 'w')")
    change(model_folder, model_type=model_type, auto_map=CODE)
    if model_type == "bert":  # the library's own class does
        load_classifier(model_folder)
    else:
        place = f"{model_folder}/config.json"
        with pytest.raises(InputError, match=re.escape(f"{place}: the model needs its own code: auto_map {{'AutoConfig': 'evil.Config'")):  # noqa: E501  # fmt: skip
            load_classifier(model_folder)
    assert not ran.exists()


def test_code_of_a_tokenizer_never_runs(model_folder):
    ran = model_folder.parent / "ran"
    (model_folder / "evil.py").write_text(f"open({str(ran)!r}, 'w')")
    file = model_folder / "tokenizer_config.json"
    record = json.loads(file.read_text()) | {"auto_map": {"AutoTokenizer": ["evil.T", "evil.T"]}}
    file.write_text(json.dumps(record | {"tokenizer_class": "EvilTokenizer"}))
    load_classifier(model_folder)  # the library's own tokenizer does
    assert not ran.exists()


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation"])
def test_attention_is_not_fetched_from_elsewhere(model_folder, key):
    change(model_folder, **{key: "somebody/attention"})
    place = f"{model_folder}/config.json"
    refused(model_folder, f"{place}: the model fetches code: {key} 'somebody/attention'")


def test_without_peft_it_is_said_how_to_merge_an_adapter(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    monkeypatch.setattr(adapters, "installed", lambda package: package != "peft")
    (tmp_path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "somebody/model"}))
    merge = "merged where it was made by model.merge_and_unload().save_pretrained(FOLDER)"
    expected = f"peft to read an adapter (pip install peft), or the adapter {merge}"
    refused(tmp_path, f"{tmp_path}: expected {expected}, got no peft")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_what_a_link_points_to_is_not_told(model_folder, name):
    secret = model_folder.parent / "secret"
    secret.write_text("the password is swordfish\n" * 100)
    (model_folder / name).unlink()
    (model_folder / name).symlink_to(secret)
    with pytest.raises(InputError) as error:
        load_classifier(model_folder)
    assert "swordfish" not in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_labels_that_are_the_same_are_refused(model_folder):
    change(model_folder, id2label={"0": "POS", "1": "POS"})
    refused(model_folder, f"{model_folder}: duplicate labels: ['POS', 'POS']")


def test_a_configuration_that_ends_each_pass_is_refused(model_folder):
    change(model_folder, chunk_size_feed_forward=7)
    got = "ValueError: The dimension to be chunked 3 has to be a multiple of the chunk size 7"
    refused(model_folder, f"{model_folder}: the model fails on a one-word text: {got}")


@pytest.mark.parametrize("text", ["{", "[]", "3", "\udcff", "[" * 10**5])
def test_a_broken_configuration_is_named(model_folder, text):
    file = model_folder / "config.json"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(
        InputError, match=rf"\A{re.escape(str(file))}: expected (a )?JSON( object)?, got .+\Z"
    ):
        load_classifier(model_folder)


def test_a_backbone_is_checked_as_well(model_folder):
    change(model_folder, hidden_size=10**9)
    with pytest.raises(InputError, match="the configuration describes "):
        new_classifier(model_folder, ("NEG", "POS"))


@pytest.mark.parametrize(("file", "key", "value", "message"), [
    ("tokenizer_config.json", "model_max_length", False, "whose model_max_length is a number, got False"),
    ("tokenizer_config.json", "model_max_length", "", "whose model_max_length is a number, got ''"),
    ("tokenizer_config.json", "model_max_length", 9, "model: expected a max_length of at least 10, got 9"),
    ("rationale.json", "max_length", 3, "model: expected a max_length of at least 10, got 3"),
])  # fmt: skip
def test_a_model_that_could_read_hardly_a_word_is_refused(model_folder, file, key, value, message):
    path = model_folder / file
    record = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(record | {key: value}))
    with pytest.raises(InputError, match=re.escape(message)):
        load_classifier(model_folder, device="cpu")


def test_a_classifier_of_other_classes_can_be_trained_on_with_a_new_head(tmp_path, tokenizer, capsys):
    tiny_model("bert", tokenizer, ("a", "b", "c")).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model, _ = new_classifier(tmp_path, ("NEG", "POS"))
    told = f"note: {tmp_path}: its head has 3 outputs; it is made anew, untrained, with 2\n"
    assert capsys.readouterr().err == told
    assert (model.num_labels, model.classifier.weight.shape) == (2, (2, 32))
    stored = load_file(tmp_path / "model.safetensors")["bert.embeddings.word_embeddings.weight"]
    assert model.bert.embeddings.word_embeddings.weight.equal(stored)
    new_classifier(tmp_path, ("x", "y", "z"))
    assert capsys.readouterr().err == ""
    change(tmp_path, intermediate_size=49)
    with pytest.raises(InputError, match=r"expected bert\..*intermediate.* of shape \[49\], as config"):
        new_classifier(tmp_path, ("NEG", "POS"))
