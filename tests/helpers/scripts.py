"""Files of scripts/, as modules."""

from __future__ import annotations

import importlib.util

from tests.helpers.paths import ROOT


def script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
