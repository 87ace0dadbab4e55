"""Our half of peers.py: the same explanations and metrics by our suite, on given texts, one thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from benchmarks.ferret_half import WARM_UP, Reading, Timed, timed
from eraser import Ablation, GoldRationale, Prediction, Text
from eraser.metrics.table import measure
from eraser.types import Floats, runs
from rationale.attribution import AttributionInput, AttributionSettings, attribute
from rationale.budgets import share_of, top_words
from rationale.hf.classifier import Classifier, cast_once, load_classifier
from rationale.inference.ablate import ablate, without_and_only
from rationale.inference.predict import text_probs
from rationale.pass_cache import PassCache

THREADS = 1
METRICS = (
    "aopc_comprehensiveness",
    "aopc_sufficiency",
    "tau_leave_one_out",
    "auprc_trapezoid",
    "token_f1",
    "token_iou",
)
Precision = Literal["float32", "bf16"]
EXPLAINERS = ("kernel_shap", "lime", "saliency", "gradient_x_input", "integrated_gradients")
SHARES = tuple(n / 10 for n in range(1, 11))
TOP = 5


def ours(model: Path, texts: Sequence[Reading], precision: Precision, lime_samples: int) -> list[Timed]:
    """Do the same work with our suite in this process, on one thread, and return what each text took.

    The same numbers of samples: kernel SHAP 500 (the peer's is partition SHAP), LIME `lime_samples`, the
    gradient, gradient × input, integrated gradients of 50 steps, whose form without × input is the same
    passes; then of each comprehensiveness and sufficiency at 10, 20, … 100 % of the words, Kendall's tau with
    leave-one-out, area under precision and recall, token F1 and IOU of the top 5. Ours takes words away,
    all pieces together, where the peer takes pieces.
    """
    torch.set_num_threads(THREADS)
    classifier = cast_once(load_classifier(str(model), precision=precision, device="cpu"))
    warm = Reading("warm-up", tuple(WARM_UP.split()), (), (1,) + (0,) * (len(WARM_UP.split()) - 1))
    our_text(classifier, warm, lime_samples)
    return [our_text(classifier, text, lime_samples) for text in texts]


def our_text(classifier: Classifier, text: Reading, lime_samples: int) -> Timed:
    """Explain and score one text with ours."""
    (windows,) = classifier.encoder.encode([Text(text.id, text.words, {text.id: 0}, (0,))])
    probs = text_probs(classifier, [windows])[0]
    case = AttributionInput(windows, len(text.words), int(probs.argmax()))
    how = AttributionSettings(ig_steps=50, lime_samples=lime_samples, shap_samples=500)
    sharing = replace(classifier, passes=PassCache(logits={}))
    explain, found = timed(
        lambda: {m: attribute(sharing, m, [case], how)[0].scores for m in EXPLAINERS}, classifier.model
    )
    evaluate, _ = timed(lambda: our_metrics(sharing, case, probs, found, text.marked), classifier.model)
    return Timed(text.id, explain, evaluate)


def our_metrics(
    classifier: Classifier,
    case: AttributionInput,
    probs: Floats,
    found: dict[str, Floats],
    marked: Sequence[int],
) -> dict[tuple[str, str], Any]:
    """Return each explanation's six metrics."""
    (falls,) = attribute(classifier, "leave_one_out", [case])
    tops = {m: [top_words(scores, share_of(case.n_words, s)) for s in SHARES] for m, scores in found.items()}
    erasures = [e for masks in tops.values() for mask in masks for e in without_and_only(case.windows, mask)]
    answers = iter(ablate(classifier, erasures))
    gold = np.zeros(case.n_words, dtype=bool)
    gold[case.windows[0].word[1:-1][np.array(marked, dtype=bool)]] = True
    label = classifier.labels[case.target]
    truth = GoldRationale(label, case.n_words, frozenset(runs(gold)))

    def by_label(values: Any) -> dict[str, float]:
        return dict(zip(classifier.labels, values.tolist(), strict=True))

    measured = {}
    for method, scores in found.items():
        steps = tuple(Ablation(s, by_label(next(answers)), by_label(next(answers))) for s in SHARES)
        prediction = Prediction(
            "", label, by_label(probs), scores, top_words(scores, TOP), None, steps, falls.scores
        )
        for metric in METRICS:
            measured[method, metric] = measure(metric, [truth], [prediction])[0]
    return measured
