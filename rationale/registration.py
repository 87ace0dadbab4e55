"""Adaptive models in Hugging Face's Auto classes after `import rationale`, at no cost until one is read.

Neither torch nor transformers is imported here. Once transformers' Auto classes are imported, whoever does
it, they are told the names of the models; the classes behind a name come when a configuration has it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType

TYPE_CHECKING = False  # `typing` takes longer to import than all the rest of what a command starts with
if TYPE_CHECKING:
    from typing import Any

AUTO = "transformers.models.auto.configuration_auto"  # where the Auto classes know configurations from
CONFIGURATIONS = {
    "adapler": ("rationale.models.adapler", "AdaplerConfig"),
    "dact": ("rationale.models.dact", "DactConfig"),
    "inforcoef": ("rationale.models.inforcoef", "InforCoefConfig"),
    "pruned": ("rationale.models.pruning", "PrunedConfig"),
}  # model_type → module and class; importing the module registers configuration and model


def register_with_auto_classes() -> None:
    """Register the models now where the Auto classes are there, else when they come."""
    if AUTO in sys.modules:
        _register(sys.modules[AUTO])
    elif not any(isinstance(finder, _WhenImported) for finder in sys.meta_path):
        sys.meta_path.insert(0, _WhenImported())


class _WhenImported:
    """Lets the others find the module of the Auto classes, and registers once it has been executed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the others' finding, whose loader registers; None for every other module."""
        if fullname != AUTO:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        specs = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_register(module: ModuleType) -> None:
                execute(module)
                _register(module)

            spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec


def _register(auto: ModuleType) -> None:
    for model_type, (module, name) in CONFIGURATIONS.items():
        if model_type not in auto.CONFIG_MAPPING:
            auto.AutoConfig.register(model_type, _to_come(model_type, module, name))


def _to_come(model_type: str, module: str, name: str) -> type:
    """Return what stands for a configuration class until the first one is made: the class itself makes it.

    Importing the class here would import torch, and parts of transformers that are half imported.
    """
    from transformers.configuration_utils import PreTrainedConfig

    def own() -> Any:
        return getattr(import_module(module), name)

    def new(cls: type, *args: Any, **kwargs: Any) -> Any:
        return own()(*args, **kwargs)

    def from_dict(cls: type, *args: Any, **kwargs: Any) -> Any:
        return own().from_dict(*args, **kwargs)

    body = {"model_type": model_type, "__new__": new, "from_dict": classmethod(from_dict)}
    return type(name, (PreTrainedConfig,), body | {"__module__": __name__})
