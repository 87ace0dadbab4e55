"""A text's answer must depend on the text alone: not on the texts beside it, nor on those before it.

For most models masking the padding is enough. Some see the padding (convolutions, pooling, a head that reads
the last place), and some compute differently for long batches: these run on texts of equal length, without
padding. Some change permanently with what they read: these are reset after every pass.

Axes: B window, T token, C class.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from eraser import Fault, InputError, Text
from eraser.errors import first_line
from rationale.models.packed.known import as_held, known, rounded
from rationale.text.windows import Window
from rationale.text_classifier import ModelClassifier

PADDING_TOLERANCE, ROUNDED_TOLERANCE = 1e-4, 0.05  # of logits, as a share of one more than the largest
SettledT = TypeVar("SettledT", bound=ModelClassifier)
SHORT, LONG = 3, 24  # words
SPARSE = "block_sparse"
BY_LENGTH = frozenset({"dynamic", "longrope"})  # rotary frequencies that follow a batch's longest text


def settled(classifier: SettledT) -> SettledT:
    """Return a classifier, just loaded, whose answers to a text are always the same.

    Raises:
        InputError: it has none to the empty text, which is what is left of a text whose words are taken away.
    """
    forget(classifier.model)
    length_matters(classifier)  # found out while weights are whole: rounding would hide it
    _check_empty(classifier)
    return classifier


@torch.inference_mode()
def _check_empty(classifier: ModelClassifier) -> None:
    specials = classifier.encoder.tokenizer("")["input_ids"] or [classifier.encoder.pad_id]
    ids = torch.tensor([specials], device=classifier.device)  # [1,T]
    try:
        with as_held(classifier.model):
            classifier.model(input_ids=ids, attention_mask=torch.ones_like(ids))
    except Exception as error:  # whatever its layers say to it
        raise InputError(Fault("a model that can read the empty text", first_line(error))) from None


def length_matters(classifier: ModelClassifier) -> bool:
    """Return whether an answer depends on the lengths of the texts in its batch."""
    return known(
        classifier.model, "length matters", lambda: _by_length(classifier.model) or _beside(classifier)
    )


def _by_length(model: nn.Module) -> bool:
    """Return whether a model says that it computes long batches in another way: short ones do not show it."""
    return any(sparse(m) or not BY_LENGTH.isdisjoint(_rotary_kinds(m)) for m in model.modules())


def sparse(module: Any) -> bool:
    """Return whether a module attends to blocks of tokens, where there are enough."""
    may = hasattr(module, "set_attention_type")
    return may and getattr(module.config, "attention_type", None) == SPARSE


def _rotary_kinds(module: Any) -> tuple[str, ...]:
    """Return how a module scales rotary embeddings, where it does: one way, or one for each kind of layer."""
    kinds = getattr(module, "rope_type", ())
    return tuple(kinds.values()) if isinstance(kinds, dict) else (kinds,) if isinstance(kinds, str) else ()


@torch.inference_mode()
def _beside(classifier: ModelClassifier) -> bool:
    """Return whether a short text has another answer beside a longer one."""
    words = [f"{'xyz'[i % 3]}{i}" for i in range(LONG)]
    texts = [Text(str(n), tuple(words[:n]), {str(n): 0}, (0,)) for n in (SHORT, LONG)]
    try:
        short, long = (windows[0] for windows in classifier.encoder.encode(texts))
        alone, beside = _answer(classifier, [short]), _answer(classifier, [short, long])  # [1,C], [2,C]
    except Exception:  # told apart from a padded batch by failing on it
        return True
    close = ROUNDED_TOLERANCE if rounded(classifier.model) else PADDING_TOLERANCE
    return bool((alone[0] - beside[0]).abs().max() > close * (1 + alone.abs().max()))


def _answer(classifier: ModelClassifier, windows: list[Window]) -> Tensor:
    batch = classifier.encoder.collate(windows).to(classifier.device)
    with as_held(classifier.model):
        logits: Tensor = classifier.model(input_ids=batch.ids, **classifier.inputs(batch)).logits  # [B,C]
    return logits.float()  # [B,C]


# What a pass changes for good


def forget(model: nn.Module) -> None:
    """Reset a model after each pass, if it is of a kind that keeps something of a pass."""
    for module in list(model.modules()):
        for put_back in (_attention(module), _frequencies(module)):
            if put_back is not None:
                put_back()
                module.register_forward_hook(put_back, always_call=True)


def _attention(module: Any) -> Callable[..., None] | None:
    """Sparse attention, which gives way to full attention from the first short text on."""
    if not (sparse(module) and hasattr(module, "get_input_embeddings")):
        return None
    return lambda *_: module.set_attention_type(SPARSE)


def _frequencies(module: Any) -> Callable[..., None] | None:
    """Rotary frequencies that grow with the longest text met, and stay."""
    if "dynamic" not in _rotary_kinds(module):
        return None
    kept = {name: getattr(module, name) for name in _of_frequencies(module)}

    def put_back(*_: Any) -> None:
        for name in _of_frequencies(module):
            if name in kept:
                setattr(module, name, kept[name])
            else:
                delattr(module, name)

    return put_back


def _of_frequencies(module: nn.Module) -> list[str]:
    names = (*vars(module), *dict(module.named_buffers(recurse=False)))
    return [name for name in names if name.endswith(("inv_freq", "max_seq_len_cached"))]
