from __future__ import annotations

from dataclasses import replace

import numpy as np

from eraser import Dataset, Document, Evidence, Example, Span
from rationale.evaluation.collect import collect
from rationale.evaluation.plan import _human_share, evaluate, plan
from rationale.settings import EvaluateSettings
from rationale.text.encode import Encoder


def test_the_words_that_were_not_read_are_counted(classifier, tokenizer, sample, tmp_path):
    short = replace(classifier, encoder=Encoder(tokenizer, 16, long_texts="truncate"))
    asked = EvaluateSettings("sample", "tiny", methods=("random",), limit=3, budgets=("gold",))
    found = evaluate(short, sample, asked, tmp_path)
    scores = np.concatenate([p.scores for p in found.predictions["random", "gold"]])
    assert found.words_unread == np.isnan(scores).sum() > 0


def test_words_longer_than_a_window_are_noted(classifier, tokenizer, tmp_path):
    short = replace(classifier, encoder=Encoder(tokenizer, 16))
    texts = {"long": ("xq" * 40, "film"), "short": ("a", "film")}
    documents = {id: Document(id, (words,)) for id, words in texts.items()}
    examples = tuple(Example(id, (id,), "POS") for id in texts)
    dataset = Dataset("own", documents, {"test": (*examples,)})
    asked = EvaluateSettings("own", "tiny", methods=("random",), budgets=("top=1",), chunk=1)
    found = collect(plan(short, dataset, asked, tmp_path / "run").batches(), tmp_path, keep=True)
    assert "words longer than a window, of which only the beginning was read: 1" in found.notes
    assert (found.kept.words_in_part, found.kept.words_unread) == (1, 0)


def shares(**of_split):
    """Texts of eight words, of which people marked so many; in a split of none they marked no text."""
    documents, splits = {}, {}
    for split, n in of_split.items():
        documents[split] = Document(split, (tuple("abcdefgh"),))
        marked = frozenset({frozenset({Evidence(split, Span(0, n))})}) if n else frozenset()
        splits[split] = (Example(split, (split,), "POS", gold=marked),)
    return Dataset("shares", documents, splits)


def test_the_usual_budget_is_people_s_share_on_train_else_on_val_else_on_the_split():
    def told(**of_split):
        return _human_share(shares(**of_split), "test", "word")

    assert told(train=1, val=4, test=2) == (1 / 8, ("budget ratio: mean human share 0.1250 on train",))
    assert told(train=0, val=4, test=2) == (1 / 2, ("budget ratio: mean human share 0.5000 on val",))
    assert told(train=0, val=0, test=2) == (1 / 4, ("budget ratio: mean human share 0.2500 on test",))
    assert told(test=0) == (0.2, ("budget ratio: 0.2, as no split has human evidence",))
