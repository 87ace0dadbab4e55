"""Hugging Face models: loaded from folders and the hub, checked, adapted, stored."""

from rationale.process.lazy import lazily

TYPE_CHECKING = False  # see registration.py
if TYPE_CHECKING:
    from rationale.hf.classifier import (
        SHIPPED,
        Classifier,
        cast_once,
        load_classifier,
        load_tokenizer,
        new_classifier,
        save_classifier,
        without_removal,
    )

__all__ = [
    "Classifier",
    "SHIPPED",
    "load_classifier",
    "load_tokenizer",
    "cast_once",
    "new_classifier",
    "save_classifier",
    "without_removal",
]
PLACES = {
    "Classifier": "rationale.hf.classifier",
    "SHIPPED": "rationale.hf.classifier",
    "load_classifier": "rationale.hf.classifier",
    "load_tokenizer": "rationale.hf.classifier",
    "cast_once": "rationale.hf.classifier",
    "new_classifier": "rationale.hf.classifier",
    "save_classifier": "rationale.hf.classifier",
    "without_removal": "rationale.hf.classifier",
}
__getattr__ = lazily(__name__, PLACES)
