"""Arguments of another type than they should have: one plain line that names them."""

from __future__ import annotations

import re
from functools import partial

import numpy as np
import pytest

import rationale
import rationale.onnx
from eraser import InputError
from rationale.settings import EvaluateSettings, StreamSettings


def half(texts):
    return np.full((len(texts), 2), 0.5)


MODEL = rationale.load(half, labels=["NEG", "POS"])
FILM = partial(rationale.explain, MODEL, "A film.", "random")
RUN = partial(rationale.evaluate, MODEL, methods="random")
STREAM = partial(StreamSettings, file="x.csv", model="m", methods=("random",))
WHOLE = "a whole number or None"


@pytest.mark.parametrize(
    ("use", "told"),
    [
        (lambda: FILM(target=1), "expected target as the name of a label, got 1"),
        (lambda: FILM(seed=-1), "expected a seed of at least 0, got -1"),
        (lambda: FILM(seed="1"), "expected a seed of at least 0, got '1'"),
        (lambda: rationale.explain(MODEL, "A film.", 5),
         "expected methods as a text or a list of texts, got 5"),
        (lambda: RUN(target=1), "expected target as a text, got 1"),
        (lambda: RUN(budget=2), "expected budget as a text or a list of texts, got 2"),
        (lambda: RUN(budget=[0.2]), "expected budget as a text or a list of texts, got 0.2"),
        (lambda: rationale.evaluate(MODEL, methods=2),
         "expected methods as a text or a list of texts, got 2"),
        (lambda: RUN(limit="2"), f"expected limit as {WHOLE}, got '2'"),
        (lambda: RUN(limit=2.0), f"expected limit as {WHOLE}, got 2.0"),
        (lambda: RUN(limit=True), f"expected limit as {WHOLE}, got True"),
        (lambda: RUN(ig_steps="5", seed=None),
         "expected ig_steps as a whole number, got '5'\nexpected seed as a whole number, got None"),
        (lambda: RUN(fractions=("a",)), "expected fractions as a list, each a number, got ('a',)"),
        (lambda: rationale.trust(MODEL, draws="5"), "expected draws as a whole number, got '5'"),
        (lambda: rationale.trust(MODEL, budget=2), "expected budget as a text or a list of texts, got 2"),
        (lambda: rationale.speeds(MODEL, windows="5"), "expected windows as a whole number, got '5'"),
        (lambda: STREAM(skip_invalid=1), "expected skip_invalid as True or False, got 1"),
        (lambda: STREAM(seed=-1).check(("random",)), "expected a seed of at least 0, got -1"),
        (lambda: rationale.load("m", foo=3),
         "expected an option of max_length, long_texts, device, precision, mask, got 'foo'"),
        (lambda: rationale.load(half, labels=["A", "B"], max_length=3),
         "expected an option of kind, mask, batch_size, version, got 'max_length'"),
    ],
)  # fmt: skip
def test_one_plain_line_names_what_is_wrong(use, told):
    with pytest.raises(InputError, match=f"^{re.escape(told)}$"):
        use()


def test_what_fits_is_taken():
    given = {"dataset": "x", "model": "m", "threshold": 0, "fractions": [0.1, 1], "limit": 3, "mask": "_"}
    assert EvaluateSettings(**given).limit == 3


def test_a_models_length_is_a_number(model_folder):
    with pytest.raises(InputError, match="expected max_length as a whole number, got '64'$"):
        rationale.load(model_folder, max_length="64")


def test_a_folder_is_no_exported_model(tmp_path):
    told = f"^{re.escape(str(tmp_path))}: expected the file of an exported model, got a folder$"
    with pytest.raises(InputError, match=told):
        rationale.onnx.load(tmp_path)
