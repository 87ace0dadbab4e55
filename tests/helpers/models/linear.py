"""The one model whose attributions are known exactly, and how a text is put to a method."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch

from eraser import Text
from rationale.attribution import AttributionInput

WORDS = ("a", "film", "of", "quiet", "charm", "and", "boring", "talk", "in", "the", "end")


class Bag(torch.nn.Module):
    """Logits linear in the sum of word embeddings e: Σ e @ weight, `table` holds the embeddings."""

    config = SimpleNamespace(type_vocab_size=1)

    def __init__(self, n):
        super().__init__()
        torch.manual_seed(1)
        self.table = torch.nn.Embedding(n, 5)
        self.weight = torch.randn(5, 2)
        self.requires_grad_(False)

    def get_input_embeddings(self):
        return self.table

    def forward(self, input_ids=None, attention_mask=None, inputs_embeds=None):
        e = self.table(input_ids) if inputs_embeds is None else inputs_embeds
        return SimpleNamespace(logits=(e * attention_mask[..., None]).sum(1) @ self.weight)


def case_of(classifier, words, seed=0, target=1):
    """A text of these words, to be explained for the class `target`."""
    (windows,) = classifier.encoder.encode([Text("t", tuple(words), {"t": 0}, (0,))])
    return AttributionInput(windows, len(words), target, seed)


def per_word(bag, case, of_piece):
    """The sum of `of_piece(embedding)` over each word's pieces."""
    found = np.zeros(case.n_words)
    for window in case.windows:
        for piece, word in zip(window.ids, window.word, strict=True):
            if word >= 0:
                found[word] += float(of_piece(bag.model.table.weight[piece]))
    return found
