"""Tiny random classifiers of many families, in folders as their makers save them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import tokenizers
import torch
from tokenizers import pre_tokenizers
from tokenizers.models import WordLevel
from tokenizers.processors import TemplateProcessing
from transformers import (
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

WORDS = ["a", "fine", "film", "but", "too", "long", "never", "dull", "slow", "."]
TOKENS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *WORDS]  # ids from 0, as RoBERTa has them
BOS, PAD, EOS = 0, 1, 2
WIDE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
DECODER = WIDE | {"num_key_value_heads": 2, "head_dim": 8}
ROBERTA = WIDE | {"max_position_embeddings": 66, "type_vocab_size": 1}
TWO = {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 4,
       "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48}  # fmt: skip
FAMILIES: dict[str, dict[str, Any]] = {
    "bert": WIDE | {"max_position_embeddings": 64},
    "roberta": ROBERTA,
    "mpnet": WIDE | {"max_position_embeddings": 66},
    "mobilebert": WIDE | {"max_position_embeddings": 64, "embedding_size": 16, "true_hidden_size": 16,
                          "intra_bottleneck_size": 16},
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48, "max_position_embeddings": 64},
    "albert": WIDE | {"embedding_size": 16, "max_position_embeddings": 64},
    "longformer": ROBERTA | {"attention_window": [8, 8], "sep_token_id": 2},
    "big_bird": WIDE | {"max_position_embeddings": 64, "attention_type": "block_sparse", "block_size": 4,
                        "num_random_blocks": 1},
    "convbert": WIDE | {"max_position_embeddings": 64, "embedding_size": 32, "conv_kernel_size": 3},
    "deberta-v2": WIDE | {"max_position_embeddings": 64, "relative_attention": True, "type_vocab_size": 0,
                          "pos_att_type": ["p2c", "c2p"], "position_biased_input": False},
    "modernbert": WIDE | {"max_position_embeddings": 64, "local_attention": 8},
    "xlnet": {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48},
    "bart": TWO | {"max_position_embeddings": 64},
    "t5": {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4,
           "decoder_start_token_id": PAD},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64},
    "opt": {"hidden_size": 32, "word_embed_proj_dim": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
            "ffn_dim": 48, "max_position_embeddings": 64},
    "llama": DECODER | {"max_position_embeddings": 64},
    "qwen2": DECODER | {"max_position_embeddings": 64},
    "mistral": DECODER | {"max_position_embeddings": 64, "sliding_window": 4},
    "bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 4},
}  # fmt: skip


def tiny_tokenizer(*specials: str, ends: str = "<s> $A </s>", **more: Any) -> PreTrainedTokenizerBase:
    """A tokenizer of WORDS; `specials` names its special tokens, `ends` what stands around a text."""
    inner = tokenizers.Tokenizer(WordLevel({t: i for i, t in enumerate(TOKENS)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    around = [(t, TOKENS.index(t)) for t in ("<s>", "</s>")]
    second = ends.replace("$A", "$B") if ends != "$A" else "$B"
    inner.post_processor = TemplateProcessing(single=ends, pair=f"{ends} {second}", special_tokens=around)
    names = {"pad": "<pad>", "bos": "<s>", "eos": "</s>", "cls": "<s>", "sep": "</s>", "mask": "<mask>"}
    tokens = {f"{name}_token": names[name] for name in specials}
    return PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>", **tokens, **more)


def tiny_model(family: str, **changes: Any) -> PreTrainedModel:
    """A random classifier, with weights large enough that its answers differ between texts."""
    torch.manual_seed(0)
    ids = {"pad_token_id": PAD, "bos_token_id": BOS, "eos_token_id": EOS, "vocab_size": len(TOKENS)}
    names = {"id2label": {0: "NEG", 1: "POS"}, "label2id": {"NEG": 0, "POS": 1}}
    config = CONFIG_MAPPING[family](**{**ids, **names, **FAMILIES[family], **changes})
    model: PreTrainedModel = AutoModelForSequenceClassification.from_config(config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                torch.nn.init.normal_(weight, std=0.3)
    return model.eval()


def save_family(
    folder: Path, family: str, tokenizer: PreTrainedTokenizerBase | None = None, **changes: Any
) -> Path:
    """Write a random model and a tokenizer with all special tokens, or another one."""
    shutil.rmtree(folder, ignore_errors=True)
    tiny_model(family, **changes).save_pretrained(folder)
    whole = tiny_tokenizer("pad", "bos", "eos", "cls", "sep", "mask", model_max_length=10**30)
    (tokenizer or whole).save_pretrained(folder)
    return folder
