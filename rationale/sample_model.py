"""The model of `make evaluate`: a small BERT trained from nothing on the sample's train split.

It needs no download, so it shows the whole flow anywhere; how well it reads is printed, not promised.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import tokenizers
import torch
from tokenizers import normalizers, pre_tokenizers, trainers
from tokenizers.models import WordPiece
from tokenizers.processors import TemplateProcessing
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from eraser import Dataset
from eraser.download import cache_dir
from rationale.settings import digest
from rationale.training.dense import TrainSettings, train_dense

SPECIALS = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
# the epoch is chosen on val; from nothing on 104 texts, more epochs only overfit (LOG.md)
SETTINGS = TrainSettings(
    epochs=12, lr=1e-3, batch_size=8, max_length=256, warmup=0.1, precision="float32", device="cpu", seed=0
)
VOCABULARY, WIDTH, LAYERS = 1500, 64, 3


def sample_tokenizer(dataset: Dataset) -> PreTrainedTokenizerBase:
    """Return a WordPiece tokenizer learned from the train split."""
    inner = tokenizers.Tokenizer(WordPiece(unk_token="[UNK]"))
    inner.normalizer = normalizers.BertNormalizer(lowercase=True)
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=VOCABULARY, special_tokens=list(SPECIALS.values()), show_progress=False
    )
    texts = (" ".join(dataset.text(e).words) for e in dataset.splits["train"])
    inner.train_from_iterator(texts, trainer)
    ends = [(t, inner.token_to_id(t)) for t in ("[CLS]", "[SEP]")]
    inner.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=inner, model_max_length=SETTINGS.max_length, **SPECIALS
    )


def _start(dataset: Dataset) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    tokenizer = sample_tokenizer(dataset)
    names = dict(enumerate(dataset.labels))
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        intermediate_size=4 * WIDTH,
        max_position_embeddings=SETTINGS.max_length,
        pad_token_id=tokenizer.pad_token_id,
        id2label=names,
        label2id={v: k for k, v in names.items()},
    )
    return BertForSequenceClassification(config), tokenizer


def sample_model(dataset: Dataset, cache: Path | None = None) -> Path:
    """Return the folder of the sample's model, trained now if it is not there yet."""
    words = [(e.id, e.label, dataset.text(e).words) for s in ("train", "val") for e in dataset.splits[s]]
    key = digest(words, asdict(SETTINGS), VOCABULARY, WIDTH, LAYERS)
    folder = (cache or cache_dir()) / "models" / f"sample-{key}"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # faster at this size than handing work to a second core
    try:
        train_dense(lambda: _start(dataset), dataset, folder, SETTINGS, "random weights")
    finally:
        torch.set_num_threads(threads)
    return folder
