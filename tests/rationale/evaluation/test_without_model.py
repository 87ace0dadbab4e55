"""Agreement alone, worked out by hand: no model is loaded."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from eraser import Dataset, Document, Example, InputError, Span
from eraser.types import Evidence
from rationale.evaluation.without_model import agreement_table
from rationale.explanations.of_run import Imports
from rationale.explanations.stored import ImportedMethod, WordExplanation, hash_of_words

WORDS = {"a": ("a", "dull", "film", "of", "1999"), "b": ("warm", "and", "moving")}
GOLD = {"a": Span(1, 3), "b": Span(0, 1)}


def films():
    examples = tuple(
        Example(x, (x,), "POS", gold=frozenset({frozenset({Evidence(x, GOLD[x])})})) for x in WORDS
    )
    return Dataset("films", {x: Document(x, (w,)) for x, w in WORDS.items()}, {"test": examples})


def made(name, **by_id):
    return ImportedMethod.of(
        name, [WordExplanation(x, hash_of_words(WORDS[x]), len(WORDS[x]), **by_id[x]) for x in by_id]
    )


SHAP = made("shap", a={"scores": np.array([0, 3, 1, 2, np.nan])}, b={"scores": np.array([1.0, 0, 2])})
LLM = made("llm", a={"selected": np.array([0, 1, 0, 0, 0], bool)}, b={"selected": np.array([1, 1, 0], bool)})


def values(imports, *budgets):
    table, _ = agreement_table(films(), "test", imports, budgets)
    return {(r.method, r.budget, r.metric): r.value for r in table.itertuples()}


def test_agreement_at_the_annotators_length_and_at_that_of_the_words_picked():
    found = values(Imports((SHAP, LLM)))
    # shap takes words 1 and 3 of a, word 2 of b: 1 of 2, and 0 of 1
    assert found["imported-shap", "gold", "token_precision"] == 0.25
    # the words picked, 1 and 0 + 1: all of 1, half of 2; of the gold words half, and all
    assert found["imported-llm", "match=imported-llm", "token_precision"] == 0.75
    assert found["imported-llm", "match=imported-llm", "token_recall"] == 0.75
    # shap at these lengths: word 1 of a, words 2 and 0 of b
    assert found["imported-shap", "match=imported-llm", "token_precision"] == 0.75
    # gold words 1 (first) and 2 (third of a ranking 1, 3, 2): (1/1 + 2/3) / 2; word 0 of b is second
    assert found["imported-shap", "-", "average_precision"] == pytest.approx(((1 + 2 / 3) / 2 + 1 / 2) / 2)
    assert {metric for _, _, metric in found} == {
        "token_f1", "token_f1_micro", "token_precision", "token_recall", "token_iou", "iou_f1_eraser",
        "iou_f1_one_to_one", "false_positive_rate", "size", "average_precision", "auprc_trapezoid", "roc_auc",
    }  # fmt: skip


def test_lengths_that_cannot_be_had_are_refused():
    for imports, budget, message in (
        (Imports((SHAP,)), "ratio", "expected a budget ratio=R, with its number, got ratio"),
        (
            Imports((SHAP,)),
            "match=imported-shap",
            "match=NAME of explanations that pick words, got",
        ),
        (
            Imports((SHAP, LLM)),
            "own",
            "for budget own only explanations that pick words, got",
        ),
    ):
        with pytest.raises(InputError, match=message):
            agreement_table(films(), "test", imports, (budget,))
    assert values(Imports((LLM,)), "own")["imported-llm", "own", "token_precision"] == 0.75
    assert values(Imports((SHAP,)), "top=1")["imported-shap", "top=1", "token_precision"] == 0.5


def test_no_model_library_is_imported():
    code = "import rationale.evaluation.without_model, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
