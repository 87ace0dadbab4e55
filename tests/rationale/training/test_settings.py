"""The settings stand where nothing needs torch, and name what the models have."""

from __future__ import annotations

import subprocess
import sys

from rationale.models.exits.rules import EXIT_RULES
from rationale.models.inforcoef import BOTTLENECKS
from rationale.training.recipes import settings


def test_the_names_that_settings_take_are_those_the_models_have():
    assert tuple(EXIT_RULES) == settings.EXIT_RULES
    assert tuple(BOTTLENECKS) == settings.BOTTLENECKS


def test_settings_need_no_torch():
    code = (
        "import sys, rationale.settings, rationale.training.settings, rationale.training.recipes.settings, "
        "rationale.training.recipes.adapler.settings; "
        "print(sorted({'torch', 'transformers', 'scipy', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
