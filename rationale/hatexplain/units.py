"""What HateXplain's protocol counts: word pieces of the model, or words; posts, marks and erasures in each.

Source: Explainability_Calculation_NB.ipynb (2d804e2), Preprocess/spanMatcher.py (76360c4), Preprocess/
dataCollect.py and testing_with_rational.py (2377748) of https://github.com/hate-alert/HateXplain. Followed in
`pieces`: a post is its first 128 pieces, [CLS] and [SEP] among them, which are scored and picked as all
others; a piece is marked where its word is; without the five the rest is read as it is, perhaps without
[CLS]; the five alone are read between [CLS] and [SEP]. Different here: the words of a post are joined by
spaces and cut into pieces as they are, where the published code first lets `ekphrasis` respell them; of a
post of which nothing is left one token is read, where theirs is all padding.

Axes: T piece, E element (piece or word) of a post.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from eraser import Dataset, Document, Evidence, Example, Text
from eraser.types import Mask, mask_from_spans, runs
from rationale.hf.classifier import Classifier
from rationale.settings import ErasureMode
from rationale.text.encode import Encoder
from rationale.text.windows import OUTSIDE, Window, covers, glued

MAX_PIECES = 128  # of a post, those at its ends included
Windows = tuple[Window, ...]


@dataclass(frozen=True)
class Post:
    """An example in a unit, the windows whose `word` counts its elements, and the special tokens around."""

    example: Example
    windows: Windows
    before: Window
    after: Window


@dataclass(frozen=True)
class PostsInUnit:
    """A split's posts: a data set whose documents are elements, and a classifier that reads these windows."""

    name: str
    dataset: Dataset
    posts: tuple[Post, ...]
    classifier: Classifier
    truncated: int  # posts of which not all was read

    def erased(self, post: Post, selected: Mask, how: ErasureMode = "delete") -> tuple[Windows, Windows]:
        """Return what is read without the selected elements [E], and with these alone.

        `how` is for words; the published protocol always deletes pieces.
        """
        encoder = self.classifier.encoder
        if self.name == WORDS:
            return encoder.remove(post.windows, selected, how), encoder.remove(post.windows, ~selected, how)
        (window,) = post.windows
        picked = covers(window, selected)  # [T]
        without = window.at(~picked)
        nothing = encoder.remove(post.windows, np.ones_like(selected))
        return ((without,) if len(without) else nothing), (glued(post.before, window.at(picked), post.after),)


PIECES, WORDS = "pieces", "words"
Make = Callable[[Classifier, Dataset, Sequence[Example]], PostsInUnit]


def in_words(classifier: Classifier, dataset: Dataset, examples: Sequence[Example]) -> PostsInUnit:
    """Return posts in words, read as `rationale evaluate` reads them."""
    windows = classifier.encoder.encode([dataset.text(e) for e in examples])
    posts = tuple(Post(e, w, *_ends(w[0])) for e, w in zip(examples, windows, strict=True))
    return PostsInUnit(WORDS, dataset, posts, classifier, 0)


def in_pieces(classifier: Classifier, dataset: Dataset, examples: Sequence[Example]) -> PostsInUnit:
    """Return posts in word pieces, special tokens among them: the published protocol."""
    return _pieces(PIECES, classifier, dataset, examples, lambda window: np.ones(len(window), dtype=bool))


def in_text_pieces(classifier: Classifier, dataset: Dataset, examples: Sequence[Example]) -> PostsInUnit:
    """Return posts in the word pieces of their words; special tokens have no score and always stay."""
    return _pieces("text_pieces", classifier, dataset, examples, lambda window: window.word != OUTSIDE)


UNITS: dict[str, Make] = {PIECES: in_pieces, "text_pieces": in_text_pieces, WORDS: in_words}


def _pieces(
    name: str,
    classifier: Classifier,
    dataset: Dataset,
    examples: Sequence[Example],
    counted: Callable[[Window], Mask],
) -> PostsInUnit:
    """Return posts whose elements are the pieces where `counted` [T] is True."""
    whole = classifier.encoder
    encoder = Encoder(whole.tokenizer, min(MAX_PIECES, whole.max_length))
    texts = [dataset.text(e) for e in examples]
    documents, posts, truncated = dict[str, Document](), list[Post](), 0
    for example, text, windows in zip(examples, texts, encoder.encode(texts), strict=True):
        window = windows[0]
        truncated += len(windows) > 1
        element = counted(window)  # [T]
        pieces = [name for name, is_one in zip(encoder.names(window), element, strict=True) if is_one]
        documents[example.id] = Document(example.id, (tuple(pieces),))
        of_pieces = _marked(example, text, window, element)
        posts.append(Post(of_pieces, (_numbered(window, element),), *_ends(window)))
    new = replace(dataset, documents=documents, splits={name: tuple(p.example for p in posts)})
    return PostsInUnit(name, new, tuple(posts), replace(classifier, encoder=encoder), truncated)


def _numbered(window: Window, element: Mask) -> Window:
    """Return the window with each element [T] as a word of its own, and all else as none."""
    word = np.where(element, element.cumsum() - 1, OUTSIDE)
    return replace(window, word=word, end=np.where(element, word + 1, OUTSIDE))


def _marked(example: Example, text: Text, window: Window, element: Mask) -> Example:
    """Return an example whose marks are those of its words, in elements [T]; what was not read has none."""

    def projected(evidence: frozenset[Evidence]) -> frozenset[Evidence]:
        words = mask_from_spans(text.spans(evidence), len(text.words))  # [W]
        return frozenset(Evidence(example.id, span) for span in runs(covers(window, words)[element]))

    gold = projected(example.evidence)
    annotators = tuple(projected(marked) for marked in example.annotators)
    groups = frozenset({gold}) if gold else frozenset()
    return replace(example, doc_ids=(example.id,), gold=groups, annotators=annotators)


def _ends(window: Window) -> tuple[Window, Window]:
    """Return the special tokens before the first word and after the last."""
    inside = np.flatnonzero(window.word != OUTSIDE)
    first, last = (inside[0], inside[-1] + 1) if len(inside) else (len(window), len(window))
    return window.at(slice(0, int(first))), window.at(slice(int(last), len(window)))
