"""Small random classifiers of every family that Hugging Face can read, with a tokenizer each.

A family is a line: its model type, how its tokenizer frames a text, what its configuration needs. Weights
come from one seeded generator and are large enough that answers differ; nothing is fetched.
"""

from __future__ import annotations

import string
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import tokenizers
import torch
from tokenizers import decoders, normalizers, pre_tokenizers
from tokenizers.models import WordPiece
from tokenizers.processors import TemplateProcessing
from transformers import (
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from rationale.hf.classifier import Classifier
from rationale.models.packed.alone import settled
from rationale.text.encode import Encoder

LABELS = ("NEG", "POS")
SPECIALS = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
PAD, UNK, FIRST, LAST, MASK = range(5)  # their ids, the same for all
WORDS = (
    "a the film story cast end never truly dull warm good bad long short and of is was it plot scene joy very"
).split()
FRAMES = {  # how a text, and a pair, are framed; the numbers after colons are token types
    "cls": ("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"),
    "doubled": ("[CLS] $A [SEP]", "[CLS] $A [SEP] [SEP] $B [SEP]"),
    "first": ("[CLS] $A", "[CLS] $A $B"),
    "none": ("$A", "$A $B"),
    "end": ("$A [SEP]", "$A [SEP] $B [SEP]"),
    "behind": ("$A [SEP] [CLS]:2", "$A [SEP] $B:1 [SEP]:1 [CLS]:2"),
}


@dataclass(frozen=True)
class Family:
    """A model type, the frame of its texts, its configuration, whether its tokenizer tells types apart."""

    kind: str
    frame: str = "cls"
    config: dict[str, Any] = field(default_factory=dict)
    types: bool = False


ENCODER = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 130,
}
DECODER = ENCODER | {"num_key_value_heads": 2, "head_dim": 8}
LOCAL = DECODER | {
    "sliding_window": 6,
    "layer_types": ["sliding_attention", "full_attention"],
    "query_pre_attn_scalar": 8,
}
SMALL_TABLE = ENCODER | {"embedding_size": 16}
ONE_TYPE = ENCODER | {"type_vocab_size": 1}
RELATIVE = ENCODER | {
    "relative_attention": True,
    "pos_att_type": ["c2p", "p2c"],
    "position_biased_input": False,
    "max_relative_positions": -1,
    "type_vocab_size": 0,
}
STACKS = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "max_position_embeddings": 130,
    "decoder_start_token_id": LAST,
}
T5 = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "decoder_start_token_id": PAD}
GPT = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 130}
SPARSE = {"block_size": 2, "num_random_blocks": 1}
GROUPS = {f"{part}_groups": 2 for part in ("q", "k", "v", "intermediate", "output")}

FAMILIES: dict[str, Family] = {
    "albert": Family("albert", config=SMALL_TABLE, types=True),
    "bart": Family("bart", "doubled", STACKS),
    "bert": Family("bert", config=ENCODER, types=True),
    "bigbird": Family("big_bird", config=ENCODER | {"attention_type": "original_full"}, types=True),
    "bigbird-sparse": Family("big_bird", config=ENCODER | SPARSE | {"attention_type": "block_sparse"}),
    "bloom": Family("bloom", "none", {"hidden_size": 32, "n_layer": 2, "n_head": 4}),
    "camembert": Family("camembert", "doubled", ONE_TYPE),
    "convbert": Family("convbert", config=SMALL_TABLE | {"head_ratio": 2, "conv_kernel_size": 3}, types=True),
    "data2vec": Family("data2vec-text", "doubled", ONE_TYPE),
    "deberta": Family("deberta", config=RELATIVE),
    "deberta-v3": Family(
        "deberta-v2",
        config=RELATIVE
        | {
            "position_buckets": 16,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
            "pooler_hidden_size": 32,
        },
    ),
    "distilbert": Family(
        "distilbert",
        config={"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48, "max_position_embeddings": 130},
    ),
    "electra": Family("electra", config=SMALL_TABLE, types=True),
    "ernie": Family("ernie", config=ENCODER, types=True),
    "esm": Family("esm", config=ENCODER | {"position_embedding_type": "rotary", "token_dropout": False}),
    "eurobert": Family("eurobert", "first", ENCODER | {"num_key_value_heads": 4, "head_dim": 8}),
    "falcon": Family("falcon", "none", ENCODER),
    "funnel": Family(
        "funnel",
        config={"block_sizes": [1, 1], "d_model": 32, "n_head": 4, "d_head": 8, "d_inner": 48},
    ),
    "gemma": Family("gemma", "first", DECODER),
    "gemma2": Family("gemma2", "first", LOCAL),
    "gemma3": Family("gemma3_text", "first", LOCAL),
    "gpt2": Family("gpt2", "none", GPT),
    "gpt2-first": Family("gpt2", "first", GPT | {"scale_attn_by_inverse_layer_idx": True}),
    "gpt_neox": Family("gpt_neox", "none", ENCODER),
    "gte": Family("gte", "doubled", ENCODER),
    "jina3": Family("jina_embeddings_v3", "doubled", ENCODER),
    "layoutlm": Family("layoutlm", config=ENCODER, types=True),
    "llama2": Family("llama", "first", DECODER),
    "llama3": Family("llama", "first", DECODER | {"tie_word_embeddings": True}),
    "longformer": Family("longformer", "doubled", ONE_TYPE | {"attention_window": [8, 8]}),
    "megatron-bert": Family("megatron-bert", config=ENCODER, types=True),
    "mistral": Family("mistral", "first", DECODER | {"sliding_window": 6}),
    "mobilebert": Family(
        "mobilebert",
        config=SMALL_TABLE
        | {"true_hidden_size": 16, "intra_bottleneck_size": 16, "num_feedforward_networks": 2},
        types=True,
    ),
    "modernbert": Family(
        "modernbert",
        config=ENCODER | {"num_hidden_layers": 3, "global_attn_every_n_layers": 2, "local_attention": 6},
    ),
    "modernbert-decoder": Family("modernbert-decoder", config=ENCODER | {"local_attention": 6}),
    "mpnet": Family("mpnet", "doubled", ENCODER),
    "nomic": Family("nomic_bert", config=ENCODER, types=True),
    "opt": Family(
        "opt",
        "first",
        {"hidden_size": 32, "word_embed_proj_dim": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
        | {"ffn_dim": 48, "max_position_embeddings": 130},
    ),
    "phi": Family("phi", "none", ENCODER | {"partial_rotary_factor": 0.5}),
    "phi3": Family("phi3", "first", ENCODER | {"num_key_value_heads": 2}),
    "prelayernorm": Family("roberta-prelayernorm", "doubled", ONE_TYPE),
    "qwen2": Family(
        "qwen2", "none", DECODER | {"max_window_layers": 2, "vocab_size": 170}
    ),  # its tokenizer adds a token
    "qwen3": Family("qwen3", "none", DECODER | {"max_window_layers": 2}),
    "rembert": Family("rembert", config=ENCODER | {"input_embedding_size": 16}, types=True),
    "roberta": Family("roberta", "doubled", ONE_TYPE),
    "smollm3": Family("smollm3", "first", DECODER),
    "squeezebert": Family("squeezebert", config=ENCODER | GROUPS | {"embedding_size": 32}, types=True),
    "t5": Family("t5", "end", T5),
    "umt5": Family("umt5", "end", T5),
    "xlm-roberta": Family("xlm-roberta", "doubled", ONE_TYPE),
    "xlnet": Family("xlnet", "behind", {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48}, types=True),
}


@cache
def tokenizer_of(frame: str, types: bool = False) -> PreTrainedTokenizerBase:
    """A tokenizer that knows WORDS and spells all others."""
    letters = string.ascii_lowercase + string.digits + string.punctuation
    spelt = (*letters, *(f"##{x}" for x in letters))
    pieces = dict.fromkeys([*SPECIALS.values(), *spelt, *WORDS])
    inner = tokenizers.Tokenizer(WordPiece({p: i for i, p in enumerate(pieces)}, unk_token="[UNK]"))
    inner.normalizer = normalizers.BertNormalizer(lowercase=True)
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    inner.decoder = decoders.WordPiece()
    single, pair = FRAMES[frame]
    ends = [(t, inner.token_to_id(t)) for t in ("[CLS]", "[SEP]")]
    inner.post_processor = TemplateProcessing(single=single, pair=pair, special_tokens=ends)
    inputs = ["input_ids", *(["token_type_ids"] if types else []), "attention_mask"]
    names = {f"{name}_token": token for name, token in SPECIALS.items()}
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, model_max_length=128, model_input_names=inputs, **names
    )


def family_tokenizer(name: str) -> PreTrainedTokenizerBase:
    return tokenizer_of(FAMILIES[name].frame, FAMILIES[name].types)


def family_model(name: str, labels: tuple[str, ...] = LABELS, scale: float = 0.25) -> PreTrainedModel:
    """A model with weights of its own; the padding's vector is 0 where the library keeps it so."""
    family = FAMILIES[name]
    names = dict(enumerate(labels))
    ends = {"pad_token_id": PAD, "bos_token_id": FIRST, "cls_token_id": FIRST}
    ends |= {"eos_token_id": LAST, "sep_token_id": LAST, "mask_token_id": MASK}
    config = CONFIG_MAPPING[family.kind](
        **ends | {"vocab_size": len(family_tokenizer(name))} | family.config,
        id2label=names,
        label2id={label: i for i, label in names.items()},
    )
    torch.manual_seed(0)  # for what the library draws where it is not told
    model = AutoModelForSequenceClassification.from_config(config)
    draws = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.copy_(torch.randn(weight.shape, generator=draws) * scale)
        for module in model.modules():
            if isinstance(module, torch.nn.Embedding) and module.padding_idx is not None:
                module.weight[module.padding_idx] = 0
    return model.eval().requires_grad_(False)


@cache
def family_classifier(name: str, max_length: int = 16) -> Classifier:
    """The family's model as the project runs it."""
    encoder = Encoder(family_tokenizer(name), max_length)
    return settled(Classifier(family_model(name), encoder, LABELS, torch.device("cpu")))
