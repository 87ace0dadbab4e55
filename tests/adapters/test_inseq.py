"""inseq's own output: each prompt word has the sum of its pieces' scores over all that was generated."""

from __future__ import annotations

import numpy as np
import pytest
from tokenizers.processors import TemplateProcessing
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

import rationale
from eraser import InputError
from tests.helpers.planted import VOCABULARY, tokenizer

inseq = pytest.importorskip("inseq", reason="inseq is not installed: make test-adapters")
pytestmark = pytest.mark.adapters
TEXTS = ("a truly dull film", "the film i saw is dull")  # as the tokenizer writes them, too


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    folder, cut = tmp_path_factory.mktemp("model"), tokenizer(tmp_path_factory.mktemp("t"))
    inner = cut.backend_tokenizer
    inner.post_processor = TemplateProcessing(single="$0", special_tokens=[])
    marks = {"pad_token": "[PAD]", "unk_token": "[UNK]", "bos_token": "[SEP]", "eos_token": "[SEP]"}
    cut = PreTrainedTokenizerFast(tokenizer_object=inner, **marks)
    config = GPT2Config(
        vocab_size=len(VOCABULARY),
        n_positions=64,
        n_embd=16,
        n_layer=1,
        n_head=2,
        bos_token_id=3,
        eos_token_id=3,
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    cut.save_pretrained(folder)
    model = inseq.load_model(str(folder), "saliency")
    return [model.attribute(text, f"{text} say they say", show_progress=False) for text in TEXTS]


def test_words_have_the_sum_of_their_pieces(output):
    with pytest.raises(InputError, match=r"call .aggregate.. on inseq's output first"):
        rationale.from_scores(output, TEXTS)
    whole = [one.aggregate() for one in output]
    found = rationale.from_scores(whole, TEXTS)
    assert found.name == "inseq"
    assert found.counts["tokens not in the text"] == 0
    for one, of_text in zip(found, whole, strict=True):
        (sequence,) = of_text.sequence_attributions
        tokens = [t.token for t in sequence.target]
        values = np.nansum(sequence.target_attributions.numpy().astype(float), axis=1)
        at = tokens.index("du")
        (score,) = [s for w, s in zip(one.words, one.scores, strict=True) if w == "dull"]
        assert score == pytest.approx(values[at] + values[at + 1], rel=1e-6)
        assert sequence.target_attributions.shape[1] == 3
