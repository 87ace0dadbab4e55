"""Fast tokenizers of every kind that published classifiers have, trained on a few texts.

Four vocabularies are trained: whole words and `##` pieces, bytes, a unigram model, and merges over `▁`. A
kind is one line of KINDS: what it makes of one of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import transformers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from eraser.load import load

SENTENCES = (  # the same in each script: a story that is slow at first, and then a joy
    "故事开头很慢，后来越来越好看。演员都很出色！",
    "話の始まりは遅いが、だんだん楽しくなる。俳優もすばらしい！",
    "เรื่องเริ่มช้าแต่สนุกขึ้นเรื่อยๆ นักแสดงเก่งมาก",
    "تبدأ القصة ببطء، ثم تصبح ممتعة. الممثلون رائعون!",
    "הסיפור מתחיל לאט, ואז נעשה מהנה. השחקנים נפלאים!",
    "कहानी धीरे शुरू होती है, फिर मज़ेदार हो जाती है। कलाकार अच्छे हैं!",
    "이야기는 느리게 시작하지만, 점점 재미있어진다. 배우들도 훌륭하다!",
    "Slow at first 🐌, then a joy 🎉🎉 — naïve, cafe\u0301-like, “well-made” 👩🏽‍🚀",
)
SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
ANGLED = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
Trained = dict[str, Any]
Make = Callable[[Trained], PreTrainedTokenizerBase]


def training_texts() -> list[str]:
    """Reviews of the sample, and the sentences many times over, so that their words become pieces."""
    sample = load("sample")
    reviews = [sample.text(e).plain[0] for e in sample.splits["train"][:40]]
    return [*reviews, *(SENTENCES * 12)]


def trained(kind: str, texts: Sequence[str]) -> Trained:
    """Return the model of a tokenizer, as its file has it."""
    model, before, trainer = {
        "words": (
            models.WordPiece(unk_token="[UNK]"),
            pre_tokenizers.BertPreTokenizer(),
            trainers.WordPieceTrainer(vocab_size=900, special_tokens=["[UNK]"], show_progress=False),
        ),
        "bytes": (
            models.BPE(),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
            trainers.BpeTrainer(
                vocab_size=900, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
            ),
        ),
        "unigram": (
            models.Unigram(),
            pre_tokenizers.Metaspace(),
            trainers.UnigramTrainer(
                vocab_size=800, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False
            ),
        ),
        "merges": (
            models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True),
            pre_tokenizers.Metaspace(),
            trainers.BpeTrainer(
                vocab_size=1100,
                special_tokens=["<unk>", *(f"<0x{i:02X}>" for i in range(256))],
                show_progress=False,
            ),
        ),
    }[kind]
    inner = Tokenizer(model)
    inner.normalizer = normalizers.BertNormalizer() if kind == "words" else normalizers.NFC()
    inner.pre_tokenizer = before
    inner.train_from_iterator(texts, trainer)
    found: Trained = json.loads(inner.to_str())["model"]
    return found


def _ids(model: Trained, specials: Sequence[str]) -> dict[str, int]:
    """Pieces by id, special ones first."""
    return {piece: i for i, piece in enumerate(dict.fromkeys([*specials, *model["vocab"]]))}


def _merges(model: Trained) -> list[tuple[str, str]]:
    return [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in model["merges"]]  # type: ignore[misc]


def _of_words(name: str, specials: Sequence[str] = SPECIALS) -> Make:
    return lambda model: getattr(transformers, name)(vocab=_ids(model, specials), model_max_length=512)


def _of_merges(name: str, specials: Sequence[str], **options: Any) -> Make:
    def make(model: Trained) -> PreTrainedTokenizerBase:
        found = getattr(transformers, name)(vocab=_ids(model, specials), merges=_merges(model), **options)
        if found.pad_token is None:
            found.pad_token = found.eos_token
        return found  # type: ignore[no-any-return]

    return make


def _of_scores(name: str, specials: Sequence[str], unknown: str = "<unk>", **options: Any) -> Make:
    def make(model: Trained) -> PreTrainedTokenizerBase:
        pieces = [(piece, score) for piece, score in model["vocab"] if piece not in (*specials, "<unk>")]
        vocab = [*((special, 0.0) for special in specials), *pieces]
        return getattr(transformers, name)(vocab=vocab, **options)  # type: ignore[no-any-return]

    assert unknown in specials
    return make


def _bare(specials: dict[str, str], before: Any, after: Any = None, **options: Any) -> Make:
    """A tokenizer without a class of its own, as ModernBERT, Llama 3, Bloom and Falcon have."""

    def make(model: Trained) -> PreTrainedTokenizerBase:
        ids = _ids(model, tuple(dict.fromkeys(specials.values())))
        inner = Tokenizer(models.BPE(vocab=ids, merges=_merges(model)))
        inner.pre_tokenizer, inner.decoder = before, decoders.ByteLevel()
        if after is not None:
            inner.post_processor = after(ids)
        return PreTrainedTokenizerFast(tokenizer_object=inner, **specials, **options)

    return make


def _between(ids: dict[str, int]) -> Any:
    ends = [(t, ids[t]) for t in ("[CLS]", "[SEP]")]
    return processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=ends
    )


def _begun(ids: dict[str, int]) -> Any:
    token = ("<|begin|>", ids["<|begin|>"])
    begin = processors.TemplateProcessing(
        single="<|begin|> $A", pair="<|begin|> $A <|begin|>:1 $B:1", special_tokens=[token]
    )
    return processors.Sequence([processors.ByteLevel(trim_offsets=False), begin])


def _split(pattern: str) -> Any:
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), bytes_])


_BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False)
_NEWER = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|"
_NEWER += r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_NAMES = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
_BERT = dict(zip(_NAMES, SPECIALS, strict=True))
_LLAMA = {"bos_token": "<|begin|>", "eos_token": "<|end|>", "pad_token": "<|pad|>"}
_FALCON = pre_tokenizers.Sequence([pre_tokenizers.Punctuation("contiguous"), _BYTES, pre_tokenizers.Digits()])
_FUNNEL = tuple("<unk> <sep> <pad> <cls> <mask> <s> </s>".split())
_BIGBIRD = tuple("<unk> <pad> </s> <s> [CLS] [SEP] [MASK]".split())
_XLNET = tuple("<unk> <s> </s> <cls> <sep> <pad> <mask> <eod> <eop>".split())
_END = {"eos_token": "<|end|>", "pad_token": "<|end|>"}

KINDS: dict[str, tuple[str, Make]] = {
    "bert": ("words", _of_words("BertTokenizer")),
    "mpnet": ("words", _of_words("MPNetTokenizer", (*ANGLED, "[UNK]"))),
    "funnel": ("words", _of_words("FunnelTokenizer", _FUNNEL)),
    "roberta": ("bytes", _of_merges("RobertaTokenizer", ANGLED)),
    "deberta": ("bytes", _of_merges("DebertaTokenizer", SPECIALS)),
    "gpt2": ("bytes", _of_merges("GPT2Tokenizer", ("<|endoftext|>",))),
    "qwen2": ("bytes", _of_merges("Qwen2Tokenizer", ("<|endoftext|>",))),
    "modernbert": ("bytes", _bare(_BERT, _BYTES, _between)),
    "llama3": ("bytes", _bare(_LLAMA, _split(_NEWER), _begun, padding_side="left")),
    "bloom": ("bytes", _bare(_LLAMA, _split(r" ?[^(\s|[.,!?…。，、।۔،])]+"), padding_side="left")),
    "falcon": ("bytes", _bare(_END, _FALCON)),
    "xlm-r": ("unigram", _of_scores("XLMRobertaTokenizer", ANGLED)),
    "camembert": ("unigram", _of_scores("CamembertTokenizer", ANGLED)),
    "albert": ("unigram", _of_scores("AlbertTokenizer", ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"))),
    "deberta-v2": ("unigram", _of_scores("DebertaV2Tokenizer", SPECIALS, "[UNK]")),
    "bigbird": ("unigram", _of_scores("BigBirdTokenizer", _BIGBIRD)),
    "t5": ("unigram", _of_scores("T5Tokenizer", ("<pad>", "</s>", "<unk>"), extra_ids=2)),
    "xlnet": ("unigram", _of_scores("XLNetTokenizer", _XLNET)),
    "gemma": ("merges", _of_merges("GemmaTokenizer", ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>"))),
    "llama2": ("merges", _of_merges("LlamaTokenizer", ("<unk>", "<s>", "</s>"), padding_side="left")),
}  # fmt: skip
