"""Which methods explain which family of models, and why others are refused."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch

from eraser import Text
from rationale.attribution import AttributionInput
from rationale.attribution.request import AttributionBatch
from rationale.models.packed.alone import length_matters
from tests.helpers.families.classifiers import WORDS, family_classifier
from tests.helpers.models.able import ENCODERS

EXPLAINING = ENCODERS
ATTENTION = tuple(name for name in EXPLAINING if "attention" in name) + ("rollout", "value_norm")


NO_MAPS = (
    "it needs an attention map [T,T] of each head in every layer, and this model gives {}; "
    "gradient_x_input and leave_one_out work"
)


TWO = NO_MAPS.format("those of an encoder and of a decoder")
NONE = NO_MAPS.format("none")
NARROW = NO_MAPS.format("others, of shape [1, 4, 7, 10] for a text of 7 pieces")
RAW = NO_MAPS.format("numbers that are no shares")
TWO_STACKS = "it follows one stack of layers, not an encoder and a decoder; integrated_gradients works"
FUSED = "which vectors its attention carries cannot be found; attention and rollout work"
ROUNDING = "its scores are rounding errors, as a word's vector may have any length here; saliency works"
BESIDE = "a text's scores change with the texts beside it; leave_one_out works"
BLOCKS = "a short text does not show its attention over blocks of tokens; leave_one_out works"
COPIES = "it fails on this model (RuntimeError: "


def all_of(reason, methods=ATTENTION):
    return dict.fromkeys(methods, reason)


REFUSED = {  # family → method → why; a method that is newly refused, or no longer, fails the test
    "bart": all_of(TWO) | {"deeplift": TWO_STACKS},
    "bigbird-sparse": all_of(NONE) | all_of(BLOCKS, ("attn_lrp", "gim")),
    "bloom": {"value_norm": FUSED},
    "convbert": {"value_norm": FUSED},
    "deberta": {"value_norm": FUSED, "gradient_x_input": ROUNDING, "deeplift": ROUNDING},
    "deberta-v3": {"gradient_x_input": ROUNDING, "deeplift": ROUNDING},
    "esm": {"attn_lrp": "it has no rule for erf, where relevance would be lost; leave_one_out works"},
    "falcon": {"value_norm": FUSED},
    "longformer": all_of(NARROW),
    "squeezebert": all_of(RAW) | {"deeplift": BESIDE},
    "t5": all_of(TWO) | {"deeplift": TWO_STACKS},
    "umt5": all_of(TWO) | {"deeplift": TWO_STACKS},
    "xlnet": {"value_norm": FUSED, "attention_x_gradient": COPIES},
}


def surely_refused(family):
    """The methods that are refused on every processor: rounding alone may leave DeepLIFT a score or none."""
    return {m for m, why in REFUSED.get(family, {}).items() if (m, why) != ("deeplift", ROUNDING)}


LAST = (
    "bloom falcon gemma gemma2 gemma3 gpt2 gpt2-first gpt_neox llama2 llama3 mistral modernbert-decoder opt "
    "phi phi3 qwen2 qwen3 smollm3 xlnet"
).split()


READS = dict.fromkeys(LAST, "last") | {"eurobert": "all"} | dict.fromkeys(("bart", "t5", "umt5"))


def text(name, n, query=None):
    """n words, some of which are spelt."""
    draws = np.random.default_rng(n)
    words = tuple(draws.choice([*WORDS, "unseen", "x9"], n))
    return Text(name, words, {name: 0}, tuple(range(0, n, 5)), query)


@cache
def cases_of(family):
    """A short text and one that is read in several windows."""
    texts = [text("short", 4), text("long", 40)]
    encoded = family_classifier(family).encoder.encode(texts)
    assert len(encoded[0]) == 1
    assert len(encoded[1]) > 2
    return [
        AttributionInput(w, len(t.words), 1, seed=n)
        for n, (t, w) in enumerate(zip(texts, encoded, strict=True))
    ]


def request_of(classifier, cases):
    """The first window of each case as one batch; of a model that is not padded, that of the first alone."""
    windows = [case.windows[0] for case in cases][: 1 if length_matters(classifier) else None]
    batch = classifier.encoder.collate(windows)
    return AttributionBatch(batch, torch.ones(len(windows), dtype=torch.long), (0,) * len(windows))
