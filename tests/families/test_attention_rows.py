"""What the attention methods read, beside Hugging Face's own maps and modules called by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rationale.attribution import METHODS
from tests.helpers.families.classifiers import family_classifier
from tests.helpers.families.methods import ATTENTION, READS, REFUSED, cases_of, request_of

BRIEF = ("bert", "roberta", "qwen3", "gpt2", "eurobert", "gemma2", "modernbert", "falcon")


def plain(family):
    """Maps [L] of [H,T,T] of the first case's window alone, with its share of what the head reads [T]."""
    classifier, window = family_classifier(family), cases_of(family)[0].windows[0]
    model, implementation = classifier.model, classifier.model.config._attn_implementation
    model.config._attn_implementation = "eager"
    try:
        with torch.inference_mode():
            inputs = {"input_ids": torch.tensor(window.ids)[None]}
            if getattr(model.config, "type_vocab_size", 0) > 1:
                inputs["token_type_ids"] = torch.tensor(window.types)[None]
            maps = [m[0].numpy() for m in model(**inputs, output_attentions=True).attentions]
    finally:
        model.config._attn_implementation = implementation
    share = np.zeros(len(window))
    share[{"first": 0, "last": -1, "all": slice(None)}[READS.get(family, "first")]] = 1
    return maps, share / share.sum()


def found(family, method):
    classifier, cases = family_classifier(family), cases_of(family)
    scores = METHODS[method].scores(classifier, request_of(classifier, cases))
    return scores[0, : len(cases[0].windows[0])].numpy()


@pytest.mark.parametrize("family", BRIEF)
def test_rows_are_those_of_the_token_that_the_head_reads(family):
    assert ATTENTION[0] not in REFUSED.get(family, ())
    maps, share = plain(family)
    rows = [np.einsum("s,hst->ht", share, m) for m in maps]
    flow = share
    for m in maps[::-1]:
        flow = (flow @ m.mean(0) + flow) / 2
    expected = {
        "attention": rows[-1].mean(0),
        "attention_max": rows[-1].max(0),
        "attention_layers": np.concatenate(rows).mean(0),
        "rollout": flow,
    }
    for method, scores in expected.items():
        np.testing.assert_allclose(found(family, method), scores, atol=1e-5)
    assert flow.sum() == pytest.approx(1)


BERTS = ("bert.encoder.layer.1.attention.self.value", "bert.encoder.layer.1.attention.output.dense")
# Of a layer: what makes values [T,h·d] of the states before them, and the projection [H·d,D]
VALUES = {
    "bert": BERTS,
    "qwen3": ("model.layers.1.self_attn.v_proj", "model.layers.1.self_attn.o_proj"),
    "eurobert": ("model.layers.1.self_attn.v_proj", "model.layers.1.self_attn.o_proj"),
    "gpt2": ("transformer.h.1.attn.c_attn", "transformer.h.1.attn.c_proj"),
    "modernbert": ("model.layers.2.attn.Wqkv", "model.layers.2.attn.Wo"),
    "megatron-bert": (
        "bert.encoder.layer.1.attention.self.value",
        "bert.encoder.layer.1.attention.output.dense",
    ),
}


@pytest.mark.parametrize("family", VALUES)
def test_value_norms_are_those_of_the_last_layers_own_matrices(family):
    classifier, window = family_classifier(family), cases_of(family)[0].windows[0]
    values, projection = map(classifier.model.get_submodule, VALUES[family])
    seen = []
    handle = values.register_forward_hook(lambda module, args, output: seen.append(output[0]))
    try:
        with torch.inference_mode():
            inputs = {"input_ids": torch.tensor(window.ids)[None]}
            classifier.model(**inputs)
    finally:
        handle.remove()
    maps, share = plain(family)
    weight = projection.weight.numpy()
    matrix = weight if family == "gpt2" else weight.T
    heads, width = maps[-1].shape[0], matrix.shape[0] // maps[-1].shape[0]
    v = seen[0].numpy()
    if family in ("gpt2", "modernbert"):  # queries, keys and values in one
        v = v[:, 2 * heads * width :]
    v = v.reshape(len(window), -1, width)
    alpha = np.einsum("s,hst->ht", share, maps[-1])
    expected = []
    for t in range(len(window)):
        carried = np.zeros(matrix.shape[1])
        for h in range(heads):
            own = v[t, h * v.shape[1] // heads]  # grouped heads share their values
            carried += alpha[h, t] * own @ matrix[h * width : (h + 1) * width]
        expected.append(np.linalg.norm(carried))
    np.testing.assert_allclose(found(family, "value_norm"), expected, atol=1e-5)
    assert np.ptp(expected) > 1e-3
