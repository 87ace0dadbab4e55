"""Models whose matrices can be cut, of every family: gated = cut, or refused for a reason given here."""

from __future__ import annotations

import json

import pytest

from eraser import InputError
from rationale.models.pruning import check_cuttable
from tests.helpers.families.classifiers import FAMILIES, family_model

OTHER = (
    "albert bloom convbert esm falcon funnel gpt2 gpt2-first gpt_neox jina3 longformer megatron-bert "
    "mobilebert modernbert-decoder mpnet opt phi phi3 prelayernorm squeezebert xlnet"
).split()
REFUSED = (  # family → how the refusal goes on after the class's name
    dict.fromkeys(OTHER, "its layers are of another kind")
    | dict.fromkeys(("bart", "t5", "umt5"), "an encoder and a decoder")
    | dict.fromkeys(("bigbird", "bigbird-sparse"), "RuntimeError when a cut one is run")
)
FEW = ("distilbert", "modernbert", "deberta-v3", "qwen3", "gpt2")


@pytest.mark.parametrize(
    "family", [name if name in FEW else pytest.param(name, marks=pytest.mark.families) for name in FAMILIES]
)
def test_a_family_can_be_cut_or_is_refused_and_the_reason_told(family, record_property):
    model = family_model(family)
    if family not in REFUSED:
        check_cuttable(model)
        return
    with pytest.raises(InputError) as error:
        check_cuttable(model)
    got = f"{type(model).__name__}: {REFUSED[family]}"
    assert str(error.value).rpartition(", got ")[2].startswith(got)
    record_property("refused", json.dumps({"cut": REFUSED[family]}))
