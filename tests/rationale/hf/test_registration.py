"""After `import rationale` alone, transformers' Auto classes know the adaptive models; it costs nothing."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from transformers import AutoConfig

from rationale.models.adapler import AdaplerConfig, AdaplerForSequenceClassification
from rationale.models.dact import DactForSequenceClassification
from rationale.models.inforcoef import InforCoefForSequenceClassification
from rationale.models.pruning import PrunedConfig
from rationale.registration import AUTO, CONFIGURATIONS
from tests.conftest import tiny_model
from tests.helpers.paths import PYTHONPATH

pytestmark = pytest.mark.slow  # a process each, which imports torch
KINDS = (AdaplerForSequenceClassification, DactForSequenceClassification, InforCoefForSequenceClassification)
LATE = "from transformers import AutoModelForSequenceClassification as Auto\nimport rationale"
EARLY = "import rationale\nfrom transformers import AutoModelForSequenceClassification as Auto"


def python(*lines):
    """Run lines in a process of its own; return what they print."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore", "PYTHONPATH": PYTHONPATH}
    command = [sys.executable, "-c", "\n".join(lines)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture
def folders(tmp_path, tokenizer):
    """A folder of each kind, and the class that it holds."""
    dense = tiny_model("bert", tokenizer, ("NEG", "POS"))
    dense.config.cut = {"heads": [4] * 3, "units": [48] * 3, "hidden": 32}
    PrunedConfig(dense.config.to_dict()).save_pretrained(tmp_path / "pruned")
    del dense.config.cut
    for kind in KINDS:
        kind.wrap(dense).save_pretrained(tmp_path / kind.config_class.model_type)
        tokenizer.save_pretrained(tmp_path / kind.config_class.model_type)
    return tmp_path


def test_the_import_brings_no_model_library():
    heavy = ("torch", "transformers", "numpy", "pandas", "tokenizers", "safetensors")
    assert python("import sys, rationale", f"print([m for m in {heavy} if m in sys.modules])") == ["[]"]


@pytest.mark.slow
@pytest.mark.parametrize("imports", [EARLY, LATE])
def test_folders_are_loaded_by_transformers_whichever_is_imported_first(folders, imports):
    assert {c.config_class.model_type for c in KINDS} | {"pruned"} == set(CONFIGURATIONS)
    paths = [str(folders / c.config_class.model_type) for c in KINDS]
    found = python(
        imports, "from transformers import AutoConfig",
        *(f"print(type(Auto.from_pretrained({path!r})).__name__)" for path in paths),
        f"print(type(AutoConfig.from_pretrained({str(folders / 'pruned')!r})).__name__)",
    )  # fmt: skip
    assert found == [*(c.__name__ for c in KINDS), "PrunedConfig"]


@pytest.mark.slow
def test_the_librarys_pipeline_finds_the_class(folders):
    found = python(
        "import rationale", "from transformers import pipeline",
        f"print(type(pipeline('text-classification', model={str(folders / 'dact')!r}).model).__name__)",
    )  # fmt: skip
    assert found == ["DactForSequenceClassification"]


def test_nothing_is_imported_until_a_folder_says_so(folders):
    found = python(
        "import sys, rationale", "from transformers import AutoConfig, AutoTokenizer",
        "print('rationale.models' in sys.modules)",
        f"print(len(AutoTokenizer.from_pretrained({str(folders / 'dact')!r})('a').input_ids))",
        f"print(type(AutoConfig.from_pretrained({str(folders / 'adapler')!r})).__module__)",
        "print(AutoConfig.for_model('inforcoef', dial=2.0).dial)",
    )  # fmt: skip
    assert found == ["False", "3", "rationale.models.adapler", "2.0"]


@pytest.mark.slow
@pytest.mark.parametrize("module", ["rationale.models.adaptive", "rationale.models.pruning"])
def test_modules_of_models_may_be_imported_first(module):
    code = ("from transformers import AutoConfig", "print(type(AutoConfig.for_model('adapler')).__module__)")
    assert python(f"import {module}", *code) == ["rationale.models.adapler"]


def test_without_transformers_the_core_is_imported(tmp_path):
    """A finder that knows no transformers, before all others."""
    hide = (
        "import sys", "class Hide:",
        "    def find_spec(self, name, path=None, target=None):",
        "        if name.split('.')[0] in ('transformers', 'torch'): raise ModuleNotFoundError(name)",
        "sys.meta_path.insert(0, Hide())", "import rationale, eraser, eraser.load",
    )  # fmt: skip
    assert python(*hide, "print(len(eraser.load.load('sample').splits))") == ["3"]


def test_it_is_registered_once_however_often_it_is_asked_for():
    found = python(
        "import sys, rationale", "from rationale.registration import register_with_auto_classes as register",
        "before = len(sys.meta_path)", "register()", "print(len(sys.meta_path) - before)",
        f"import {AUTO} as auto", "register()", "print(auto.CONFIG_MAPPING['dact'].model_type)",
        "print(auto.__loader__.get_source(auto.__name__)[:1] == '#', auto.__spec__.name)",
    )  # fmt: skip
    assert found == ["0", "dact", "True", AUTO]


def test_the_class_of_a_module_takes_the_place_of_what_stands_for_it():
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    assert CONFIG_MAPPING["adapler"] is AdaplerConfig
    assert isinstance(AutoConfig.for_model("adapler"), AdaplerConfig)
