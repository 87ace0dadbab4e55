"""A copy of a model that learned labels dealt out at random (Adebayo et al. 2018, section 4).

It starts from shuffled weights and sees short beginnings of the data's own texts: what its words are worth to
it, no label told it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from eraser import Dataset, Document, Example
from eraser.progress import progress
from rationale.text.windows import Window
from rationale.trusting.model.randomised import groups_of, randomised

MOST_TEXTS, MOST_WORDS = 64, 48
LEARNING_RATE, BATCH = 3e-4, 8


def shuffled_texts(
    dataset: Dataset, encoder: Any, n_labels: int, seed: int
) -> tuple[list[Window], list[int]]:
    """Return beginnings of texts of train, and for each the label of another of them, at random."""
    examples = list(dataset.splits["train"][:MOST_TEXTS])
    texts = [_beginning(dataset, e) for e in examples]
    windows = [found[0] for found in encoder.encode(texts)]
    labels = [dataset.labels.index(e.label) % n_labels for e in examples]
    return windows, np.random.default_rng(seed).permutation(labels).tolist()


def _beginning(dataset: Dataset, example: Example) -> Any:
    """Return the first words of an example's text, of each document as many."""
    room = max(1, MOST_WORDS // len(example.doc_ids))
    short = {i: Document(i, (dataset.documents[i].words[:room],)) for i in example.doc_ids}
    bare = replace(example, gold=frozenset(), annotators=(), annotator_names=())
    return replace(dataset, documents=short, splits={}, explains_queries=False).text(bare)


def learned_shuffled(classifier: Any, dataset: Dataset, epochs: int, seed: int) -> Any:
    """Return a copy of a classifier of several classes, trained from shuffled weights on shuffled labels."""
    found = randomised(classifier, len(groups_of(classifier.model)), seed)
    windows, labels = shuffled_texts(dataset, classifier.encoder, len(classifier.labels), seed)
    model = found.model.requires_grad_(True).float().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # of dropout
        for _ in progress(list(range(epochs)), "shuffled labels", "epochs"):
            order = rng.permutation(len(windows))
            for start in range(0, len(order), BATCH):
                _step(found, optimizer, [(windows[i], labels[i]) for i in order[start : start + BATCH]])
    model.eval().requires_grad_(False)
    return found


def _step(classifier: Any, optimizer: torch.optim.Optimizer, rows: list[tuple[Window, int]]) -> None:
    batch = classifier.encoder.collate([window for window, _ in rows]).to(classifier.device)
    wanted = torch.tensor([label for _, label in rows], device=classifier.device)
    logits = classifier.model(input_ids=batch.ids, **classifier.inputs(batch)).logits
    loss = nn.functional.cross_entropy(logits.float(), wanted)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(classifier.model.parameters(), 1.0)
    optimizer.step()
