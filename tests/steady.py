"""A tokenizer that is the same in every run, for tests whose truth hangs on which pieces there are.

The one of conftest.py is learned, and its trainer breaks ties by the order of a hash table.
"""

from __future__ import annotations

import tokenizers
from tokenizers import normalizers, pre_tokenizers
from tokenizers.models import WordPiece
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from tests.conftest import SPECIALS


def steady_tokenizer(dataset):
    """Every word of the train split is a piece; others are spelt."""
    words = {w.lower() for e in dataset.splits["train"] for w in dataset.text(e).words}
    letters = sorted(set("".join(words)))
    pieces = dict.fromkeys([*SPECIALS.values(), *letters, *(f"##{x}" for x in letters), *sorted(words)])
    inner = tokenizers.Tokenizer(WordPiece({p: i for i, p in enumerate(pieces)}, unk_token="[UNK]"))
    inner.normalizer = normalizers.BertNormalizer(lowercase=True)
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [(t, inner.token_to_id(t)) for t in ("[CLS]", "[SEP]")]
    inner.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
    )
    return PreTrainedTokenizerFast(tokenizer_object=inner, model_max_length=256, **SPECIALS)
