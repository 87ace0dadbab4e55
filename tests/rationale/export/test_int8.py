"""Which int8 form is written is decided by labelled texts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eraser import InputError
from rationale.export.graph import traced
from rationale.export.int8 import Labelled, int8_forms
from rationale.export.parity import read_by_graph
from rationale.export.quantize import INT8_FORMS
from tests.conftest import dropping

N = 6


@pytest.mark.slow
def test_the_first_form_within_the_tolerance_is_taken_and_none_is_no_file(classifier, sample):
    model = replace(classifier, model=dropping(classifier.model))
    texts, proto = Labelled(model, sample, "val", N), traced(model)
    (found,) = int8_forms(proto, texts, tolerance=1.0)
    assert found.form == next(iter(INT8_FORMS))
    windows = texts.windows()
    flat = [w for of_text in windows for w in of_text]
    before, after = (texts.labels(read_by_graph(of, flat), windows) for of in (proto, found.proto))
    gold = [e.label for e in sample.examples("val")[:N]]
    right = [np.mean([a == b for a, b in zip(labels, gold, strict=True)]) for labels in (before, after)]
    assert found.loss.value == pytest.approx(right[0] - right[1])
    assert found.same_label == np.mean([a == b for a, b in zip(before, after, strict=True)])
    with pytest.raises(InputError) as refusal:
        int8_forms(proto, texts, tolerance=-1.0)  # no form can be that much better
    assert str(refusal.value).startswith(
        "expected an int8 form that loses at most -1 of accuracy on val, got"
    )
    assert f"n = {N}" in str(refusal.value)


def test_a_model_that_gives_a_number_is_refused(classifier, sample):
    with pytest.raises(InputError, match="--int8 is for models that give labels"):
        Labelled(replace(classifier, head="value"), sample, "val")
